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
# # How good is a mask?
#
# **Question.** On what does a score depend, besides the mask?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** score the same masks in several ways, and watch the score change while the masks do not.
# - **You will learn** what Dice and IoU count, what a loss adds to them, and what the way of averaging hides.
# - **You need** nothing but the slices. No network is trained.
# - **It takes** about 20 minutes to read, and less than a minute to run.
# :::
#
# A network's mask is never quite the reader's mask. One number has to say how close it comes. This chapter shows that
# the number depends on a few decisions, which reports often leave out: what an empty slice scores, and what is averaged.
#
# The masks of some patients serve as examples, and some statistics use the whole cohort. No network is involved: the predictions of this chapter are made by hand.

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
fold = 0  # the fold whose patients are scored

# %%
import cv2
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import ndimage

from brainseg.cohort import FLAIR, FRAME, index_cohort, read_mask, read_patient
from brainseg.data import get_cohort
from brainseg.experiments import averaging, exploration
from brainseg.figures import metrics as draw
from brainseg.figures import style
from brainseg.metrics import (
    accuracy,
    confusion,
    dice,
    hd95_px,
    iou,
    nsd,
    pool,
    pool_batches,
    recall,
    smoothed_dice,
    specificity,
)

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
test, scored = averaging.patients_to_score(table, fold, seed)
Markdown(f"{exploration.counted(table)}\n\n{scored}")

# %% [markdown]
# ## Count the pixels
#
# Every pixel of a prediction is one of four things: tumour that was found (true positive, TP), a false alarm (FP), tumour
# that was missed (FN), or background left alone (TN). Two ratios sum them up:
#
# $$\mathrm{IoU} = \frac{TP}{TP + FP + FN}$$
#
# $$\mathrm{Dice} = \frac{2\,TP}{2\,TP + FP + FN}$$
#
# {term}`IoU` {cite:p}`jaccard1912` is the overlap's share of the union. {term}`Dice` {cite:p}`dice1945` is twice the overlap divided by
# the sum of both areas. Neither counts TN, so neither is flattered by a large background.


# %%
def drawn(rows):
    return np.array([[cell == "#" for cell in row] for row in rows.split()])


truth = drawn(".... .##. .##. ....")
predictions = {
    "one column off": drawn(".... ..## ..## ...."),
    "too large": drawn(".... .### .### .###"),
    "too small": drawn(".... .##. .... ...."),
}

for name, prediction in predictions.items():
    tp = np.sum(truth & prediction)
    fp = np.sum(~truth & prediction)
    fn = np.sum(truth & ~prediction)
    overlap_of_union = tp / (tp + fp + fn)
    twice_overlap_of_sum = 2 * tp / (2 * tp + fp + fn)
    print(f"{name:15} IoU {overlap_of_union:.3f}   Dice {twice_overlap_of_sum:.3f}")

# %% mystnb={"figure": {"name": "fig-metrics-cells", "caption": "Three predictions of one drawn tumour (thick border), with every pixel named."}, "image": {"alt": "Three four by four grids. Cells are marked TP, FP, FN or TN; below each grid stand the counts, IoU and Dice."}}
draw.counted_cells(truth, predictions)

# %% [markdown]
# ## One formula links the two
#
# Divide both parts of the Dice formula by the union $TP + FP + FN$, and IoU appears:
#
# $$\mathrm{Dice} = \frac{2\,\mathrm{IoU}}{1 + \mathrm{IoU}}$$
#
# $$\mathrm{IoU} = \frac{\mathrm{Dice}}{2 - \mathrm{Dice}}$$
#
# On one mask the two always agree about which prediction is better. Dice is the larger number, except at 0 and 1
# ({numref}`fig-metrics-curve`). A paper that reports IoU looks worse than one that reports Dice, with the same masks.
# The link holds mask by mask. It does not hold between a *mean* Dice and a *mean* IoU.

# %% mystnb={"figure": {"name": "fig-metrics-curve", "caption": "Dice over IoU, with the three drawn predictions."}, "image": {"alt": "A curve that runs above the diagonal from zero to one, with three marked points."}}
draw.dice_against_iou({name: iou(confusion(truth, p), empty=np.nan) for name, p in predictions.items()})

# %% [markdown]
# ## From the coefficient to a loss
#
# A network puts out probabilities, and training needs a {term}`gradient`. So the counts become sums of probabilities, and a
# constant $s$ is added above and below to keep the ratio defined. V-Net was trained with such a loss {cite:p}`milletari2016vnet`.
# The article names two forms of the {term}`loss`: $1 - d$, with a
# range of 0 to 1, and $-d$, with a range of -1 to 0.


# %%
def soft_dice(truth, probability, smooth=1.0):
    overlap = np.minimum(truth, probability).sum()  # the product, for a truth of 0 or 1
    total = truth.sum() + probability.sum()
    return (2 * overlap + smooth) / (total + smooth)


unsure = truth * 0.6 + 0.2
examples = {"perfect": truth * 1.0, "unsure": unsure, "inverted": 1.0 - truth}
for name, probability in examples.items():
    d = soft_dice(truth, probability)
    print(f"{name:10} d = {d:.3f}   1 - d = {1 - d:.3f}   -d = {-d:.3f}")


def slope(loss, step=1e-6):
    """How fast the loss changes with the probability of one pixel."""
    change = np.zeros((4, 4))
    change[1, 1] = step
    return (loss(unsure + change) - loss(unsure - change)) / (2 * step)


print(f"slope of 1 - d: {slope(lambda p: 1 - soft_dice(truth, p)):.6f}")
print(f"slope of -d:    {slope(lambda p: -soft_dice(truth, p)):.6f}")

# %% [markdown]
# The two forms differ by 1 and by nothing else. Their slopes are equal, so a network learns the same from both.
# This book trains with $1 - d$ plus cross-entropy, because a loss between 0 and 1 is easier to read next to another.
#
# ## What smoothing does to an empty mask
#
# On a slice without tumour, an empty prediction gives $0/0$, which has no value. With smoothing it gives $s/s = 1$. With $n$ false alarms it
# gives $s/(n + s)$. So $s$ alone decides what a false alarm costs on a slice without tumour.
# The same holds the other way round: a tumour of $n$ pixels that was missed altogether earns $s/(n + s)$, not 0.

# %% mystnb={"figure": {"name": "fig-metrics-smoothing", "caption": "Smoothed Dice where one of the two masks is empty. The line marks the area that one tumour slice in ten of this cohort does not exceed."}, "image": {"alt": "Curves that fall from one to zero over the number of wrong pixels, later for larger smoothing constants."}}
small_px = averaging.small_area_px(table)
draw.smoothing_on_empty((1, 100, 1000), marked_px=small_px)

# %%
Markdown(averaging.smoothing_sentence(small_px))

# %% [markdown]
# The scores that this book reports have no smoothing. In `brainseg.metrics` each ratio asks what 0/0 shall be, by `empty=`: NaN leaves the slice out, 1
# rewards the silence, 0 punishes it. There is no default, because there is no right answer for every question.
#
# ## The same predictions, scored in five ways
#
# Now the frames of this fold's patients. Four predictions are made from the truth, so we know what is wrong with each of them. The
# fifth looks at the image: Otsu's threshold {cite:p}`otsu1979` separates the head from the air, and once more the bright part
# of the head from the rest, on each patient's {term}`FLAIR` volume.

# %%
volumes = [read_patient(table, patient) for patient in test["patient"].unique()]
truth = np.concatenate([masks for _, masks in volumes])
patients = test["patient"].to_numpy()
areas = truth.sum((1, 2))


def otsu(values):
    return cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)[0]


def bright_on_flair(flair):
    head = flair > otsu(flair)
    return flair > otsu(flair[head])


# Left, right, up and down within a slice, never from slice to slice.
cross = ndimage.generate_binary_structure(2, 1)[None]


predictions = {
    "one pixel too large": ndimage.binary_dilation(truth, cross),
    "one pixel too small": ndimage.binary_erosion(truth, cross),
    "three pixels to the right": np.roll(truth, 3, axis=2),
    "areas below 300 px missed": truth & (areas[:, None, None] >= 300),
    "Otsu on FLAIR": np.concatenate([bright_on_flair(images[..., FLAIR]) for images, _ in volumes]),
}

# %%
has_tumour = areas > 0


def mean(values):
    """The mean of those that have a value; NaN where none has."""
    return pd.Series(values).mean()


rows = {}
for name, prediction in predictions.items():
    slices = confusion(truth, prediction, axis=(1, 2))  # TP, FP, FN, TN of each
    batches = pool_batches(slices, batch_size=16)
    volume = pool(slices, by=patients)
    rows[name] = {
        "mean of batches of 16, s = 1": mean(smoothed_dice(batches, smooth=1)),
        "mean of slices, empty = 1": mean(dice(slices, empty=1)),
        "mean of tumour slices": mean(dice(slices, empty=np.nan)[has_tumour]),
        "mean of volumes": mean(dice(volume, empty=np.nan)),
        "all pixels pooled": dice(pool(slices), empty=np.nan),
    }
scores = pd.DataFrame(rows).T
scores.style.format("{:.3f}", na_rep="-")

# %% mystnb={"figure": {"name": "fig-metrics-conventions", "caption": "Five predictions, each scored in five ways. Nothing changes along a row but the averaging."}, "image": {"alt": "One row per prediction, with five marks on a Dice axis."}}
draw.conventions(scores)

# %%
Markdown(averaging.conventions_sentence(scores, np.mean(~has_tumour)))

# %% [markdown]
# - **Per batch** is what Keras shows during training. It depends on the batch size and, when slices are shuffled, on chance.
#   The article does not say how its scores were averaged; a Keras metric is averaged in this way.
# - **Per slice** gives a sliver of tumour the weight of a large section. What the empty slices score decides the rest.
# - **Per {term}`volume`** asks the clinical question: how well was this patient's tumour found? This book reports it first.
# - **{term}`Pooled <pooled>`** lets the patients with large tumours decide.
#
# ## Trivial predictions that score high on the wrong metric
#
# A useful check of any metric is what it gives to a prediction that knows nothing {cite:p}`reinke2024pitfalls`. Here are
# three: no tumour anywhere, tumour everywhere, and Otsu. Beside IoU and Dice, three more ratios judge them. *Pixel accuracy* is the share of all pixels that are called rightly.
# {term}`Specificity <specificity>` is the share of the background that was left alone, and {term}`recall` the share of the tumour that was found:
#
# $$\mathrm{accuracy} = \frac{TP + TN}{TP + FP + FN + TN}$$
#
# $$\mathrm{specificity} = \frac{TN}{TN + FP}$$
#
# $$\mathrm{recall} = \frac{TP}{TP + FN}$$

# %%
trivial = {
    "nothing": np.zeros_like(truth),
    "everything": np.ones_like(truth),
    "Otsu on FLAIR": predictions["Otsu on FLAIR"],
}
fooled = {}
for name, prediction in trivial.items():
    slices = confusion(truth, prediction, axis=(1, 2))
    pooled, volume = pool(slices), pool(slices, by=patients)
    fooled[name] = {
        "pixel accuracy": accuracy(pooled),
        "specificity": specificity(pooled, empty=np.nan),
        "recall": recall(pooled, empty=np.nan),
        "slice IoU, empty = 1": mean(iou(slices, empty=1)),
        "Dice of volumes": mean(dice(volume, empty=np.nan)),
    }
fooled = pd.DataFrame(fooled)

# %% mystnb={"figure": {"name": "fig-metrics-baselines", "caption": "Three predictions that know nothing about tumours, under five metrics. The last one is the score that this book reports first."}, "image": {"alt": "Three panels of horizontal bars, one panel per trivial prediction, one bar per metric, with numbers."}}
draw.baselines(fooled)

# %%
Markdown(averaging.baseline_sentence(fooled["nothing"]))

# %% [markdown]
# ## The price of one pixel
#
# Two readers rarely agree on the outermost pixel of a diffuse tumour: for this kind, a Dice of 0.84 between two readers
# is quoted {cite:p}`budacode`. What does one pixel cost? Take every tumour mask of the
# cohort, make it one pixel larger or smaller all around, and compare it with itself.

# %% mystnb={"figure": {"name": "fig-metrics-one-pixel", "caption": "Dice of every tumour mask of the cohort against itself, one pixel larger or smaller all around. The joined marks are medians of equal steps in area."}, "image": {"alt": "Two clouds of points, one for masks a pixel larger and one for masks a pixel smaller: Dice against the tumour's area, with the medians joined by lines."}}
tumour_rows = table[table["tumour_px"] > 0]
masks = np.array([read_mask(path) for path in tumour_rows["mask_path"]], bool).reshape(-1, *FRAME)
one_off = {
    "one pixel larger": confusion(masks, ndimage.binary_dilation(masks, cross), axis=(1, 2)),
    "one pixel smaller": confusion(masks, ndimage.binary_erosion(masks, cross), axis=(1, 2)),
}
draw.one_pixel(
    tumour_rows["tumour_px"].to_numpy(), {name: dice(slices, empty=np.nan) for name, slices in one_off.items()}
)

# %%
volumes_of = {name: dice(pool(s, by=tumour_rows["patient"]), empty=np.nan) for name, s in one_off.items()}
larger = dice(one_off["one pixel larger"], empty=np.nan)
Markdown(averaging.one_pixel_sentence(volumes_of, larger, tumour_rows["tumour_px"].to_numpy()))

# %% [markdown]
# ## Dice is blind to where the error lies
#
# Dice counts wrong pixels and does not ask how far off they are. Two measures look at the borders {cite:p}`maierhein2024metrics`:
#
# - {term}`HD95`, the 95 % Hausdorff distance: 95 of 100 border pixels lie at most this far from the other border. Smaller is better.
# - {term}`NSD`, the normalised surface Dice: the share of both borders that lies within a tolerance of the other
#   {cite:p}`nikolov2021clinically`. Larger is better.
#
# Both are measured on tumour slices, in pixels of the frame: the data set gives no spacing. A missed tumour costs the
# frame's diagonal in HD95, and scores 0 in NSD. The tolerance of 2 pixels is our choice.

# %% mystnb={"figure": {"name": "fig-metrics-same-dice", "caption": "Two predictions with the same number of false alarms, so with the same Dice. Their borders tell them apart."}, "image": {"alt": "The same FLAIR slice twice: on the left the prediction hugs the tumour, on the right it has a second patch on the other side."}}
shown, mask = averaging.middling_tumour(truth)
image = np.concatenate([images for images, _ in volumes])[shown]
rim = ndimage.binary_dilation(mask, cross[0])

patch = averaging.patch_elsewhere(mask, area_px=np.sum(rim & ~mask))  # as many false alarms as the rim has
errors = {"a rim of one pixel": rim, "a patch elsewhere": mask | patch}
notes = {
    name: f"Dice {dice(confusion(mask, p), empty=np.nan):.3f}\n"
    f"HD95 {hd95_px(mask, p):.1f} px, NSD {nsd(mask, p, tolerance_px=2):.2f}"
    for name, p in errors.items()
}
draw.same_dice(image, mask, errors, notes)

# %% [markdown]
# ## How sure is a mean?
#
# A mean over a few patients would be another with other patients. The {term}`bootstrap` draws the patients again and again, with
# replacement, and reports the range that holds 95 % of the means {cite:p}`efron1993bootstrap`. It must draw *patients*:
# slices of one patient are alike, and to draw them one by one pretends to know more than we do. Here are both intervals of *Otsu on FLAIR*.

# %%
by_slice = dice(confusion(truth, predictions["Otsu on FLAIR"], axis=(1, 2)), empty=np.nan)
Markdown(averaging.unit_finding(by_slice[has_tumour], patients[has_tumour], seed).sentence())

# %% tags=["answer"]
Markdown(f"**Answer.** {averaging.answer(scores, fooled['nothing'])}")

# %% [markdown]
# ## Take-away
#
# - Dice and IoU say the same about one mask. Say which one you report.
# - `1 - Dice` and `-Dice` train the same network.
# - A score over all slices holds the share of empty slices. Say what an empty slice scores, or score volumes.
# - Smoothing belongs in the loss. It does not belong in the report.
# - Compare any score with that of a prediction that knows nothing, and with the price of one pixel.
# - Give the interval, over patients.
#
# ## Exercises
#
# **1. Recall.** Count TP, FP and FN of the two masks below by hand. Which IoU and which Dice follow?
#
#     truth   ##..      prediction   .##.
#             ##..                   .##.
#             ....                   ..#.
#             ....                   ....


# %% tags=["solution", "hide-cell"]
def counted_by_hand():
    """TP, FP and FN of the two drawings above.

    Returns
    -------
    tuple of three int
    """
    return 2, 3, 2


tp, fp, fn = counted_by_hand()
print(f"IoU {tp / (tp + fp + fn):.3f}, Dice {2 * tp / (2 * tp + fp + fn):.3f}")

# %% tags=["check", "hide-cell"]
answer = counted_by_hand()
assert answer is not None, "The function returns nothing yet. Return three whole numbers, such as 1, 0, 3."
upper_left = np.outer(np.arange(4) < 2, np.arange(4) < 2)
claimed = np.roll(upper_left, 1, axis=1)
claimed[2, 2] = True
counts = confusion(upper_left, claimed)
assert answer[0] == counts.tp, "TP: in how many cells do both drawings have a mark?"
assert answer[1] == counts.fp, "FP: in how many cells does only the prediction have a mark?"
assert answer[2] == counts.fn, "FN: in how many cells does only the truth have a mark?"
print("Right.")

# %% [markdown]
# **2. Compute.** One Dice per patient. Complete the function without `pool`, then score *Otsu on FLAIR*, and compare the mean with the table above.


# %% tags=["solution", "hide-cell"]
def volume_dice(truth, prediction, patients):
    """Dice of every patient, all slices of a patient taken as one volume.

    Parameters
    ----------
    truth, prediction : ndarray, bool (slices, height, width)
    patients : ndarray of str (slices,)
        The patient of each slice.

    Returns
    -------
    dict
        Patient -> Dice.
    """
    scores_of = {}
    for patient in sorted(set(patients)):
        mine = patients == patient
        both_areas = truth[mine].sum() + prediction[mine].sum()
        scores_of[patient] = 2 * (truth[mine] & prediction[mine]).sum() / both_areas
    return scores_of


of_otsu = volume_dice(truth, predictions["Otsu on FLAIR"], patients)
print(f"mean of volumes {np.mean(list(of_otsu.values())):.3f}")


# %% tags=["check", "hide-cell"]
def rows_of_ten(*sizes):
    return np.stack([[np.arange(10) < size] for size in sizes])


answer = volume_dice(rows_of_ten(8, 0, 2, 4), rows_of_ten(8, 0, 0, 2), np.array(["a", "b", "a", "b"]))
assert answer is not None, (
    "The function returns nothing yet. For each patient: count the overlap and the two areas over all of its slices."
)
assert set(answer) == {"a", "b"}, f"Two patients, a and b, make two values. You have {sorted(answer)}."
assert not np.isclose(answer["a"], 0.5), (
    "0.5 is the mean of the two slices of patient a. Add the pixels of the slices first, and divide once."
)
assert np.isclose(answer["a"], 16 / 18), (
    f"Patient a has 10 pixels of tumour, 8 of them found and none invented: 16/18, and not {answer['a']:.3f}."
)
assert np.isclose(answer["b"], 4 / 6), (
    f"Patient b has 4 pixels of tumour, 2 of them found, and an empty slice, which adds nothing: 4/6, and not {answer['b']:.3f}."
)
print("Right.")

# %% [markdown]
# **3. Try.** Score *nothing* in batches of 1, 4, 16 and 64 slices, smoothed with s = 1, first in the order of the patients and then
# shuffled. Which setting flatters it most, and why?

# %% tags=["solution", "hide-cell"]
order = np.random.default_rng(seed).permutation(len(truth))
for size in (1, 4, 16, 64):
    means = [
        smoothed_dice(pool_batches(confusion(t, np.zeros_like(t), axis=(1, 2)), size), smooth=1).mean()
        for t in (truth, truth[order])
    ]
    print(f"batches of {size:2}: in order {means[0]:.3f}, shuffled {means[1]:.3f}")
print("Batches of one flatter most, in any order: each slice without tumour scores 1.")
print(
    "In a larger batch one slice with tumour spoils that for all. In the order of the patients, whole batches can stay without any."
)

# %% [markdown]
# **4. Predict.** At which whole tolerance, in pixels, does the prediction that lies three pixels to the right reach a mean NSD of 1?
# Why is that less surprising than its Dice?

# %% tags=["solution", "hide-cell"]
shifted = predictions["three pixels to the right"]
for tolerance in range(5):
    near = [nsd(*pair, tolerance_px=tolerance) for pair in zip(truth[has_tumour], shifted[has_tumour], strict=True)]
    print(f"tolerance {tolerance} px:", f"mean NSD {np.mean(near):.3f}" if near else "no slice with tumour")
print("No border pixel is further than the shift from its own copy. Dice depends on the tumour's size as well.")
