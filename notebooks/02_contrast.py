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
# # Contrast: from black to grey
#
# **Question.** Does CLAHE, the article's way to more contrast, show tumours better than histogram equalisation (HE), and better than doing nothing?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** bring nearly black slices back with {term}`histogram equalisation` and with {term}`CLAHE`, and then measure whether it helped.
# - **You will learn** what the two methods do to grey levels, and why "it looks better" is no measurement.
# - **You need** to know what a histogram is. No network is trained.
# - **It takes** about 25 minutes to read, and a minute or two to run.
# :::
#
# The article behind this study opens a slice that looks completely black. It tries two ways to enhance it, finds that
# CLAHE looks more natural than histogram equalisation (HE), and goes on with CLAHE. It judges by eye, from one slice. Here we look
# too. Then we ask the same question of every slice with tumour.
#
# The statistics below describe the whole {term}`cohort`, masks of later test patients included. In a run of this book, no network has been
# trained, selected or scored on test patients before {doc}`chapter 8 <08_compare>`.

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
from IPython.display import Markdown

from brainseg.cohort import FLAIR, index_cohort, read_image, read_mask, read_patient
from brainseg.data import get_cohort
from brainseg.experiments import contrast, exploration
from brainseg.figures import contrast as draw
from brainseg.figures import style
from brainseg.images.contrast import CONTRAST_NAMES, CONTRASTS, clahe, enhance, equalise
from brainseg.images.crop import head_silhouette
from brainseg.images.preprocess import normalise_brain
from brainseg.images.visibility import background_noise, contrast_to_noise, entropy_bits, ring_of_brain, separability

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
tumour = table[table["tumour_px"] > 0]
Markdown(exploration.counted(table))

# %% [markdown]
# ## The darkest slices
#
# We let the data choose. Every slice has a mean grey level on {term}`FLAIR`, from 0 (black) to 255 (white). The very
# darkest slices are often just air above the head. So we take the darkest ones among those **with tumour**: there, we know
# that something is to be seen. One slice per patient, so that one dark patient does not fill the row.

# %%
darkest = contrast.darkest_slices(table)
planes = [read_image(path)[..., FLAIR] for path in darkest["image_path"]]
columns = {
    "patient": "patient",
    "slice": "slice",
    "tumour_px": "tumour (pixels)",
    "mean_flair": "mean grey level of FLAIR",
}
darkest[list(columns)].rename(columns=columns).style.format(precision=1).hide(axis="index")

# %% mystnb={"figure": {"name": "fig-contrast-brightness", "caption": "Mean grey level of the FLAIR channel over all slices. Much of a slice is air, so even a normal slice has a low mean."}, "image": {"alt": "Histogram of mean grey levels with two vertical lines: the darkest slice with tumour, and the median of slices with tumour."}}
draw.brightness(
    table["mean_flair"].to_numpy(),
    {"darkest with tumour": darkest["mean_flair"].min(), "median with tumour": tumour["mean_flair"].median()}
    if len(tumour)
    else {},
)

# %% mystnb={"figure": {"name": "fig-contrast-darkest", "caption": "The darkest slices with tumour, one per patient, shown on the full scale from 0 to 255. Each title gives the mean and the 99.5th percentile of the grey levels."}, "image": {"alt": "Up to four slices in a row, from the darkest on."}}
draw.row_of_slices(planes, [f"mean {plane.mean():.1f}\n99.5 %: {np.percentile(plane, 99.5):.0f}" for plane in planes])

# %%
dark = planes[0]
print(
    "grey levels in use:",
    len(np.unique(dark)),
    "of 256; 99.5 % of the pixels are at or below",
    np.percentile(dark, 99.5),
)

# %% [markdown]
# What we want to see is in the file: the numbers differ. Where nearly all of them lie far down the scale, a screen hardly shows it.

# %% [markdown]
# ## Histogram equalisation, by hand
#
# The idea fits into four lines. Count how often each grey level occurs. Add the counts up from dark to bright. Stretch that
# sum to 0..255. Use it as a curve: old level in, new level out. Levels that many pixels use are pulled apart, and levels that few
# use are pushed together.
#
# In the code, `bincount` counts and `cumsum` adds up. The darkest level of the slice shall become 0, so its own count is taken off
# the sum. `curve[dark]` looks up the new level of each pixel.

# %%
counts = np.bincount(dark.ravel(), minlength=256)
darkest_level = np.flatnonzero(counts)[0]
cumulative = np.cumsum(counts) - counts[darkest_level]
curve = np.clip(np.rint(cumulative / cumulative[-1] * 255), 0, 255).astype(np.uint8)

by_hand = curve[dark]
difference = np.abs(by_hand.astype(int) - equalise(dark))
print("largest difference from OpenCV:", difference.max(), "grey levels")

# %% [markdown]
# Where many pixels of a slice are air, their noise fills the lowest levels, and HE spends its contrast **on air**.
#
# CLAHE {cite:p}`zuiderveld1994clahe` changes two things. First, it cuts the slice into tiles and makes one curve per tile, so that air and brain do not share
# one. Second, it **clips** the histogram: what stands above a limit is cut off and spread over all levels. A curve rises as fast as
# its histogram is high, so the clip limits how steep it can be, and with it how much noise is amplified. The following
# cell does the second step alone, for the whole slice.

# %%
limit = 2.0 * counts.sum() / 256  # twice the mean count of a level
excess = np.maximum(counts - limit, 0).sum()
clipped = np.minimum(counts, limit) + excess / 256
clipped_curve = np.cumsum(clipped) / counts.sum() * 255

# %% mystnb={"figure": {"name": "fig-contrast-curves", "caption": "How the darkest slice's grey levels are mapped: by equalisation, and with its histogram clipped at twice the mean. The steeper a curve, the stronger the contrast between neighbouring levels, and the louder the noise."}, "image": {"alt": "Three curves over a grey histogram: unchanged, equalised, and with the histogram clipped."}}
draw.grey_level_curves({"unchanged": np.arange(256), "HE": curve, "clipped, one tile": clipped_curve}, counts)

# %% [markdown]
# ## Side by side

# %% mystnb={"figure": {"name": "fig-contrast-histograms", "caption": "The darkest slice with tumour as it is, after HE and after CLAHE. Below: the share of pixels at each grey level (bars) and at or below it (line). The scale is one of square roots."}, "image": {"alt": "Three versions of one slice, as it is, after HE and after CLAHE, each above its histogram."}}
draw.with_histograms({treatment: enhance(dark, treatment) for treatment in CONTRASTS})

# %%
head = head_silhouette(read_patient(table, darkest["patient"].iloc[0])[0])
for treatment in CONTRASTS:
    plane = enhance(dark, treatment)
    noise, bits = background_noise(plane, head), entropy_bits(plane)
    print(f"{CONTRAST_NAMES[treatment]}: standard deviation in the air {noise:.1f}, entropy {bits:.1f} bits")

# %% [markdown]
# The first number says how loud the air is, the second how many bits the histogram holds. One curve for the whole slice cannot raise
# the entropy, because it can only merge levels. CLAHE can, because it uses another curve in each place. More bits are not more
# information: they come from the same pixels.

# %% [markdown]
# ## Two settings, and what they do
#
# CLAHE has a clip limit and a number of tiles. The article names neither. We take 2 and 8 × 8 throughout. To see what they do, we need
# two numbers for a picture: how well the tumour stands out, and how loud the air is.
#
# The first is the {term}`contrast-to-noise ratio` (CNR). It compares the tumour $t$ with a ring $r$ of brain around it:
#
# $$\mathrm{CNR} = \frac{|\mu_t - \mu_r|}{\sqrt{(\sigma_t^2 + \sigma_r^2)/2}}$$
#
# The name promises noise. What the ratio divides by is how much the grey levels vary within tumour and ring, by noise and by tissue.
#
# The ring is 10 pixels wide and leaves 2 pixels free next to the outline, because a hand-drawn outline is never exact. It
# stays 10 pixels inside the head, so that it holds no scalp ([chapter 8](08_compare) measures in the same ring). All of this is decided on the slice as it is, so that
# each treatment is measured on the same pixels.

# %%
example = darkest.iloc[0]
image, mask = read_image(example["image_path"]), read_mask(example["mask_path"])
ring = ring_of_brain(image, mask)

# %% mystnb={"figure": {"name": "fig-contrast-regions", "caption": "What the numbers compare, on the darkest slice with tumour (brightened for display): the tumour, the ring of brain around it, and the air outside the head."}, "image": {"alt": "A head in grey, and the same head with outlines of the tumour, of a ring around it, and of the head with a rim."}}
air = cv2.dilate(head.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))) == 0
draw.regions(image[..., FLAIR], mask, ring, air)

# %% mystnb={"figure": {"name": "fig-contrast-grid", "caption": "CLAHE of the darkest slice with tumour. Columns: clip limit. Rows: number of tiles. Above each: contrast-to-noise ratio of the tumour, and standard deviation in the air."}, "image": {"alt": "Grid of twelve versions of one slice: four clip limits from left to right, three numbers of tiles from top to bottom."}}
draw.clahe_grid(
    dark,
    [1, 2, 4, 16],
    [2, 8, 16],
    lambda plane: f"CNR {contrast_to_noise(plane, mask, ring):.2f}, air {background_noise(plane, head):.0f}",
)

# %% [markdown]
# ## Every slice with tumour
#
# One slice is an anecdote. We measure all of them, and add a third number. CNR has a weakness: bending the grey levels changes
# it, although no lesion becomes easier to find by that {cite:p}`rodriguez2020gcnr`. So we also ask: **how often is a random tumour pixel brighter than a
# random pixel of the ring?** This is the area under the {term}`ROC curve` {cite:p}`hanley1982`. It depends on the order of the grey levels alone. HE keeps the
# order, so HE cannot raise it, except by rounding.


# %%
measured = contrast.measure(table)
means = measured.groupby("treatment", sort=False)[list(contrast.MEASURES)].mean().astype(float)
means.rename(index=CONTRAST_NAMES, columns=contrast.MEASURES).rename_axis(None).style.format("{:.3f}", na_rep="-")

# %% [markdown]
# Slices of one patient are alike, so they are no independent witnesses. We average within each patient first. Then
# every patient counts once, and the {term}`bootstrap` draws patients.

# %%
found = contrast.findings(measured, seed=seed)
print(found.counted())

# %% mystnb={"figure": {"name": "fig-contrast-measures", "caption": "Each patient is a thin line; dots are means over patients with their 95 % bootstrap intervals. Left: contrast-to-noise ratio of the tumour, more is better. Middle: share of pairs in which the tumour pixel is the brighter one; 0.5 is chance. Right: standard deviation in the air, less is better."}, "image": {"alt": "Three panels of thin grey lines with three large dots each, for no treatment, HE and CLAHE."}}
draw.paired_measures(found.by_patient, found.intervals, contrast.MEASURES)

# %%
numbers = ["mean", "95 % interval from", "to"]
found.table().style.format("{:+.4f}", subset=numbers, na_rep="-")

# %% [markdown]
# ## The verdict
#
# The article's question is CLAHE against HE, by all three measures. The ratio alone would not do, because a curve can bend it. No curve can raise the
# chance that tumour outshines ring. Each of the three differences is judged by the study's {term}`one rule`: the data show it where its 95 % interval
# excludes zero and its p value, corrected for being one of three, is below 0.05. No margin was named beforehand, so nothing here is called {term}`equivalent`.
# In every other case, and always with fewer than ten patients, the data cannot tell.
# The six comparisons with doing nothing are secondary, and nothing is corrected for them: take one that barely passes as a hint.

# %%
Markdown(found.sentence())

# %% [markdown]
# The second point, CLAHE against doing nothing, matters for what follows. The article says that better contrast will greatly improve
# the networks. But a network does not look with our eyes. Its first layers multiply grey levels, add to them and cut them off, and training
# finds by how much, so a network can learn a curve of its own. What helps a person at a dark screen need not
# add anything that a network could use. Whether it does is a question for an experiment with trained networks, and no figure of this chapter answers it.
# By default, the networks of chapters 5 to 9 see slices without HE or CLAHE, scaled as the next section shows. The article's CLAHE
# is one parameter away: `contrast = "clahe"`.

# %% [markdown]
# ## What a network does need
#
# A patient at a mean of 5 and a patient at a mean of 40 are hard to serve with one network. This is a difference of **scale**, and
# a straight line repairs it. `normalise_brain` scales each channel of a whole volume so that black stays black and the median of the brain is
# the same grey level in every patient. A straight line leaves the contrast-to-noise ratio as it is, apart from rounding and clipping, and it
# treats all slices of a patient alike. The networks get their slices through it.

# %% mystnb={"figure": {"name": "fig-contrast-volume", "caption": "The darkest slices with tumour again, each after its own patient's volume was scaled by the median of the brain. Outlined: the tumour."}, "image": {"alt": "The same slices after the scaling, with the tumour outlined in blue."}}
scaled = []
for row in darkest.itertuples():
    images, _ = read_patient(table, row.patient)
    position = (table.loc[table["patient"] == row.patient, "slice"] < row.slice).sum()
    scaled.append(normalise_brain(images, head_silhouette(images))[position, ..., FLAIR])
draw.row_of_slices(
    scaled, [f"mean {plane.mean():.1f}" for plane in scaled], [read_mask(path) for path in darkest["mask_path"]]
)

# %% [markdown]
# A slice may stay dark here because it lies at the top of the head, and shows little head and much air. Then the scan was not dark.

# %% tags=["answer"]
Markdown(f"**Answer.** {found.answer()}")

# %% [markdown]
# ## Take-away
#
# - A slice that looks black may hold all it needs. The screen is the problem, not the file.
# - HE uses one curve for a slice, air included. CLAHE uses one curve per tile, and limits how steep it is.
# - Measure with more than one number, over patients, in pairs, with an interval. And compare with **doing nothing**.
# - Treat the channels one by one. They are sequences, not colours.
#
# ## Exercises
#
# **1. Predict.** Set the clip limit so high that it never cuts, and take one tile. What does CLAHE become? Check your answer on `dark`:
# `clahe` takes `clip_limit`, in multiples of a level's mean count, and `tiles`, how many along each side.

# %% tags=["solution", "hide-cell"]
# Plain histogram equalisation. CLAHE leaves the darkest level's own count in the sum, so its curve starts higher.
unclipped = clahe(dark, clip_limit=256, tiles=1)
print("correlation with HE:", np.corrcoef(unclipped.ravel(), equalise(dark).ravel())[0, 1].round(4))

# %% [markdown]
# **2. Compute.** Raise the grey levels to a power, which is called gamma correction. Complete the function. Then measure `dark` as it is and
# with a power of 0.5. Which of the three measures can change, and which cannot?


# %% tags=["solution", "hide-cell"]
def gamma_corrected(plane, power):
    """Grey levels raised to a power; black stays black, and white stays white.

    Parameters
    ----------
    plane : ndarray of uint8
    power : float
        Below 1 it brightens the dark levels, above 1 it darkens them.

    Returns
    -------
    ndarray of uint8, of the same shape
        Rounded to whole grey levels.
    """
    return np.rint(255 * (plane / 255) ** power).astype(np.uint8)


for name, plane in {"as it is": dark, "power 0.5": gamma_corrected(dark, 0.5)}.items():
    print(
        f"{name}: CNR {contrast_to_noise(plane, mask, ring):.3f}, "
        f"tumour brighter {separability(plane, mask, ring):.4f}, air {background_noise(plane, head):.2f}"
    )
# The power bends the curve: CNR and the noise change. It keeps the order, so the third stays, apart from rounding.

# %% tags=["check", "hide-cell"]
answer = gamma_corrected(np.array([[0, 64, 255]], np.uint8), 0.5)
assert answer is not None, (
    "The function returns nothing yet. Bring the levels to 0..1, raise them to the power, and go back to 0..255."
)
assert answer.dtype == np.uint8, f"Return whole grey levels, as uint8 and not {answer.dtype}. Round before you convert."
assert answer.tolist() == [[0, 128, 255]], (
    f"With a power of 0.5 the levels 0, 64, 255 become 0, 128, 255, and not {answer.tolist()[0]}: the root of 64/255 is 0.501, "
    "and 255 times that is 127.7. Divide by 255 before the power, multiply after it, and round."
)
answer = gamma_corrected(np.array([[0, 64, 255]], np.uint8), 2)
assert answer.tolist() == [[0, 16, 255]], (
    f"With a power of 2 the levels 0, 64, 255 become 0, 16, 255, and not {answer.tolist()[0]}. Use the power that is given."
)
print("Right.")

# %% [markdown]
# **3. Open.** Measure the T1 after contrast agent instead of FLAIR. Would a network that sees only this channel find the tumours?

# %% tags=["solution", "hide-cell"]
# Tumour may also be the darker one. So we count the side that wins in each slice: 50 % tells nothing, 100 % everything.
from brainseg.cohort import POST, SEQUENCES

chosen = tumour[~tumour["missing_post"]].sample(min(40, (~tumour["missing_post"]).sum()), random_state=seed)
for channel in (FLAIR, POST):
    values = []
    for row in chosen.itertuples():
        slice_image, slice_mask = read_image(row.image_path), read_mask(row.mask_path)
        values.append(separability(slice_image[..., channel], slice_mask, ring_of_brain(slice_image, slice_mask)))
    brighter = pd.Series(values, dtype=float)
    told = brighter.where(brighter > 0.5, 1 - brighter).mean()
    print(f"{SEQUENCES[channel]}:", "nothing to measure" if pd.isna(told) else f"told apart in {told:.0%} of pairs")
