"""What a coarse grid costs: the passage of a mask, and the sentence about a network beside it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments.coarse_grid import GridFinding, finding, kept_dice, through_cells


def prepared_of(*masks, patients):
    masks = np.stack(masks)
    table = pd.DataFrame({"patient": patients, "tumour_px": masks.sum(axis=(1, 2))})
    return SimpleNamespace(masks=(255 * masks).astype(np.uint8), table=table)


def square(first, last, side=32) -> np.ndarray:
    mask = np.zeros((side, side), np.float32)
    mask[first:last, first:last] = 1
    return mask


def test_cells_hold_shares_and_pixels_lie_between_them():
    mask = square(0, 8)
    mask[:4, :4] = 0
    passed = through_cells(mask, 8)
    assert passed.shape == mask.shape and passed[0, 0] == pytest.approx(0.75)  # the corner cell alone
    assert 0 < passed[8, 8] < passed[4, 4] < 0.75
    assert np.array_equal(through_cells(mask, 1), mask)


def test_finer_cells_keep_more_and_single_pixels_keep_all():
    masks = prepared_of(square(3, 14), square(5, 9), patients=["a", "b"])
    rows = np.arange(2)
    kept = [kept_dice(masks, rows, cell) for cell in (16, 4, 1)]
    assert kept[0] < kept[1] < kept[2] == 1


def test_patients_count_alike_and_empty_slices_do_not_count():
    large, small, empty = square(0, 16), square(21, 22), square(0, 0)
    alone = [kept_dice(prepared_of(mask, patients=["a"]), np.array([0]), 16) for mask in (large, small)]
    both = prepared_of(large, large, small, empty, patients=["a", "a", "b", "b"])
    assert alone[1] < 0.1 < alone[0]
    assert kept_dice(both, np.arange(4), 16) <= np.mean(alone) + 1e-9
    assert kept_dice(both, np.array([0, 1]), 16) == pytest.approx(alone[0])
    assert np.isnan(kept_dice(both, np.array([3]), 16))


@pytest.mark.parametrize(
    ("reached", "averaged", "said", "explained"),
    [
        (0.80, 0.60, "stand above this", False),
        (0.60, 0.80, "stand below this", True),
        (0.801, 0.799, "stand level with this", False),  # as printed
        (0.60, np.nan, "nothing to compare", False),
    ],
)
def test_the_sentence_goes_by_the_numbers_that_it_prints(reached, averaged, said, explained):
    sentence = GridFinding("validation", reached, averaged).sentence()
    assert said in sentence
    assert ("grid alone does not explain" in sentence) == explained


@pytest.mark.parametrize(
    ("reached", "averaged", "so"),
    [
        (0.80, 0.60, "so averaging is no limit."),
        (0.60, 0.80, "so the grid alone does not explain what it misses."),
        (0.801, 0.799, "no more and no less than averaging."),
    ],
)
def test_the_answer_says_what_the_grid_costs_and_whether_it_is_a_limit(reached, averaged, so):
    trained, validated = (GridFinding(side, reached, averaged).answer() for side in ("training", "validation"))
    cost = f"A perfect mask, averaged over the network's cells, keeps a mean Dice of {averaged:.2f}. "
    assert trained.startswith(cost) and validated.startswith(cost) and trained.endswith(so) and validated.endswith(so)
    assert f"reaches {reached:.2f} on the same patients, on whom it was trained, " in trained
    assert f"reaches {reached:.2f} on the same validation patients, " in validated
    assert "no training slice shows tumour" in GridFinding("training", reached, np.nan).answer()


def test_a_finding_is_about_validation_patients():
    run = SimpleNamespace(
        split=pd.Series(["validation", "train"]),
        record=SimpleNamespace(validation_dice=0.5),
        prepared=prepared_of(square(0, 16), square(21, 22), patients=["a", "b"]),
        rows={"validation": np.array([0]), "train": np.array([1])}.get,
    )
    found = finding(run, 16)
    assert (found.side, found.reached) == ("validation", 0.5) and found.averaged == kept_dice(
        run.prepared, np.array([0]), 16
    )
