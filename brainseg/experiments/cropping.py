"""Does a crop keep its promise? Tumour outside the boxes, patient by patient, and what the way there and back costs.

The unit is the patient: a head that the article's steps miss on one slice, they are likely to miss on the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.cohort import FRAME, read_mask, read_patient
from brainseg.images.crop import (
    CANNY_THRESHOLDS,
    MARGIN_PX,
    Box,
    crop,
    crop_and_resize,
    crop_stages,
    head_silhouette,
    restore,
    square_box,
)
from brainseg.metrics import THRESHOLD, confusion, dice, pool
from brainseg.statistics import Interval, share_interval

CANNY_PAIRS = ((10, 250), (30, 150), CANNY_THRESHOLDS, (100, 200))
"""Thresholds that are tried for the article's edges, because it names none."""

FRAME_PX = FRAME[0] * FRAME[1]


# ---------------------------------------------------------------- the article's boxes


def example_sentence(mask: np.ndarray, box: Box) -> str:
    """What a box leaves of the tumour on one slice, in Markdown.

    Parameters
    ----------
    mask : bool array (H, W), not empty
    box : Box
    """
    whole = int(mask.sum())
    lost = whole - int(crop(mask, box).sum())
    if not lost:
        return f"On this slice the box keeps all {whole} pixels of the tumour."
    return f"On this slice the box **cuts off {lost} of the {whole} pixels** of the tumour ({lost / whole:.0%})."


def article_boxes(table: pd.DataFrame) -> pd.DataFrame:
    """The article's box of every slice, by each of `CANNY_PAIRS`.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.

    Returns
    -------
    DataFrame
        A row a slice and pair: ``row`` (of the table), ``patient, tumour_px, canny, box, found`` (whether there is a
        contour), ``lost_px`` (tumour outside the box) and ``kept`` (the box's share of the frame).
    """
    rows = []
    for patient, slices in tqdm(table.groupby("patient"), desc="cropping", leave=False):
        images, masks = read_patient(table, patient)
        for row, image, mask in zip(slices.index, images, masks, strict=True):
            for canny in CANNY_PAIRS:
                stages = crop_stages(image, canny)
                box = stages.box
                lost_px = int(mask.sum() - mask[box.top : box.bottom, box.left : box.right].sum())
                rows.append(
                    {"row": row, "patient": patient, "tumour_px": int(mask.sum()), "canny": canny, "box": box,
                     "found": stages.found, "lost_px": lost_px, "kept": box.area_px / mask.size}
                )  # fmt: skip
    return pd.DataFrame(rows)


def with_our_thresholds(article: pd.DataFrame) -> pd.DataFrame:
    """The boxes of `CANNY_THRESHOLDS`, on the rows of the cohort's table."""
    return article[article["canny"] == CANNY_THRESHOLDS].set_index("row")


def worst_slices(article: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """The slices with tumour on which the article's box is at its worst, each by its worst pair of thresholds.

    Those that lose the most come first, then, where none is left to lose, the tightest boxes.
    """
    order = article[article["tumour_px"] > 0].sort_values(["lost_px", "kept"], ascending=[False, True])
    return order.drop_duplicates("row").head(count)


@dataclass(frozen=True)
class ArticleLoss:
    """What the article's boxes cut off with one pair of thresholds.

    Attributes
    ----------
    canny : tuple of int
    losing : mapping of patient to tumour pixels lost
        Of the patients who lose some.
    share : Interval
        Of patients who lose some.
    patients, slices_with_loss, lost_px, tumour_px, without_contour : int
    kept : float
        Mean share of the frame.
    """

    canny: tuple[int, int]
    losing: Mapping[str, int]
    share: Interval
    patients: int
    slices_with_loss: int
    lost_px: int
    tumour_px: int
    without_contour: int
    kept: float


@dataclass(frozen=True)
class ArticleFindings:
    """What the article's boxes cut off, with each pair of thresholds.

    Attributes
    ----------
    default : ArticleLoss
        With `CANNY_THRESHOLDS`.
    by_canny : tuple of ArticleLoss
        All, the default among them.
    """

    default: ArticleLoss
    by_canny: tuple[ArticleLoss, ...]

    def table(self) -> pd.DataFrame:
        """A row a pair of thresholds.

        Patients and slices that lose tumour, pixels of tumour lost, slices without a contour, mean share of the frame
        that is kept.
        """
        return pd.DataFrame(
            {
                "Canny": [f"{loss.canny[0]}, {loss.canny[1]}" for loss in self.by_canny],
                "patients": [f"{len(loss.losing)} of {loss.patients}" for loss in self.by_canny],
                "slices": [loss.slices_with_loss for loss in self.by_canny],
                "pixels lost": [loss.lost_px for loss in self.by_canny],
                "no contour": [loss.without_contour for loss in self.by_canny],
                "kept": [f"{loss.kept:.1%}" for loss in self.by_canny],
            }
        )

    def sentence(self) -> str:
        """How many patients lose tumour, who they are, and what that shows, in Markdown."""
        loss = self.default
        said = (
            f"With our thresholds {loss.canny}, {_who_loses(loss.losing, loss.patients, loss.tumour_px, loss.share)}. "
        )
        counts = [len(other.losing) for other in self.by_canny]
        if not any(counts):
            return said + (
                "Nor does anybody with the other pairs. That is no proof of safety: of such patients, up to "
                f"{loss.share.high:.0%} could still lose some."
            )
        said += f"Over the {len(counts)} pairs of thresholds it is {_span(counts)}. "
        by_patient = pd.Series(dtype=float)
        for other in self.by_canny:
            by_patient = by_patient.add(pd.Series(other.losing, dtype=float), fill_value=0)
        if len(by_patient) == 1:
            said += f"It is always the same one, {by_patient.index[0]}. "
        elif by_patient.max() > by_patient.sum() / 2:
            share = by_patient.max() / by_patient.sum()
            said += f"{by_patient.idxmax()} alone has {share:.0%} of all the pixels lost. "
        said += "So the procedure can cut off a tumour. "
        if len(by_patient) == 1:
            return said + "One patient shows that it happens, and not how often."
        if len({frozenset(other.losing) for other in self.by_canny}) > 1:
            return said + "Whose it is depends on two numbers that the article does not give."
        return said + "It does so with every pair of thresholds that we tried."


def article_findings(article: pd.DataFrame) -> ArticleFindings:
    """What the boxes of :func:`article_boxes` cut off."""
    losses = []
    for canny, boxes in article.groupby("canny"):
        by_patient = boxes.groupby("patient")["lost_px"].sum()
        losing = by_patient[by_patient > 0]
        losses.append(
            ArticleLoss(
                canny=canny,
                losing={str(patient): int(px) for patient, px in losing.items()},
                share=share_interval(len(losing), len(by_patient)),
                patients=len(by_patient),
                slices_with_loss=int((boxes["lost_px"] > 0).sum()),
                lost_px=int(boxes["lost_px"].sum()),
                tumour_px=int(boxes["tumour_px"].sum()),
                without_contour=int((~boxes["found"]).sum()),
                kept=float(boxes["kept"].mean()),
            )
        )
    (default,) = (loss for loss in losses if loss.canny == CANNY_THRESHOLDS)
    return ArticleFindings(default, tuple(losses))


@dataclass(frozen=True)
class StretchFinding:
    """How unevenly one box a slice would stretch the slices.

    Attributes
    ----------
    low, high : float
        Height over width of the boxes: nine in ten lie between.
    median_step : float
        Of the change of height from one slice to the next, 0.1 for a tenth.
    large_steps : float
        Share of the steps that change it by more than a tenth.
    jumpiest : int or None
        Row of the slice from which to its neighbour the height changes most, of slices with tumour where there are
        such; None where no two neighbours have a contour.
    """

    low: float
    high: float
    median_step: float
    large_steps: float
    jumpiest: int | None

    def sentence(self) -> str:
        """All of it, in Markdown."""
        if self.jumpiest is None:
            return "No two neighbouring slices have a contour, so there is no step to measure."
        return (
            f"The article's boxes are not square: nine in ten are between {self.low:.2f} and {self.high:.2f} times as "
            f"high as wide. From one slice to the next the box changes its height by {self.median_step:.1%} in the "
            f"median, and by more than 10 % in {self.large_steps:.0%} of the steps."
        )


def stretch(boxes: pd.DataFrame) -> StretchFinding:
    """How the boxes of :func:`with_our_thresholds` differ in shape, and from slice to slice."""
    found = boxes["found"]
    height, width = (boxes["box"].map(lambda box, side=side: getattr(box, side)) for side in ("height", "width"))
    low, high = (height / width)[found].quantile([0.05, 0.95])
    neighbours = found & found.shift(-1, fill_value=False) & (boxes["patient"] == boxes["patient"].shift(-1))
    step = np.log(height.shift(-1) / height).abs()[neighbours]
    tumour = boxes["tumour_px"] > 0
    with_tumour = step[(tumour & tumour.shift(-1, fill_value=False))[neighbours]]
    candidates = with_tumour if len(with_tumour) else step
    return StretchFinding(
        float(low),
        float(high),
        float(np.expm1(step.median())),
        float((step > np.log(1.1)).mean()),
        int(candidates.idxmax()) if len(step) else None,
    )


def neighbours_of(table: pd.DataFrame, row: int) -> pd.DataFrame:
    """Up to four neighbouring slices of one patient, the given one the second where it can be."""
    slices = table[table["patient"] == table.loc[row, "patient"]]
    first = min(max(slices.index.get_loc(row) - 1, 0), max(len(slices) - 4, 0))
    return slices.iloc[first : first + 4]


# ---------------------------------------------------------------- one box a patient


@dataclass(frozen=True, eq=False)
class Head:
    """A patient's head and tumour, seen along the volume.

    Attributes
    ----------
    silhouette : bool (H, W)
        From :func:`brainseg.images.crop.head_silhouette`.
    tumour : int (H, W)
        On how many slices a pixel is tumour.
    """

    silhouette: np.ndarray
    tumour: np.ndarray

    def box(self, margin_px: int = MARGIN_PX) -> Box:
        """The square box of all slices; it does not look at the tumour."""
        return square_box(self.silhouette, margin_px)

    def lost_px(self, margin_px: int = MARGIN_PX) -> int:
        """Tumour pixels of all slices outside the box."""
        box = self.box(margin_px)
        return int(self.tumour.sum() - self.tumour[box.top : box.bottom, box.left : box.right].sum())

    def spare_px(self, margin_px: int = MARGIN_PX) -> int:
        """How much tighter the box could be on every side without losing tumour; -1 where it loses some as it is.

        At most as many pixels as the frame is wide, which is the answer where there is no tumour or no head.
        """
        most = len(self.silhouette)
        return next((tighter - 1 for tighter in range(most + 1) if self.lost_px(margin_px - tighter)), most)


def find_heads(table: pd.DataFrame) -> dict[str, Head]:
    """The :class:`Head` of every patient of a cohort, by name."""
    heads = {}
    for patient in tqdm(table["patient"].unique(), desc="finding heads", leave=False):
        images, masks = read_patient(table, patient)
        heads[patient] = Head(head_silhouette(images), masks.sum(axis=0))
    return heads


def margin_sweep(heads: Mapping[str, Head], margins_px: Iterable[int]) -> pd.DataFrame:
    """Tumour pixels lost over all patients, ``lost_px``, and the mean share ``kept`` of the frame, by the margin."""
    return pd.DataFrame.from_dict(
        {
            margin: {
                "lost_px": sum(head.lost_px(margin) for head in heads.values()),
                "kept": np.mean([head.box(margin).area_px for head in heads.values()]) / FRAME_PX,
            }
            for margin in margins_px
        },
        orient="index",
    )


@dataclass(frozen=True)
class MarginFinding:
    """Whether the margin of the study keeps every tumour of a cohort in its box.

    Attributes
    ----------
    margin_px : int
    losing : mapping of patient to tumour pixels lost
        Of the patients who lose some.
    share : Interval
        Of patients who lose some.
    patients, tumour_px : int
    spare_px : int
        How much tighter all boxes could be without losing tumour; -1 where some is lost.
    closest : str
        The patient who would lose tumour first.
    without_head : int
        Patients in whom no head is found, and who stay whole.
    kept, kept_by_article : float
        Mean share of the frame over slices.
    """

    margin_px: int
    losing: Mapping[str, int]
    share: Interval
    patients: int
    tumour_px: int
    spare_px: int
    closest: str
    without_head: int
    kept: float
    kept_by_article: float

    def sentence(self) -> str:
        """What is lost, what is to spare, and the price, in Markdown."""
        lost = _who_loses(self.losing, self.patients, self.tumour_px, self.share)
        said = f"With the margin of {self.margin_px} px, {lost}. "
        if self.losing:
            said += (
                "**The margin is too narrow for this cohort**, and what is lost counts as missed in all chapters that "
                f"follow. It concerns {', '.join(self.losing)}. "
            )
        elif self.spare_px >= FRAME[0]:
            said += "No box that we tried would lose any. "
        else:
            said += (
                f"Nothing would be lost even with boxes that are **{self.spare_px} px tighter** on every side. A pixel "
                f"more, and {self.closest} would lose some. "
            )
        whole = f"Patients in whom no head is found stay whole: {self.without_head}. " if self.without_head else ""
        price = (
            "Safety has its price: the box must hold the largest slice of a head, and it must be square."
            if self.kept > self.kept_by_article
            else "The safer box is also the tighter one here."
        )
        return (
            f"{said}{whole}The box keeps {self.kept:.0%} of the frame on average, and the article's keeps "
            f"{self.kept_by_article:.0%}. {price}"
        )


def margin_finding(heads: Mapping[str, Head], boxes: pd.DataFrame, margin_px: int = MARGIN_PX) -> MarginFinding:
    """Check a margin on every patient of a cohort; `boxes` are the article's, from :func:`with_our_thresholds`."""
    losing = {patient: px for patient, head in heads.items() if (px := head.lost_px(margin_px))}
    spare = pd.Series({patient: head.spare_px(margin_px) for patient, head in heads.items()})
    return MarginFinding(
        margin_px=margin_px,
        losing=losing,
        share=share_interval(len(losing), len(heads)),
        patients=len(heads),
        tumour_px=int(sum(head.tumour.sum() for head in heads.values())),
        spare_px=int(spare.min()),
        closest=str(spare.idxmin()),
        without_head=sum(not head.silhouette.any() for head in heads.values()),
        kept=float(boxes["patient"].map(lambda patient: heads[patient].box(margin_px).area_px).mean() / FRAME_PX),
        kept_by_article=float(boxes["kept"].mean()),
    )


def answer(article: ArticleFindings, margin: MarginFinding) -> str:
    """Whether a crop can keep every tumour, ours and the article's, in a sentence: what the chapter finds."""
    counts = [len(loss.losing) for loss in article.by_canny]
    cut = (
        f"{_number(min(counts))} of them"
        if min(counts) == max(counts)
        else f"{_number(min(counts))} to {max(counts)} of them, depending on thresholds that it does not name"
    )
    return (
        f"One square box per patient, {margin.margin_px} pixels wider than the head on every side, cuts tumour off in "
        f"{_number(len(margin.losing))} of {margin.patients} patients and keeps {margin.kept:.0%} of the frame; the "
        f"article's box per slice keeps {margin.kept_by_article:.0%} and cuts tumour off in {cut}."
    )


# ---------------------------------------------------------------- there and back


def round_trip(mask: np.ndarray, box: Box, image_size: int) -> np.ndarray:
    """A mask, bool (H, W), after it was cropped, resized to the image size, put back, and cut at one half."""
    soft = crop_and_resize(mask, box, image_size) / np.float32(255)
    return restore(soft, box, mask.shape) >= THRESHOLD


def round_trip_dice(slices: pd.DataFrame, boxes: Mapping[str, Iterable[Box]], sizes: Iterable[int]) -> pd.DataFrame:
    """Dice of true masks with themselves after the :func:`round_trip`, each patient one volume, mean over patients.

    Parameters
    ----------
    slices : DataFrame
        Rows of the cohort's table, each with tumour.
    boxes : mapping
        For each way of cropping the boxes of these slices.
    sizes : iterable of int
        Image sizes in pixels.

    Returns
    -------
    DataFrame
        A row an image size, a column a way of cropping; NaN where there are no slices.
    """
    if slices.empty:
        return pd.DataFrame(np.nan, list(sizes), list(boxes))
    truths = np.stack([read_mask(path) for path in slices["mask_path"]])
    patients = slices["patient"].to_numpy()

    def mean_dice(boxes_of_slices: Iterable[Box], size: int) -> float:
        backs = [round_trip(truth, box, size) for truth, box in zip(truths, boxes_of_slices, strict=True)]
        volumes = pool(confusion(truths, np.stack(backs), axis=(1, 2)), by=patients)
        return float(dice(volumes, empty=np.nan).mean())

    return pd.DataFrame({way: {size: mean_dice(own, size) for size in sizes} for way, own in boxes.items()})


def round_trip_sentence(scores: pd.DataFrame, patients: int, image_size: int = 128) -> str:
    """What a perfect answer scores at an image size, in Markdown; `scores` are those of :func:`round_trip_dice`."""
    at = scores.loc[image_size]
    if at.isna().all():
        return "No slice with tumour went there and back, so there is no score."
    return (
        f"At {image_size} pixels a perfect answer, put back, scores a mean Dice of **{at['patient']:.3f}** in the "
        f"patient's box, {at['slice']:.3f} in the article's and {at['none']:.3f} in the whole frame ({patients} "
        f"patients). Our crop changes it by {at['patient'] - at['none']:+.4f}. A result close to these numbers would "
        "leave nothing to learn at this size."
    )


# ---------------------------------------------------------------- words


def _who_loses(losing: Mapping[str, int], patients: int, tumour_px: int, share: Interval) -> str:
    interval = f"95 % interval of the share: {share.low:.1%} to {share.high:.1%}"
    if not losing:
        return f"**none of {patients} patients loses any tumour** ({interval})"
    lose = "loses" if len(losing) == 1 else "lose"
    return (
        f"**{len(losing)} of {patients} patients {lose} tumour** ({interval}), {sum(losing.values()):,} of "
        f"{tumour_px:,} pixels"
    )


def _number(count: int) -> str:
    return str(count) if count else "none"


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} each time" if low == high else f"{low} to {high} patients"
