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
# # What a random split by slice is worth
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** segment tumours without looking at an image, and compare pairs of networks that differ only in a leak.
# - **You will learn** how alike neighbouring slices are, and how to measure what a leak adds to a score.
# - **You need** [the metrics](04_metrics) and [the comparison](08_compare).
# - **It takes** about 15 minutes.
# :::

# %% tags=["install", "remove-cell"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("brainseg") is None:  # as in Colab
    repository = ""  # the project's address: whoever writes the .ipynb fills it in, where git knows it
    if not repository:
        raise ModuleNotFoundError(
            "The package brainseg is missing. In a copy of the project run: python -m pip install -e '.[networks]', then restart the kernel."
        )
    package = f"brainseg[networks] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    print("Installed. If a later cell fails, restart the kernel once: other versions may have been loaded already.")

# %% tags=["parameters"]
data = "phantom"  # "phantom", "kaggle", or a folder in Kaggle's layout
seed = 0  # of the splits; the networks have seeds 0, 1, ...
recompute = False  # True trains on real data too, instead of reading the kept tables
image_size = 64  # side of the prepared slices in pixels, a multiple of 32
contrast = "none"  # "none", "he", or "clahe" as in the article
crop = "patient"  # "none", "slice" or "patient"
fold = 0  # which of the five folds is the test set
filters = 8  # width of the first level
epochs = 6
slices_per_epoch = 320  # 0 takes every training slice once
seeds = 2  # networks in each arm

# %% tags=["hide-input"]
from math import comb

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg import metrics, statistics
from brainseg.cohort import index_cohort, read_image, read_mask
from brainseg.data import get_cohort
from brainseg.experiments import leakage
from brainseg.experiments.engine import get_tables
from brainseg.figures import leakage as figures
from brainseg.figures import style
from brainseg.results import of_which_cohort, read_record, read_table
from brainseg.splits import split_by_slice

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)

# %% [markdown]
# ## One head, many slices
#
# Split the slices of all patients at random, as the article does. Most test slices then have a neighbour of the same head among the training slices.
# So try the laziest method there is: for each test slice, **copy the mask of the nearest training slice of the same patient**.
# It looks at no image, and it has learnt nothing about tumours.

# %%
split = split_by_slice(table, fold=fold, seed=seed)
training, test = table[split == "train"], table[split == "test"]


def nearest(row):
    """The training slice of the same patient that is nearest to a test slice."""
    own = training[training["patient"] == row["patient"]]
    return own.loc[(own["slice"] - row["slice"]).abs().idxmin()]


largest = test.loc[test["tumour_px"].idxmax()]
source = nearest(largest)

# %% mystnb={"figure": {"name": "fig-leakage-copied", "caption": "Left: the training slice nearest to the test slice with the largest tumour, with its mask. Right: that test slice with the same outline and with the true one."}, "image": {"alt": "Two neighbouring slices of one head. The outline copied from the left one nearly covers the true outline on the right one."}} tags=["hide-input"]
masks = read_mask(source["mask_path"]), read_mask(largest["mask_path"])
copied_dice = float(metrics.dice(metrics.confusion(masks[1], masks[0]), empty=np.nan))
figures.copied(read_image(source["image_path"]), masks[0], read_image(largest["image_path"]), masks[1], copied_dice)

# %% [markdown]
# {numref}`fig-leakage-copied` shows one copy. Now all test slices, scored like a network: in the original {term}`frame`, tumour slices alone, and the test slices of a patient together as one {term}`volume`.

# %%
copies = leakage.score_copies(table, np.flatnonzero(split == "train"), np.flatnonzero(split == "test"))
per_patient = leakage.score_probes(copies.assign(arm="copy", seed=0))

# %% tags=["hide-input"]
by_gap = copies.groupby("distance").agg(
    slices=("dice", "size"), tumour_slices=("dice", "count"), mean_dice=("dice", "mean")
)
by_gap["share of the test slices"] = by_gap["slices"] / len(copies)
shown = by_gap.rename(columns=lambda c: c.replace("_", " ")).rename_axis("distance to the source")
display(
    shown.rename(columns={"mean dice": "mean Dice"}).style.format(
        {"mean Dice": "{:.2f}", "share of the test slices": "{:.0%}"}, na_rep="-"
    )
)
volumes = per_patient["volume_dice"].dropna()
display(
    Markdown(
        f"In this split, **{(copies['distance'] == 1).mean():.0%}** of the test slices have a direct neighbour in training. "
        f"The copy reaches a mean Dice of **{copies['dice'].mean():.2f}** on tumour slices, and **{volumes.mean():.2f}** "
        f"per volume (median {volumes.median():.2f}, {len(volumes)} patients). A split by patient leaves it nothing to copy, "
        "so there it would score 0."
    )
)

# %% [markdown]
# ## How far does a mask carry?
#
# {numref}`fig-leakage-copies` asks the same of every tumour slice of the cohort: how well does the mask fit that lies one slice away, two slices away, and so on?

# %% mystnb={"figure": {"name": "fig-leakage-copies", "caption": "Dice of a mask copied from another slice of the same patient, against the distance between the two slices."}, "image": {"alt": "Faint lines for patients and a bold mean line, which starts at distance one and falls with every further slice."}} tags=["hide-input"]
by_slices_away = leakage.copies_by_distance(table)
figures.copies(by_slices_away)

# %% tags=["hide-input"]
means = by_slices_away.groupby("distance")["dice"].mean()
below = means.index[means < means.iloc[0] / 2]
display(
    Markdown(
        f"One slice away a copied mask fits with a Dice of {means.iloc[0]:.2f}. "
        + (
            f"From a distance of {below[0]} slices on, it is less than half of that."
            if len(below)
            else f"Even {means.index[-1]} slices away it is at least half of that."
        )
    )
)

# %% [markdown]
# ## One difference, and nothing else
#
# A network is no copying machine. Does it use the leak? Comparing a split by slice with a split by patient does not tell: the two have other test slices, and other training sets.
# So we keep all of that equal and change one thing.
#
# - **Test slices:** one fixed set. Its patients are the test patients of a split by patient. We call them probes.
# - **Leaky arm:** trains on other patients *and on the other slices of the probes*.
# - **Honest arm:** trains on the same other patients. In the place of the leaked slices it gets as many slices, with and without tumour, of as many patients that the leaky arm never sees.
# - **The same in both:** number of slices and steps, validation patients, recipe, seeds, scoring.
#
# The distance from a test slice $s$ to the leak is the distance to the nearest leaked slice of the same patient,
#
# $$d(s) = \min_{t\,\text{leaked}} |s - t|,$$
#
# and a network that remembers patients should gain most where $d$ is 1.
# Test slices drawn one by one would nearly all have $d = 1$. So each probe's volume is cut into alternating blocks of 1, 3, 5 or 9 slices, tested and leaked in turn: the middle of a long block is far from the leak.

# %%
kept = not recompute and get_tables("leakage", table)
if kept:
    record = read_record("leakage")
    tables = {name: read_table("leakage", name) for name in ("design", "slices", "patients")}
else:
    tables, record = leakage.compute(
        root, image_size=image_size, contrast=contrast, crop=crop, filters=filters,
        epochs=epochs, slices_per_epoch=slices_per_epoch, seeds=seeds, fold=fold, seed=seed,
    )  # fmt: skip
roles, slices, patients = tables["design"], tables["slices"], tables["patients"]

# %% tags=["hide-input"]
used, cohort = record["settings"], record["cohort"]
display(
    Markdown(
        f"These tables come from {cohort['patients']} {'synthetic' if cohort['synthetic'] else 'real'} patients with "
        f"{cohort['slices']} slices: U-Net with {used['filters']} filters at "
        f"{used['image_size']} pixels, epochs: {used['epochs']} with {used['slices_per_epoch'] or 'all'} slices each, "
        f"{used['seeds']} seed{'s' if used['seeds'] > 1 else ''} in each arm, {len(record['runs'])} trainings, "
        f"{record['seconds'] / 60:.1f} minutes on {record['processor']}."
        + (" They were **read** from `results/leakage`; the settings of the page were not used." if kept else "")
        + of_which_cohort(record, table)
    )
)

# %% mystnb={"figure": {"name": "fig-leakage-blocks", "caption": "The volumes of up to eight probe patients, slice by slice: tested in both arms, or training the leaky arm. The honest arm sees none of them."}, "image": {"alt": "Horizontal strips of coloured cells, one strip a patient. Blocks of one, three, five or nine cells of two colours alternate. Slices with tumour are in full colour."}} tags=["hide-input"]
figures.blocks(roles)

# %% [markdown]
# {numref}`fig-leakage-blocks` shows the blocks, and the next table what each arm trains on.

# %% tags=["hide-input"]
display(leakage.arm_sizes(roles))
tested = roles[roles["role"] == "test"]
display(
    Markdown(
        f"The test: {len(tested)} slices of {tested['patient'].nunique()} probe patients, "
        f"{(tested['tumour_px'] > 0).sum()} of them with tumour. "
        f"{(tested['distance'] == 1).mean():.0%} of them lie next to a leaked slice, and the farthest is "
        f"{tested['distance'].max():.0f} slices away."
    )
)

# %% [markdown]
# ## What the leak is worth
#
# The score to decide by is named beforehand: the mean Dice of a patient's tumour slices.
# Seeds are averaged first, then each patient is compared with itself ({numref}`fig-leakage-arms`).

# %% mystnb={"figure": {"name": "fig-leakage-arms", "caption": "Mean Dice on the same test slices with tumour, patient by patient: the copied mask, the network without the leak, and the network with it."}, "image": {"alt": "Three columns of dots between 0 and 1. Lines join each patient's dot in the honest column with that in the leaky column. Diamonds mark the means."}} tags=["hide-input"]
figures.arms(leakage.paired(patients), "mean Dice of a patient's tumour slices")

# %% tags=["hide-input"]
labels = {"slice_dice": "Dice of tumour slices", "volume_dice": "Dice of the test slices as one volume"}
rows = {}
for score in leakage.SCORES:
    by_arm, leak = leakage.paired(patients, score), leakage.worth(patients, score, seed=seed)
    rows[labels[score]] = {
        "patients": leak.patients,
        "copy": by_arm["copy"].mean(), "honest": by_arm["honest"].mean(), "leaky": by_arm["leaky"].mean(),
        "leaky minus honest": leak.estimate, "95 % interval from": leak.low, "to": leak.high, "p": leak.p_value,
    }  # fmt: skip
shown = pd.DataFrame.from_dict(rows, orient="index")
signed = ["leaky minus honest", "95 % interval from", "to"]
display(
    shown.style.format("{:.3f}", subset=["copy", "honest", "leaky"], na_rep="-")
    .format("{:+.3f}", subset=signed, na_rep="-").format(statistics.p_text, subset="p")
)  # fmt: skip

# %% tags=["hide-input"]
by_seed = patients.dropna(subset="seed").groupby(["seed", "arm"])["slice_dice"].mean().unstack("arm")
gains = ", ".join(f"{gain:+.3f}" for gain in by_seed["leaky"] - by_seed["honest"])
display(
    Markdown(
        f"Seed by seed, the leaky arm's mean Dice of tumour slices minus the honest one's: {gains}. "
        "How far these lie apart is the luck of a training, which the interval over patients does not know."
        if len(by_seed) > 1
        else "Each arm has one training. How much of the difference is the luck of a training, nothing here can tell: the interval over patients does not know it."
    )
)

# %% [markdown]
# ## Near the leak and far from it
#
# If the gain comes from remembering neighbours, it should shrink with the distance.
# Slices at different distances are different slices, and some are harder. So the honest arm is scored at the same slices, and the right panel of {numref}`fig-leakage-distance` shows the gap between the two.

# %% mystnb={"figure": {"name": "fig-leakage-distance", "caption": "Left: Dice of tumour slices against the distance to the nearest leaked slice of the same patient. Right: the gap between the arms at the same slices, mean and 95 % bootstrap interval over patients. The second line of the axis counts tumour slices. The last distance includes all beyond."}, "image": {"alt": "Left, three lines for the copied mask, the honest and the leaky network over distance. Right, diamonds with intervals around a dashed line at zero."}} tags=["hide-input"]
by_distance = leakage.by_distance(slices, seed=seed)
figures.distances(by_distance)

# %% tags=["hide-input"]
gap = by_distance[by_distance["arm"] == "gap"].set_index("distance")
copy = by_distance[by_distance["arm"] == "copy"].set_index("distance")["dice"]
near, far = gap.index.min(), gap.index.max()


def signed(value):
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}"


sentence = f"At a distance of {near}, the gap between the arms is **{signed(gap.loc[near, 'dice'])}**"
if far > near:
    sentence += (
        f"; at {far}{' or more' if far == leakage.FARTHEST else ''} it is **{signed(gap.loc[far, 'dice'])}**. "
        f"Over the same distances the copied mask goes from {copy[near]:.2f} to {copy[far]:.2f}. "
    )
    fall = leakage.near_minus_far(slices, seed=seed)
    if gap.loc[far, "patients"] < statistics.FEWEST_PATIENTS:
        sentence += (
            f"The farthest point is too thin for a verdict (slices: {gap.loc[far, 'slices']}, "
            f"patients: {gap.loc[far, 'patients']})."
        )
    else:
        sentence += (
            f"Near minus far is {fall.estimate:+.3f} (95 % interval {fall.low:+.3f} to {fall.high:+.3f}, patients drawn). "
            + (
                "The gap is larger near the leak, as remembered neighbours would make it."
                if fall.low > 0
                else "The gap is smaller near the leak, so remembered neighbours do not explain it."
                if fall.high < 0
                else "The interval includes 0, so this study cannot tell whether the gap is larger near the leak."
            )
        )
display(Markdown(sentence))

# %% [markdown]
# ## The conclusion in one sentence

# %% tags=["hide-input"]
display(Markdown(f"> {leakage.conclusion(patients, seed=seed)}"))

# %% [markdown]
# The leak of this comparison is milder than the article's in four ways.
#
# - Half of each probe's slices leak. A random split with a small test share leaks most of them.
# - They leak in blocks. So fewer test slices have a training slice beside them than in a random split.
# - The validation patients are no probes. In a random split, they leak as well, and the best epoch is chosen by them.
# - The training is short. A network that trains longer has more time to remember.
#
# So this comparison can show a gain, and it cannot rule one out.

# %% tags=["hide-input"]
leak = leakage.worth(patients, seed=seed)
display(
    Markdown(
        f"What its own leak may be worth, the interval says: anything from {signed(leak.low)} to {signed(leak.high)} in mean Dice of tumour slices. "
        + (
            f"From {leak.patients} patients it is too narrow, and it"
            if leak.patients < statistics.FEWEST_PATIENTS
            else "It"
        )
        + " does not hold the luck of a training. A stronger leak may be worth more."
        if leak.patients > 1
        else "What its own leak may be worth, a single patient does not say: there is no interval."
    )
)

# %% [markdown]
# In the classification of brain MRI, networks that were split by slice gained 29 to 55 per cent in accuracy, and scored about 96 % on labels drawn at random {cite:p}`yagis2021leakage`. Other tomographic images show the same {cite:p}`tampu2022leakage`.
# There a label belongs to a whole patient, and remembering the patient is enough. A mask differs from slice to slice, so there is less to remember.

# %% [markdown]
# ## Take-away
#
# - Before believing a score, ask what a method would reach that only copies.
# - To measure a leak, keep test slices, training size and recipe fixed, and change nothing but the leak.
# - A random split by slice measures how a network does on patients it knows. Doctors ask about the next one.
#
# ## Exercises
#
# **1. Recall.** Why does the honest arm get other slices in the place of the leaked ones?
#
# **2. Compute.** On how many probe patients did the leaky arm do better? How often would a fair coin do at least as well? Complete the function, and use it on `leakage.paired(patients)`.


# %% tags=["solution", "hide-cell"]
def coin_chance(better, compared):
    """Probability that a fair coin shows heads at least as often: a sign test, counted by hand.

    Parameters
    ----------
    better : int
        On how many patients one arm did better.
    compared : int
        How many patients were compared.

    Returns
    -------
    float
    """
    return sum(comb(compared, heads) for heads in range(better, compared + 1)) / 2**compared


by_arm = leakage.paired(patients)
ahead = int((by_arm["leaky"] > by_arm["honest"]).sum())
f"better on {ahead} of {len(by_arm)}; a coin does as well with probability {coin_chance(ahead, len(by_arm)):.3f}"

# %% tags=["check", "hide-cell"]
answer = coin_chance(2, 2)
assert answer is not None, (
    "The function returns nothing yet. `comb(n, k)` counts the ways to get k heads in n tosses, of 2 ** n ways in all."
)
assert answer == 0.25, f"Two heads in two tosses come up with a probability of 0.25, and not {answer}."
assert coin_chance(1, 2) == 0.75, (
    "At least one head in two tosses: one head (0.5) or two (0.25). Add all counts from `better` up."
)
assert coin_chance(0, 3) == 1, "At least 0 heads in three tosses is certain."
print("Right.")

# %% [markdown]
# **3. Try.** Let the copy take the union of the nearest training slices on both sides. Is it better than the nearest alone?
#
# **4. Open.** How would you find out that a published score comes from a split by slice, if the article does not say so?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Without them it would train on fewer slices. Then nobody could tell whether the other arm gains by the leak or by the larger training set.
#
# **3.** The union is larger than either mask, so it finds more of the tumour and adds more false alarms. Which wins depends on how fast the outline changes from slice to slice. Score it with `metrics.confusion` and `metrics.dice`.
#
# **4.** Look for signs: numbers of slices but none of patients, a test share that cuts patients apart, scores above the agreement of two readers, code that shuffles a list of files. If code and data are public, split by patient and run it again.
# :::
