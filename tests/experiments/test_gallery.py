"""The worst patients: who they are, what is said of them, and their pictures."""

import numpy as np
import pandas as pd
import pytest
from helpers import PATIENTS

from brainseg import results
from brainseg.cohort import index_cohort
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.experiments import gallery
from brainseg.experiments.reference import masks_of


def scores(**columns):
    """Two networks, the first patient being the worst of both together."""
    base = {"patient": PATIENTS, "fold": [0, 1] * 3, "tumour_px": range(10, 70, 10), "recall": 0.9, "precision": 0.9}
    unet = pd.DataFrame({"model": "unet", "dice": [0.1, 0.3, 0.5, 0.6, 0.7, 0.8], **base})
    return pd.concat([unet, unet.assign(model="resunet", dice=unet["dice"] + 0.1)]).assign(**columns)


def test_the_lowest_come_first_and_small_tumours_are_told():
    found = gallery.failures(scores(), number=2)
    assert [each.patient for each in found] == list(PATIENTS[:2])
    assert (found[0].dice, found[0].lowest, found[0].highest) == pytest.approx((0.15, 0.1, 0.2))
    assert found[0].small and "smallest quarter" in found[0].sentence()
    assert not gallery.failures(scores(tumour_px=list(range(70, 10, -10)) * 2), number=1)[0].small


def test_the_tail_is_told_in_a_sentence():
    said = gallery.tail(gallery.failures(scores(), number=3))
    assert said.startswith("Of the 3 patients with the lowest scores, 0.15 to 0.55 in the mean")
    assert said.endswith("2 have a tumour among the smallest quarter.")
    assert "1 has" in gallery.tail(gallery.failures(scores(), number=1))
    assert "0 have" in gallery.tail(gallery.failures(scores(tumour_px=list(range(70, 10, -10)) * 2), number=1))


@pytest.mark.parametrize(
    ("recall", "precision", "said"),
    [(0.2, 0.2, "less than half of the tumour is found, and most of what is marked is no"),
     (0.2, 0.9, "less than half of the tumour is found, and most of what is marked is right"),
     (0.9, 0.2, "at least half of the tumour is found, and most of what is marked is no"),
     (0.9, 0.9, "at least half of the tumour is found, and most of what is marked is right")],
)  # fmt: skip
def test_what_went_wrong_follows_the_numbers(recall, precision, said):
    (worst,) = gallery.failures(scores(recall=recall, precision=precision), number=1)
    assert said in worst.sentence() and worst.sentence().startswith(f"**{PATIENTS[0]}**, Dice 0.15")


def test_the_pictures_are_the_slices_with_most_tumour_and_the_kept_masks(tiny_cohort_once, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    cohort, patients = index_cohort(tiny_cohort_once), scores()
    for model in ("unet", "resunet"):
        for fold in (0, 1):
            mine = cohort[cohort["patient"].isin(patients.loc[patients["fold"] == fold, "patient"])]
            masks = np.zeros((len(mine), 256, 256), bool)
            masks[:, 0, 0] = model == "unet"
            masks[np.arange(len(mine)), 1, mine["slice"]] = True
            save_masks(masks_of("honest", model, fold), pack_masks(mine, masks))
    found = gallery.failures(patients, number=3)
    shown = gallery.pictures(cohort, found, gallery.reference_masks(patients))
    largest = cohort.loc[cohort.groupby("patient")["tumour_px"].idxmax()].set_index("patient")
    for place, each in enumerate(found):
        assert shown.truth[place].sum() == largest.loc[each.patient, "tumour_px"] > 0
        assert shown.predicted["unet"][place, 1, largest.loc[each.patient, "slice"]]
        assert shown.predicted["unet"][place, 0, 0] and not shown.predicted["resunet"][place, 0, 0]
    assert shown.titles[:2] == ["1. Dice 0.15", "2. Dice 0.35"] and shown.images.shape == (3, 256, 256, 3)
    without = cohort[cohort["patient"] != PATIENTS[1]]
    assert gallery.pictures(without, found, gallery.reference_masks(patients)) is None
