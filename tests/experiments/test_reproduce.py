"""What is scored again of networks that trained on the phantom alone. Reference runs have tests of their own."""

import numpy as np
import pandas as pd
import pytest

from brainseg import results
from brainseg.cohort import index_cohort, read_mask
from brainseg.evaluation.masks import pack_masks, save_masks
from brainseg.experiments import reproduce, synthetic


@pytest.fixture
def kept(tiny_cohort_once, tmp_path, monkeypatch):
    """Of two patients the masks of one network, which are the true ones, and their scores."""
    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    cohort = index_cohort(tiny_cohort_once)
    names = sorted(cohort.loc[cohort["tumour_px"] > 0, "patient"].unique())[:2]
    mine = cohort[cohort["patient"].isin(names)]
    table = pd.DataFrame({"model": "unet", "seed": 1, "patient": names, "dice": [1.0, 0.5]})
    flat = table.assign(model=synthetic.FLAT, seed=0)
    results.write_tables("synthetic", {"patients": pd.concat([table, flat])}, {})
    empty = pd.DataFrame(columns=["run", "patient", "dice"])
    results.write_tables("reference", {"seeds": empty, "patients": empty}, {})
    truth = np.stack([read_mask(path) for path in mine["mask_path"]])
    save_masks(synthetic.masks_of("unet", 1), pack_masks(mine, truth))
    return cohort, names


def test_masks_without_a_real_image_are_scored_again(kept):
    cohort, names = kept
    (again,) = reproduce._without_a_real_image(cohort)
    assert again["patient"].tolist() == names and again["dice"].tolist() == [1, 1]
    both = again.merge(reproduce._kept(), on=["run", "patient"], suffixes=("_again", "_kept"))
    assert both["dice_kept"].tolist() == [1.0, 0.5] and set(both["by"]) == {"masks"}


def test_who_is_not_in_the_cohort_is_passed_over(kept):
    cohort, names = kept
    (again,) = reproduce._without_a_real_image(cohort[cohort["patient"] != names[0]])
    assert again["patient"].tolist() == names[1:]
    assert list(reproduce._without_a_real_image(cohort[~cohort["patient"].isin(names)])) == []
