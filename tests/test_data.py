"""A cohort by its name: the phantom, which is made once, and what is refused."""

import pytest
from helpers import write_cohort

from brainseg.cohort import CohortError
from brainseg.data import get_cohort, phantom_table


@pytest.fixture
def phantom(monkeypatch):
    """What a stand-in for the phantom's maker was asked for."""
    asked = []

    def make_phantom(root, **options):
        asked.append((root, options))
        return write_cohort(root, ["PHANTOM_AA_0001_20000101"], slices=2)

    monkeypatch.setattr("brainseg.phantom.make_phantom", make_phantom)
    return asked


def test_phantom_is_made_once(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    root = get_cohort("phantom")
    assert root.name == "kaggle_3m" and root.parent.parent == tmp_path / "cohorts"
    assert get_cohort("phantom") == root
    assert phantom == [(root, {})]


def test_a_phantom_drawn_by_other_code_is_another_phantom(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    old = get_cohort("phantom")
    monkeypatch.setattr("brainseg.data.code_digest", lambda *modules: "00000000")
    assert get_cohort("phantom") != old
    assert len(phantom) == 2


def test_phantom_of_another_size_is_kept_apart(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    root = get_cohort("phantom:4")
    assert root != get_cohort("phantom")
    assert phantom[0] == (root, {"patients": 4})


def test_phantom_of_another_seed_is_kept_apart(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    root = get_cohort("phantom:4:1")
    assert root != get_cohort("phantom:4")
    assert phantom[0] == (root, {"patients": 4, "seed": 1})


@pytest.mark.parametrize("draw", ["", "0", "-1", "four", "2.5", "4:", "4:-1", "4:1:1", ":1"])
def test_phantom_of_no_size(phantom, draw):
    with pytest.raises(CohortError, match="is neither phantom:PATIENTS nor"):
        get_cohort(f"phantom:{draw}")
    assert not phantom


def test_phantom_of_more_patients_than_names(phantom):
    with pytest.raises(CohortError, match="at most 9999 patients"):
        get_cohort("phantom:10000")
    assert not phantom
    assert get_cohort("phantom:9999") and phantom


def test_a_phantoms_table_is_made_once_and_each_caller_has_its_own(monkeypatch):
    first = phantom_table(3, 5)
    first["patient"] = "nobody"
    first.attrs["fingerprint"] = "none"
    monkeypatch.setattr("brainseg.phantom.cohort.plan_cohort", None)  # drawn no second time
    again = phantom_table(3, 5)
    assert again["patient"].nunique() == 3 and again.attrs["fingerprint"].startswith("phantom-3-5-")
