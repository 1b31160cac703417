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
# # Shape as a number
#
# **Question.** Can the shape of a tumour be written as a number?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** turn a mask into three numbers, and try each on shapes of which you know the answer.
# - **You will learn** how to define a shape, and what a definition hangs on besides the tumour.
# - **You need** the chapters on [the slices](01_explore) and [the metrics](04_metrics).
# - **It takes** about 15 minutes to read, and less than a minute to run.
# :::
#
# The masks of the real data set were drawn for one question: does the shape of a tumour on {term}`FLAIR` tell its genomic subtype
# {cite:p}`buda2019association`? A Dice was a means to that end. This chapter and the next two ask the question itself. Here a shape becomes a number,
# [chapter 13](13_many_tests) tests many links at once, and [chapter 14](14_masks_in_use) asks whether predicted masks would find what drawn ones find.

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

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import ndimage

from brainseg.cohort import index_cohort, read_patient
from brainseg.data import get_cohort
from brainseg.experiments.shape_genomics import features, study
from brainseg.experiments.shape_genomics.analysis import MANUAL
from brainseg.experiments.shape_genomics.findings import shape_answer
from brainseg.figures import shape as figures
from brainseg.figures import style

style.use_theme()
table = index_cohort(get_cohort(data))

# %% [markdown]
# ## From an outline to distances
#
# The paper measures three things, each a number without a unit. Two of them look at the outline in one slice, the one with the most tumour.
# Both start from the distances between the tumour's centroid and the pixels of its outline. These are divided by their mean, so that
# size does not count. Here they are for a patient with a large tumour.

# %%
sizes = table.groupby("patient")["tumour_px"].sum().sort_values()
patient = sizes.index[-len(sizes) // 4]
images, mask = read_patient(table, patient)

part, parts = features.largest_part(mask)
number = features.largest_slice(part)
outline = features.radii(part[number])

rows, columns = (outline.points - outline.centre).T
distances = np.hypot(rows, columns)
distances = distances / distances.mean()
print(f"slice {number + 1}: an outline of {len(distances)} pixels, the nearest at {distances.min():.2f} of the mean")

# %% [markdown]
# **{term}`Angular standard deviation` (ASD).** Cut the outline into ten equal angles, as a cake. How much do the distances vary within a
# slice of cake? Average the ten standard deviations.

# %%
angles = np.arctan2(rows, columns)
cake = np.minimum((angles + np.pi) // (2 * np.pi / 10), 9)
asd = np.mean([distances[cake == piece].std() for piece in np.unique(cake)])

assert np.isclose(asd, features.angular_standard_deviation(outline))
print(f"ASD = {asd:.3f}")

# %% mystnb={"figure": {"name": "fig-shape-asd", "caption": "Angular standard deviation. Left: the outline in ten angles from the centroid. Right: the distance of each pixel of the outline, with mean and standard deviation in each angle."}, "image": {"alt": "Left, a slice with a tumour outline cut into ten coloured parts. Right, ten clusters of dots with a shaded band each."}}
figures.angular_bins(images[number], outline)

# %% [markdown]
# **{term}`Margin fluctuation` (MF).** Walk along the outline and write the distances down. Smooth them by a moving average
# over a tenth of the outline. What smoothing takes away is the fine raggedness, and MF is its standard deviation.

# %%
window = 2 * int(0.1 * len(distances) / 2) + 1  # an odd number of pixels
smooth = ndimage.uniform_filter1d(distances, window, mode="wrap")  # the outline is closed
mf = np.std(distances - smooth)

assert np.isclose(mf, features.margin_fluctuation(outline))
print(f"MF = {mf:.3f}, smoothed over {window} pixels")

# %% mystnb={"figure": {"name": "fig-shape-mf", "caption": "Margin fluctuation: the distances along the outline, their moving average, and the difference between them."}, "image": {"alt": "Left, a slice with the outline of a tumour. Right, a wavy line with a smoother one through it and the gap between them filled."}}
figures.margin_profile(images[number], outline)

# %% [markdown]
# ## Shapes of which we know the answer
#
# Do the two measure the same? {numref}`fig-shape-drawn` tries them on four shapes, which are drawn by a formula.


# %%
def draw(name, width=160):
    """One of four shapes, `width` pixels across, as a bool array."""
    y, x = np.meshgrid(*2 * [np.linspace(-1, 1, width)], indexing="ij")
    turn, reach = np.arctan2(y, x), np.hypot(y, x)
    return {
        "disc": reach < 0.7,
        "ellipse": (x / 0.9) ** 2 + (y / 0.45) ** 2 < 1,
        "soft star": reach < 0.62 * (1 + 0.3 * np.cos(5 * turn)),
        "ragged disc": reach < 0.7 * (1 + 0.09 * np.cos(29 * turn)),
    }[name]


def measure(drawing):
    """ASD and MF of a flat shape."""
    outline = features.radii(drawing)
    return {"asd": features.angular_standard_deviation(outline), "mf": features.margin_fluctuation(outline)}


drawn = {name: draw(name) for name in ("disc", "ellipse", "soft star", "ragged disc")}
measured = {name: measure(drawing) for name, drawing in drawn.items()}

# %% mystnb={"figure": {"name": "fig-shape-drawn", "caption": "Four drawn shapes and what their outlines measure."}, "image": {"alt": "A disc, an ellipse, a star with five soft arms, and a disc with a ragged rim, each with two numbers."}}
figures.silhouettes(drawn, measured)

# %%
asd_ratio, mf_ratio = (measured["ellipse"][name] / measured["ragged disc"][name] for name in ("asd", "mf"))
Markdown(
    f"The ellipse is smooth and not round. It has **{asd_ratio:.1f} times the ASD** of the ragged disc, and "
    f"**{mf_ratio:.1f} times its MF**. The disc has nearly none of either; what is left is the grid of pixels."
)

# %% [markdown]
# ## The whole volume
#
# **{term}`Bounding ellipsoid volume ratio` (BEVR).** The third number looks at all slices. Find the smallest {term}`ellipsoid` that
# holds the tumour. What share of it does the tumour fill? An ellipsoid fills all of it, a ragged or bent tumour only a part.

# %%
ellipsoid = features.enclosing_ellipsoid(features.corners(part))
bevr = part.sum() / ellipsoid.volume
print(f"{part.sum()} of {ellipsoid.volume:.0f} voxels: BEVR = {bevr:.3f}")

# %% mystnb={"figure": {"name": "fig-shape-bevr", "caption": "Slices through the tumour: the mask's outline, and the cut through the smallest ellipsoid that holds the whole tumour. It touches the mask in a few places only."}, "image": {"alt": "Six slices with the outline of a mask inside a larger ellipse."}}
figures.ellipsoid_slices(images, part, ellipsoid)

# %% [markdown]
# ## What else a shape hangs on
#
# **The spacing of slices.** The files do not say how far apart slices are. For BEVR that does not matter: pull the volume along the stack, and the smallest
# ellipsoid is pulled with it, so both volumes grow by the same factor.

# %%
stretched = np.repeat(part, 4, axis=0)  # four times as thick
print(f"as it is: {bevr:.6f}, stretched: {features.bounding_ellipsoid_volume_ratio(stretched):.6f}")

# %% [markdown]
# That holds for the *true* smallest ellipsoid, which we compute {cite:p}`khachiyan1996rounding,todd2007khachiyan`, and not for every shortcut:
# half-axes that are read off along the main directions of the tumour change with the spacing, because the directions do.
#
# **The number of slices.** It does not follow that thick slices are harmless. A tumour in three thick slices is a stack of three plates.
# {numref}`fig-shape-slices` cuts the same ball into more and more slices.


# %%
def ball(slices):
    """A ball 40 pixels across, cut into a number of slices."""
    z = ((np.arange(slices) + 0.5) / slices * 2 - 1)[:, None, None]
    y, x = np.mgrid[-25:26, -25:26] / 20.2
    return z**2 + y**2 + x**2 <= 1


cuts = [1, 2, 3, 5, 8, 12, 20, 40]
ratios = [features.bounding_ellipsoid_volume_ratio(ball(slices)) for slices in cuts]

# %% mystnb={"figure": {"name": "fig-shape-slices", "caption": "BEVR of the same ball, 40 pixels across, in a growing number of slices. With ever more slices and ever finer pixels it would reach 1."}, "image": {"alt": "A line that rises from left to right towards a dashed line at 1."}}
figures.ratio_by_slices(cuts, ratios)

# %% [markdown]
# **The size of a pixel.** A small tumour has few pixels, and a network answers on fewer than the frame has. {numref}`fig-shape-pixels` draws the four shapes on coarser and finer grids.
# A coarse grid puts steps on every outline, so a small tumour looks more ragged than it is. The disc should measure 0.

# %% mystnb={"figure": {"name": "fig-shape-pixels", "caption": "ASD and MF of the four shapes, against the number of pixels that the drawing is wide."}, "image": {"alt": "Two panels with four lines each. Most fall at the left, where there are few pixels, and run flat to the right."}}
widths = [20, 40, 80, 160, 320]
grids = [{"shape": name, "width": width, **measure(draw(name, width))} for name in drawn for width in widths]
figures.by_pixels(widths, pd.DataFrame(grids))

# %% [markdown]
# Two choices are ours. We take the corners of voxels rather than their centres, so that a tumour of one slice has
# a volume. Where a mask falls into parts, we measure the largest in 3D and count the others.
#
# ## Three numbers per patient
#
# Now all patients, by the masks that come with the data. A patient without a tumour would have no shape and would stay in the table as empty, because to drop it in
# silence would flatter whoever drew the masks.

# %%
shapes = features.features_table({MANUAL: study.manual(table)}).set_index("patient")
names = list(features.FEATURES)
in_parts = (shapes["components"] > 1).sum()
print(f"{len(shapes)} patients, {shapes['empty'].sum()} without tumour, {in_parts} with tumour in several parts")
spread = shapes[names].quantile([0, 0.25, 0.5, 0.75, 1]).rename(columns=str.upper)
spread.set_axis(["smallest", "a quarter below", "median", "a quarter above", "largest"]).style.format("{:.3f}")

# %% [markdown]
# If a number of shape were a number of size in disguise, any link that it has could be one of size. Do they go together? These are rank correlations.

# %%
ranked = shapes[[*names, "slices", "tumour_px"]].corr(method="spearman")
ranked = ranked.loc[names, ["slices", "tumour_px"]].rename(index=str.upper)
ranked.rename(columns={"slices": "slices with tumour", "tumour_px": "tumour size in pixels"}).style.format("{:+.2f}")

# %% tags=["answer"]
Markdown(f"**Answer.** {shape_answer(measured, ranked)}")

# %% [markdown]
# ## Take-away
#
# - A number of shape needs a definition that says what happens at the edges: parts, empty masks, one-slice tumours, pixels.
# - Try a definition on shapes of which you know the answer. Smooth and round are two things.
# - What does not change with the spacing of slices may still change with their number.
#
# ## Exercises
#
# **1. Recall.** Why are the distances divided by their mean, and why is the *smallest* ellipsoid taken?
#
# **2. Compute.** We measure the largest part of a tumour only. Complete the function that says how much is left out.


# %% tags=["solution", "hide-cell"]
def left_out(mask):
    """Share of a tumour's pixels that lie outside its largest part.

    Parameters
    ----------
    mask : bool array (height, width) or (slices, height, width)
        With tumour in it. `features.largest_part` finds the part.

    Returns
    -------
    float
        0 for a tumour in one piece.
    """
    part, _ = features.largest_part(mask)
    return 1 - part.sum() / mask.sum()


print(f"{left_out(mask):.1%} of this patient's tumour is not measured")

# %% tags=["check", "hide-cell"]
whole = np.ones((3, 3), bool)
assert left_out(whole) is not None, (
    "The function returns nothing yet. How many pixels has the mask, and how many its largest part?"
)
apart = np.zeros((3, 7), bool)
apart[:, :2] = apart[1, 5:] = True  # six pixels, and two apart from them
assert np.isclose(left_out(whole), 0), f"A tumour in one piece leaves nothing out, and not {left_out(whole):.2f}."
assert np.isclose(left_out(apart), 0.25), f"Two of eight pixels lie apart, so 0.25, and not {left_out(apart):.2f}."
print("Right.")

# %% [markdown]
# **3. Try.** Turn the large tumour's slice by 90 degrees and by 18. How much do ASD and MF change, and why at all?

# %% tags=["solution", "hide-cell"]
# A quarter turn maps pixels on pixels; the angles of ASD start elsewhere. Other turns draw the outline anew.
for degrees in (0, 90, 18):
    turned = measure(ndimage.rotate(part[number].astype(float), degrees, order=1) > 0.5)
    print(f"{degrees:2d} degrees: ASD {turned['asd']:.4f}, MF {turned['mf']:.4f}")

# %% [markdown]
# **4. Predict.** Smooth the mask by a small *opening*: erode it, then dilate it by as much, so that thin tips disappear. What happens to Dice, MF and BEVR?

# %% tags=["solution", "hide-cell"]
opened = np.stack([ndimage.binary_opening(one_slice, iterations=3) for one_slice in mask])
if opened.any():
    dice = 2 * (opened & mask).sum() / (opened.sum() + mask.sum())
    before, after = features.shape_features(mask), features.shape_features(opened)
    print(f"Dice {dice:.3f}", *(f"{name.upper()} {before[name]:.4f} to {after[name]:.4f}" for name in ("mf", "bevr")))

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Divided by their mean, the distances of a small and a large tumour of one shape are the same. An ellipsoid that is larger than it must be is filled less, so the ratio would say something about the ellipsoid and not about the tumour. There is only one smallest.
#
# **4.** Dice hardly moves, because few pixels go. The thin tips go with them, so MF falls. BEVR may go either way: the tumour loses pixels, and the ellipsoid loses the spikes that it had to reach.
# :::
