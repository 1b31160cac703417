"""Whether a prediction should be trusted: what is measured, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
from helpers import PATIENTS, ellipse, untrained_run

from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict, trust
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.evaluation.trust import FEATURES, agreement, appearance, strangeness
from brainseg.experiments import engine, quality
from brainseg.metrics import confusion, dice


def head(level=100, radii=(90, 70), slices=4):
    images = np.zeros((slices, 256, 256, 3), np.uint8)
    inside = ellipse((128, 128), radii)
    noise = np.random.default_rng(0).integers(-30, 30, (slices, int(inside.sum()), 3))
    images[:, inside] = np.clip(level + noise, 0, 255)
    return images


def test_a_volume_is_told_in_numbers_and_another_one_lies_far():
    usual = pd.DataFrame([appearance(head(radii=(90 + n % 3, 70))) for n in range(9)])
    assert set(usual) == set(FEATURES) and usual.notna().all(axis=None)
    assert usual["head_shape"].between(1.2, 1.4).all() and (usual["dark_slices"] == 0).all()
    assert strangeness(appearance(head()), usual).max(axis=None) < 4
    small = strangeness(appearance(head(radii=(40, 70))), usual).iloc[0]
    assert small["head_share"] > 4 and small["head_shape"] > 4
    dark = head(slices=4)
    dark[2:] = 0
    assert strangeness(appearance(dark), usual).iloc[0]["dark_slices"] > 4
    nothing = strangeness(appearance(np.zeros_like(dark)), usual).iloc[0]
    assert nothing["head_share"] > 4 and nothing["flair_level"] == 0


def test_a_sequence_that_flair_stands_in_for_has_no_level():
    images = head()
    images[..., 2] = images[..., 1]
    found = appearance(images)
    assert np.isnan(found["post_level"]) and found["pre_level"] > 0 and found["flair_level"] > 0
    usual = pd.DataFrame([appearance(head(radii=(90 + n % 3, 70))) for n in range(9)])
    assert strangeness(found, usual)["post_level"].item() == 0


def test_the_kept_agreement_is_that_of_a_network_with_itself():
    """As the page says, whose text has to change with the kept weights."""
    assert (results.read_table("quality", "patients")["networks"] == 1).all()


def test_agreement_is_that_of_all_pairs():
    one, other, empty = np.array([1, 1, 0], bool), np.array([1, 0, 0], bool), np.zeros(3, bool)
    assert agreement([one, other]) == pytest.approx(2 / 3) and np.isnan(agreement([one]))
    assert agreement([one, other, empty]) == pytest.approx((2 / 3 + 0 + 0) / 3) and agreement([empty, empty]) == 1
    assert trust.volume_spread([one, other]) == pytest.approx(1 / 1.5) and np.isnan(trust.volume_spread([one]))
    assert np.isnan(trust.volume_spread([empty, empty]))


def table(slope, patients=60):
    rng = np.random.default_rng(1)
    agreed = rng.uniform(0.2, 1, patients)
    dice = np.clip(0.5 + slope * (agreed - 0.6) + rng.normal(0, 0.02, patients), 0, 1)
    features = {name: rng.normal(0.5, 0.05, patients) for name in FEATURES}
    return pd.DataFrame(
        {"patient": [f"p{n}" for n in range(patients)], "dice": dice, "agreement": agreed, "strangeness": agreed[::-1]}
        | {"unseen": 0.03}
        | features
    )


def calibration(shift):
    bins = [0.1, 0.5, 0.8]
    rows = [
        {"patient": patient, "bin": low, "pixels": pixels, "probability": low + 0.05, "tumour": low + 0.05 + shift}
        for patient in ("a", "b")
        for low, pixels in zip(bins, (100, 10, 10), strict=True)
    ]
    return pd.DataFrame(rows)


def test_agreement_that_foretells_and_agreement_that_does_not():
    found = quality.findings(table(0.7), calibration(0.1))
    assert found.by_agreement.low > 0.9 and "**Agreement foretells the Dice.**" in found.sentences()
    assert found.flagged == 12 and found.dice_below < found.dice_above
    assert found.calibration_error.estimate == pytest.approx(0.1) and found.sentences().count("too low") == 2
    assert "3.0% of a tumour" in found.sentences()
    assert quality.findings(table(0.7), calibration(-0.05)).sentences().count("too high") == 2
    none = quality.findings(table(0.0), calibration(0.0))
    assert "does not clearly foretell" in none.sentences() and none.calibration_error.estimate == pytest.approx(0)
    assert none.sentences().count("not clearly too high or too low") == 2


def test_errors_at_both_ends_do_not_cancel():
    """Too sure on both sides: the faint pixels are tumour more often than said, those of the mask less often."""
    sure = calibration(0).assign(tumour=lambda rows: rows["probability"] + 0.1 * np.where(rows["bin"] < 0.5, 1, -1))
    found = quality.findings(table(0.7), sure)
    assert (found.below.estimate, found.above.estimate) == pytest.approx((-0.1, 0.1))
    assert "-0.100), too low" in found.sentences() and "+0.100), too high" in found.sentences()


def test_bins_weigh_by_their_pixels():
    uneven = calibration(0.0)
    uneven.loc[uneven["bin"] == 0.1, "tumour"] += 0.12
    assert quality.calibration_errors(uneven).tolist() == pytest.approx([0.1, 0.1])
    curve = quality.reliability(uneven).set_index("bin")
    assert curve["pixels"].tolist() == [200, 20, 20] and curve.loc[0.1, "tumour"] == pytest.approx(0.27)


def test_a_warning_says_what_was_measured(monkeypatch):
    known = table(0.7)
    for name, value in appearance(head()).items():
        known[name] = value
    monkeypatch.setattr(trust, "has_tables", lambda study: True)
    monkeypatch.setattr(trust, "read_table", lambda study, name: known)
    assert trust.warning(0.99, head()) == ""
    low = trust.warning(0.25, head())
    assert "share a Dice of 0.25" in low and "12 held-out patients" in low
    assert f"was {known.loc[known['agreement'] < known['agreement'].quantile(0.2), 'dice'].mean():.2f}" in low
    assert trust.warning(0.99, head(radii=(40, 70))).startswith("Unusual for these networks: size of the head")
    assert trust.warning(float("nan"), head()) == ""
    alone = head()
    alone[..., 2] = alone[..., 1]
    assert trust.warning(0.99, alone).startswith("FLAIR stands in for the post-contrast T1. No held-out patient was")
    known.loc[:9, "post_level"] = np.nan
    assert f"On the 10 held-out patients like that the mean Dice was {known['dice'][:10].mean():.2f}" in trust.warning(
        0.99, alone
    )
    monkeypatch.setattr(trust, "has_tables", lambda study: False)
    assert trust.warning(0.1, head()) == ""


@pytest.mark.slow
def test_patients_are_predicted_by_networks_that_have_not_met_them(tiny_cohort_once, tmp_path, monkeypatch):
    from brainseg.networks import runs

    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    members = []
    for fold, model in ((0, "unet"), (0, "resunet"), (1, "unet")):
        run = untrained_run(tiny_cohort_once, tmp_path / "runs" / model, fold=fold)
        kept = runs.keep(run, "patient", fold)
        if model == "resunet":  # a second network of the fold, by its name
            kept.folder.rename(kept.folder.with_name(f"resunet-by-patient-fold{fold}-seed0"))
        members.append(run)
    runs.keep(members[0], "patient", 0)
    cohort = index_cohort(tiny_cohort_once)
    tables, _ = engine.compute(quality, cohort, quality.Settings())
    patients = tables["patients"].set_index("patient")
    for fold, run in ((0, members[0]), (1, members[2])):
        mine = run.prepared.table["patient"].to_numpy()[run.rows("test")]
        assert set(patients.index[patients["fold"] == fold]) == set(mine)
        assert set(patients.loc[patients["fold"] == fold, "networks"]) == {2 - fold}
    name = patients.index[patients["fold"] == 1][0]
    rows = np.flatnonzero(members[2].prepared.table["patient"] == name)
    said = predict.predict_probabilities(members[2], rows)
    looks = predict.predict_both_looks(members[2], rows)
    np.testing.assert_allclose(looks.mean(axis=0), said, atol=1e-6)
    assert patients.loc[name, "agreement"] == pytest.approx(agreement(looks >= 0.5), abs=2e-2)  # of rounded weights
    assert 0 < patients.loc[name, "agreement"] < 1
    truth = members[2].prepared.truth(rows)
    expected = dice(confusion(truth, drop_small_pieces(said >= 0.5)), empty=np.nan)
    assert patients.loc[name, "dice"] == pytest.approx(float(expected), abs=2e-3)
    counted = tables["calibration"].query("patient == @name")
    assert counted["pixels"].sum() == pytest.approx(np.count_nonzero(said >= quality.LEAST), rel=0.02)
    assert set(patients.index) <= set(PATIENTS)
    with pytest.raises(ValueError, match="nothing to measure"):
        quality.plan(cohort.assign(patient="another"), quality.Settings())
