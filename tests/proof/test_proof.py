"""Short versions of what `make proof` does at length."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainseg.paths import project_root
from proof import again, coverage, field, fuzz, kills, mutants


def test_metrics_are_those_of_the_field():
    pytest.importorskip("monai")
    found = field.compare(600).set_index("metric")
    assert found["pairs"].min() > 500 and (found["largest"] < pd.Series(field.LIMITS)).all()


def test_a_wrong_metric_would_be_seen(monkeypatch):
    pytest.importorskip("monai")
    monkeypatch.setattr(field.metrics, "boundary", lambda mask: mask)
    assert field.compare(100).set_index("metric").loc["NSD 1 px", "largest"] > 0.01


def test_the_pairs_hold_what_is_awkward_and_what_is_likely():
    found = list(field.pairs(300))
    empty = [(truth.any(), prediction.any()) for truth, prediction in found]
    assert {(False, False), (True, False), (False, True), (True, True)} <= set(empty)
    assert all(mask.shape == (field.SIDE, field.SIDE) and mask.dtype == bool for pair in found for mask in pair)
    overlap = [field.ours(*pair)["Dice"] for pair in found[-50:]]
    assert 0.2 < np.nanmean(overlap) < 0.95


def test_sound_files_are_read(tmp_path):
    for name, data in fuzz.originals().items():
        (tmp_path / name).write_bytes(data)
        assert fuzz.outcome(tmp_path / name) == "read", name


def test_damaged_files_are_read_or_refused_in_a_sentence(tmp_path):
    found = fuzz.fuzz(360, tmp_path, seed=1)
    assert sum(found.values()) == 360
    for name in fuzz.originals():
        assert found[name, "refused"] > 0


@pytest.mark.slow
def test_work_that_is_killed_comes_to_the_same_end(tiny_cohort_once, tmp_path):
    found = kills.kill("preparing arrays", 3, tiny_cohort_once, tmp_path)
    assert found.kills == 3 and found.same == found.finished > 0


def test_another_end_would_be_seen(tiny_cohort_once, tmp_path, monkeypatch):
    """Work that goes on where it was cut off, but forgets what it had: the last line says where it began."""
    forgetful = """
import os, time
from pathlib import Path
place = Path(os.environ["BRAINSEG_BUILD"]) / "steps"
begin = int(place.read_text() or 0) if place.is_file() else 0
for step in range(begin, 20):
    place.write_text(str(step))
    time.sleep(0.05)
print(begin)
"""
    monkeypatch.setitem(kills.KINDS, "forgetting", forgetful)
    found = kills.kill("forgetting", 1, tiny_cohort_once, tmp_path)
    assert (found.kills, found.same) == (1, 0) and found.finished > 0


# ---------------------------------------------------------------- the same work twice


@pytest.mark.slow
@pytest.mark.rest
def test_one_seed_gives_one_network(tiny_cohort_once, tmp_path, monkeypatch):
    small = again._TRAINING.replace('"filters": 4, "depth": 2', '"filters": 2, "depth": 1')
    short = small.replace("epochs=8, slices_per_epoch=160", "epochs=2, slices_per_epoch=64")
    assert len({again._TRAINING, small, short}) == 3
    monkeypatch.setattr(again, "_TRAINING", short)
    monkeypatch.setattr(again, "THREADS", (2, 2))
    found = again.repeat(tiny_cohort_once, tmp_path)
    assert found["same"].all() and (found["largest"] == 0).all() and len(found) == len(again.LIMITS)


@pytest.mark.slow
def test_two_calls_at_once_make_what_one_makes(tiny_cohort_once, tmp_path):
    found = again.together("preparing arrays", tiny_cohort_once, tmp_path)
    assert found == {"kind": "preparing arrays", "calls": 2, "finished": 2, "same": 2}


@pytest.mark.slow
def test_two_calls_at_once_write_crops(tiny_cohort_once, tmp_path):
    found = again.together("writing crops", tiny_cohort_once, tmp_path)
    assert found == {"kind": "writing crops", "calls": 2, "finished": 2, "same": 2}


@pytest.mark.slow
@pytest.mark.rest
def test_two_calls_at_once_share_a_chapter(tiny_cohort_once, tmp_path):
    found = again.together("executing a chapter", tiny_cohort_once, tmp_path)
    assert found == {"kind": "executing a chapter", "calls": 2, "finished": 2, "same": 2}


def test_calls_that_disturb_each_other_would_be_seen(tiny_cohort_once, tmp_path, monkeypatch):
    """One that fails where it finds the other's folder, and one that counts what it finds."""
    common = "import os, time\nfrom pathlib import Path\nplace = Path(os.environ['BRAINSEG_BUILD'])\n"
    monkeypatch.setitem(again.KINDS, "clashing", common + "(place / 'mine').mkdir()\nprint('done')")
    assert again.together("clashing", tiny_cohort_once, tmp_path / "a") == {
        "kind": "clashing",
        "calls": 2,
        "finished": 1,
        "same": 1,
    }
    counting = "(place / str(os.getpid())).touch()\n"
    counting += "while len(list(place.iterdir())) < 2 and place.name == 'shared': time.sleep(0.01)\n"
    monkeypatch.setitem(again.KINDS, "counting", common + counting + "print(len(list(place.iterdir())))")
    found = again.together("counting", tiny_cohort_once, tmp_path / "b")
    assert (found["finished"], found["same"]) == (2, 0)


# ---------------------------------------------------------------- mutants and branches


def test_tests_of_the_mutated_modules_are_there():
    for module, files in mutants.MODULES.items():
        assert (project_root() / "brainseg" / f"{module}.py").is_file()
        assert all((project_root() / "tests" / name).is_file() for name in files)


def test_reasons_are_given_for_modules_that_are_mutated():
    assert {module for module, _ in mutants.EQUIVALENT} <= mutants.MODULES.keys()


SHOWN = """# brainseg.metrics.x_pool__mutmut_2: survived
--- brainseg/metrics.py
+++ brainseg/metrics.py
@@ -1,3 +1,3 @@
 def pool(counts):
-    return counts - 1
+    return counts + 1
# brainseg.images.crop.xǁBoxǁwidened__mutmut_1: no tests
--- brainseg/images/crop.py
+++ brainseg/images/crop.py
@@ -1,3 +1,3 @@
-        a
+        b
"""


def test_what_mutmut_says_is_counted(monkeypatch):
    listed = "    a.x_pool__mutmut_1: killed\n    a.x_pool__mutmut_2: survived\n    a.x_pool__mutmut_3: timeout\n"
    listed += "    a.xǁBoxǁwidened__mutmut_1: no tests\n    a.x_pool__mutmut_4: segfault\n"
    asked = []

    def answers(code, folder, *arguments):
        asked.append(arguments)
        return subprocess.CompletedProcess([], 0, listed if arguments[0] == "results" else SHOWN, "")

    monkeypatch.setattr(mutants, "_python", answers)
    monkeypatch.setitem(mutants.EQUIVALENT, ("metrics", "pool"), {"return counts + 1": "for a reason"})
    row, left = mutants.table("metrics", Path("folder"))
    assert asked[1] == ("a.x_pool__mutmut_2", "a.xǁBoxǁwidened__mutmut_1")
    assert row == {
        "module": "metrics",
        "mutants": 5,
        "killed": 2,
        "timeouts": 1,
        "survived": 2,
        "equivalent": 1,
    }
    assert left.to_numpy().tolist() == [
        ["metrics", "pool", "return counts - 1", "return counts + 1", "for a reason"],
        ["metrics", "Box.widened", "a", "b", ""],
    ]


def test_branches_are_counted_by_room(tmp_path, monkeypatch):
    def summary(*counts):
        names = ("num_statements", "covered_lines", "num_branches", "covered_branches")
        return {"summary": dict(zip(names, counts, strict=True))}

    files = {
        "brainseg/metrics.py": summary(10, 9, 4, 3),
        "brainseg/cohort/find.py": summary(5, 5, 2, 2),
        "brainseg/cohort/read.py": summary(7, 6, 2, 1),
        "brainseg/__init__.py": summary(1, 1, 0, 0),
    }

    def gathered(folder, *arguments):
        if arguments[0] == "json":
            Path(arguments[-1]).write_text(json.dumps({"files": files}))
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(coverage, "_coverage", gathered)
    assert coverage.table(tmp_path).to_numpy().tolist() == [
        ["brainseg", 1, 1, 0, 0],
        ["cohort", 12, 11, 4, 3],
        ["metrics", 10, 9, 4, 3],
        [coverage.WHOLE, 23, 21, 8, 6],
    ]


def test_a_suite_that_fails_has_no_coverage(tmp_path, monkeypatch):
    monkeypatch.setattr(
        coverage, "_coverage", lambda *_: subprocess.CompletedProcess([], 1, "FAILED tests/test_a.py", "")
    )
    with pytest.raises(RuntimeError, match=r"(?s)The tests failed.*test_a"):
        coverage.measure(tmp_path)
    with pytest.raises(RuntimeError, match="nothing to count"):
        coverage.table(tmp_path)
