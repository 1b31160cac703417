"""The locked test: whom it scores, that it is taken once, and what it says."""

import numpy as np
import pandas as pd
import pytest
from helpers import PATIENTS, untrained_run

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
    assert log["run"].tolist() == [f"locked test, {model}" for model in MODELS]
    assert set(results.read_record("locked")["networks"]) == {
        "unet-by-patient-fold0-seed0",
        "unet-by-patient-fold1-seed0",
    }
    with pytest.raises(ValueError, match="has been taken"):
        locked.run_locked_test(tiny_cohort)
    assert len(results.read_log()) == len(log)


def test_without_a_locked_patient_or_without_weights_nothing_is_scored(project, tiny_cohort, monkeypatch):
    monkeypatch.setattr(locked, "reference_patients", lambda: set(PATIENTS))
    with pytest.raises(ValueError, match="no patient whom the reference runs do not know"):
        locked.run_locked_test(tiny_cohort)
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
