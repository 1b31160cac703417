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
# **Question.** What is a random split by slice worth: how well can one score without having learnt what a tumour looks like?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** segment tumours without looking at an image, and compare networks that differ only in a leak.
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
seeds = 1  # networks of each dose

# %% tags=["hide-input"]
from math import comb

import numpy as np
from IPython.display import Markdown, display

from brainseg.chapters import SHORT_LEARNING_RATE
from brainseg.cohort import index_cohort, read_image, read_mask
from brainseg.data import get_cohort
from brainseg.experiments import leakage
from brainseg.experiments.engine import get_tables
from brainseg.figures import leakage as figures
from brainseg.figures import style
from brainseg.metrics import confusion, dice
from brainseg.results import of_which_cohort
from brainseg.splits import split_by_slice
from brainseg.statistics import p_text

style.use_theme()
table = index_cohort(get_cohort(data))

# %% [markdown]
# ## One head, many slices
#
# Split the slices of all patients at random, as the article does. Most test slices then have a neighbour of the same head among the training slices.
# So try the laziest method there is: for each test slice, **copy the mask of the nearest training slice of the same patient**.
# It looks at no image, and it has learnt nothing about tumours.

# %%
split = split_by_slice(table, fold=fold, seed=seed)
sources, targets = leakage.copy_sides(table, split)
training, test = table.iloc[sources], table.iloc[targets]


def nearest(row):
    """The training slice of the same patient that is nearest to a test slice."""
    own = training[training["patient"] == row["patient"]]
    return own.loc[(own["slice"] - row["slice"]).abs().idxmin()]


largest = test.loc[test["tumour_px"].idxmax()]
source = nearest(largest)

# %% mystnb={"figure": {"name": "fig-leakage-copied", "caption": "Left: the training slice nearest to the test slice with the largest tumour, with its mask. Right: that test slice with the same outline and with the true one."}, "image": {"alt": "Two neighbouring slices of one head. The outline copied from the left one nearly covers the true outline on the right one."}}
masks = read_mask(source["mask_path"]), read_mask(largest["mask_path"])
copied_dice = float(dice(confusion(masks[1], masks[0]), empty=np.nan))
figures.copied(read_image(source["image_path"]), masks[0], read_image(largest["image_path"]), masks[1], copied_dice)

# %% [markdown]
# {numref}`fig-leakage-copied` shows one copy. Now all test slices, scored like a network: in the original {term}`frame`, tumour slices alone, and the test slices of a patient together as one {term}`volume`.

# %%
copies = leakage.score_copies(table, sources, targets)
Markdown(leakage.copy_findings(copies).sentence() + leakage.without_source(split, targets))

# %% [markdown]
# A lazy method can be less lazy. Most test slices lie *between* two training slices of the same head.
# So let one outline turn into the other: give each pixel its distance to the outline, positive inside and negative outside, take the mean of the two distances, weighted by nearness, and keep what is positive {cite:p}`raya1990`.
# Still no image is looked at. The masks of other slices are all that it needs, and a random split by slice hands them over.

# %%
between = leakage.score_interpolations(table, sources, targets)
ways = {"copied from the nearest slice": copies, "drawn between the two nearest slices": between}
image_free = leakage.image_free_table(ways)
image_free.round(2)

# %% [markdown]
# ## How far does a mask carry?
#
# {numref}`fig-leakage-copies` asks the same of every tumour slice of the cohort: how well does the mask fit that lies one slice away, two slices away, and so on?

# %% mystnb={"figure": {"name": "fig-leakage-copies", "caption": "Dice of a mask copied from another slice of the same patient, against the distance between the two slices."}, "image": {"alt": "Faint lines for patients and a bold mean line, which starts at distance one and falls with every further slice."}}
by_slices_away = leakage.copies_by_distance(table)
figures.copies(by_slices_away)

# %%
Markdown(leakage.fading(by_slices_away))

# %% [markdown]
# ## One difference
#
# A network is no copying machine. Does it use the leak? Comparing a split by slice with a split by patient does not tell: the two have other test slices, and other training sets.
# So we keep all of that equal and change one thing: **how much of a test patient's other slices a network may see**.
#
# - **Probes:** the test patients of a fold. A fifth of each probe's slices is tested, drawn at random.
# - **Dose:** the share of a probe's slices that leaks into training. At 0 % the network has never met the probes, as in a split by patient. At 80 % it has met all of their slices but the tested ones, as in a random split by slice.
# - **Stand-ins:** where a slice does not leak, a slice of another patient takes its place in training, with tumour for one with tumour. So all networks train on as many slices.
# - **Control:** at 100 % even the tested slices leak. Whoever has seen the answers should do better. If that does not show, nothing would.
# - **The same in all:** tested slices, number of steps, recipe, scoring.
#
# Leaked slices lie scattered, as in a random split. A small dose leaves gaps. So the distance from a tested slice $s$ to the leak varies,
#
# $$d(s) = \min_{t\,\text{leaked}} |s - t|,$$
#
# and a network that remembers patients should gain most where $d$ is 1.

# %%
settings = {
    "image_size": image_size, "contrast": contrast, "crop": crop, "filters": filters, "epochs": epochs,
    "slices_per_epoch": slices_per_epoch, "learning_rate": SHORT_LEARNING_RATE, "after_phantom": False,
    "doses": (0, 80, 100), "folds": (fold,), "seeds": seeds, "seed": seed,
}  # fmt: skip
kept = get_tables("leakage", table, settings, recompute)
turns, sizes, slices, patients = (kept.tables[name] for name in ("design", "sizes", "slices", "patients"))
found = leakage.findings(patients, slices, seed)

# %%
read = " They were **read** from `results/leakage`; the settings of the page were not used." if kept.read else ""
display(Markdown(f"{leakage.described(kept.record)}{read}{of_which_cohort(kept.record, table)}"))

# %% mystnb={"figure": {"name": "fig-leakage-turns", "caption": "The volumes of up to eight probes, slice by slice: tested, or leaking from some dose on; the darker, the earlier."}, "image": {"alt": "Horizontal strips of coloured cells, one strip a patient. Cells of the two colours are scattered. About one in five is tested. Slices with tumour are in full colour."}}
one = turns.groupby(["fold", "seed"], sort=False).ngroup() == 0
figures.turns(turns[one])

# %% [markdown]
# {numref}`fig-leakage-turns` shows who leaks when, and the next table what the networks of one fold train on.

# %%
display(sizes.groupby(["fold", "seed"], sort=False).get_group((sizes["fold"].iloc[0], 0)).set_index("dose"))
Markdown(
    f"{leakage.described_test(slices)}{leakage.no_probes(table, turns, fold, seed)}\n\n{leakage.described_training(sizes)}"
)

# %% [markdown]
# ## What the leak is worth
#
# The score to decide by is named beforehand: the mean Dice of a patient's tumour slices, with the largest leak minus with none.
# Seeds are averaged first, then each patient is compared with itself. {numref}`fig-leakage-doses` and the table below it show all shares.
#
# The {term}`one rule` decides. The data show a difference where the 95 % interval excludes zero *and* the p value is below 0.05. The leak is worth
# nothing that matters, and the networks are called {term}`equivalent`, where the 90 % interval lies within 0.03 of Dice. Both may hold: a difference that is shown, and too small to matter. Otherwise the data cannot tell, and
# with fewer than ten patients or fewer than three trainings of each kind they never can.

# %% mystnb={"figure": {"name": "fig-leakage-doses", "caption": "Left: mean Dice of a patient's tumour slices against the share of its slices that leaked into training; the horizontal lines are masks made without an image. Right: what each share gains, patient by patient. The last share includes the tested slices themselves."}, "image": {"alt": "Left, faint lines for patients and a black line of means over the shares. Right, a diamond with an interval for each share, and a grey band around zero."}}
figures.doses(leakage.paired(patients), found, "mean Dice of a patient's tumour slices")

# %% tags=["hide-input"]
display(
    found.table().drop(columns="patients").style.format("{:.3f}", subset=["no leak", "with it"], na_rep="-")
    .format("{:+.3f}", subset=["gain", "from", "to"], na_rep="-").format(p_text, subset="p")
)  # fmt: skip

# %%
Markdown(f"{found.sensitivity()}\n\n{found.without_images()}\n\n{found.luck()}")

# %% [markdown]
# ## Near the leak and far from it
#
# If the gain comes from remembering neighbours, it should shrink with the distance.
# Slices at different distances are different slices, and some are harder. So the networks without a leak are scored at the same slices, and the right panel of {numref}`fig-leakage-distance` shows what the leak adds to them.

# %% mystnb={"figure": {"name": "fig-leakage-distance", "caption": "Left: Dice of tumour slices against the distance to the nearest leaked slice of the same patient, at the smallest share that leaks. Right: what the leak gains at the same slices, mean and 95 % bootstrap interval over patients. The second line of the axis counts tumour slices. The last distance includes all beyond."}, "image": {"alt": "Left, two lines for the networks with and without a leak over distance. Right, diamonds with intervals around a dashed line at zero."}}
figures.distances(leakage.gap_by_distance(slices, seed=seed))

# %%
Markdown(found.distance.sentence())

# %% [markdown]
# ## The conclusion in one sentence

# %%
Markdown(f"> {found.conclusion()}\n\n{found.over_folds()} {found.fragility()}")

# %% [markdown]
# ## What this comparison cannot show
#
# - The networks with the leak meet more patients, as said above. Only the control is without that difference.
# - Nobody validates here: the weights of the last epoch are taken. In the article's split the validation slices leak as well, and the best epoch is chosen by them.
# - The networks are those of this study. One with more weights, or trained for much longer, has more room to remember.
# - The image-free ways get the true masks of the leaked slices. A network has them only in its training.

# %% [markdown]
# In the classification of brain MRI, networks that were split by slice gained 29 to 55 per cent in accuracy, and scored about 96 % on labels drawn at random {cite:p}`yagis2021leakage`. Other tomographic images show the same {cite:p}`tampu2022leakage`.
# There a label belongs to a whole patient, and remembering the patient is enough. A mask differs from slice to slice, so there is less to remember.

# %% tags=["answer"]
Markdown(f"**Answer.** {leakage.answer(image_free, found)}")

# %% [markdown]
# ## Take-away
#
# - Before believing a score, ask what a method would reach that only copies.
# - To measure a leak, keep tested slices, training size and recipe fixed, and change nothing but the leak. Show with a control that you could have seen it.
# - A random split by slice measures how a network does on patients it knows. Doctors ask about the next one.
#
# ## Exercises
#
# **1. Recall.** Why does a network without the leak get other slices in the place of the leaked ones?
#
# **2. Compute.** On how many probe patients did the networks with the leak do better? How often would a fair coin do at least as well? Complete the function, and use it on `leakage.paired(patients)`.


# %% tags=["solution", "hide-cell"]
def coin_chance(better, compared):
    """Probability that a fair coin shows heads at least as often: a sign test, counted by hand.

    Parameters
    ----------
    better : int
        On how many patients one side did better.
    compared : int
        How many patients were compared.

    Returns
    -------
    float
    """
    return sum(comb(compared, heads) for heads in range(better, compared + 1)) / 2**compared


by_arm = leakage.paired(patients)
ahead = int((by_arm[leakage.arm_name(found.primary.dose)] > by_arm[leakage.arm_name(0)]).sum())
chance = coin_chance(ahead, len(by_arm))
print(f"better on {ahead} of {len(by_arm)}; a coin does as well with probability {chance:.3f}")

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
# **1.** Without them it would train on fewer slices. Then nobody could tell whether the other networks gain by the leak or by the larger training set.
#
# **3.** The union is larger than either mask, so it finds more of the tumour and adds more false alarms. Which wins depends on how fast the outline changes from slice to slice. Score it with `confusion` and `dice`, as the first figure does.
#
# **4.** Look for signs: numbers of slices but none of patients, a test share that cuts patients apart, scores above the agreement of two readers, code that shuffles a list of files. If code and data are public, split by patient and run it again.
# :::
