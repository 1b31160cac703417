"""The registry of experiments: one call computes, and keeps what it computed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg import results
from brainseg.__main__ import main
from brainseg.cohort import index_cohort
from brainseg.evaluation.masks import pack_masks, read_masks
from brainseg.experiments import EXPERIMENTS, KEPT, engine, leakage
from brainseg.experiments.plan import Training
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import Recipe
from brainseg.splits import split_by_patient


@dataclass(frozen=True)
class Settings:
    seed: int = 0
    sizes: tuple[int, ...] = (1,)


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """An experiment named "demo" that trains nothing; its results go to a folder of the test's own."""
    module = ModuleType("demo_experiment")

    def score(cohort, settings, runs):
        assert list(runs) == []
        design = pd.DataFrame({"patient": ["a", "b", "c"]})
        rows = pd.DataFrame({"root": [Path(cohort.attrs["root"]).name], "seed": [settings.seed]})
        return {"design": design, "rows": rows, "patients": pd.DataFrame({"patient": ["a", "a", "b"]})}

    module.Settings, module.plan, module.score = Settings, lambda cohort, settings: [], score
    monkeypatch.setitem(sys.modules, "demo_experiment", module)
    monkeypatch.setitem(EXPERIMENTS, "demo", "demo_experiment")
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    return tmp_path / "results" / "demo"


def test_the_command_computes_and_keeps_the_tables(demo, tiny_cohort_once, capsys):
    main(["experiment", "demo", "--data", str(tiny_cohort_once), "-p", "seed=3", "-p", "sizes=[1, 2]"])
    assert results.read_table("demo", "rows").to_dict("records") == [{"root": tiny_cohort_once.name, "seed": 3}]
    record = results.read_record("demo")
    assert record["settings"] == {"seed": 3, "sizes": [1, 2]} and record["runs"] == []
    said = capsys.readouterr().out
    assert str(demo) in said and "0 trainings, all of them done." in said


def with_masks(monkeypatch):
    """Let the experiment give a mask beside its tables."""
    module, slices = sys.modules["demo_experiment"], pd.DataFrame({"patient": ["a"], "slice": [3]})
    packed, score = pack_masks(slices, np.eye(256, dtype=bool)[None]), module.score
    monkeypatch.setattr(module, "score", lambda *given: {**score(*given), "net": packed})


def test_masks_are_kept_beside_the_tables_and_those_of_earlier_networks_go(demo, tiny_cohort_once, monkeypatch):
    with_masks(monkeypatch)
    (demo / "masks").mkdir(parents=True)
    (demo / "masks" / "old.npz").touch()
    engine.run_experiment("demo", tiny_cohort_once)
    assert [path.name for path in (demo / "masks").iterdir()] == ["net.npz"]
    rows = pd.DataFrame({"patient": ["a"], "slice": [3]})
    np.testing.assert_array_equal(read_masks(demo / "masks" / "net.npz", rows), np.eye(256, dtype=bool)[None])
    assert results.has_tables("demo") and "net" not in results.read_tables("demo")


def test_no_table_is_read_beside_masks_that_were_not_written_to_the_end(demo, tiny_cohort_once, monkeypatch):
    engine.run_experiment("demo", tiny_cohort_once)
    with_masks(monkeypatch)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "save_masks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.run_experiment("demo", tiny_cohort_once)
    assert not results.has_tables("demo")


def test_a_dry_run_says_what_is_to_be_done_and_writes_nothing(demo, tiny_cohort_once, capsys):
    main(["experiment", "demo", "--data", str(tiny_cohort_once), "--dry-run"])
    assert capsys.readouterr().out == "0 trainings, all of them done.\n"
    assert not demo.exists()


@pytest.fixture
def known(tiny_cohort_once, monkeypatch):
    """The patients whom the reference runs know: those of the tiny cohort, and "a" of the table of scores."""
    names = {"a", *index_cohort(tiny_cohort_once)["patient"]}
    monkeypatch.setattr(engine, "reference_patients", lambda: names)
    monkeypatch.setattr(engine, "shares_reference_patients", lambda cohort: bool(cohort["patient"].isin(names).any()))


def test_scores_of_the_study_s_patients_are_logged_and_no_others(demo, tiny_cohort_once, monkeypatch, request):
    monkeypatch.setattr("brainseg.provenance.commit", lambda: "abc")
    engine.run_experiment("demo", tiny_cohort_once)
    assert results.read_log().empty
    request.getfixturevalue("known")
    engine.run_experiment("demo", tiny_cohort_once)
    line = results.read_log().iloc[0]
    assert (line["run"], line["patients"], line["commit"]) == ("experiment demo", 2, "abc")


def test_results_of_real_patients_are_not_replaced_by_synthetic_ones(demo, tmp_path):
    results.write_tables("demo", {"rows": pd.DataFrame({"seed": [1]})}, {"cohort": {"synthetic": False}})
    phantom = write_cohort(tmp_path / "phantom", ["PHANTOM_AA_0001_20000101"], slices=2)
    with pytest.raises(ValueError, match="results of real patients"):
        engine.run_experiment("demo", phantom)
    assert results.read_table("demo", "rows")["seed"].tolist() == [1]


def test_results_of_the_study_s_patients_are_replaced_by_nobody_else_s(demo, known, tiny_cohort_once, tmp_path):
    others = write_cohort(tmp_path / "mine", ["MINE_AA_0001_20000101"], slices=2)
    engine.run_experiment("demo", others, {"seed": 1})
    engine.run_experiment("demo", tiny_cohort_once, {"seed": 2})
    with pytest.raises(ValueError, match=f"holds results of real patients, and {others} has none of them"):
        engine.run_experiment("demo", others, {"seed": 3})
    assert results.read_table("demo", "rows")["seed"].tolist() == [2] and len(results.read_log()) == 1
    engine.run_experiment("demo", tiny_cohort_once, {"seed": 4})
    assert results.read_table("demo", "rows")["seed"].tolist() == [4]


def test_patients_of_the_locked_test_alone_are_refused(demo, tiny_cohort_once, monkeypatch):
    monkeypatch.setattr("brainseg.networks.record.reference_patients", lambda: {"TEST_AA_0009_20000101"})
    with pytest.raises(ValueError, match="TEST_AA_0001_20000101 in .* is a patient of the locked test"):
        engine.plan_experiment("demo", tiny_cohort_once)


def test_tables_of_others_do_not_speak_for_the_study_s_patients(demo, known, tiny_cohort_once, monkeypatch):
    """As where somebody moved the kept tables away, and computed the experiment on a phantom."""
    cohort = index_cohort(tiny_cohort_once)
    table = pd.DataFrame({"patient": ["PHANTOM_AA_0001_20000101"]})
    results.write_tables("demo", {"patients": table}, {"cohort": {"fingerprint": "phantom", "synthetic": True}})
    assert not engine.get_tables("demo", cohort).read
    table = pd.DataFrame({"patient": ["a"]})
    results.write_tables("demo", {"patients": table}, {"cohort": {"fingerprint": "all", "synthetic": False}})
    assert engine.get_tables("demo", cohort).read


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if results.has_tables(name)])
def test_every_kept_table_speaks_for_the_study_s_patients(name):
    assert engine._of_reference_patients(results.read_tables(name))


def test_tables_speak_for_their_cohort_and_for_patients_whom_the_reference_runs_know(
    demo, tiny_cohort_once, monkeypatch
):
    cohort = index_cohort(tiny_cohort_once)
    assert not engine.get_tables("demo", cohort).read  # nothing is kept yet
    engine.run_experiment("demo", tiny_cohort_once, {"seed": 7})
    kept = engine.get_tables("demo", cohort)
    assert (
        kept.read and kept.tables["rows"]["seed"].tolist() == [7] and set(kept.tables) == {"design", "rows", "patients"}
    )
    assert not engine.get_tables("demo", cohort, recompute=True).read
    other = cohort.copy()
    other.attrs = {**cohort.attrs, "fingerprint": "other"}
    computed = engine.get_tables("demo", other, {"seed": 5})
    assert not computed.read and computed.tables["rows"]["seed"].tolist() == [5]
    monkeypatch.setattr(engine, "shares_reference_patients", lambda cohort: True)
    assert not engine.get_tables("demo", other).read  # the tables name nobody whom the reference runs know
    monkeypatch.setattr(engine, "reference_patients", lambda: {"a"})
    assert engine.get_tables("demo", other).read


def test_a_setting_that_does_not_exist_is_refused(demo, tiny_cohort_once):
    with pytest.raises(ValueError, match="no setting sede: choose from seed, sizes"):
        engine.run_experiment("demo", tiny_cohort_once, {"sede": 1})
    assert not demo.exists()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sizes": 7}, r"sizes is a list, as in -p sizes=\[7\]"),
        ({"sizes": "seven"}, r"sizes is a list, as in -p sizes=\[seven\]"),
        ({"sizes": [7, 7]}, "sizes names one twice: 7, 7"),
        ({"sizes": ["seven"]}, "sizes takes a whole number, not 'seven'"),
        ({"sizes": [[7, 8]]}, r"sizes takes a whole number, not \[7, 8\]"),
        ({"sizes": []}, "sizes is empty: name at least one"),
        ({"seed": "seven"}, "seed takes a whole number, not 'seven'"),
        ({"seed": True}, "seed takes a whole number, not True"),
        ({"seed": -1}, "seed takes a whole number from 0 to 4294967295, not -1"),
    ],
)
def test_a_setting_of_another_type_is_refused_before_anything_runs(demo, settings, message):
    with pytest.raises(ValueError, match=message):
        engine.run_experiment("demo", "nowhere", settings)
    assert not demo.exists()


def test_an_unknown_experiment_is_refused(demo, tiny_cohort_once):
    with pytest.raises(ValueError, match="unknown experiment 'dome': choose one of .*demo"):
        engine.run_experiment("dome", tiny_cohort_once)


MEANT = {
    "variants": {"plain_folds", "institutions", "size_matched"},
    "phantoms": {"others"},
}
"""Lists of which an empty one means something: nothing of this kind is trained."""


@pytest.mark.parametrize("name", EXPERIMENTS | KEPT)
def test_an_empty_list_is_refused_where_it_means_nothing(name):
    experiment = import_module((EXPERIMENTS | KEPT)[name])
    for field in fields(experiment.Settings):
        if not isinstance(field.default, tuple):
            continue
        if field.name in MEANT.get(name, ()):
            assert getattr(engine._settings(name, experiment, {field.name: []}), field.name) == ()
        else:
            with pytest.raises(ValueError, match=f"{field.name} is empty"):
                engine._settings(name, experiment, {field.name: []})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 100}, "image_size 100 does not fit U-Net, which needs a multiple of 16: choose 96 or 112"),
        ({"filters": 0}, "filters must be at least 1, not 0"),
    ],
)
def test_a_network_that_cannot_be_built_is_not_planned(tiny_cohort_once, settings, message):
    with pytest.raises(ValueError, match=message):
        engine.plan_experiment("claims", tiny_cohort_once, settings)


@pytest.mark.slow
def test_an_interrupted_experiment_goes_on_with_what_is_missing(shallow, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    from brainseg.networks import runs

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    names = [f"TEST_{'AB'[n % 2]}A_{n:04d}_20000101" for n in range(10)]
    cohort = index_cohort(write_cohort(tmp_path / "kaggle_3m", names))
    settings = leakage.Settings(
        image_size=32, filters=2, epochs=1, slices_per_epoch=4, after_phantom=False, doses=(0, 80), folds=(0,), seeds=1
    )
    trained, train = [], runs.train

    def interrupted(*given):
        if trained:
            raise KeyboardInterrupt
        trained.append("first")
        return train(*given)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.compute(leakage, cohort, settings)
    plan = leakage.plan(cohort, settings)
    assert [training.is_done(cohort) for training in plan] == [True, False]

    monkeypatch.setattr(runs, "train", lambda *given: (trained.append("second"), train(*given))[1])
    tables, record = engine.compute(leakage, cohort, settings)
    assert trained == ["first", "second"]
    assert [run["arm"] for run in record["runs"]] == ["0 %", "80 %"]
    assert set(tables["slices"]["arm"]) == {"copy", "interpolation", "0 %", "80 %"}


# ---------------------------------------------------------------- tables that grow


@dataclass(frozen=True)
class Sizes:
    sizes: tuple[int, ...] = (1,)
    epochs: int = 1


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """An experiment named "growing", a training for each size; gives the sizes that were trained, call by call."""
    module, trained = ModuleType("growing_experiment"), []

    def plan(cohort, settings):
        return [
            Training(Recipe(epochs=settings.epochs, seed=size), Preprocessing(image_size=32), split_by_patient(cohort),
                     {"arm": "real", "size": size})
            for size in settings.sizes
        ]  # fmt: skip

    def score(cohort, settings, runs):
        rows = [{**training.labels, "patient": "a", "epochs": settings.epochs} for training, _ in runs]
        return {"patients": pd.DataFrame(rows)}

    def load(plan, cohort):
        for training in plan:
            record = SimpleNamespace(
                folder=training.folder(cohort), digest=lambda: "weights", summary=lambda: {"seconds": 2.0}
            )
            yield training, SimpleNamespace(record=record, prepared=SimpleNamespace(table=cohort))

    module.Settings, module.plan, module.score = Sizes, plan, score
    monkeypatch.setitem(sys.modules, "growing_experiment", module)
    monkeypatch.setitem(EXPERIMENTS, "growing", "growing_experiment")
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(
        engine, "train_plan", lambda plan, *_: trained.append([training.labels["size"] for training in plan])
    )
    monkeypatch.setattr(engine, "load_plan", load)
    return trained


def test_what_is_scored_already_is_neither_trained_nor_scored_again(growing, tiny_cohort_once, monkeypatch, capsys):
    monkeypatch.setattr("brainseg.provenance.commit", lambda: "first")
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 3]}, add=True)
    whole = results.results_folder("growing") / "patients.csv"
    whole.write_text(whole.read_text().replace("real,3,a,1", "real,3,a,77"))
    monkeypatch.setattr("brainseg.provenance.commit", lambda: "second")
    main(["experiment", "growing", "--data", str(tiny_cohort_once), "-p", "sizes=[1,2,3]", "--add", "--dry-run"])
    said = "2 trainings have their rows in the kept tables. 1 trainings, 0 of them done"
    assert said in capsys.readouterr().out
    planned = engine.plan_experiment("growing", tiny_cohort_once, {"sizes": [1, 2, 3]}).plan
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2, 3]}, add=True)
    assert growing == [[1, 3], [2]]
    assert results.read_table("growing", "patients")[["size", "epochs"]].values.tolist() == [[1, 1], [3, 77], [2, 1]]
    record = results.read_record("growing")
    assert [(run["size"], run.get("commit")) for run in record["runs"]] == [(1, "first"), (3, "first"), (2, None)]
    folders = {training.labels["size"]: training.folder(index_cohort(tiny_cohort_once)).name for training in planned}
    assert {run["size"]: run["run"] for run in record["runs"]} == folders
    assert (record["commit"], record["settings"]["sizes"]) == ("second", [1, 2, 3])
    before = whole.read_bytes()
    capsys.readouterr()
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [3, 2, 1]}, add=True)
    assert capsys.readouterr().out == "3 trainings have their rows in the kept tables. Nothing is left to add.\n"
    assert growing == [[1, 3], [2]] and whole.read_bytes() == before
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [3]})
    assert growing[-1] == [3] and len(results.read_table("growing", "patients")) == 1


@pytest.mark.parametrize("known_as", ["unet-0123456789ab", None])
def test_rows_of_another_recipe_or_of_nobody_knows_which_are_replaced(growing, tiny_cohort_once, known_as, capsys):
    folder = engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2]})
    record = results.read_record("growing")
    record["runs"][1] |= {"run": known_as}
    table = results.read_table("growing", "patients").assign(epochs=77)
    results.write_tables("growing", {"patients": table}, record)
    capsys.readouterr()
    assert engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2]}, add=True) == folder
    assert "1 trainings have their rows in the kept tables. The rows of 1 are of older code" in capsys.readouterr().out
    assert growing == [[1, 2], [2]]
    assert results.read_table("growing", "patients")["epochs"].tolist() == [77, 1]
    results.write_tables(
        "growing", {"patients": table}, {**record, "runs": [{**r, "run": "x"} for r in record["runs"]]}
    )
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2]}, add=True)
    assert growing[-1] == [1, 2] and results.read_table("growing", "patients")["epochs"].tolist() == [1, 1]


def test_what_is_kept_is_read_once_before_the_training(growing, tiny_cohort_once, monkeypatch):
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1]})
    table, record = results.read_table("growing", "patients"), results.read_record("growing")

    def meanwhile(plan, *_):
        results.write_tables("growing", {"patients": table.assign(size=9)}, {**record, "runs": []})

    monkeypatch.setattr(engine, "train_plan", meanwhile)
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2]}, add=True)
    assert results.read_table("growing", "patients")["size"].tolist() == [1, 2]
    assert [run["size"] for run in results.read_record("growing")["runs"]] == [1, 2]


def test_a_table_that_cannot_grow_says_why(growing, tiny_cohort_once, tmp_path, demo):
    engine.run_experiment("growing", tiny_cohort_once, {"sizes": [1, 2]})
    record, table = results.read_record("growing"), results.read_table("growing", "patients")

    def refused(message, data=tiny_cohort_once, name="growing", **settings):
        with pytest.raises(ValueError, match=message):
            engine.run_experiment(name, data, settings, add=True)

    refused("do not name .arm real, size 2.: name it too, or leave --add out", sizes=[1, 3])
    refused("was made with epochs=1, and not 2", sizes=[1, 2, 3], epochs=2)
    others = write_cohort(tmp_path / "mine", [f"MINE_AA_{n:04d}_20000101" for n in range(4)], slices=2)
    refused("of other slices than", others)
    refused("the tables of demo are made as a whole", name="demo")
    assert growing == [[1, 2]]
    results.write_tables("growing", {"patients": table.assign(more=1)}, record)
    refused("other columns than today's", sizes=[1, 2, 3])
    results.write_tables("growing", {"patients": table}, {**record, "networks": {"unet": "replaced"}})
    refused("networks that have been replaced", sizes=[1, 2, 3])
    results.write_tables("growing", {"patients": table.drop(columns="size")}, record)
    refused("rows of several trainings together", sizes=[1, 2, 3])


# ---------------------------------------------------------------- what the project keeps


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if results.has_tables(name)])
def test_every_kept_experiment_on_real_patients_is_in_the_log(name):
    record = results.read_record(name)
    if record["cohort"]["synthetic"]:
        pytest.skip(f"results/{name} is of synthetic patients")
    # A table that has grown was scored by several commits, each some of its patients.
    commits = {record["commit"], *(run.get("commit", record["commit"]) for run in record["runs"])}
    log = results.read_log()
    looks = log[(log["run"] == f"experiment {name}") & log["commit"].isin(commits)]
    patients = looks.groupby("commit")["patients"].max()
    scored = results.read_table(name, "features" if name == "shape" else "patients")["patient"].nunique()
    # Every patient was scored by each commit, or, where the tables have grown, by some of them.
    enough = patients.eq(scored).all() if len(commits) == 1 else patients.max() <= scored <= patients.sum()
    assert set(patients.index) == commits and enough, f"results/{name} has no line in the log of looks at test patients"


def test_every_kept_score_of_the_reference_edition_is_in_the_log():
    log = results.read_log().dropna(subset="weights").drop_duplicates("run", keep="last").set_index("run")
    patients = results.read_table("reference", "seeds").query("protocol == 'honest'")
    scored = patients.groupby("run").agg(patients=("patient", "size"), mean_dice=("dice", "mean"))
    pd.testing.assert_frame_equal(log.loc[scored.index, list(scored)], scored, check_dtype=False, rtol=1e-4)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_its_four_names_and_its_record_their_settings(name):
    experiment = import_module(EXPERIMENTS[name])
    assert all(callable(function) for function in (experiment.plan, experiment.score, experiment.findings))
    settings = {field.name for field in fields(experiment.Settings)}
    assert not results.has_tables(name) or set(results.read_record(name)["settings"]) == settings
