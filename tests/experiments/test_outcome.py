"""What the page of results says, on tables made by hand: reached and missed, above and below, near 1 and not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from brainseg.evaluation.headline import Line
from brainseg.experiments import outcome
from brainseg.networks.record import reference_runs
from brainseg.results import AIM_OF_BEST, AIMS, CROSS_VALIDATED, TWO_READERS


def patients_of(number=40, **means):
    """Patients of each network around a mean, in two folds and two institutions."""
    spread = np.linspace(-0.05, 0.05, number)
    parts = [
        pd.DataFrame(
            {
                "model": model,
                "patient": [f"P{n:02d}" for n in range(number)],
                "fold": np.arange(number) % 2,
                "institution": ["AA" if n < 5 else "BB" for n in range(number)],
                "missing_sequence": np.arange(number) % 4 == 0,
                "dice": mean + spread,
                "recall": 0.8,
                "precision": 0.9,
                "tumour_px": 100,
            }
        )
        for model, mean in means.items()
    ]
    return pd.concat(parts, ignore_index=True)


def found_of(in_trials=(), **means):
    return outcome.findings(patients_of(**means), pd.DataFrame({"patient": list(in_trials)}))


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (0.06, "**reached**."),
        (-0.06, "**missed**."),
        (0.005, "**reached**, although the interval reaches below it."),
        (-0.005, "**missed**, although the interval reaches above it."),
    ],
)
def test_an_aim_is_reached_or_missed_and_told_or_not(shift, said):
    (unet,) = found_of(unet=AIMS["unet"] + shift).networks
    assert f"is {said}" in unet.sentence()
    both = found_of(unet=AIM_OF_BEST + shift, resunet=0.5, fcn32=0.99)
    assert f"U-Net has {AIM_OF_BEST + shift:.3f}, so this aim is {said}" in both.aim_of_best()
    assert both.aim_of_best() in both.sentences()
    assert found_of(unet=0.9).aim_of_best() == ""


@pytest.mark.parametrize(("shift", "where"), [(0.08, "above"), (-0.08, "below"), (0.0, "around")])
def test_the_published_mean_is_above_below_or_in_the_interval(shift, where):
    found = found_of(unet=CROSS_VALIDATED + shift)
    assert found.against_published() == where
    assert ("not told apart" in found.sentences()) == (where == "around")


def test_the_highest_mean_comes_first_and_folds_are_told():
    found = found_of(fcn32=0.7, unet=0.8, resunet=0.9)
    assert [network.name for network in found.networks] == ["ResUNet", "U-Net", "FCN-32"]
    folds = found.networks[0].folds
    assert len(folds) == 2 and f"by fold {min(folds):.3f} to {max(folds):.3f}" in found.sentences()


def test_who_had_a_part_in_the_choice_is_told():
    found = found_of(in_trials=["P00", "P01", "P01", "stranger"], unet=0.8)
    assert (found.in_trials, found.others) == (2, 38)
    said = found.sentences()
    assert "All 40 patients had a part" in said and "of 2 in other trainings" in said and "on the other 38" in said


@pytest.mark.parametrize(
    ("mean", "where"), [(TWO_READERS[0] - 0.01, "below"), (sum(TWO_READERS) / 2, "within"), (0.9, "above")]
)
def test_the_readers_agreement_is_above_below_or_around_the_mean(mean, where):
    found = found_of(unet=mean)
    assert found.against_readers() == where and f"lies {'in' if where == 'within' else where} what" in found.sentences()


def test_the_median_is_told():
    (unet,) = found_of(unet=0.8).networks
    assert f"a median of {unet.summary['median']:.3f}" in unet.sentence()


def test_small_groups_get_no_interval():
    table = outcome.by_group(patients_of(unet=0.8, resunet=0.7))
    assert table.loc["AA"].to_dict() == {"patients": 5, "U-Net": "0.76", "ResUNet": "0.66"}
    assert table.loc["BB", "U-Net"].startswith("0.81 (") and table.loc["a T1 missing", "patients"] == 10
    assert list(table) == ["patients", "U-Net", "ResUNet"]


def slices_of(**columns):
    return pd.DataFrame({"model": "unet", "hd95_px": 1.0, "nsd_1px": 0.5, "nsd_2px": 0.75, "dice": 0.8} | columns)


def test_borders_are_of_tumour_slices_and_alarms_of_empty_ones():
    slices = slices_of(
        tumour_px=[10, 10, 0, 0], tp=[5, 0, 0, 0], fp=[0, 0, 0, 3], fn=[5, 10, 0, 0], tn=[90, 90, 100, 97]
    )
    assert outcome.border_table(slices).loc["U-Net", ["tumour slices", "missed"]].tolist() == [2, 0.5]
    empty = outcome.empty_table(slices).loc["U-Net"]
    assert (empty["slices"], empty["left clean"], empty["most false pixels"]) == (2, 0.5, 3)


def article_of(train, test):
    table = pd.DataFrame(
        {"model": "unet", "group": "all", "part": ["train", "test"], "IoU": [train, test], "Dice": 0.9}
    )
    leaky = outcome.Scores(patients_of(unet=0.7), slices_of(tumour_px=[10, 0]))
    return outcome.article_findings(table, leaky, patients_of(unet=0.8))


@pytest.mark.parametrize(
    ("train", "test", "met", "why"),
    [(0.99, 0.96, True, False), (0.99, 0.7, False, False), (0.7, 0.7, False, True)],
)
def test_near_one_is_reached_or_not_and_a_short_training_is_named(train, test, met, why):
    found = article_of(train, test)
    said = outcome.article_sentence(found)
    assert found[0].near_one == met and (f"**{'reached' if met else 'not reached'}**" in said)
    assert (f"at most {train:.2f}. So no network knows even these by heart" in said) == why
    row = outcome.article_table(found).loc["U-Net"]
    assert row["Dice per patient"] == pytest.approx(0.7) and row["per new patient"] == pytest.approx(0.8)
    assert row["per tumour slice"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("processor", "said"),
    [("Any, 1 core", "a CPU"), ("Any, 2 of 6 cores", "a CPU"), ("Any, 1 core, A GPU", "a GPU"),
     ("Any, 2 of 6 cores, A GPU", "a GPU")],
)  # fmt: skip
def test_a_training_was_on_a_gpu_where_one_is_named_behind_the_cores(processor, said, monkeypatch):
    (record, *_) = reference_runs("unet", "patient", 0)
    monkeypatch.setattr(outcome, "reference_runs", lambda **_: [replace(record, processor=processor)])
    assert outcome.training_table()["on"].tolist() == [said]


def test_the_log_is_told_in_short():
    log = pd.DataFrame(
        [
            ("2026-01-02", "unet-by-patient-fold0", 5, 0.5, "the reference edition"),
            ("2026-01-02", "experiment leakage", 18, np.nan, "every network"),
            ("2026-01-02", "resunet-by-patient-fold3", 9, 0.7, "the reference edition"),
            ("2026-01-03", "unet-by-patient-fold0", 5, 0.6, "the reference edition"),
        ],
        columns=["date", "run", "patients", "mean_dice", "why"],
    )
    assert outcome.looks(log).to_numpy().tolist() == [
        ["2026\u201101\u201102", "the reference edition", 2, 9, "0.500 to 0.700"],
        ["2026\u201101\u201102", "experiment leakage", 1, 18, "-"],
        ["2026\u201101\u201103", "the reference edition", 1, 5, "0.600"],
    ]
    assert outcome.looks(log.iloc[:0]).empty


def test_the_table_of_the_headline_says_of_how_many_seeds_a_result_is_the_mean():
    patients = pd.DataFrame({"fold": [0, 1], "networks": [3, 2]}, index=["a", "b"])
    summary = {"patients": 2, "mean": 0.8, "low": 0.7, "high": 0.9, "median": 0.8, "worst": 0.7}
    (row,) = outcome.headline_table([Line("unet", patients, summary)]).to_dict("records")
    assert (row["network"], row["folds"], row["seeds"]) == ("U-Net", 2, 2)  # the fewest that any patient was scored by
    assert (row["from"], row["to"]) == (0.7, 0.9)
