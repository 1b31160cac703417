"""The worst patients: their order, the slice that shows it, and a sentence for each kind of failure."""

import numpy as np
import pandas as pd

from brainseg.experiments.failures import listed, worst_patients
from brainseg.figures.results import failures as gallery

# patient, slice, tumour, found, false
ROWS = [
    ("nothing", 1, 20, 0, 0), ("nothing", 2, 0, 0, 0),
    ("beside", 1, 10, 0, 7),
    ("elsewhere", 3, 10, 3, 0), ("elsewhere", 9, 0, 0, 8),
    ("little", 4, 10, 6, 0), ("little", 5, 4, 0, 1),
    ("much", 1, 10, 9, 12),
    ("healthy", 1, 0, 0, 5),
    ("good", 1, 10, 10, 0),
]  # fmt: skip


def table() -> pd.DataFrame:
    made = pd.DataFrame(ROWS, columns=["patient", "slice", "tumour_px", "tp", "fp"])
    return made.assign(fn=made["tumour_px"] - made["tp"], model="unet")


def test_each_kind_of_failure_has_its_sentence():
    found = {failure.patient: failure for failure in worst_patients(table())}
    assert list(found) == ["nothing", "beside", "elsewhere", "little", "much", "good"]
    said = {name: failure.sentence() for name, failure in found.items()}
    assert said["nothing"] == "The network claims nothing: all 20 pixels of tumour are missed."
    assert said["beside"] == "The network claims 7 pixels, and none of them is tumour."
    assert "wrong place: it finds 3 of 10" in said["elsewhere"] and "claims 8 beside" in said["elsewhere"]
    assert said["little"] == "Too little: 57% of the tumour is missed, on 1 of 2 slices all of it."
    assert said["much"] == "Too much: 57% of what the network claims is no tumour."
    assert [failure.patient for failure in worst_patients(table(), count=2)] == ["nothing", "beside"]


def test_the_slice_is_that_with_most_wrong_pixels():
    (failure,) = [one for one in worst_patients(table().sample(frac=1, random_state=0)) if one.patient == "elsewhere"]
    assert (failure.slice, failure.position) == (9, 2)
    assert failure.link() == "patient=elsewhere&slice=2&network=unet"


def test_the_list_links_to_those_whom_the_viewer_shows():
    lines = listed(worst_patients(table(), count=2), viewed={"beside"}).splitlines()
    assert lines[0].startswith("1. `nothing`, Dice 0.00. The network") and "viewer" not in lines[0]
    assert lines[1].endswith("[Scroll to it](../viewer.html#patient=beside&slice=1&network=unet).")


def test_the_gallery_has_a_panel_for_each():
    found = worst_patients(table())
    image, mask = np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64), bool)
    mask[20:30, 20:30] = True
    figure = gallery(found, [image] * len(found), [mask] * len(found), [mask] * len(found))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0].startswith("1. nothing") and len([title for title in titles if title]) == len(found)
    assert gallery([], [], [], []) is not None
