import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from brainseg import provenance, results
from brainseg.paths import BusyError, locked, project_root


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    return tmp_path


def test_what_is_written_is_read(root):
    table = pd.DataFrame({"patient": ["a", "b"], "dice": [0.5, 1 / 3]})
    folder = results.write_tables("demo", {"patients": table}, {"seed": 3})
    assert folder == root / "results" / "demo"
    assert results.has_tables("demo")
    pd.testing.assert_frame_equal(results.read_table("demo", "patients"), table, rtol=1e-5)
    assert results.read_record("demo") == {"seed": 3}


def test_tables_of_an_earlier_record_go_and_those_made_one_by_one_stay(root):
    table = pd.DataFrame({"dice": [0.5]})
    results.write_tables("demo", {"patients": table, "ingredients": table}, {"seeds": [0, 1]})
    results.write_tables("demo", {"patients": table}, {"seeds": []})
    assert set(results.read_tables("demo")) == {"patients"}
    results.write_tables("demo", {"sizes": table}, {"seeds": []}, add=True)
    assert set(results.read_tables("demo")) == {"patients", "sizes"}


def test_a_folder_without_a_record_is_unfinished(root):
    results.write_tables("demo", {"patients": pd.DataFrame({"dice": [1.0]})}, {})
    (root / "results" / "demo" / "record.json").unlink()
    assert not results.has_tables("demo")
    with pytest.raises(FileNotFoundError, match="no finished results"):
        results.read_table("demo", "patients")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"{", b"a\n1,2\n1,2,3\n"])
def test_a_damaged_file_is_named_with_the_way_out(root, content):
    folder = results.write_tables("demo", {"patients": pd.DataFrame({"dice": [1.0]})}, {})
    (folder / "record.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"(?s)demo.record\.json is damaged \(.*Restore it from the repository"):
        results.read_record("demo")
    if content != b"{":  # a table without rows
        (folder / "patients.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"(?s)demo.patients\.csv is damaged \(.*Restore it from the repository"):
            results.read_table("demo", "patients")


def test_an_interrupted_rewrite_leaves_no_record(root):
    results.write_tables("demo", {"patients": pd.DataFrame({"dice": [1.0]})}, {})

    class Broken(pd.DataFrame):
        def to_csv(self, *args, **kwargs):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        results.write_tables("demo", {"patients": Broken()}, {})
    assert not results.has_tables("demo")


def test_without_a_checkout_there_are_no_results(monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: None)
    assert not results.has_tables("demo")
    with pytest.raises(FileNotFoundError, match="clone"):
        results.results_folder("demo")


def test_the_origin_names_cohort_commit_and_processor():
    table = pd.DataFrame({"patient": ["a", "a"], "tumour_px": [0, 5], "synthetic": [True, True]})
    table.attrs["fingerprint"] = "abc"
    record = provenance.origin(table)
    assert record["cohort"] == {"fingerprint": "abc", "patients": 1, "slices": 2, "tumour_slices": 1, "synthetic": True}
    backend = record["versions"]["backend"]
    assert record["processor"] and set(record["versions"]) == {"python", "keras", "backend", backend}
    assert record["versions"][backend][0].isdigit()
    json.dumps(record)


def test_every_look_at_test_patients_is_a_line_more(root):
    assert results.read_log().empty
    results.log_test(run="one", patients=18, commit="abc", why="an experiment")
    results.log_test(run="two", patients=18, slices=659, epochs=12, mean_dice=0.5, why="a network")
    log = pd.read_csv(root / "results" / "reference" / "test_log.csv")
    assert log["run"].tolist() == ["one", "two"] and log["patients"].tolist() == [18, 18]
    assert list(log) == results.LOG_COLUMNS
    assert pd.isna(log["slices"].iloc[0]) and log["slices"].iloc[1] == 659
    assert ",659,,12,," in (root / "results" / "reference" / "test_log.csv").read_text()


def test_lines_of_two_processes_are_both_kept(root):
    code = (
        "import sys\nfrom pathlib import Path\nfrom brainseg import results\n"
        "results.project_root = lambda: Path(sys.argv[1])\n"
        "for number in range(20): results.log_test(run=f'{sys.argv[2]}{number}')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    running = [subprocess.Popen([sys.executable, "-c", code, str(root), name], env=environment) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    assert set(results.read_log()["run"]) == {f"{name}{number}" for name in "ab" for number in range(20)}


def test_tables_are_written_by_one_at_a_time(root):
    seen = []

    class Watched(pd.DataFrame):
        def to_csv(self, *args, **kwargs):
            with pytest.raises(BusyError), locked(root / "results" / ".demo", wait=False):
                pass
            seen.append(args)
            return super().to_csv(*args, **kwargs)

    results.write_tables("demo", {"patients": Watched({"dice": [1.0]})}, {})
    assert len(seen) == 1 and {path.name for path in (root / "results" / "demo").iterdir()} == {
        "patients.csv",
        "record.json",
    }


def cohort(patients: str, fingerprint: str) -> pd.DataFrame:
    table = pd.DataFrame({"patient": list(patients), "slice": 1})
    table.attrs["fingerprint"] = fingerprint
    return table


def test_a_page_of_another_cohort_says_so():
    record = {"cohort": {"fingerprint": "first", "patients": 3, "slices": 3}}
    assert results.of_which_cohort(record, cohort("abc", "first")) == ""
    said = results.of_which_cohort(record, cohort("ab", "other"))
    assert "another cohort**, of 2 patients and 2 slices" in said and "the 3 patients" in said
    assert "although there are as many" in results.of_which_cohort(record, cohort("abc", "other"))
