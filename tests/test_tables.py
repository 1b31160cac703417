import json

import pandas as pd
import pytest

from brainseg import tables


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "project_root", lambda: tmp_path)
    return tmp_path


def test_what_is_written_is_read(root):
    table = pd.DataFrame({"patient": ["a", "b"], "dice": [0.5, 1 / 3]})
    folder = tables.write_tables("demo", {"patients": table}, {"seed": 3})
    assert folder == root / "results" / "demo"
    assert tables.has_tables("demo")
    pd.testing.assert_frame_equal(tables.read_table("demo", "patients"), table, rtol=1e-5)
    assert tables.read_record("demo") == {"seed": 3}


def test_a_folder_without_a_record_is_unfinished(root):
    tables.write_tables("demo", {"patients": pd.DataFrame({"dice": [1.0]})}, {})
    (root / "results" / "demo" / "record.json").unlink()
    assert not tables.has_tables("demo")
    with pytest.raises(FileNotFoundError, match="no finished results"):
        tables.read_table("demo", "patients")


def test_an_interrupted_rewrite_leaves_no_record(root):
    tables.write_tables("demo", {"patients": pd.DataFrame({"dice": [1.0]})}, {})

    class Broken(pd.DataFrame):
        def to_csv(self, *args, **kwargs):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        tables.write_tables("demo", {"patients": Broken()}, {})
    assert not tables.has_tables("demo")


def test_without_a_checkout_there_are_no_results(monkeypatch):
    monkeypatch.setattr(tables, "project_root", lambda: None)
    assert not tables.has_tables("demo")
    with pytest.raises(FileNotFoundError, match="clone"):
        tables.results_folder("demo")


def test_the_origin_names_cohort_commit_and_processor():
    table = pd.DataFrame({"patient": ["a", "a"], "tumour_px": [0, 5], "synthetic": [True, True]})
    table.attrs["fingerprint"] = "abc"
    record = tables.origin(table)
    assert record["cohort"] == {"fingerprint": "abc", "patients": 1, "slices": 2, "tumour_slices": 1, "synthetic": True}
    assert record["processor"] and set(record["versions"]) == {"python", "keras", "backend"}
    json.dumps(record)


def test_every_look_at_test_patients_is_a_line_more(root):
    tables.log_test("one", 18, 659, "abc", "why")
    tables.log_test("two", 18, None, None, "why")
    log = pd.read_csv(root / "results" / "reference" / "test_log.csv")
    assert log["run"].tolist() == ["one", "two"] and log["patients"].tolist() == [18, 18]
    assert log["slices"].iloc[0] == 659 and pd.isna(log["slices"].iloc[1])
