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
import numpy as np
import pandas as pd
import tifffile
from IPython.display import Markdown, display

from brainseg.cohort import index_cohort, read_image, read_mask, read_patient_table
from brainseg.cohort.kaggle import PUBLISHED, count
from brainseg.data import get_cohort
from brainseg.figures import explore, style
from brainseg.paths import project_root

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
patients = table.groupby("patient")
synthetic = table["synthetic"].any()
tumour = table["tumour_px"] > 0

# %% [markdown]
# ## From two files to one row
#
# The data set is a folder of folders, one per patient. Each slice is two files: the image, and the mask that a person drew.
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
# date. This row is the unit of the whole study.

# %%
name = example["patient"]
row = {
    "patient": name,
    "institution": name.split("_")[1],
    "slice": int(example["slice"]),
    "tumour_px": int((mask == 255).sum()),
    "mean_flair": round(float(image[..., 1].mean()), 1),
}
row

# %% [markdown]
# `index_cohort` does the same for every file, and refuses a cohort with a damaged or lonely one.
# Its table has a few more columns than these:

# %%
table[list(row)].head().round(1)

# %% [markdown]
# ## Is everything here?
#
# The data set's page and the article give four numbers {cite:p}`kagglelgg`. We count the same four in the table.

# %% tags=["hide-input"]
here = count(table)
published = table["case"].str.startswith("TCGA_").all()  # else it is another cohort, simulated or the reader's own
comparison = pd.DataFrame({"here": here, "published": PUBLISHED})
if published:
    comparison["share"] = (comparison["here"] / comparison["published"]).map("{:.0%}".format)
display(comparison)

tumour_share = tumour.mean()
published_share = PUBLISHED["slices with tumour"] / PUBLISHED["slices"]
if synthetic:
    text = (
        f"These {here['patients']} patients are simulated. They are no part of the published data set, so the counts need not "
        f"agree. The balance should: **{tumour_share:.0%}** of the slices show tumour here, {published_share:.0%} in the published set."
    )
elif not published:
    text = (
        f"These {here['patients']} patients are not those of the published data set, so the counts need not agree. "
        f"**{tumour_share:.0%}** of the slices show tumour here, {published_share:.0%} in the published set. "
        "Every finding of this run is about the patients that are here."
    )
elif here == PUBLISHED:
    text = "All four numbers agree: **the data set is complete**."
else:
    text = (
        f"This folder holds **{here['patients']} of the {PUBLISHED['patients']} published patients**, and "
        f"{here['slices']} of {PUBLISHED['slices']} slices. {tumour_share:.1%} of the slices show tumour here, "
        f"{published_share:.1%} in the whole set: a difference of {100 * abs(tumour_share - published_share):.1f} percentage points. "
        "Every finding of this run is about the part that is here."
    )
display(Markdown(text))

# %% [markdown]
# ## What a slice looks like
#
# First a slice without tumour. It is drawn at random from the brighter half of such slices, because the darkest ones show
# nothing at all. They get {doc}`a chapter of their own <02_contrast>`.

# %% mystnb={"figure": {"name": "fig-explore-empty", "caption": "A slice without tumour. Left: the three channels shown as red, green and blue, as in the article. Middle: its mask. Right: the FLAIR channel alone, scaled so that its brightest half per cent is white."}, "image": {"alt": "Three panels: a head in false colours, its mask, and the same head in grey."}} tags=["hide-input"]
bright = table["mean_flair"] > table["mean_flair"].median()
choices = table[~tumour & bright]
if choices.empty:  # a reader's own cohort may have no such slice
    choices = table[table["tumour_px"] == table["tumour_px"].min()]
empty = choices.sample(1, random_state=seed).iloc[0]
explore.image_and_mask(read_image(empty["image_path"]), read_mask(empty["mask_path"]))

# %% [markdown]
# Now a slice with tumour, drawn from the larger half of the tumours.

# %% mystnb={"figure": {"name": "fig-explore-tumour", "caption": "A slice with tumour. Left: the three channels as colours. Middle: the mask. Right: FLAIR, its brightest half per cent in white, with the mask's outline along the edges of pixels."}, "image": {"alt": "Three panels: a head in false colours, a white patch on black, and the head in grey with a blue outline around the same region."}} tags=["hide-input"]
large = tumour & (table["tumour_px"] >= table.loc[tumour, "tumour_px"].median())
full = ~(table["missing_pre"] | table["missing_post"])
choices = table[large & full]
if choices.empty:  # no patient with all sequences has a large tumour
    choices = table[table["tumour_px"] == table["tumour_px"].max()]
shown = choices.sample(1, random_state=seed).iloc[0]
image, mask = read_image(shown["image_path"]), read_mask(shown["mask_path"])
explore.image_and_mask(image, mask)

# %% [markdown]
# The colours on the left are an accident of storing three sequences in one picture. Taken apart, they make sense.
# The masks were drawn on FLAIR {cite:p}`buda2019association`, so the difference should be plainest there.

# %% mystnb={"figure": {"name": "fig-explore-sequences", "caption": "The same slice, one sequence per panel, each scaled to its own brightest half per cent, with the mask's outline."}, "image": {"alt": "Three grey pictures of the same slice, with the same outline on each."}} tags=["hide-input"]
explore.three_sequences(image, mask)

# %% tags=["hide-input"]
rim = ~mask & (image.max(axis=-1) > 20)
brighter = image[mask].mean(axis=0) / image[rim].mean(axis=0)
words = [
    f"{ratio:.2f} on {sequence}"
    for ratio, sequence in zip(brighter, ("pre-contrast T1", "FLAIR", "post-contrast T1"), strict=True)
]
display(
    Markdown(
        "Mean brightness inside the outline, divided by that of everything else that is not dark, skull and scalp included: "
        + ", ".join(words)
        + "."
    )
)

# %% [markdown]
# ## How many slices show a tumour?
#
# The article's first statistic: slices without and with tumour.

# %% mystnb={"figure": {"name": "fig-explore-counts", "caption": "Slices without (0) and with tumour (1)."}, "image": {"alt": "Two horizontal bars with their counts and shares: slices without tumour above, slices with tumour below."}} tags=["hide-input"]
explore.tumour_counts(table)

# %% tags=["hide-input"]
pixel_share = table["tumour_px"].sum() / (len(table) * 256 * 256)
display(
    Markdown(
        f'A program that always answers "no tumour" is right on **{1 - tumour_share:.0%}** of the slices, and on '
        f"**{1 - pixel_share:.1%}** of the pixels: only {pixel_share:.1%} of all pixels are tumour. "
        "So the share of right pixels is a useless score here."
    )
)

# %% [markdown]
# {doc}`The chapter on metrics <04_metrics>` looks for better scores.
#
# ## How large are the tumours?
#
# The area of the tumour on a slice, in pixels: the files do not say how many millimetres a pixel is.

# %% mystnb={"figure": {"name": "fig-explore-areas", "caption": "Tumour area on the slices that have one. The scale is logarithmic: each gridline is ten times the one before."}, "image": {"alt": "Histogram of tumour areas on a logarithmic scale, with a line at the median."}} tags=["hide-input"]
explore.tumour_areas(table)

# %% tags=["hide-input"]
areas = table.loc[tumour, "tumour_px"]
small, median = areas.quantile(0.1), areas.median()
display(
    Markdown(
        f"Areas run from {areas.min()} to {areas.max()} pixels. The median is **{median:.0f} pixels**, as much as a disc of "
        f"{2 * np.sqrt(median / np.pi):.0f} pixels across, or {median / 65536:.1%} of the frame. A tenth of the tumour slices have "
        f"less than {small:.0f} pixels, a disc of {2 * np.sqrt(small / np.pi):.0f} pixels across. "
        "On those, a few wrong pixels along the edge cost a large part of the score."
    )
)

# %% [markdown]
# ## Where do tumours sit?
#
# A heat map answers for the frame: for each pixel, in how many patients does the tumour cover it on some slice?
# Beside it, the place along the stack of slices. Stacks differ in length, so each is cut into tenths.

# %% mystnb={"figure": {"name": "fig-explore-places", "caption": "Left: share of patients whose tumour covers a pixel on at least one slice, over the mean of every patient's middle slice. Right: share of slices with tumour, by their place in the stack."}, "image": {"alt": "Left, a head in grey under a coloured map with its scale. Right, ten horizontal bars, from the first tenth of the stack to the last."}} tags=["hide-input"]
share, head = explore.tumour_frequency(table)
explore.tumour_places(table, share, head)

# %% tags=["hide-input"]
place = (patients.cumcount() + 0.5) / patients["slice"].transform("size")
middle = place.between(0.25, 0.75)
display(
    Markdown(
        f"No pixel is tumour in more than **{share.max():.0%}** of the patients, and {(share > 0).mean():.0%} of the frame is "
        f"tumour in at least one. Of the slices in the middle half of a stack, {tumour[middle].mean():.0%} show tumour, "
        f"of the others {tumour[~middle].mean():.0%}. "
        "A network can learn such habits of place without looking at the tissue. That helps on average, and fails the patient who is different."
    )
)

# %% [markdown]
# ## Patients, not slices
#
# Slices come in stacks. Two neighbours in a stack show nearly the same tissue, so 40 slices of one head are far from 40
# independent examples. **The patient is the unit**, and patients bring very different numbers of slices.

# %% mystnb={"figure": {"name": "fig-explore-slices", "caption": "One bar per patient: the number of slices, and how many of them show tumour."}, "image": {"alt": "Stacked bars of increasing height, one per patient, each with a part for slices with tumour and a part for those without."}} tags=["hide-input"]
explore.slices_per_patient(table)

# %% tags=["hide-input"]
sizes = patients.size()
tumour_sizes = tumour.groupby(table["patient"]).sum()
without = (tumour_sizes == 0).sum()
display(
    Markdown(
        f"A patient has {sizes.min()} to {sizes.max()} slices (median {sizes.median():.0f}), of which {tumour_sizes.min()} to "
        f"{tumour_sizes.max()} with tumour. "
        + (
            f"{without} patients have none. "
            if without
            else "**Every patient has a tumour**, so nothing here can measure detection. "
        )
        + f"In a mean over slices, the largest patient weighs {sizes.max() / sizes.min():.1f} times the smallest."
    )
)

# %% [markdown]
# ## Institutions
#
# The second part of a patient's name is the code of the institution. Each has its own scanners and settings, and MRI has no
# fixed unit of brightness.

# %% mystnb={"figure": {"name": "fig-explore-institutions", "caption": "Left: patients per institution. Right: one dot per patient, the mean brightness of the FLAIR channel over all its slices."}, "image": {"alt": "Left, one bar per institution. Right, one row of dots per institution, spread by brightness."}} tags=["hide-input"]
explore.institutions(table)

# %% tags=["hide-input"]
brightness = patients["mean_flair"].mean()
largest = patients["institution"].first().value_counts(normalize=True)
display(
    Markdown(
        f"{len(largest)} institution{'s' if len(largest) > 1 else ''}, and the largest, {largest.index[0]}, gave "
        f"**{largest.iloc[0]:.0%}** of the patients. The brightest patient's FLAIR is {brightness.max() / brightness.min():.1f} times "
        "as bright as the darkest's. So a fixed threshold cannot find the tumour, and a network has to be told, or has to learn, "
        'what "bright" means for each patient.'
    )
)

# %% [markdown]
# ## Missing sequences
#
# The data set's README says that not every patient has all three sequences: all are there for 101 patients, the
# post-contrast T1 is missing for 9, the pre-contrast T1 for 6, and a missing channel is filled with a copy of FLAIR
# {cite:p}`kagglelgg`. It does not say which patients. The pixels do: where a channel equals FLAIR on every slice of a
# patient, it is a copy.

# %%
missing = patients[["missing_pre", "missing_post"]].first()
missing[missing.any(axis=1)]

# %% tags=["hide-input"]
found = {
    "all three sequences": int((~missing.any(axis=1)).sum()),
    "post-contrast T1 missing": int(missing["missing_post"].sum()),
    "pre-contrast T1 missing": int(missing["missing_pre"].sum()),
}
stated = {"all three sequences": 101, "post-contrast T1 missing": 9, "pre-contrast T1 missing": 6}
display(pd.DataFrame({"found in the pixels": found, "stated for the whole set": stated}))
both = int(missing.all(axis=1).sum())
if synthetic:
    text = "The README is about the real patients. In the simulated ones, some channels were replaced on purpose, so that the code meets the case."
elif not published:
    text = "The README is about other patients, so its numbers need not agree with these."
elif found == stated:
    text = "The pixels agree with the README."
elif here != PUBLISHED and all(found[key] <= stated[key] for key in found):
    text = "With a part of the patients, no count can be larger than the README's, and none is: the pixels do not contradict it."
else:
    text = "**The pixels disagree with the README.** Trust the pixels, and look at the patients above."
only_pre = found["pre-contrast T1 missing"] - both
text += (
    f" {both} patient{'s lack' if both != 1 else ' lacks'} both T1 sequences, {only_pre} only the one before contrast."
)
display(Markdown(text))

# %% mystnb={"figure": {"name": "fig-explore-missing", "caption": "The largest tumour slice of a patient with a missing sequence. The title of each panel says whether the channel is a copy."}, "image": {"alt": "Three grey pictures of one slice, each titled present or missing."}} tags=["hide-input"]
incomplete = table[~full] if (~full).any() else table
chosen = table.loc[incomplete["tumour_px"].idxmax()]
explore.three_sequences(
    read_image(chosen["image_path"]), read_mask(chosen["mask_path"]), chosen["missing_pre"], chosen["missing_post"]
)

# %% [markdown]
# ## The patient table and its gaps
#
# `data.csv` has one row per patient: genomic clusters, and facts such as age and grade. They are written as code numbers, and
# the data set's README has no key to them. A table of your own needs the column `Patient` alone. Nothing in this study trains on this table, but a reader should know what it can
# and cannot say.

# %% mystnb={"figure": {"name": "fig-explore-gaps", "caption": "Empty cells in each column of data.csv."}, "image": {"alt": "Horizontal bars, one per column of the table, with the number of empty cells."}} tags=["hide-input"]
patient_table = read_patient_table(root)
explore.table_gaps(patient_table)

# %% tags=["hide-input"]
cases = set(table["case"])
whole_rows = patient_table.notna().all(axis=1)
column = "age_at_initial_pathologic"
age = pd.to_numeric(patient_table[column], errors="coerce").dropna() if column in patient_table else []
display(
    Markdown(
        f"{len(patient_table)} rows. {int(whole_rows.sum())} have no gap. "
        f"{len(cases & set(patient_table.index))} of the {len(cases)} patients with slices have a row, and "
        f"{len(set(patient_table.index) - cases)} rows have no slices here. "
        + (
            f"Ages run from {age.min():.0f} to {age.max():.0f} years, median {age.median():.0f}."
            if len(age)
            else f"No age is given: the column `{column}` is missing or empty."
        )
    )
)

# %% [markdown]
# ## How close is the embedded cohort?
#
# The {term}`phantom` was set to resemble the real cohort by its images and masks ({term}`calibration of the phantom`).
# It resembles it more in some things than in others. The project keeps the statistics of both in
# `results/phantom_calibration.csv`; here are its shares and medians.


# %% tags=["hide-input"]
def readable(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


path = project_root() / "results" / "phantom_calibration.csv" if project_root() else None
if path is None or not path.is_file():
    display(Markdown("The table lies in the project's repository, which this run does not see."))
else:
    both_cohorts = pd.read_csv(path, index_col="measure").drop(index=["patients", "slices"], errors="ignore")
    both_cohorts.index = both_cohorts.index.str.replace(r"\ba (patient|slice)\b", r"per \1", regex=True)
    quantile = both_cohorts.index.str.extract(r", (\d+) %$", expand=False)
    central = both_cohorts[pd.isna(quantile) | (quantile == "50")]
    central.index = central.index.str.replace(", 50 %", ", median")
    display(central.style.format(readable))
    off = central[(central["phantom"] - central["real"]).abs() > 0.2 * central["real"].abs()]
    misses = {
        word: [f"{name} ({readable(row['phantom'])} against {readable(row['real'])})" for name, row in part.iterrows()]
        for word, part in (("lower", off[off["phantom"] < off["real"]]), ("higher", off[off["phantom"] > off["real"]]))
    }
    display(
        Markdown(
            f"{len(central) - len(off)} of the {len(central)} values lie within a fifth of the real one. "
            + " ".join(f"**The phantom is {word} in** {'; '.join(names)}." for word, names in misses.items() if names)
        )
    )
    faintest = both_cohorts[both_cohorts.index.str.startswith("brightest tenth") & (quantile == "0")].iloc[0]
    sentence = (
        f"How visible is the least visible tumour? Take the brightest tenth of its pixels on a smoothed FLAIR slice, and of a patient's slices the middle one. "
        f"In the real cohort it lies at least {faintest['real']:.1f} standard deviations above the surroundings, "
        f"in the phantom {faintest['phantom']:.1f}. "
    )
    if faintest["phantom"] < faintest["real"]:
        sentence += (
            "**So the faintest simulated tumour is fainter than any of the real ones, which a reader saw**, and a network has little to find it by. "
            "This was found after networks had been scored on the phantom. "
            "To mend it then would have been to raise a score by easing the test, so it stays, and such patients weigh on every mean over the phantom."
        )
    display(Markdown(sentence))

# %% [markdown]
# ## Take-away
#
# - A cohort is a table with one row per slice, and the patient is its unit.
# - The classes are unequal twice: most slices have no tumour, and most pixels of a tumour slice are none either.
# - Brightness has no unit. It differs between patients of one institution, and between institutions.
# - Some channels are copies. A network that is given three channels may in truth be given one.
# - Every patient of the real cohort has a {term}`glioma`, from one of a few hospitals. What we learn holds for such patients at most.

# %% [markdown]
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
    for one, other in zip(masks[:-1], masks[1:], strict=True):
        if one.any() or other.any():
            values.append(2 * (one & other).sum() / (one.sum() + other.sum()))
    return values


alike = []
for patient in sorted(table["patient"].unique())[::10]:
    alike += neighbour_dice([read_mask(path) for path in table.loc[table["patient"] == patient, "mask_path"]])
print(f"{len(alike)} pairs, mean Dice {np.mean(alike):.2f}, median {np.median(alike):.2f}")
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
sides.groupby("laterality")["column"].describe()[["count", "mean", "min", "max"]].round(0)

# %% [markdown]
# **5. Open.** A hospital asks for a program that says whether a scan shows a tumour at all. Can it be tested on this cohort?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Nearly all pixels are background. A program that never finds a tumour gets nearly all of them right.
#
# **5.** No. Every patient of the published cohort has a glioma, so nothing here shows what the program does with healthy people, or with
# other diseases. Slices without tumour are no substitute: they come from the same heads.
# :::
