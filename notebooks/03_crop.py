# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Cropping: keep the head, lose no tumour
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** find the head in a slice in five steps, cut it out, and put predictions back where they came from.
# - **You will learn** what edges, dilation and contours do, and how to check a cropping rule on a whole {term}`cohort`.
# - **You need** a little NumPy. No network is trained.
# - **It takes** about 25 minutes to read, and two minutes to run.
# :::
#
# Much of a slice is air. Cut away, it costs no computing, and the head can be shown larger at the same image size. But a crop is
# a promise: **no tumour outside the box**. This chapter builds the article's crop, tests the promise, and keeps it in a safer way.
#
# The promise is tested on the masks of the whole cohort, later test patients included. In a run of this book, no network has been trained, selected
# or scored on test patients before {doc}`chapter 8 <08_compare>`.

# %% tags=["install", "remove-cell"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("brainseg") is None:  # as in Colab
    repository = ""  # the project's address: whoever writes the .ipynb fills it in, where git knows it
    if not repository:
        raise ModuleNotFoundError(
            "The package brainseg is missing. In a copy of the project run: python -m pip install -e ., then restart the kernel."
        )
    package = f"brainseg @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    print("Installed. If a later cell fails, restart the kernel once: other versions may have been loaded already.")

# %% tags=["parameters"]
data = "phantom"  # "phantom", "kaggle", or a folder in Kaggle's layout
seed = 0
fold = 0  # the fold whose patients take no part in choosing the margin

# %%
import cv2
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from tqdm import tqdm

from brainseg.cohort import FLAIR, index_cohort, read_image, read_mask, read_patient
from brainseg.data import get_cohort
from brainseg.figures import crop as draw
from brainseg.figures import style
from brainseg.images.contrast import clahe
from brainseg.images.crop import (
    CANNY_THRESHOLDS,
    MARGIN_PX,
    Box,
    crop_and_resize,
    crop_stages,
    head_silhouette,
    restore,
    slice_box,
    square_box,
)
from brainseg.images.export import save_crops
from brainseg.paths import build_folder
from brainseg.splits import split_by_patient

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
patients = table["patient"].unique()
print(len(patients), "patients,", len(table), "slices,", (table["tumour_px"] > 0).sum(), "with tumour")

# %% [markdown]
# ## The five steps
#
# The article names them: load, {term}`CLAHE`, detect edges, dilate, find the contour and its extreme points. It gives no settings, so we choose:
# Canny's edges {cite:p}`canny1986` with thresholds 50 and 150 on the mean of the channels, one dilation by 3 × 3 pixels, and the
# contour that encloses the largest area.

# %%
example = table.loc[table["tumour_px"].idxmax()]
image = read_image(example["image_path"])  # 1  load

enhanced = clahe(image)  # 2  CLAHE
grey = enhanced.mean(axis=2).round().astype(np.uint8)
edges = cv2.Canny(grey, *CANNY_THRESHOLDS)  # 3  edges
dilated = cv2.dilate(edges, np.ones((3, 3), np.uint8))  # 4  dilate
contours, _ = cv2.findContours(  # 5  contours
    dilated, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
)
head = max(contours, key=cv2.contourArea)[:, 0]
left, top = head.min(axis=0)
right, bottom = head.max(axis=0) + 1  # half-open, like a slice of a list

print("rows", top, "to", bottom, "and columns", left, "to", right, "of", image.shape[:2])

# %% [markdown]
# `crop_stages` does the same and keeps every stage.

# %% mystnb={"figure": {"name": "fig-crop-steps", "caption": "The article's five steps on the slice with the largest tumour. The orange points are the contour's extreme points; the yellow box goes through them. The crop is drawn at the scale of the frame."}, "image": {"alt": "Six panels: the slice, the slice with more contrast, white edges on black, thicker edges, the slice with a blue contour and four orange points, and the cropped slice."}} tags=["hide-input"]
stages = crop_stages(image)
draw.five_steps(stages)

# %% [markdown]
# ## What dilation does
#
# The article dilates "to remove small regions of noises". Dilation removes nothing. It makes every white region larger by a pixel: specks grow, and **gaps close**. This is
# why it helps here. An edge with a gap encloses no area, and a contour of no area loses against any closed one. What removes
# specks is the opposite, erosion, or the choice of the largest contour in step 5.

# %%
drawing = np.zeros((24, 24), np.uint8)
cv2.circle(drawing, (12, 12), 8, 255, 1)
drawing[12, 18:23] = 0  # a gap in the edge
drawing[2, 2] = drawing[21, 3] = 255  # two specks of noise

grown = cv2.dilate(drawing, np.ones((3, 3), np.uint8))
for name, picture in {"edge": drawing, "dilated": grown}.items():
    found, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sizes = sorted((cv2.contourArea(one) for one in found), reverse=True)
    print(f"{name}: {len(found)} contours, areas {sizes}")

# %% mystnb={"figure": {"name": "fig-crop-dilation", "caption": "A drawn edge with a gap and two specks, before and after dilation by 3 × 3 pixels, and after erosion. The gap closes, the specks grow. Only erosion removes specks, and the thin edge with them."}, "image": {"alt": "Three pixel drawings: a ring with a gap and two dots, a thick closed ring with two larger dots, and an empty picture."}} tags=["hide-input"]
draw.dilation({"edge, gap, specks": drawing, "dilated": grown, "eroded": cv2.erode(drawing, np.ones((3, 3), np.uint8))})

# %% [markdown]
# ## The article's box on every slice
#
# One good picture proves little. Canny's thresholds are our choice, so we try others as well, and count for each: slices without any contour (they
# stay whole), the share of the frame that is kept, and the tumour pixels outside the box. **The box comes from the image alone.**
# A mask is known only for training, so a box that looks at it would be cheating.

# %%
CANNY_PAIRS = [(10, 250), (30, 150), CANNY_THRESHOLDS, (100, 200)]


def article_boxes(patient):
    """One row for each slice and pair of thresholds."""
    images, masks = read_patient(table, patient)
    rows = table.index[table["patient"] == patient]
    for row, image, mask in zip(rows, images, masks, strict=True):
        for canny in CANNY_PAIRS:
            stages = crop_stages(image, canny)
            box = stages.box
            inside = mask[box.top : box.bottom, box.left : box.right]
            yield {
                "row": row,
                "patient": patient,
                "canny": canny,
                **box._asdict(),
                "found": stages.found,
                "lost_px": int(mask.sum() - inside.sum()),
                "kept": box.area_px / mask.size,
            }


article = pd.DataFrame(
    [one for patient in tqdm(patients, desc="cropping", leave=False) for one in article_boxes(patient)]
)

# %% tags=["hide-input"]
by_canny = article.groupby("canny").agg(
    slices_without_contour=("found", lambda found: int((~found).sum())),
    mean_share_kept=("kept", "mean"),
    tumour_px_lost=("lost_px", "sum"),
    slices_with_loss=("lost_px", lambda lost: int((lost > 0).sum())),
)
shown = by_canny.rename(columns={"mean_share_kept": "mean share kept"}).rename_axis("thresholds of Canny").reset_index()
shown.columns = [column.replace("_", " ").replace("tumour px lost", "tumour pixels lost") for column in shown.columns]
display(shown.style.hide(axis="index").format({"mean share kept": "{:.1%}"}))
ours_for_article = by_canny.loc[[CANNY_THRESHOLDS]].iloc[0]
losing = by_canny[by_canny["tumour_px_lost"] > 0]
pixels = int(table["tumour_px"].sum())
display(
    Markdown(
        f"With our thresholds {CANNY_THRESHOLDS} the article's procedure loses **{int(ours_for_article['tumour_px_lost'])} of {pixels:,} tumour pixels**, "
        f"and {int(ours_for_article['slices_without_contour'])} slices have no contour. "
        + (
            f"{len(losing)} of the {len(by_canny)} pairs of thresholds lose tumour, in {int(losing['slices_with_loss'].min())} to {int(losing['slices_with_loss'].max())} slices. "
            "Whether the procedure is safe hangs on two numbers that the article does not give."
            if len(losing)
            else "None of the pairs loses any. On these slices the procedure is safer than it looks."
        )
    )
)

# %% mystnb={"figure": {"name": "fig-crop-worst", "caption": "The slices on which the article's box is at its worst, over all four pairs of thresholds: those that lose the most tumour, or, where none is left to lose, the tightest boxes around a slice with tumour. Lost tumour is filled in orange. The grey levels are stretched for display."}, "image": {"alt": "Up to six slices with a yellow box and the tumour outlined in blue; tumour outside the box is orange."}} tags=["hide-input"]
with_tumour = article[article["row"].map(table["tumour_px"]) > 0]
worst = with_tumour.sort_values(["lost_px", "kept"], ascending=[False, True]).drop_duplicates("row").head(6)


def for_display(path):
    flair = read_image(path)[..., FLAIR]
    return np.clip(flair / max(np.percentile(flair, 99.5), 1), 0, 1)


draw.worst_slices(
    [for_display(table.loc[row, "image_path"]) for row in worst["row"]],
    [read_mask(table.loc[row, "mask_path"]) for row in worst["row"]],
    [Box(*one) for one in worst[list(Box._fields)].to_numpy()],
    [f"Canny {one.canny[0]}, {one.canny[1]}\n{one.lost_px} px lost, {one.kept:.0%} kept" for one in worst.itertuples()],
)

# %% [markdown]
# ## One box per patient
#
# One box per slice has a second fault, which no count of lost pixels shows. Each slice is stretched by another factor, and in
# another shape, before the network sees it. The same lesion is small in one slice and large in the next.
#
# Our way takes **one square box for all slices of a patient**. The brightest value over slices and channels shows the whole
# head at once. A threshold {cite:p}`otsu1979` parts it from the air, the largest region is the head, and the box around it
# gets a {term}`margin`. A slice in which no head is found cannot shrink it, and a square keeps the shape when it is resized.

# %%
silhouettes, masks_of = {}, {}
for patient in tqdm(patients, desc="finding heads", leave=False):
    images, masks_of[patient] = read_patient(table, patient)
    silhouettes[patient] = head_silhouette(images)

ours = {patient: square_box(silhouette, MARGIN_PX) for patient, silhouette in silhouettes.items()}

# %% mystnb={"figure": {"name": "fig-crop-neighbours", "caption": "Neighbouring slices of the patient whose article box jumps most between two slices with tumour. Upper row: as they are. Middle: each in the article's box, resized to a square. Lower: all in one square box."}, "image": {"alt": "Three rows of the same slices: in the whole frame, each in its own box, and all in one square box."}} tags=["hide-input"]
default = article[article["canny"] == CANNY_THRESHOLDS].set_index("row")
span = default["bottom"] - default["top"]
within = (
    (default["patient"] == default["patient"].shift(-1))
    & default["found"]
    & default["found"].shift(-1, fill_value=False)
)
jump = (np.log(span.shift(-1) / span)).abs().where(within)
lesion = table["tumour_px"] > 0
with_lesion = jump[lesion & lesion.shift(-1, fill_value=False)]
jumpiest = int((with_lesion if with_lesion.notna().any() else jump).idxmax())
of_patient = table.index[table["patient"] == table.loc[jumpiest, "patient"]]
first = int(np.clip(jumpiest - 1, of_patient[0], max(of_patient[-1] - 3, of_patient[0])))
rows = [row for row in range(first, first + 4) if row in of_patient]
planes = [for_display(table.loc[row, "image_path"]).astype(np.float32) for row in rows]
draw.neighbours(
    planes,
    {
        "slice": [
            crop_and_resize(plane, Box(*default.loc[row, list(Box._fields)]), 128)
            for plane, row in zip(planes, rows, strict=True)
        ],
        "patient": [
            crop_and_resize(plane, ours[table.loc[row, "patient"]], 128)
            for plane, row in zip(planes, rows, strict=True)
        ],
    },
    [f"slice {table.loc[row, 'slice']}" for row in rows],
)

# %% tags=["hide-input"]
shape = (default["bottom"] - default["top"]) / (default["right"] - default["left"])
low, high = shape[default["found"]].quantile([0.05, 0.95])
display(
    Markdown(
        f"The article's boxes are not square: nine in ten are between {low:.2f} and {high:.2f} times as high as wide. From one slice to the next the box changes its height "
        f"by {np.expm1(jump.median()):.1%} in the median, and by more than 10 % in {np.mean(jump.dropna() > np.log(1.1)):.0%} of the steps."
    )
)

# %% [markdown]
# ## Choosing the margin
#
# How wide must the margin be? We try several, also negative ones that cut into the head, and count the lost tumour pixels on the **training patients** alone. The test
# patients of this fold have no say. Our rule asks for a reserve, because a new patient may be worse than all that we have seen: the smallest
# margin, 0 or more, for which a box that is tighter by 20 pixels on each side would still lose nothing.
#
# The package has a default, so that every chapter uses the same boxes. It was first chosen after looking at 88 patients of the real
# cohort, later test patients included. The box itself never uses a mask, so what could leak from a test patient is this one number.
# The next cells ask whether the rule, on the training patients of this run alone, agrees with it.

# %%
split = split_by_patient(table, fold=fold, seed=seed)
training = table.loc[split == "train", "patient"].unique()
RESERVE_PX = 20


def lost_px(patient, box):
    masks = masks_of[patient]
    return int(masks.sum() - masks[:, box.top : box.bottom, box.left : box.right].sum())


sweep_boxes = {
    margin: {patient: square_box(silhouettes[patient], margin) for patient in training} for margin in range(-40, 17, 4)
}
sweep = pd.DataFrame.from_dict(
    {
        margin: {
            "lost_px": sum(lost_px(patient, box) for patient, box in boxes.items()),
            "kept": np.mean([box.area_px for box in boxes.values()]) / image[..., 0].size,
        }
        for margin, boxes in sweep_boxes.items()
    },
    orient="index",
)
safe = [margin for margin in sweep.index if margin >= 0 and sweep.loc[margin - RESERVE_PX, "lost_px"] == 0]

# %% mystnb={"figure": {"name": "fig-crop-margin", "caption": "Tumour pixels lost on the training patients, and share of the frame kept, for one square box per patient with different margins."}, "image": {"alt": "Two curves over the margin in pixels: tumour pixels lost, and the share of the frame that is kept."}} tags=["hide-input"]
draw.margin_sweep(sweep, MARGIN_PX)

# %% tags=["hide-input"]
kept_ours = np.array([ours[patient].area_px for patient in table["patient"]]) / image[..., 0].size
lost_ours = pd.Series({patient: lost_px(patient, ours[patient]) for patient in patients})
no_head = [patient for patient, silhouette in silhouettes.items() if not silhouette.any()]
if not safe:
    against_rule = f"**Take care: the package's default of {MARGIN_PX} px is less than the rule asks for**, and the chapters that follow use the default."
elif safe[0] > MARGIN_PX:
    against_rule = (
        f"**Take care: the package's default of {MARGIN_PX} px is {safe[0] - MARGIN_PX} px less**, and the chapters that follow use the default. "
        "A new patient has a smaller reserve than the rule wants."
    )
elif safe[0] == MARGIN_PX:
    against_rule = "This is the package's default."
else:
    against_rule = f"The package's default of {MARGIN_PX} px is wider, and stays."
display(
    Markdown(
        f"On the {len(training)} training patients the rule asks for **{f'{safe[0]} px' if safe else 'more than was tried'}**. "
        + against_rule
        + f" With the default, on all {len(patients)} patients, "
        + (
            f"**{int(lost_ours.sum())} of {pixels:,} tumour pixels are lost**, on {int((lost_ours > 0).sum())} patients. "
            if lost_ours.sum()
            else f"**none of the {pixels:,} tumour pixels is lost**. "
        )
        + f"The box keeps {kept_ours.mean():.0%} of the frame on average; the article's box keeps {default['kept'].mean():.0%}. "
        + (
            f"No head is found in {len(no_head)} patients; they stay whole. "
            if len(no_head)
            else "A head is found in every patient. "
        )
        + (
            "Safety has its price: the box must hold the largest slice of a head, and it must be square."
            if kept_ours.mean() > default["kept"].mean()
            else "The safer box is also the tighter one here."
        )
    )
)

# %% mystnb={"figure": {"name": "fig-crop-kept", "caption": "Share of the frame that is kept, over all slices. Dashed: the mean. A bar at 100 % is what stays whole, or nearly."}, "image": {"alt": "Two histograms of the share kept, for the article's box per slice and for our box per patient."}} tags=["hide-input"]
draw.kept_shares({"slice": default["kept"].to_numpy(), "patient": kept_ours})

# %% [markdown]
# Tumour pixels outside a box can never be found by a network that sees only the box. So `restore` fills the outside with 0, and **every score in this study is
# computed in the original frame**: lost pixels count as missed.
#
# ## There and back
#
# A network sees a crop, resized to `image_size`. Its answer is resized back and put where it came from. Even a perfect network
# pays for this way. We send the true masks of up to 40 patients along it, cut them at 0.5, and compare each patient's volume with itself.

# %%
SIZES = [64, 96, 128, 192, 256]


def round_trip(mask, box, size):
    """A mask after the way there and back."""
    # Soft: 255 times the share of tumour in each pixel.
    small = crop_and_resize(mask, box, size)
    return restore(small / np.float32(255), box, mask.shape) >= 0.5


names = np.random.default_rng(seed).permutation(patients)[:40]
chosen = table[table["patient"].isin(names) & (table["tumour_px"] > 0)]
boxes = {
    "none": [Box.whole(image.shape[:2])] * len(chosen),
    "slice": [Box(*default.loc[row, list(Box._fields)]) for row in chosen.index],
    "patient": [ours[patient] for patient in chosen["patient"]],
}
truths = [read_mask(path) for path in chosen["mask_path"]]
scores = {}
for crop, of_crop in boxes.items():
    for size in SIZES:
        backs = [round_trip(truth, box, size) for truth, box in zip(truths, of_crop, strict=True)]
        counts = (
            pd.DataFrame(
                [
                    (2 * (truth & back).sum(), truth.sum() + back.sum())
                    for truth, back in zip(truths, backs, strict=True)
                ]
            )
            .groupby(chosen["patient"].to_numpy())
            .sum()
        )
        scores[crop, size] = (counts[0] / counts[1]).mean()
scores = pd.Series(scores).unstack(0)[list(boxes)]

# %% mystnb={"figure": {"name": "fig-crop-round-trip", "caption": "Dice of the true masks with themselves after they were cropped, resized to the image size, and put back: the mean over patients, each scored as one volume."}, "image": {"alt": "Three curves of Dice against image size, one for each way of cropping."}} tags=["hide-input"]
draw.round_trip(scores)

# %% tags=["hide-input"]
display(scores.rename(columns=draw.CROP_NAMES).rename_axis("image size").style.format("{:.4f}"))
gain = scores.loc[128, "patient"] - scores.loc[128, "none"]
display(
    Markdown(
        f"At 128 pixels a perfect answer, put back, scores a mean Dice of **{scores.loc[128, 'patient']:.3f}** in the patient's box, {scores.loc[128, 'slice']:.3f} in the article's "
        f"and {scores.loc[128, 'none']:.3f} in the whole frame ({chosen['patient'].nunique()} patients). Our crop {'gains' if gain > 0 else 'costs'} {abs(gain):.4f} against no crop. "
        "A result close to these numbers would leave nothing to learn at this size."
    )
)

# %% [markdown]
# ## Saving the crops
#
# The article writes the cropped images and masks to files. `save_crops` does this in Kaggle's layout, for a few patients here. Its `boxes.csv`
# says where each crop came from. The networks of this study do not read these files: they use `prepare`, which keeps the whole
# cohort as arrays.

# %%
folder = build_folder() / "crops" / table.attrs["fingerprint"]
boxes_csv = save_crops(root, folder, contrast="clahe", crop="slice", margin_px=0, patients=list(patients[:2]))
saved = pd.read_csv(boxes_csv)
print(f"{len(saved)} images and as many masks of {saved['patient'].nunique()} patients")
saved.head()

# %% [markdown]
# ## Take-away
#
# - A crop is a promise about every slice. Test it on every slice, and count what it loses.
# - Dilation closes gaps. It removes no noise.
# - One square box per patient keeps shape and scale, and one bad slice cannot shrink it.
# - Choose the margin on training patients, find the box from the image alone, and score in the original frame.
#
# ## Exercises
#
# **1. Compute.** How wide a margin would a box have needed? Complete the function. Then find out how wide it would have to be for the article's boxes in
# `default`, so that no slice of this cohort loses tumour.


# %% tags=["solution", "hide-cell"]
def needed_margin_px(mask, box):
    """How far a box must grow on every side so that the whole mask lies inside.

    Parameters
    ----------
    mask : ndarray, bool (height, width)
    box : Box
        Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` in pixels, half-open: row ``bottom`` and column
        ``right`` are outside.

    Returns
    -------
    int
        In pixels; 0 where the mask lies inside already, or is empty.
    """
    if not mask.any():
        return 0
    rows, columns = np.nonzero(mask)
    above, below = box.top - rows.min(), rows.max() + 1 - box.bottom
    before, behind = box.left - columns.min(), columns.max() + 1 - box.right
    return max(0, int(above), int(below), int(before), int(behind))


article_box = {row: Box(*default.loc[row, list(Box._fields)]) for row in table.index[table["tumour_px"] > 0]}
needed = [needed_margin_px(read_mask(table.loc[row, "mask_path"]), box) for row, box in article_box.items()]
print(f"A margin of {max(needed)} px; {np.mean(np.array(needed) > 0):.1%} of the slices with tumour need any.")

# %% tags=["check", "hide-cell"]
box, drawn = Box(4, 8, 4, 8), np.zeros((12, 12), bool)
assert needed_margin_px(drawn, box) == 0, (
    "An empty mask needs no margin: return 0, before you look for its first and last row."
)
drawn[4:8, 4:8] = True
assert needed_margin_px(drawn, box) == 0, "Rows 4 to 7 lie inside a box from 4 to 8: no margin is needed."
drawn[8, 5] = True
assert needed_margin_px(drawn, box) == 1, "A box from 4 to 8 ends with row 7. Tumour in row 8 needs one pixel more."
drawn[5, 1] = True
assert needed_margin_px(drawn, box) == 3, (
    "Tumour in column 1 lies three pixels before a box that starts at column 4. Take the worst of all four sides."
)
print("Right.")

# %% [markdown]
# **2. Try.** Leave the dilation out. On how many slices of one patient does the article's box change?

# %% tags=["solution", "hide-cell"]
# Steps 2, 3 and 5 without step 4.
images, _ = read_patient(table, example["patient"])
changed = 0
for one in images:
    grey = clahe(one).mean(axis=2).round().astype(np.uint8)
    found, _ = cv2.findContours(cv2.Canny(grey, *CANNY_THRESHOLDS), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    bare = cv2.boundingRect(max(found, key=cv2.contourArea)) if found else (0, 0, *one.shape[1::-1])
    box = slice_box(one)
    # Dilation adds one pixel on each side; more than that is another contour.
    changed += (
        max(abs(bare[0] - box.left), abs(bare[1] - box.top)) > 2
        or max(abs(bare[2] - box.width), abs(bare[3] - box.height)) > 4
    )
print(f"{changed} of {len(images)} boxes change by more than the dilation's own pixel")

# %% [markdown]
# **3. Predict.** Blank one slice of the patient with the smallest box, and add noise to another. What happens to the article's boxes, and to ours?

# %% tags=["solution", "hide-cell"]
# The blank slice has no contour and stays whole; in the noisy one, edges are everywhere. Compare how far the boxes move.
smallest = min(ours, key=lambda patient: ours[patient].area_px)
images, _ = read_patient(table, smallest)
middle = len(images) // 2
spoilt = images.copy()
spoilt[0] = 0
noise = np.random.default_rng(seed).normal(0, 15, images[middle].shape)
spoilt[middle] = np.clip(images[middle] + np.abs(noise), 0, 255).astype(np.uint8)
print("article, noisy slice:", tuple(slice_box(images[middle])), "->", tuple(slice_box(spoilt[middle])))
print("article, blank slice:", tuple(slice_box(images[0])), "->", tuple(slice_box(spoilt[0])))
print("ours:", tuple(square_box(head_silhouette(images))), "->", tuple(square_box(head_silhouette(spoilt))))

# %% [markdown]
# **4. Predict.** A network predicts 0.4 in every pixel of its 128 × 128 crop. What does `restore` give inside and outside the box? And the mask at 0.5?

# %% tags=["solution", "hide-cell"]
# 0.4 inside, 0 outside, and an empty mask.
flat = restore(np.full((128, 128), 0.4, np.float32), ours[patients[0]])
print("values:", np.unique(flat.round(3)), "pixels at 0.5 or more:", int((flat >= 0.5).sum()))
