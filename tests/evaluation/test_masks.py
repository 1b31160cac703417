"""Masks that are kept a bit a pixel: there and back, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from brainseg.evaluation.masks import pack_masks, read_masks, save_masks


@pytest.fixture
def slices():
    return pd.DataFrame({"patient": ["a", "a", "b"], "slice": [1, 2, 1]}, index=[7, 3, 5])


@pytest.fixture
def masks():
    return np.random.default_rng(0).random((3, 256, 256)) > 0.7


def test_masks_come_back_in_the_order_asked_for(tmp_path, slices, masks):
    save_masks(tmp_path / "masks.npz", pack_masks(slices, masks))
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.npz", slices), masks)
    order = [2, 0]
    np.testing.assert_array_equal(read_masks(tmp_path / "masks.npz", slices.iloc[order]), masks[order])


def test_an_empty_mask_takes_no_room(tmp_path, slices):
    save_masks(tmp_path / "masks.npz", pack_masks(slices, np.zeros((3, 256, 256), bool)))
    assert (tmp_path / "masks.npz").stat().st_size < 2000


def test_what_does_not_fit_is_refused(tmp_path, slices, masks):
    with pytest.raises(ValueError, match="3 slices need bool masks"):
        save_masks(tmp_path / "masks.npz", pack_masks(slices, masks[:2]))
    with pytest.raises(ValueError, match="uint8"):
        save_masks(tmp_path / "masks.npz", pack_masks(slices, masks.astype(np.uint8)))
    assert not list(tmp_path.iterdir())


def test_a_slice_that_is_not_there_is_named(tmp_path, slices, masks):
    save_masks(tmp_path / "masks.npz", pack_masks(slices, masks))
    with pytest.raises(ValueError, match="no mask of 1 slices, such as slice 9 of b"):
        read_masks(tmp_path / "masks.npz", pd.DataFrame({"patient": ["a", "b"], "slice": [1, 9]}))


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_damaged_file_is_named(tmp_path, slices, masks, damage):
    path = tmp_path / "masks.npz"
    if damage == "cut":
        save_masks(path, pack_masks(slices, masks))
        path.write_bytes(path.read_bytes()[:5000])
    if damage == "changed":
        save_masks(path, pack_masks(slices, masks))
        content = path.read_bytes()
        path.write_bytes(content[:2000] + bytes(100) + content[2100:])
    with pytest.raises(ValueError, match=r"masks\.npz are missing or damaged"):
        read_masks(path, slices)
