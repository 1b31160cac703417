"""Scores of slices and patients, counted by hand."""

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg.evaluation import scores


def table_of(patients, tumour_px):
    return pd.DataFrame(
        {"patient": patients, "institution": "XX", "slice": range(1, len(patients) + 1), "tumour_px": tumour_px}
    )


@pytest.fixture
def drawn():
    """Three slices of one patient and one of another, with predictions whose counts are plain to see."""
    truth = np.zeros((4, 256, 256), bool)
    prediction = np.zeros((4, 256, 256), bool)
    truth[0, 10:20, 10:20] = True  # 100 px, half of it found, nothing else
    prediction[0, 10:20, 10:15] = True
    prediction[1, :5, :5] = True  # no tumour, a false alarm of 25 px
    truth[2, 50:52, 50:52] = True  # 4 px, missed
    truth[3, 0:30, 0:20] = True  # 600 px, found exactly
    prediction[3, 0:30, 0:20] = True
    return prediction, truth, table_of(["A", "A", "A", "B"], truth.sum(axis=(1, 2)))


def test_slice_scores_by_hand(drawn):
    slices = scores.score_slices(*drawn)
    assert slices["tp"].tolist() == [50, 0, 0, 600]
    assert slices["fp"].tolist() == [0, 25, 0, 0]
    assert slices["fn"].tolist() == [50, 0, 4, 0]
    np.testing.assert_allclose(slices["dice"], [2 / 3, np.nan, 0, 1])
    np.testing.assert_allclose(slices["iou"], [1 / 2, np.nan, 0, 1])
    assert slices["hd95_px"].tolist()[2:] == [pytest.approx(np.hypot(256, 256)), 0]
    assert np.isnan(slices["hd95_px"][1])
    assert slices["nsd_1px"].tolist()[2:] == [0, 1]


def test_small_pieces_of_a_volume_are_dropped():
    mask = np.zeros((3, 12, 12), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # two voxels that share a corner only: one piece
    mask[2, 5:8, 5:8] = True  # nine voxels: a fifth of them is 1.8
    np.testing.assert_array_equal(scores.drop_small_pieces(mask), mask)
    mask[2, 5:8, 8:9] = True  # twelve: a fifth of them is 2.4
    kept = scores.drop_small_pieces(mask)
    assert kept.sum() == 12 and kept[2, 5:8, 5:9].all()
    for plain in (np.zeros((2, 4, 4), bool), np.ones((2, 4, 4), bool)):
        np.testing.assert_array_equal(scores.drop_small_pieces(plain), plain)


def test_a_patient_is_one_volume(drawn):
    patients = scores.score_patients(scores.score_slices(*drawn))
    assert patients.index.tolist() == ["A", "B"]
    assert patients.loc["A", "dice"] == pytest.approx(2 * 50 / (2 * 50 + 25 + 54))
    assert patients.loc["A", ["slices", "tumour_slices", "missed_slices", "false_alarm_slices"]].tolist() == [
        3,
        2,
        1,
        1,
    ]
    summary = scores.summarise(patients)
    assert summary["mean"] == pytest.approx((patients.loc["A", "dice"] + 1) / 2)
    assert summary["low"] <= summary["mean"] <= summary["high"]
    assert summary["worst"] == patients.loc["A", "dice"]


def test_strata_and_empty_slices(drawn):
    slices = scores.score_slices(*drawn)
    sizes = scores.summarise_by_size(slices)
    assert sizes["slices"].tolist() == [2, 0, 1]
    assert sizes["missed"].tolist() == [1, 0, 0]
    empty = scores.summarise_empty(slices)
    assert (empty["slices"], empty["left clean"], empty["most false pixels"]) == (1, 0.0, 25)
    assert empty["specificity of pixels"] == pytest.approx(1 - 25 / 256**2)
