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
# **Question.** Can a slice be cropped to the head without losing tumour?
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
# The promise is tested on the masks of the whole cohort. No network is involved, and no box looks at a mask.

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

# %%
import cv2
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg.cohort import index_cohort, read_image, read_mask, read_patient
from brainseg.data import get_cohort
from brainseg.experiments import cropping, exploration
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
)  # fmt: skip
from brainseg.images.export import save_crops
from brainseg.paths import build_folder

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
patients = table["patient"].unique()
Markdown(exploration.counted(table))

# %% [markdown]
# ## The five steps
#
# The article names them: load, {term}`CLAHE`, detect edges, dilate, find the contour and its extreme points. It gives no settings, so we choose:
# Canny's edges {cite:p}`canny1986` with thresholds 50 and 150 on the mean of the channels, one dilation by 3 × 3 pixels, and the
# contour that encloses the largest area.
#
# Canny marks a pixel as an **edge** where the grey level changes steeply: by more than the higher threshold, or by more than the lower
# one where the pixel touches an edge already. A **contour** is the closed line around a white region.

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

# %% mystnb={"figure": {"name": "fig-crop-steps", "caption": "The article's five steps on the slice with the largest tumour. The orange points are the contour's extreme points; the yellow box goes through them. The crop is drawn at the scale of the frame."}, "image": {"alt": "Six panels: the slice, the slice with more contrast, white edges on black, thicker edges, the slice with a blue contour and four orange points, and the cropped slice."}}
stages = crop_stages(image)  # does the same, and keeps every stage
draw.five_steps(stages)

# %%
Markdown(cropping.example_sentence(read_mask(example["mask_path"]), stages.box))

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

# %% mystnb={"figure": {"name": "fig-crop-dilation", "caption": "A drawn edge with a gap and two specks, before and after dilation by 3 × 3 pixels, and after erosion. The gap closes, the specks grow. Only erosion removes specks, and the thin edge with them."}, "image": {"alt": "Three pixel drawings: a ring with a gap and two dots, a thick closed ring with two larger dots, and an empty picture."}}
draw.dilation({"edge, gap, specks": drawing, "dilated": grown, "eroded": cv2.erode(drawing, np.ones((3, 3), np.uint8))})

# %% [markdown]
# ## The article's box on every slice
#
# One picture is not the cohort, whatever it shows. Canny's thresholds are our choice, so we try others as well, and look for tumour pixels outside the box on every slice.
# **The box comes from the image alone.** A mask is known only for training, so a box that looks at it would be cheating.
#
# The unit to count is the **patient**. Where the procedure fails on one slice of a head, it is likely to fail on the next,
# so ten bad slices may be one failure. For each pair of thresholds the table counts the patients and slices that lose tumour, the pixels lost, and the slices
# without a contour, which stay whole. The last column is the share of the frame that is kept.

# %%
article = cropping.article_boxes(table)
default = cropping.with_our_thresholds(article)  # 50 and 150, as in the five steps
found = cropping.article_findings(article)
display(found.table().style.hide(axis="index"))
Markdown(found.sentence())

# %% mystnb={"figure": {"name": "fig-crop-worst", "caption": "The slices on which the article's box is at its worst, over all four pairs of thresholds: those that lose the most tumour, or, where none is left to lose, the tightest boxes around a slice with tumour. Lost tumour is filled in orange. The grey levels are stretched for display."}, "image": {"alt": "Up to six slices with a yellow box and the tumour outlined in blue; tumour outside the box is orange."}}
draw.worst_slices(table, cropping.worst_slices(article))

# %% [markdown]
# ## One box per patient
#
# One box per slice has a second fault, which no count of lost pixels shows. Each slice is stretched by another factor, and in
# another shape, before the network sees it. The same lesion is small in one slice and large in the next.
#
# Our way takes **one square box for all slices of a patient**. The brightest value over slices and channels shows the whole
# head at once. A threshold {cite:p}`otsu1979` parts it from the air, the largest region is the head, and the box around it
# gets a {term}`margin`. A square keeps the shape when it is resized. Here are the steps for one patient, whose box has the median area.
#
# A black slice takes away no more of the head than it alone would have shown. A slice that is far brighter than the others is worse:
# it raises the threshold, and the box can shrink (exercise 3).

# %%
heads = cropping.find_heads(table)  # of all patients, by the same steps
ours = {patient: head.box() for patient, head in heads.items()}
typical = sorted(ours, key=lambda patient: ours[patient].area_px)[len(ours) // 2]

images, masks = read_patient(table, typical)
silhouette = head_silhouette(images)
box = square_box(silhouette, MARGIN_PX)
print("rows", box.top, "to", box.bottom, "and columns", box.left, "to", box.right, "for all", len(images), "slices")

# %%
stretch = cropping.stretch(default)
Markdown(stretch.sentence())

# %% mystnb={"figure": {"name": "fig-crop-neighbours", "caption": "Neighbouring slices of the patient whose article box jumps most between two slices with tumour. Upper row: as they are. Middle: each in the article's box, resized to a square. Lower: all in one square box."}, "image": {"alt": "Three rows of the same slices: in the whole frame, each in its own box, and all in one square box."}}
near = cropping.neighbours_of(table, example.name if stretch.jumpiest is None else stretch.jumpiest)
draw.neighbours(near, {"slice": list(default.loc[near.index, "box"]), "patient": [ours[p] for p in near["patient"]]})

# %% [markdown]
# ## Choosing the margin
#
# How wide must the margin be? The package has a default, so that every chapter uses the same boxes. It was chosen by looking at 88 patients of the real
# cohort, later test patients included. The box itself never uses a mask, so what could leak from a test patient is this one number.
#
# A number that was chosen by looking can still be checked. We try other margins, also negative ones that cut into the head, and count the tumour pixels
# that are lost. What matters is the distance between the default and the first loss, because a new patient may be worse than all that we have seen.

# %% mystnb={"figure": {"name": "fig-crop-margin", "caption": "Tumour pixels lost over all patients, and share of the frame kept, for one square box per patient with different margins."}, "image": {"alt": "Two curves over the margin in pixels: tumour pixels lost, and the share of the frame that is kept."}}
draw.margin_sweep(cropping.margin_sweep(heads, range(-40, 17, 4)), MARGIN_PX)

# %%
margin = cropping.margin_finding(heads, default)
Markdown(margin.sentence())

# %% mystnb={"figure": {"name": "fig-crop-kept", "caption": "Share of the frame that is kept, over all slices. Dashed: the mean. A bar at 100 % is what stays whole, or nearly."}, "image": {"alt": "Two histograms of the share kept, for the article's box per slice and for our box per patient."}}
kept_ours = np.array([ours[patient].area_px for patient in table["patient"]]) / image[..., 0].size
draw.kept_shares({"slice": default["kept"].to_numpy(), "patient": kept_ours})

# %% [markdown]
# Tumour pixels outside a box can never be found by a network that sees only the box. So **every score in this study is
# computed in the original frame**: lost pixels count as missed.
#
# ## There and back
#
# A network sees a crop, resized to `image_size`. `restore` resizes its answer back, puts it where it came from, and fills the outside with 0. Even a perfect network
# pays for this way. We send the true masks of up to 40 patients along it, cut them at 0.5, and compare each patient's volume with itself.


# %%
def there_and_back(mask, box, size):
    """A mask after it was cropped, resized, and put back."""
    small = crop_and_resize(mask, box, size)  # soft: 255 times the share of tumour in each pixel
    return restore(small / np.float32(255), box, mask.shape) >= 0.5


mask = read_mask(example["mask_path"])
back = there_and_back(mask, ours[example["patient"]], size=64)
print(f"at 64 pixels, {np.sum(mask != back)} pixels of a tumour of {mask.sum()} change sides")

# %%
some = np.random.default_rng(seed).permutation(patients)[:40]
slices = table[table["patient"].isin(some) & (table["tumour_px"] > 0)]
boxes = {
    "none": [Box.whole(mask.shape)] * len(slices),
    "slice": list(default.loc[slices.index, "box"]),
    "patient": [ours[patient] for patient in slices["patient"]],
}
scores = cropping.round_trip_dice(slices, boxes, sizes=[64, 96, 128, 192, 256])
scores.rename(columns=draw.CROP_NAMES).rename_axis("image size").style.format("{:.4f}", na_rep="-")

# %% mystnb={"figure": {"name": "fig-crop-round-trip", "caption": "Dice of the true masks with themselves after they were cropped, resized to the image size, and put back: the mean over patients, each scored as one volume."}, "image": {"alt": "Three curves of Dice against image size, one for each way of cropping."}}
draw.round_trip(scores)

# %%
Markdown(cropping.round_trip_sentence(scores, slices["patient"].nunique()))

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

# %% tags=["answer"]
Markdown(f"**Answer.** {cropping.answer(found, margin)}")

# %% [markdown]
# ## Take-away
#
# - A crop is a promise about every slice. Test it on every slice, and count what it loses.
# - Dilation closes gaps. It removes no noise.
# - One square box per patient keeps shape and scale. It rests on all slices, so it hardly moves for a dark one, and can shrink for one that is too bright.
# - Find the box from the image alone, say where its margin comes from, and score in the original frame.
# - Count patients. Many slices of one patient are one failure.
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


with_tumour = table[table["tumour_px"] > 0]
needed = [
    needed_margin_px(read_mask(path), box)
    for path, box in zip(with_tumour["mask_path"], default.loc[with_tumour.index, "box"], strict=True)
]
print(
    f"A margin of {max(needed, default=0)} px; {np.count_nonzero(needed)} of {len(needed)} slices with tumour need any."
)

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
for row, column in ((2, 5), (5, 9)):
    drawn = np.arange(12)[:, None] * 12 + np.arange(12) == row * 12 + column
    assert needed_margin_px(drawn, box) == 2, f"Tumour in row {row} and column {column} needs a margin of 2 pixels."
print("Right.")

# %% [markdown]
# **2. Try.** Leave the dilation out. On how many slices of one patient does a side of the article's box move by more than 2 pixels? Dilation itself
# moves each side by one.

# %% tags=["solution", "hide-cell"]
# Steps 2, 3 and 5 without step 4.
images, _ = read_patient(table, example["patient"])
changed = 0
for one in images:
    grey = clahe(one).mean(axis=2).round().astype(np.uint8)
    found, _ = cv2.findContours(cv2.Canny(grey, *CANNY_THRESHOLDS), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    left, top, width, height = cv2.boundingRect(max(found, key=cv2.contourArea)) if found else (0, 0, *one.shape[1::-1])
    bare, box = Box(top, top + height, left, left + width), slice_box(one)
    # Dilation moves each side by one pixel; much more than that is another contour.
    changed += max(abs(without - with_it) for without, with_it in zip(bare, box, strict=True)) > 2
print(f"on {changed} of {len(images)} slices a side moves by more than 2 pixels")

# %% [markdown]
# **3. Predict.** Blank one slice of the patient with the smallest box, and add noise to another. What happens to the article's boxes, and to ours?

# %% tags=["solution", "hide-cell"]
# The blank slice has no contour and stays whole; in the noisy one, edges are everywhere. The noise also makes that slice brighter
# than the others. The threshold of our box rises with it, and the box may lose some pixels. Compare how far the boxes move.
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
