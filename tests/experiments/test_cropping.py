"""What a crop loses: counted on tiny cohorts, and told of tables made by hand, both ways round."""

import numpy as np
import pandas as pd
import pytest
from helpers import ellipse

from brainseg.cohort import index_cohort, read_image
from brainseg.experiments import cropping
from brainseg.experiments.cropping import CANNY_PAIRS, CANNY_THRESHOLDS, Head
from brainseg.images.crop import Box, slice_box

PATIENTS = [f"P{number:02d}" for number in range(20)]


@pytest.fixture(scope="module")
def table(tiny_cohort_once):
    return index_cohort(tiny_cohort_once, progress=False)


@pytest.fixture(scope="module")
def article(table):
    return cropping.article_boxes(table)


def test_one_slice_is_told_as_it_is():
    mask = np.zeros((20, 20), bool)
    mask[4:8, 4:9] = True
    assert "keeps all 20 pixels" in cropping.example_sentence(mask, Box(4, 8, 4, 9))
    assert "cuts off 5 of the 20 pixels** of the tumour (25%)" in cropping.example_sentence(mask, Box(5, 8, 0, 20))


def boxes_of(lost: dict) -> pd.DataFrame:
    """As of `article_boxes`, two slices a patient with 100 px of tumour each; `lost` by (patient, pair), a slice."""
    rows = [
        {"row": 2 * number + place, "patient": patient, "tumour_px": 100, "canny": canny, "found": True,
         "lost_px": lost.get((patient, canny), 0), "kept": 0.5, "box": Box(0, 100, 0, 80)}
        for number, patient in enumerate(PATIENTS) for place in (0, 1) for canny in CANNY_PAIRS
    ]  # fmt: skip
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- the article's boxes


def test_every_slice_has_its_box_by_each_pair(table, article):
    assert len(article) == len(CANNY_PAIRS) * len(table)
    default = cropping.with_our_thresholds(article)
    assert default.index.tolist() == table.index.tolist()
    assert (default["patient"] == table["patient"]).all() and (default["tumour_px"] == table["tumour_px"]).all()
    assert default["box"][7] == slice_box(read_image(table["image_path"][7]))
    assert default["kept"][7] == default["box"][7].area_px / 256**2


def test_the_worst_slices_lose_most_and_are_then_the_tightest():
    article = boxes_of({("P03", (10, 250)): 9, ("P03", CANNY_THRESHOLDS): 40, ("P05", (30, 150)): 20})
    article.loc[article["row"] == 30, "kept"] = 0.2
    worst = cropping.worst_slices(article, count=5)
    assert worst["lost_px"].tolist() == [40, 40, 20, 20, 0]
    assert set(worst["row"][:2]) == {6, 7} and set(worst["row"][2:4]) == {10, 11} and worst["row"].iloc[4] == 30


def test_patients_are_counted_and_not_slices():
    found = cropping.article_findings(boxes_of({("P03", CANNY_THRESHOLDS): 30}))
    assert found.default.losing == {"P03": 60} and found.default.slices_with_loss == 2
    assert found.table()["patients"].tolist().count("1 of 20") == 1
    said = found.sentence()
    assert "**1 of 20 patients loses tumour** (95 % interval of the share: 0.1% to 24.9%), 60 of 4,000 pixels" in said
    assert "It is always the same one, P03." in said
    assert "One patient shows that it happens, and not how often." in said


def test_without_a_loss_nothing_is_called_safe():
    said = cropping.article_findings(boxes_of({})).sentence()
    assert "**none of 20 patients loses any tumour**" in said
    assert "no proof of safety: of such patients, up to 17% could" in said


def test_a_loss_with_other_thresholds_alone_is_told():
    said = cropping.article_findings(boxes_of({("P03", (100, 200)): 30, ("P04", (100, 200)): 30})).sentence()
    assert "none of 20 patients" in said and "it is 0 to 2 patients" in said
    assert "Whose it is depends on two numbers that the article does not give" in said and "alone has" not in said


def test_who_has_most_of_the_loss_is_named():
    lost = {(patient, pair): 1 for patient in ("P01", "P02") for pair in CANNY_PAIRS}
    even = cropping.article_findings(boxes_of(lost)).sentence()
    assert "**2 of 20 patients lose tumour**" in even and "2 each time" in even and "alone has" not in even
    assert "with every pair of thresholds" in even
    odd = cropping.article_findings(boxes_of(lost | {("P02", pair): 9 for pair in CANNY_PAIRS})).sentence()
    assert "P02 alone has 90% of all the pixels lost" in odd


def test_boxes_that_jump_are_told_from_boxes_that_do_not():
    still = cropping.with_our_thresholds(boxes_of({}))
    even = cropping.stretch(still)
    assert (even.low, even.high, even.median_step, even.large_steps) == (1.25, 1.25, 0, 0)
    jumping = still.copy()
    jumping.at[8, "box"] = Box(0, 50, 0, 80)
    found = cropping.stretch(jumping)
    assert found.jumpiest == 8 and found.large_steps == pytest.approx(1 / 20)
    # There is no step to a slice without a contour.
    jumping["found"] = jumping.index != 9
    assert cropping.stretch(jumping).large_steps == 0
    jumping["found"] = False
    assert cropping.stretch(jumping).jumpiest is None and "no step" in cropping.stretch(jumping).sentence()


def test_of_two_jumps_that_between_slices_with_tumour_is_shown():
    boxes = cropping.with_our_thresholds(boxes_of({}))
    boxes.at[8, "box"], boxes.at[20, "box"] = Box(0, 80, 0, 80), Box(0, 10, 0, 80)
    assert cropping.stretch(boxes).jumpiest == 20
    boxes.loc[20, "tumour_px"] = 0
    assert cropping.stretch(boxes).jumpiest == 8


@pytest.mark.parametrize(("row", "first"), [(0, 1), (2, 2), (4, 2), (5, 1)])
def test_neighbours_are_of_one_patient(table, row, first):
    near = cropping.neighbours_of(table, row)
    assert near["slice"].tolist() == list(range(first, first + 4)) and set(near["patient"]) == {
        table.loc[row, "patient"]
    }
    assert row in near.index


# ---------------------------------------------------------------- one box a patient


def head_with(tumour: np.ndarray) -> Head:
    """A round head of radius 60 px around (128, 128)."""
    return Head(ellipse((128, 128), (60, 60)), tumour.astype(int))


def test_what_is_lost_is_what_lies_outside_on_any_slice():
    tumour = np.zeros((256, 256), int)
    tumour[128, 189], tumour[128, 100] = 3, 5  # the head ends at column 188
    head = head_with(tumour)
    assert (head.lost_px(0), head.lost_px(1), head.lost_px(4)) == (3, 0, 0)
    assert (head.spare_px(0), head.spare_px(1), head.spare_px(4)) == (-1, 0, 3)
    assert head.lost_px(-61) == 8  # nothing is left of the box


def test_without_tumour_or_head_no_box_loses_any():
    nothing = np.zeros((256, 256), int)
    assert head_with(nothing).spare_px() == 256
    assert Head(np.zeros((256, 256), bool), nothing + 1).spare_px() == 256


def test_heads_are_found_and_swept(table):
    heads = cropping.find_heads(table)
    assert set(heads) == set(table["patient"])
    assert sum(head.tumour.sum() for head in heads.values()) == table["tumour_px"].sum()
    sweep = cropping.margin_sweep(heads, [-120, 0, 8])
    assert sweep["lost_px"].tolist() == [table["tumour_px"].sum(), 0, 0] and sweep["kept"].is_monotonic_increasing


def margin_of(columns, kept=0.5, **options) -> cropping.MarginFinding:
    """Of patients with one pixel of tumour each, in the given columns."""
    heads = {}
    for patient, column in zip(PATIENTS, columns, strict=False):
        tumour = np.zeros((256, 256), int)
        tumour[128, column] = 1
        heads[patient] = head_with(tumour)
    boxes = pd.DataFrame({"patient": list(heads), "kept": kept})
    return cropping.margin_finding(heads, boxes, **options)


def test_a_margin_that_keeps_all_says_what_is_to_spare():
    found = margin_of([128, 170, 100], margin_px=4)
    assert (found.spare_px, found.closest, found.losing) == (22, "P01", {})
    said = found.sentence()
    assert "**none of 3 patients loses any tumour**" in said
    assert "**22 px tighter** on every side. A pixel more, and P01 would lose some." in said
    assert "too narrow" not in said


def test_a_margin_that_loses_tumour_says_whose():
    found = margin_of([128, 170, 200], margin_px=4)
    assert (found.spare_px, found.losing) == (-1, {"P02": 1})
    said = found.sentence()
    assert "**1 of 3 patients loses tumour**" in said and "1 of 3 pixels" in said
    assert "too narrow for this cohort" in said and "It concerns P02." in said
    assert "Nothing would be lost" not in said


def test_the_price_goes_by_the_share_kept():
    assert "Safety has its price" in margin_of([128], kept=0.1).sentence()
    assert "also the tighter one" in margin_of([128], kept=0.9).sentence()


def test_patients_without_a_head_are_counted():
    nobody = {"P00": Head(np.zeros((256, 256), bool), np.zeros((256, 256), int))}
    found = cropping.margin_finding(nobody, pd.DataFrame({"patient": ["P00"], "kept": [1.0]}))
    assert found.without_head == 1 and "stay whole: 1." in found.sentence()
    assert "No box that we tried would lose any." in found.sentence()


# ---------------------------------------------------------------- there and back


def test_a_round_trip_at_full_size_changes_nothing_and_a_small_one_does(table):
    slices = table[table["tumour_px"] > 0]
    whole = [Box(0, 256, 0, 256)] * len(slices)
    outside = [Box(0, 256, 0, 1)] * len(slices)
    scores = cropping.round_trip_dice(slices, {"none": whole, "slice": outside}, [16, 256])
    assert scores.loc[256, "none"] == 1 and 0 < scores.loc[16, "none"] < 1
    assert scores["slice"].tolist() == [0, 0]
