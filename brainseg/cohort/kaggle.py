"""The real data set from Kaggle, pinned to one version and counted after the download.

No account is needed. kagglehub keeps the copy in its own cache, resumes a cut download, and answers
from that cache without a network once the copy is whole.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import find_folder
from brainseg.cohort.index import index_cohort

HANDLE = "mateuszbuda/lgg-mri-segmentation/versions/2"
PAGE = "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation"

#: What the whole data set holds.
PUBLISHED = {"patients": 110, "slices": 3929, "slices without tumour": 2556, "slices with tumour": 1373}


def count(table: pd.DataFrame) -> dict[str, int]:
    """The four numbers of `PUBLISHED`, counted in a table from `index_cohort`."""
    tumour = table["tumour_px"] > 0
    return {
        "patients": table["patient"].nunique(),
        "slices": len(table),
        "slices without tumour": int((~tumour).sum()),
        "slices with tumour": int(tumour.sum()),
    }


def _cache() -> str:
    """Where kagglehub keeps this data set."""
    try:
        from kagglehub.config import get_cache_folder

        place = Path(get_cache_folder())
    except (ImportError, OSError, RuntimeError):  # no home
        place = Path("kagglehub's cache")
    return str(place / "datasets" / HANDLE.partition("/versions")[0])


def download_kaggle() -> Path:
    """Download the data set where it is absent, check every file and the counts, and return the cohort's folder.

    kagglehub shows a progress bar.

    Raises
    ------
    CohortError
        Where Kaggle cannot be reached or refuses, where a file is damaged, or where the counts
        differ from `PUBLISHED`.
    """
    import kagglehub
    import requests

    by_hand = f"Or unpack the archive from {PAGE} by hand, and give that folder as the data."
    try:
        folder = Path(kagglehub.dataset_download(HANDLE))
    except requests.exceptions.SSLError as error:
        raise CohortError(
            f"The certificate of Kaggle is not trusted here ({error}). A proxy may stand between: set "
            f"REQUESTS_CA_BUNDLE to the file with the proxy's certificate, and try again. {by_hand}"
        ) from error
    except requests.exceptions.ProxyError as error:
        raise CohortError(
            f"The proxy does not let Kaggle through ({error}). Check HTTPS_PROXY and NO_PROXY. {by_hand}"
        ) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise CohortError(
            f"Kaggle cannot be reached ({type(error).__name__}). Connect to the internet and try again: a cut "
            f'download goes on where it stopped. {by_hand} The data "phantom" need no network.'
        ) from error
    except Exception as error:  # kagglehub's errors share no base class: refusals, checksums, archives, a full disk
        reason = f"{type(error).__name__}: {error}"
        raise CohortError(
            f"The download of {HANDLE} failed ({reason}). Try again. Where it fails in the same way, remove what is "
            f"left of it in {_cache()}. {by_hand}"
        ) from error
    again = f"Remove the folder {folder} and download again."
    try:
        root = find_folder(folder)
        found = count(index_cohort(root))
    except CohortError as error:
        damaged = f"The copy of the data set that kagglehub keeps is damaged. {again}"
        raise CohortError([damaged, *error.problems]) from None
    if found != PUBLISHED:
        differing = [name for name in PUBLISHED if found[name] != PUBLISHED[name]]
        raise CohortError([f"{found[name]} {name}, expected {PUBLISHED[name]}. {again}" for name in differing], root)
    return root
