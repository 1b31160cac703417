"""The download, against a stand-in for kagglehub: the real one needs a network."""

import inspect
import sys
import types

import pytest
import requests
from helpers import write_cohort

from brainseg.cohort import CohortError, index_cohort, kaggle
from brainseg.data import get_cohort

TINY = {"patients": 6, "slices": 30, "slices without tumour": 18, "slices with tumour": 12}


@pytest.fixture
def kagglehub(monkeypatch):
    """A kagglehub that answers with `answer` (a folder) or raises it, and remembers what was asked."""
    module = types.ModuleType("kagglehub")
    module.asked = []

    def dataset_download(handle):
        module.asked.append(handle)
        if isinstance(module.answer, Exception):
            raise module.answer
        return str(module.answer)

    module.dataset_download = dataset_download
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_kagglehub_takes_the_handle_alone():
    import kagglehub

    parameters = inspect.signature(kagglehub.dataset_download).parameters
    assert next(iter(parameters)) == "handle"
    assert all(parameter.default is not parameter.empty for parameter in list(parameters.values())[1:])


def test_kagglehub_understands_the_pinned_handle():
    from kagglehub.handle import parse_dataset_handle

    handle = parse_dataset_handle(kaggle.HANDLE)
    assert (handle.owner, handle.dataset, handle.version) == ("mateuszbuda", "lgg-mri-segmentation", 2)


def test_published_counts_add_up():
    published = kaggle.PUBLISHED
    assert published["slices"] == published["slices without tumour"] + published["slices with tumour"]


def test_kaggle_is_downloaded_at_the_pinned_version_and_counted(kagglehub, tiny_cohort, monkeypatch):
    kagglehub.answer = tiny_cohort.parent
    monkeypatch.setattr(kaggle, "PUBLISHED", TINY)
    assert get_cohort("kaggle") == tiny_cohort
    assert kagglehub.asked == ["mateuszbuda/lgg-mri-segmentation/versions/2"]


def test_the_doubled_archive_is_counted_once(kagglehub, tiny_cohort, monkeypatch):
    write_cohort(tiny_cohort.parent / "lgg-mri-segmentation" / "kaggle_3m")
    kagglehub.answer = tiny_cohort.parent
    monkeypatch.setattr(kaggle, "PUBLISHED", TINY)
    assert get_cohort("kaggle") == tiny_cohort


def test_count(tiny_cohort):
    assert kaggle.count(index_cohort(tiny_cohort, progress=False)) == TINY


def test_wrong_counts_are_all_reported(kagglehub, tiny_cohort):
    kagglehub.answer = tiny_cohort.parent
    with pytest.raises(CohortError) as error:
        kaggle.download_kaggle()
    assert len(error.value.problems) == 4
    assert "6 patients, expected 110" in str(error.value)
    assert "30 slices, expected 3929" in str(error.value)
    assert f"Remove the folder {tiny_cohort.parent}" in str(error.value)


@pytest.mark.parametrize("failure", [requests.ConnectionError("no name"), requests.Timeout("late")])
def test_offline_says_so_and_names_the_ways_out(kagglehub, failure):
    kagglehub.answer = failure
    with pytest.raises(CohortError, match="cannot be reached") as error:
        get_cohort("kaggle")
    assert kaggle.PAGE in str(error.value) and '"phantom"' in str(error.value)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (requests.exceptions.SSLError("self-signed certificate"), "not trusted.*REQUESTS_CA_BUNDLE"),
        (requests.exceptions.ProxyError("407"), "proxy does not let.*HTTPS_PROXY"),
    ],
)
def test_a_proxy_is_not_taken_for_a_missing_network(kagglehub, failure, said):
    kagglehub.answer = failure
    with pytest.raises(CohortError, match=said) as error:
        kaggle.download_kaggle()
    assert "Connect to the internet" not in str(error.value) and kaggle.PAGE in str(error.value)


def test_a_damaged_copy_names_the_folder_to_remove(kagglehub, tiny_cohort, tmp_path):
    kagglehub.answer = tmp_path / "empty"
    kagglehub.answer.mkdir()
    with pytest.raises(CohortError, match=f"damaged. Remove the folder {kagglehub.answer} and download again"):
        kaggle.download_kaggle()
    for path in tiny_cohort.glob("*/*_mask.tif"):  # more problems than a report spells out
        path.write_bytes(b"cut")
    kagglehub.answer = tiny_cohort
    with pytest.raises(CohortError, match=f"Remove the folder {tiny_cohort} and download again"):
        kaggle.download_kaggle()


@pytest.mark.parametrize(
    "failure", [requests.HTTPError("403 Client Error"), OSError(28, "No space left on device"), RuntimeError("md5")]
)
def test_other_failures_keep_their_reason(kagglehub, failure):
    kagglehub.answer = failure
    with pytest.raises(CohortError, match="failed") as error:
        kaggle.download_kaggle()
    assert str(failure) in str(error.value) and error.value.__cause__ is failure


def test_a_damaged_download_names_the_file(kagglehub, tiny_cohort):
    broken = next(tiny_cohort.glob("*/*_1.tif"))
    broken.write_bytes(broken.read_bytes()[:1000])
    kagglehub.answer = tiny_cohort.parent
    with pytest.raises(CohortError, match=broken.name):
        kaggle.download_kaggle()
