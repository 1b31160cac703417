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
# # Looking at the slices
#
# **Question.** What do the slices hold, and how unequal are the patients?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** turn a folder of files into one table, and ask that table what the cohort holds.
# - **You will learn** what a slice, a mask and a patient are, and which surprises to find before any training.
# - **You need** a little pandas. No network is trained.
# - **It takes** about 20 minutes to read, and less than a minute to run once the cohort is there.
# :::
#
# Every result in this study rests on the files below. So we look at them first: at all of them with a table, and at some
# of them with our eyes.

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
from itertools import pairwise

import numpy as np
import pandas as pd
import tifffile
from IPython.display import Markdown, display

from brainseg.cohort import SEQUENCES, index_cohort, read_image, read_mask, read_patient_table
from brainseg.data import get_cohort
from brainseg.experiments import exploration
from brainseg.figures import explore, style

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
patients = table.groupby("patient")
tumour = table["tumour_px"] > 0
Markdown(exploration.counted(table))

# %% [markdown]
# ## From two files to one row
#
# The data set is a folder of folders, one per patient. Each slice is two files: the image, and the mask that says where the tumour is.
# Here is one pair, opened with nothing but a TIFF reader.

# %%
example = table.loc[table["tumour_px"].idxmax()]
image = tifffile.imread(example["image_path"])
mask = tifffile.imread(example["mask_path"])

print("image:", image.shape, image.dtype, "from", image.min(), "to", image.max())
print("mask: ", mask.shape, mask.dtype, "values", np.unique(mask))

# %% [markdown]
# The image has three channels, but it is no photograph. The channels are three **sequences**, that is, three ways to
# measure the same head: {term}`T1` before a contrast agent was given, {term}`FLAIR`, and T1 after it.
# The mask is 255 on tumour and 0 elsewhere.
#
# From such a pair we keep a few facts. The folder's name adds some: its parts are project, institution, patient number and
# date. Everything that is counted later starts from such rows.
# `index_cohort` makes one for every slice, with a few more columns, and refuses a cohort with a damaged or lonely file.

# %%
name = example["patient"]
row = {
    "patient": name,
    "institution": name.split("_")[1],
    "slice": int(example["slice"]),
    "tumour_px": int((mask == 255).sum()),
    "mean_flair": round(float(image[..., 1].mean()), 1),
}
print(row)
table[list(row)].head().round(1)

# %% [markdown]
# ## Is everything here?
#
# The data set's page and the article give four numbers {cite:p}`kagglelgg`. We count the same four in the table.

# %%
cohort = exploration.completeness(table)
display(cohort.table())
Markdown(cohort.sentence())

# %% [markdown]
# ## What a slice looks like
#
# First a slice without tumour. It is drawn at random from the brighter half of such slices, because the darkest ones show
# nothing at all. They get {doc}`a chapter of their own <02_contrast>`.
# Then a slice with tumour, drawn from the larger half of the tumours.

# %% mystnb={"figure": {"name": "fig-explore-empty", "caption": "A slice without tumour. Left: the three channels shown as red, green and blue, as in the article. Middle: its mask. Right: the FLAIR channel alone, scaled so that its brightest half per cent is white."}, "image": {"alt": "Three panels: a head in false colours, its mask, and the same head in grey."}}
empty = exploration.slice_without_tumour(table, seed)
explore.image_and_mask(read_image(empty["image_path"]), read_mask(empty["mask_path"]))

# %% mystnb={"figure": {"name": "fig-explore-tumour", "caption": "A slice with tumour. Left: the three channels as colours. Middle: the mask. Right: FLAIR, its brightest half per cent in white, with the mask's outline along the edges of pixels."}, "image": {"alt": "Three panels: a head in false colours, a white patch on black, and the head in grey with a blue outline around the same region."}}
shown = exploration.slice_with_tumour(table, seed)
image, mask = read_image(shown["image_path"]), read_mask(shown["mask_path"])
explore.image_and_mask(image, mask)

# %% [markdown]
# The colours on the left are an accident of storing three sequences in one picture. Taken apart, they make sense.
# The masks of the real data set were drawn on FLAIR {cite:p}`buda2019association`, so the difference should be plainest there.
# To measure it, the table divides the mean brightness inside the outline by that of everything else that is not dark, skull and scalp included.

# %% mystnb={"figure": {"name": "fig-explore-sequences", "caption": "The same slice, one sequence per panel, each scaled to its own brightest half per cent, with the mask's outline."}, "image": {"alt": "Three grey pictures of the same slice, with the same outline on each."}}
explore.three_sequences(image, mask)

# %%
rest = ~mask & (image.max(axis=-1) > 20)
ratio = pd.DataFrame(image[mask]).mean() / pd.DataFrame(image[rest]).mean()
pd.DataFrame({"tumour / rest": ratio.to_numpy()}, index=SEQUENCES).style.format("{:.2f}", na_rep="-")

# %% [markdown]
# ## How many slices show a tumour, and how large is it?
#
# The article's first statistic counts slices without and with tumour ({numref}`fig-explore-counts`).
# {numref}`fig-explore-areas` shows the area of the tumour on a slice, in pixels: the files do not say how many millimetres a pixel is.

# %% mystnb={"figure": {"name": "fig-explore-counts", "caption": "Slices without (0) and with tumour (1)."}, "image": {"alt": "Two horizontal bars with their counts and shares: slices without tumour above, slices with tumour below."}}
explore.tumour_counts(table)

# %% mystnb={"figure": {"name": "fig-explore-areas", "caption": "Tumour area on the slices that have one. The scale is logarithmic: each gridline is ten times the one before."}, "image": {"alt": "Histogram of tumour areas on a logarithmic scale, with a line at the median."}}
explore.tumour_areas(table)

# %%
Markdown(exploration.imbalance_sentence(table))

# %% [markdown]
# {doc}`The chapter on metrics <04_metrics>` looks for better scores.
#
# ## Where do tumours sit?
#
# A heat map answers for the frame: for each pixel, in how many patients does the tumour cover it on some slice?
# Beside it, the place along the stack of slices. Stacks differ in length, so each is cut into tenths.

# %% mystnb={"figure": {"name": "fig-explore-places", "caption": "Left: share of patients whose tumour covers a pixel on at least one slice, over the mean of every patient's middle slice. Right: share of slices with tumour, by their place in the stack."}, "image": {"alt": "Left, a head in grey under a coloured map with its scale. Right, ten horizontal bars, from the first tenth of the stack to the last."}}
share, head = explore.tumour_frequency(table)
explore.tumour_places(table, share, head)

# %%
Markdown(exploration.places_sentence(table, share))

# %% [markdown]
# ## Patients, not slices
#
# Slices come in stacks. Two neighbours in a stack show nearly the same tissue, so 40 slices of one head are far from 40
# independent examples. **The patient is the unit**, and patients bring very different numbers of slices.
#
# They differ in brightness as well. The second part of a patient's name is the code of the institution. Each has its own scanners and settings, and MRI has
# no fixed unit of brightness ({numref}`fig-explore-institutions`).

# %% mystnb={"figure": {"name": "fig-explore-slices", "caption": "One bar per patient: the number of slices, and how many of them show tumour."}, "image": {"alt": "Stacked bars of increasing height, one per patient, each with a part for slices with tumour and a part for those without."}}
explore.slices_per_patient(table)

# %% mystnb={"figure": {"name": "fig-explore-institutions", "caption": "Left: patients per institution. Right: one dot per patient, the mean brightness of the FLAIR channel over all its slices."}, "image": {"alt": "Left, one bar per institution. Right, one row of dots per institution, spread by brightness."}}
explore.institutions(table)

# %%
Markdown(f"{exploration.stacks(table).sentence()}\n\n{exploration.institutions(table).sentence()}")

# %% [markdown]
# ## Missing sequences
#
# The data set's README says that not every patient has all three sequences: all are there for 101 patients, the
# post-contrast T1 is missing for 9, the pre-contrast T1 for 6, and a missing channel is filled with a copy of FLAIR
# {cite:p}`kagglelgg`. It does not say which patients. The pixels do: where a channel equals FLAIR on every slice of a
# patient, it is a copy.

# %%
missing = exploration.missing_sequences(table)
display(missing.patients, missing.table())
Markdown(missing.sentence())

# %% mystnb={"figure": {"name": "fig-explore-missing", "caption": "The largest tumour slice of a patient with a missing sequence. The title of each panel says whether the channel is a copy."}, "image": {"alt": "Three grey pictures of one slice, each titled present or missing."}}
copied = exploration.slice_with_a_copy(table)
explore.three_sequences(
    read_image(copied["image_path"]), read_mask(copied["mask_path"]), copied["missing_pre"], copied["missing_post"]
)

# %% [markdown]
# ## The patient table and its gaps
#
# `data.csv` has one row per patient: genomic clusters, and facts such as age and grade. They are written as code numbers, and
# the README of the real data set has no key to them. A table of your own needs the column `Patient` alone. Nothing in this study trains on this table, but a reader should know what it can
# and cannot say.

# %%
patient_table = read_patient_table(root)
Markdown(exploration.patient_table_sentence(patient_table, table))

# %% [markdown]
# ## How close is the embedded cohort?
#
# The {term}`phantom` was set to resemble the real cohort by its images and masks ({term}`calibration of the phantom`).
# It resembles it more in some things than in others. The project keeps its statistics beside those of 20 real patients in
# `results/phantom_calibration.csv`; here are its shares and medians.

# %%
resemblance = exploration.phantom_resemblance()
display(resemblance.central().style.format(exploration.readable))
Markdown(resemblance.sentence())

# %% tags=["answer"]
Markdown(f"**Answer.** {exploration.answer(table)}")

# %% [markdown]
# ## Take-away
#
# - A cohort is a table with one row per slice, but what counts as one observation is the patient.
# - The classes are unequal twice: most slices have no tumour, and most pixels of a tumour slice are none either.
# - Brightness has no unit. It differs between patients of one institution, and between institutions.
# - Some channels are copies. A network that is given three channels may in truth be given one.
# - Every patient of the real cohort has a {term}`glioma`, from one of a few institutions. What we learn holds for such patients at most.
#
# ## Exercises
#
# **1. Recall.** Why is the share of right pixels a useless score for this cohort?
#
# **2. Compute.** Which patient has the largest share of slices with tumour? Complete the function, and use it on `table`.
# Does the same patient have the largest single tumour area?


# %% tags=["solution", "hide-cell"]
def largest_share(table):
    """The patient with the largest share of slices with tumour.

    Parameters
    ----------
    table : DataFrame
        One row per slice, with the columns ``patient`` and ``tumour_px``.

    Returns
    -------
    str
        The patient's name.
    """
    return (table["tumour_px"] > 0).groupby(table["patient"]).mean().idxmax()


print("largest share:", largest_share(table))
print("largest area: ", patients["tumour_px"].max().idxmax())

# %% tags=["check", "hide-cell"]
slices_of_two = pd.DataFrame({"patient": list("aaaaabb"), "tumour_px": [9, 9, 9, 0, 0, 1, 1]})
answer = largest_share(slices_of_two)
assert answer is not None, (
    "The function returns nothing yet. Which slices show tumour? What is their share within each patient?"
)
assert answer == "b", (
    f"Patient b has tumour on 2 of 2 slices, a on 3 of 5, and you found {answer!r}. Take the share, not the count and not the area."
)
print("Right.")

# %% [markdown]
# **3. Compute.** Two neighbouring slices look alike. How alike are their masks? Complete the function, then use it on one patient
# in ten. What does the answer mean for a split by slice?


# %% tags=["solution", "hide-cell"]
def neighbour_dice(masks):
    """Dice of each slice's mask with the mask of the next slice: twice the overlap, divided by the sum of both areas.

    Parameters
    ----------
    masks : sequence of ndarray, bool
        The masks of one patient, in the order of the slices.

    Returns
    -------
    list of float
        One value for each pair of neighbours of which at least one shows tumour.
    """
    values = []
    for one, other in pairwise(masks):
        if one.any() or other.any():
            values.append(2 * (one & other).sum() / (one.sum() + other.sum()))
    return values


alike = []
for patient in sorted(table["patient"].unique())[::10]:
    alike += neighbour_dice([read_mask(path) for path in table.loc[table["patient"] == patient, "mask_path"]])
print(f"{len(alike)} pairs", f"mean Dice {np.mean(alike):.2f}, median {np.median(alike):.2f}" if alike else "")
# A split by slice puts such guesses at the test masks into the training set.

# %% tags=["check", "hide-cell"]
nothing, two, four = (np.arange(6) < size for size in (0, 2, 4))
answer = neighbour_dice([nothing, two, four, nothing, nothing])
assert answer is not None, (
    "The function returns nothing yet. Pair the first mask with the second, the second with the third, and so on."
)
assert len(answer) == 3, (
    f"Five masks make four pairs. The last shows no tumour at all, so three values are left, not {len(answer)}."
)
assert np.allclose(answer, [0, 4 / 6, 0]), (
    f"Masks of 2 and 4 pixels that share 2 have a Dice of 4/6. You have {answer[1]:.3f} there."
)
print("Right.")

# %% [markdown]
# **4. Try.** The `data.csv` of the data set has a column `laterality` with codes for the side of the tumour. Find out from the masks
# which code goes with which half of the picture.

# %% tags=["solution", "hide-cell"]
# The mean column of each patient's tumour, by code. Columns below 128 lie in the left half of the picture.
# Whether that is the patient's left depends on how the picture was turned when it was stored, and the files do not say.
columns = {}
for patient, slices in table[tumour].groupby("case"):
    covered = sum(read_mask(path).sum(axis=0) for path in slices["mask_path"])
    columns[patient] = (covered * np.arange(256)).sum() / covered.sum()
codes = patient_table.get("laterality", pd.Series(dtype=float))  # a table of your own may lack the column
sides = pd.DataFrame({"column": pd.Series(columns), "laterality": codes}).dropna()
sides.groupby("laterality")["column"].agg(["count", "mean", "min", "max"]).round(0)

# %% [markdown]
# **5. Open.** A hospital asks for a program that says whether a scan shows a tumour at all. Can it be tested on this cohort?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Nearly all pixels are background. A program that never finds a tumour gets nearly all of them right.
#
# **5.** No. Every patient of the published cohort has a glioma, so nothing here shows what the program does with healthy people, or with
# other diseases. Slices without tumour are no substitute: they come from the same heads.
# :::
