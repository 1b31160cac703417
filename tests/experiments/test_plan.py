"""Plans: what there is to do, what it will take, and who does it."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, plan_of

from brainseg.cohort import index_cohort
from brainseg.data import phantom_table
from brainseg.experiments import engine
from brainseg.experiments.plan import (
    Phantom,
    Training,
    Workload,
    after_the_phantom,
    seconds_per_step_and_pixel,
    to_do,
    workload,
)
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RunRecord
from brainseg.paths import BusyError, locked
from brainseg.provenance import processor

HERE = f"{processor()}, some GPU"


@pytest.fixture(scope="module")
def table(tiny_cohort_once):
    return index_cohort(tiny_cohort_once)


@pytest.fixture
def cohort(table, tmp_path, monkeypatch):
    """A cohort that no test changes, and a build folder of the test's own."""
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    return table


def record_of(training, folder, seconds, trained_on=HERE):
    return RunRecord(
        folder=folder, recipe=training.recipe, preprocessing=training.preprocessing, prepared="x",
        patients={"train": [], "validation": []}, training_slices=8, best_epoch=1, validation_dice=0.5, seconds=seconds,
        parameters=1, versions={}, processor=trained_on,
    )  # fmt: skip


def test_a_plan_counts_each_network_once(cohort):
    plan = plan_of(cohort) + plan_of(cohort)
    assert len(to_do(plan, cohort)) == 2
    load = workload(plan, cohort)
    assert (load.trainings, load.done, load.steps) == (2, 0, 2 * 2 * 2)
    assert np.isnan(load.seconds)
    assert load.sentence() == "2 trainings, 0 of them done; the other 2 (8 steps) take a time that nothing here tells."


def test_a_finished_run_is_done_and_tells_the_time_of_the_rest(cohort):
    plan = plan_of(cohort)
    folder = plan[0].folder(cohort)
    folder.mkdir(parents=True)
    record_of(plan[0], folder, seconds=240).write(folder)
    load = workload(plan, cohort)
    assert (load.trainings, load.done, load.steps) == (2, 1, 4)
    assert load.seconds == pytest.approx(240)
    assert load.sentence() == "2 trainings, 1 of them done; the other 1 (4 steps) take about 4 minutes."


def test_a_run_of_another_machine_tells_no_time(cohort):
    plan = plan_of(cohort)
    folder = plan[0].folder(cohort)
    folder.mkdir(parents=True)
    record_of(plan[0], folder, seconds=240, trained_on="another processor, 64 cores").write(folder)
    load = workload(plan, cohort)
    assert load.done == 1 and np.isnan(load.seconds)


def test_a_larger_slice_takes_longer_in_proportion(cohort):
    (first, _) = plan_of(cohort)
    folder = first.folder(cohort)
    folder.mkdir(parents=True)
    record_of(first, folder, seconds=8).write(folder)
    larger = Training(first.recipe, Preprocessing(image_size=64), first.split, {})
    assert workload([larger], cohort).seconds == pytest.approx(4 * 8)


def test_the_median_run_tells_and_another_network_does_not(cohort, tmp_path):
    (first, _) = plan_of(cohort)
    records = [record_of(first, tmp_path, seconds) for seconds in (8, 24, 400)]
    assert list(seconds_per_step_and_pixel(records).values()) == [pytest.approx(24 / 4 / 32**2)]
    wider = Training(Recipe(options={"filters": 4, "depth": 1}), first.preprocessing, first.split, {})
    assert np.isnan(workload([wider], cohort).seconds)


@pytest.mark.parametrize("seconds, said", [(20, "20 seconds"), (300, "5 minutes"), (3600 * 5, "5.0 hours")])
def test_durations_read_well(seconds, said):
    assert f"about {said}." in Workload(2, 1, 10, seconds).sentence()


def test_everything_done_is_said():
    assert Workload(3, 3, 0, 0.0).sentence() == "3 trainings, all of them done."


def test_who_does_not_wait_is_told_that_somebody_is_at_it(tmp_path):
    refused = pytest.raises(BusyError, match="another process")
    with locked(tmp_path / "run"), refused, locked(tmp_path / "run", wait=False):
        pass
    with locked(tmp_path / "run", wait=False):  # and it is let go of
        pass


@pytest.mark.slow
def test_calls_at_once_share_the_work_and_end_with_the_same_weights(cohort, tmp_path):
    """Three processes are given the same plan; each network is trained once, and all of them load it."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from helpers import plan_of\n"
        "from brainseg.cohort import index_cohort\n"
        "from brainseg.experiments.engine import load_plan, train_plan\n"
        "cohort = index_cohort(sys.argv[2])\n"
        "train_plan(plan_of(cohort), cohort)\n"
        "for training, run in load_plan(plan_of(cohort), cohort):\n"
        "    print('RUN', training.labels['seed'], run.record.digest(), len(run.history))\n"
    )

    call = [sys.executable, str(script), str(Path(__file__).parents[1]), cohort.attrs["root"]]
    processes = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    told = [[line for line in out.splitlines() if line.startswith("RUN")] for out, _ in answers]
    assert told[0] == told[1] == told[2] and len(told[0]) == 2
    assert all(line.endswith(" 2") for line in told[0])  # both epochs
    assert not list((tmp_path / "build" / "runs").glob("*/*.weights.h5"))


def chain_of(cohort):
    """Two trainings that both start from a third."""
    first, second, third = plan_of(cohort, seeds=(0, 1, 2))
    return third, [first.starting_from(third, cohort), second.starting_from(third, cohort)]


def test_what_a_training_starts_from_is_part_of_its_identity_and_comes_first(cohort):
    start, plan = chain_of(cohort)
    assert plan[0].recipe.start == start.folder(cohort).name
    assert plan[0].folder(cohort) != plan_of(cohort)[0].folder(cohort)
    assert [training.labels["seed"] for training in to_do(plan, cohort)] == [2, 0, 1]
    assert workload(plan, cohort).trainings == 3
    folder = start.folder(cohort)
    folder.mkdir(parents=True)
    record_of(start, folder, seconds=1).write(folder)
    assert [training.labels["seed"] for training in to_do(plan, cohort)] == [0, 1]


def test_a_phantom_is_planned_without_being_drawn(cohort, tmp_path):
    table = phantom_table(3, 0)
    split = pd.Series("train", index=table.index)
    on_phantom = Training(SMALL, Preprocessing(image_size=32), split, {}, phantom=Phantom(3, 0))
    assert table["patient"].nunique() == 3
    assert on_phantom.folder(cohort) != replace(on_phantom, phantom=Phantom(3, 1)).folder(cohort)
    assert not list((tmp_path / "build").glob("prepared/*"))


def test_the_recipe_of_a_run_that_had_a_start_starts_from_the_same_one(cohort):
    (fresh, _) = plan_of(cohort)
    first = after_the_phantom(fresh, cohort)
    again = after_the_phantom(replace(fresh, recipe=first.recipe), cohort)
    assert first.recipe.start and first.start.recipe.start == ""
    assert again.folder(cohort) == first.folder(cohort) and again.start.folder(cohort) == first.start.folder(cohort)


@pytest.mark.slow
def test_a_start_on_the_phantom_is_trained_before_what_starts_from_it(cohort):
    everyone = pd.Series("train", index=phantom_table(1, 0).index, name="split")
    start = Training(SMALL, Preprocessing(image_size=32), everyone, {}, phantom=Phantom(1, 0))
    (after, _) = plan_of(cohort)
    after = after.starting_from(start, cohort)
    engine.train_plan([after], cohort)
    ((_, run),) = engine.load_plan([after], cohort)
    assert start.is_done(cohort) and run.recipe.start == start.folder(cohort).name
    assert RunRecord.read(start.folder(cohort)).patients["validation"] == []


@pytest.mark.slow
def test_what_starts_from_a_training_in_other_hands_waits_for_it(cohort):
    start, plan = chain_of(cohort)
    held = threading.Event()

    def hold() -> None:
        with locked(start.folder(cohort)):
            held.set()
            time.sleep(3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    engine.train_plan(plan, cohort)
    other.join()
    assert start.is_done(cohort) and all(training.is_done(cohort) for training in plan)


def test_who_waited_for_a_start_looks_again_for_what_nobody_holds(cohort, monkeypatch):
    """Another process trains the start, and then takes the first that starts from it: the second is free."""
    runs = pytest.importorskip("brainseg.networks.runs")
    start, plan = chain_of(cohort)
    names = {training.folder(cohort).name: training.labels["seed"] for training in (start, *plan)}
    held, told = {2}, []

    def train(recipe, prepared, split, wait, bar):
        seed = recipe.seed
        if seed in held and not wait:
            raise BusyError
        told.append(("waited for" if seed in held else "trained", seed))
        if seed == 2:  # the other process is done with it
            held.symmetric_difference_update({2, 0})
        for name in [name for name, known in names.items() if known == seed]:
            record_of(start, cohort_runs / name, seconds=1).write(cohort_runs / name)

    cohort_runs = start.folder(cohort).parent
    for name in names:
        (cohort_runs / name).mkdir(parents=True)
    monkeypatch.setattr(runs, "train_or_load", train)
    engine.train_plan(plan, cohort)
    assert told == [("waited for", 2), ("trained", 1), ("waited for", 0)]


@pytest.mark.slow
def test_what_is_trained_is_loaded_in_the_order_of_the_plan(cohort):
    plan = plan_of(cohort, seeds=(1, 0))
    engine.train_plan(plan, cohort)
    assert to_do(plan, cohort) == []
    loaded = [(training.labels["seed"], run.recipe.seed) for training, run in engine.load_plan(plan, cohort)]
    assert loaded == [(1, 1), (0, 0)]
