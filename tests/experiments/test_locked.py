"""The locked test: whom it scores, that it is taken once, and what it says."""

import threading

import numpy as np
import pandas as pd
import pytest
from helpers import PATIENTS, untrained_run, write_cohort

keras = pytest.importorskip("keras")
from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict
from brainseg.evaluation.masks import read_masks
from brainseg.evaluation.scores import score_patients
from brainseg.experiments import locked
from brainseg.networks.recipe import MODELS
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import keep, load_network

LOCKED_PATIENT = PATIENTS[-2]


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_cohort):
    """A checkout with two reference runs whose splits leave out a patient; they stand for all three networks."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    for fold in (0, 1):
        run = untrained_run(tiny_cohort, tmp_path / "runs")
        run.model.get_layer("probability").bias.assign([fold - 0.5])
        sides = run.split.where(run.prepared.table["patient"] != LOCKED_PATIENT, "new")
        keep(type(run)(run.model, run.prepared, sides, run.record), "patient", fold)
    all_runs = reference_runs
    monkeypatch.setattr(locked, "reference_runs", lambda model, *rest, **more: all_runs("unet", *rest, **more))
    monkeypatch.setitem(locked.PUBLISHED, "patients", len(PATIENTS))
    return tmp_path


@pytest.mark.slow
def test_the_locked_patients_are_scored_by_the_mean_network_once(project, tiny_cohort, monkeypatch):
    # Which pieces of a random network's masks are small turns on single pixels.
    monkeypatch.setattr(predict, "drop_small_pieces", lambda masks: masks)
    folder = locked.run_locked_test(tiny_cohort)
    tables = results.read_tables("locked")
    assert set(tables["patients"]["patient"]) == set(tables["slices"]["patient"]) == {LOCKED_PATIENT}
    assert tables["patients"]["model"].tolist() == list(MODELS) and set(tables["patients"]["networks"]) == {2}

    # By hand: the probabilities of the two networks, averaged.
    run = untrained_run(tiny_cohort, project / "again")
    cohort = index_cohort(tiny_cohort)
    rows = np.flatnonzero(cohort["patient"] == LOCKED_PATIENT)
    both = []
    for record in reference_runs("unet"):
        run.model = load_network(record)
        both.append(predict.predict_probabilities(run, rows))
    expected, alone, other = (votes >= predict.THRESHOLD for votes in (np.mean(both, axis=0), *both))
    kept = read_masks(folder / "unet-masks.npz", cohort.iloc[rows])
    # The probabilities of untrained networks crowd at the threshold, where rounding in bfloat16 turns some.
    assert (kept != expected).mean() < 0.08 < 0.2 < min((kept != alone).mean(), (kept != other).mean())
    unet = tables["slices"].query("model == 'unet'")
    assert (unet["tp"] + unet["fp"]).tolist() == kept.sum(axis=(1, 2)).tolist()
    assert tables["patients"]["dice"].iloc[1] == pytest.approx(score_patients(unet)["dice"].iloc[0], abs=1e-5)

    log = results.read_log()
    assert log["run"].tolist() == ["locked test", *(f"locked test, {model}" for model in MODELS)]
    assert set(log["why"]) == {locked.LOOK} and set(log["patients"]) == {1} and set(log["slices"]) == {5}
    means = tables["patients"].set_index("model")["dice"]
    assert log["mean_dice"][1:].tolist() == pytest.approx(means[list(MODELS)].tolist(), abs=1e-5)
    assert set(results.read_record("locked")["networks"]) == {
        "unet-by-patient-fold0-seed0",
        "unet-by-patient-fold1-seed0",
    }
    with pytest.raises(ValueError, match="has been taken"):
        locked.run_locked_test(tiny_cohort)
    assert len(results.read_log()) == len(log)


def test_a_look_that_was_interrupted_is_not_repeated_without_a_word(project, tiny_cohort, monkeypatch):
    def killed(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(predict, "evaluate_with_masks", killed)
        with pytest.raises(KeyboardInterrupt):
            locked.run_locked_test(tiny_cohort)
    assert results.read_log()["run"].tolist() == ["locked test"] and not results.has_tables("locked")
    with pytest.raises(ValueError, match=r"locked test was begun on .*write so into results/reference/test_log\.csv"):
        locked.run_locked_test(tiny_cohort)
    log = results.results_folder("reference") / "test_log.csv"
    log.write_text(log.read_text().replace(locked.LOOK, "stopped before a score was seen"))
    locked.run_locked_test(tiny_cohort)
    assert results.has_tables("locked") and len(results.read_log()) == 2 + len(MODELS)


def test_the_look_is_in_the_log_before_its_tables_are_written(project, tiny_cohort, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(locked, "write_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        locked.run_locked_test(tiny_cohort)
    assert results.read_log()["mean_dice"].count() == len(MODELS)


def test_two_calls_at_once_are_one_look(project, tiny_cohort, monkeypatch):
    """The second waits for the first, and is refused."""
    second, refused = [], []
    score = locked._score

    def again():
        try:
            locked.run_locked_test(tiny_cohort)
        except ValueError as error:
            refused.append(str(error))

    def score_while_another_call_begins(runs):
        second.append(threading.Thread(target=again))
        second[0].start()
        return score(runs)

    monkeypatch.setattr(locked, "_score", score_while_another_call_begins)
    locked.run_locked_test(tiny_cohort)
    second[0].join()
    assert len(second) == 1 and len(refused) == 1 and "has been taken" in refused[0]
    assert len(results.read_log()) == 1 + len(MODELS)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([*PATIENTS[:4], "MINE_AB_0001_20000101"], "holds 0 patients .* which has 1; MINE_AB_0001_20000101 is none"),
        ([*PATIENTS, "MINE_AB_0001_20000101"], "holds 1 patients .* which has 1; MINE_AB_0001_20000101 is none"),
        ([*PATIENTS[1:], "TEST_AA_0001_20100101"], "TEST_AA_0001_20100101 is none"),  # another examination of one known
        ([*PATIENTS, "TEST_AA_0009_20000101"], "holds 2 patients of the locked test, which has 1. Nobody was scored"),
        ([*PATIENTS[:4], PATIENTS[-1]], "holds 0 patients of the locked test, which has 1. Nobody was scored"),
        (["PHANTOM_AA_0001_20000101"], "PHANTOM_AA_0001_20000101 is none"),
    ],
)
def test_a_folder_without_exactly_the_locked_patients_uses_up_no_look(project, tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        locked.run_locked_test(write_cohort(tmp_path / "wrong", names, slices=2))
    assert not results.has_tables("locked") and results.read_log().empty


def test_without_weights_nothing_is_scored(project, tiny_cohort, monkeypatch):
    monkeypatch.setattr(locked, "reference_runs", lambda model, *_, **__: [] if model == "resunet" else ["a run"])
    with pytest.raises(ValueError, match="no weights of ResUNet"):
        locked.run_locked_test(tiny_cohort)
    assert not results.has_tables("locked") and results.read_log().empty


def test_a_page_says_that_the_test_is_pending_or_what_it_gave(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    assert "has not been taken" in locked.sentences()
    dice = [0.9, 0.8, 0.7, np.nan]
    patients = pd.DataFrame({"model": "unet", "networks": 10, "patient": list("abcd"), "dice": dice})
    (finding,) = locked.findings(patients)
    assert (finding.patients, finding.mean, finding.worst) == (3, pytest.approx(0.8), 0.7)
    results.write_tables("locked", {"patients": patients}, {"commit": "c"})
    assert locked.sentences() == finding.sentence() and "mean of 10 trainings: 0.800" in finding.sentence()
