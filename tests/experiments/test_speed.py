"""What the measured speeds say, on tables made by hand."""

import math

import pandas as pd
import pytest

from brainseg.experiments import speed


def networks(unet=(90.0, 100.0, 110.0), loop=(50.0, 50.0, 50.0)):
    rows = []
    for turn, (ours, theirs) in enumerate(zip(unet, loop, strict=True)):
        rows.append({"turn": turn, "network": "unet", "training": ours, "prediction": 2 * ours, "forward_gflop": 1.5})
        machine = {"matrix_float32": 300.0, "matrix_bfloat16": 600.0}
        rows.append({"turn": turn, **machine, "network": speed.LOOP, "training": theirs, "prediction": 200.0})
        rows.append({"turn": turn, "network": "other", "training": 1.0, "prediction": 1.0, "matrix_bfloat16": 500.0})
    return pd.DataFrame(rows)


def growing(memory=(100.0, 105.0)):
    rows = []
    for step in ("check", "prepare", "train", "evaluate"):
        for patients, slices, seconds, held in ((4, 100, 2.0, memory[0]), (40, 1000, 15.0, memory[1])):
            cohort = {"step": step, "patients": patients, "slices": slices, "memory_mib": held}
            rows += [{"turn": turn, **cohort, "seconds": seconds + turn} for turn in (0, 1)]
    return pd.DataFrame(rows)


def tables(**changed):
    files = pd.DataFrame(
        [
            {"turn": turn, "step": step, "slices": 10, "seconds": seconds}
            for turn in (0, 1, 2)
            for step, seconds in (("reading the files", 2.0), ("preparing, as the study does", 3.0 + turn))
        ]
    )
    pipeline = pd.DataFrame(
        [
            {"turn": turn, "step": step, "slices": 100, "seconds": seconds}
            for turn in (0, 1)
            for step, seconds in (
                ("training", 10.0),
                ("waiting for the next batch", 0.4 + turn / 10),
                ("making batches alone", 0.5),
            )
        ]
    )
    return {"networks": networks(), "files": files, "pipeline": pipeline, "growth": growing(), **changed}


def test_a_measure_is_the_median_of_its_turns_with_lowest_and_highest():
    found = speed.Measured.over([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.low, found.high) == (2.5, 1.0, 10.0)
    assert found.text(".1f") == "2.5 (1.0 to 10.0)"
    with pytest.raises(ValueError, match="no turn"):
        speed.Measured.over([])


def test_ratios_are_taken_within_turns():
    """A machine that becomes three times slower changes both measures and no ratio."""
    over, under = pd.Series([30.0, 10.0], index=[0, 1]), pd.Series([5.0, 15.0], index=[1, 0])
    assert speed.within_turns(over, under) == speed.Measured(2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="same turns"):
        speed.within_turns(over, under.drop(0))


def test_a_share_counts_training_three_times():
    found = speed.network_speeds(networks()).set_index(["network", "task"])
    unet = found.loc["unet"]
    assert unet.loc["training", "share"] == pytest.approx(100 * 1.5 * 3 / 600)
    assert unet.loc["training", "share_high"] == pytest.approx(110 * 1.5 * 3 / 600)
    assert unet.loc["prediction", "share_float32"] == pytest.approx(200 * 1.5 / 300)
    assert math.isnan(found.loc[(speed.LOOP, "training"), "share"])


def test_a_setting_is_held_against_the_study_in_the_same_turn():
    rows = [
        {"turn": turn, "setting": name, "training": value, "prediction": 1.0}
        for turn, name, value in ((0, speed.STUDY, 10.0), (0, "other", 5.0), (1, speed.STUDY, 20.0), (1, "other", 16.0))
    ]
    found = speed.setting_ratios(pd.DataFrame(rows)).set_index(["setting", "task"])
    assert found.loc[("other", "training"), ["median", "low", "high"]].tolist() == [0.65, 0.5, 0.8]
    assert found.loc[(speed.STUDY, "training"), "median"] == 1


def test_shares_of_operations_add_up_and_the_largest_comes_first():
    rows = [("unet", "pooling", 1.0), ("unet", "convolution", 3.0), ("fcn32", "convolution", 2.0)]
    found = speed.operation_shares(pd.DataFrame(rows, columns=["network", "operation", "ms"]))
    assert list(found.index) == ["convolution", "pooling"] and list(found) == ["unet", "fcn32"]
    assert found["unet"].tolist() == [0.75, 0.25] and found["fcn32"].tolist() == [1, 0]


def test_growth_is_held_against_the_smallest_cohort_of_the_turn():
    found = speed.growth(growing()).set_index(["step", "factor"])
    assert found.loc[("train", 1), ["time", "memory"]].tolist() == [1, 1]
    assert found.loc[("train", 10), "time_low"] == pytest.approx((16 / 1000) / (3 / 100))
    assert found.loc[("train", 10), "time_high"] == pytest.approx((15 / 1000) / (2 / 100))
    assert found.loc[("evaluate", 10), "memory"] == pytest.approx(1.05)


def test_goals_are_reached_or_not_and_say_so():
    found = {goal.what: goal for goal in speed.goals(tables())}
    training = found["Training U-Net, beside a plain PyTorch loop of the same network"]
    assert training.reached and training.measured == speed.Measured(2.0, 1.8, 2.2)
    assert training.row()["goal"] == "≥\N{NO-BREAK SPACE}1.5" and training.row()["reached"] == "yes"
    preparing = found["Preparing a cohort, beside reading its files in one process"]
    assert preparing.measured.median == 2.0 and preparing.reached
    waiting = found["Share of a training that waits for the next batch"]
    assert waiting.reached and waiting.row()["measured"] == "4.5% (4.0% to 5.0%)"
    assert not found["Arithmetic of U-Net's training, as a share of the bfloat16 matrix product"].measured.median < 0.6
    assert all(found[f"Memory of {what} a cohort 10 times as large"].reached for what in ("training", "evaluating"))

    worse = tables(networks=networks(loop=(100.0, 100.0, 100.0)), growth=growing(memory=(100.0, 120.0)))
    found = {goal.what: goal for goal in speed.goals(worse)}
    assert not found["Training U-Net, beside a plain PyTorch loop of the same network"].reached
    assert found["Memory of training a cohort 10 times as large"].row()["reached"] == "no"


@pytest.mark.parametrize("workers, longest", [(1, 12.0), (2, 6.0), (3, 5.0), (10, 5.0)])
def test_a_cluster_is_as_slow_as_its_longest_share(workers, longest):
    assert speed.makespan([1.0, 5.0, 4.0, 2.0], workers) == longest


def test_nobody_does_no_work():
    with pytest.raises(ValueError, match="0 workers"):
        speed.makespan([1.0], 0)


def trainings():
    return pd.DataFrame(
        {
            "experiment": ["reference", "reference", "claims"],
            "model": "unet",
            "image_size": [128, 128, 64],
            "filters": 16,
            "slices": [36_000, 36_000, 72_000],
            "forward_gflop": [1.5, 1.5, 0.375],
        }
    )


def test_another_size_is_reckoned_by_its_arithmetic_and_marked():
    found = speed.training_seconds(trainings(), networks())
    assert found["seconds"].tolist() == [360.0, 360.0, 180.0]
    assert found["extrapolated"].tolist() == [False, False, True]
    costs = speed.study_costs(found).set_index("experiment")
    assert costs.loc["reference", ["trainings", "slices", "hours", "extrapolated"]].tolist() == [2, 72_000, 0.2, 0]
    assert costs.loc["claims", "extrapolated"] == 1


def test_no_gpu_is_faster_than_its_batches():
    assert speed.batch_bound(trainings(), tables()["pipeline"]) == pytest.approx(144_000 / 200 / 3600)


def test_a_gpu_is_reckoned_at_its_best_rate_on_augmented_batches():
    """What it does on one batch again and again is no training."""
    rows = [
        (speed.FIXED, 9000.0),
        (speed.AUGMENTED, 2000.0),
        (speed.AUGMENTED, 4000.0),
        ("without augmentation", 8000.0),
    ]
    gpu = pd.DataFrame(rows, columns=["work", "slices_a_second"])
    assert speed.gpu_hours(pd.DataFrame({"slices": [4000 * 3600, 2000 * 3600]}), gpu) == pytest.approx(1.5)
