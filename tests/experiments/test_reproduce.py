"""What is scored again of networks that trained on the phantom alone. Reference runs have tests of their own."""

import numpy as np
import pandas as pd
import pytest

from brainseg import results
from brainseg.cohort import index_cohort, read_mask
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.experiments import gallery, reproduce, synthetic


@pytest.fixture
def kept(tiny_cohort_once, tmp_path, monkeypatch):
    """Of two patients the masks of one network, which are the true ones, and their scores."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    cohort = index_cohort(tiny_cohort_once)
    names = sorted(cohort.loc[cohort["tumour_px"] > 0, "patient"].unique())[:2]
    mine = cohort[cohort["patient"].isin(names)]
    table = pd.DataFrame({"model": "unet", "seed": 1, "patient": names, "dice": [1.0, 0.5]})
    flat = table.assign(model=synthetic.FLAT, seed=0)
    results.write_tables("synthetic", {"patients": pd.concat([table, flat])}, {})
    empty = pd.DataFrame(columns=["run", "patient", "dice"])
    results.write_tables("reference", {"seeds": empty, "patients": empty}, {})
    truth = np.stack([read_mask(path) for path in mine["mask_path"]])
    save_masks(synthetic.masks_of("unet", 1), pack_masks(mine, truth))
    return cohort, names


def test_masks_without_a_real_image_are_scored_again(kept):
    cohort, names = kept
    (again,) = reproduce._without_a_real_image(cohort)
    assert again["patient"].tolist() == names and again["dice"].tolist() == [1, 1]
    both = again.merge(reproduce._kept(), on=["run", "patient"], suffixes=("_again", "_kept"))
    assert both["dice_kept"].tolist() == [1.0, 0.5] and set(both["by"]) == {"masks"}


def test_who_is_not_in_the_cohort_is_passed_over(kept):
    cohort, names = kept
    (again,) = reproduce._without_a_real_image(cohort[cohort["patient"] != names[0]])
    assert again["patient"].tolist() == names[1:]
    assert list(reproduce._without_a_real_image(cohort[~cohort["patient"].isin(names)])) == []


def test_a_kept_score_that_its_masks_do_not_give_is_found(kept, tiny_cohort_once, monkeypatch):
    monkeypatch.setattr(reproduce, "reference_runs", lambda **_: ["a run"])
    for other in ("_from_weights", "_from_masks"):
        monkeypatch.setattr(reproduce, other, lambda *_: iter(()))
    assert reproduce.reproduce(str(tiny_cohort_once))["same"].tolist() == [True, False]


def test_masks_that_are_missing_are_named(kept):
    synthetic.masks_of("unet", 1).unlink()
    with pytest.raises(ValueError, match="unet-seed1"):
        list(reproduce._without_a_real_image(kept[0]))


def test_masks_of_a_reference_run_that_are_missing_are_named(kept):
    cohort, names = kept
    scored = pd.DataFrame({"run": "unet-by-patient-fold0-seed0", "patient": names, "dice": 1.0})
    scored = scored.assign(protocol="honest", model="unet", fold=0)
    slices = cohort.loc[cohort["patient"].isin(names), ["patient", "slice"]].assign(
        protocol="honest", model="unet", fold=0
    )
    nobody = scored.iloc[:0]
    results.write_tables("reference", {"seeds": scored, "patients": nobody, "slices": slices}, {}, add=True)
    with pytest.raises(ValueError, match="unet-by-patient-fold0-seed0"):
        list(reproduce._from_masks(cohort))


def test_the_worst_are_shown_with_the_masks_of_the_first_seed(kept, tiny_cohort_once, monkeypatch):
    cohort, names = kept
    monkeypatch.setattr(synthetic, "reference_masks_of", lambda protocol, model, fold: synthetic.masks_of("unet", 1))
    results.write_tables("reference", {"folds": pd.DataFrame({"patient": names, "fold": 0})}, {}, add=True)
    table = results.read_table("synthetic", "patients").assign(tumour_px=100, tp=50, fp=10, fn=50)
    lowest = synthetic.failures(pd.concat([table, table.assign(seed=2)]), number=1)
    shown = gallery.pictures(cohort, lowest, synthetic.masks_side_by_side(table))
    assert list(shown.predicted) == list(synthetic.SOURCES)
    for predicted in shown.predicted.values():
        np.testing.assert_array_equal(predicted, shown.truth)
