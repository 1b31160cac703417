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
# # Comparing the three networks
#
# **Question.** Which of the three networks is best on patients whom it has never met?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** score FCN-32, U-Net and ResUNet twice: as the article does, and patient by patient.
# - **You will learn** how the way of scoring changes the numbers, and what an interval says that a mean hides.
# - **You need** [the metrics](04_metrics) and one of the training chapters.
# - **It takes** about 15 minutes. The networks are loaded if the chapters before were run, and trained if not.
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
seed = 0
image_size = 96  # side of the prepared slices in pixels, a multiple of 32
contrast = "none"  # "none", "he", or "clahe" as in the article
crop = "patient"  # "none", "slice" or "patient"
split_by = "patient"  # "patient" is honest, "slice" is the article's
fold = 0  # which of the five folds is the test set
filters = 16  # width of the first level
epochs = 12
slices_per_epoch = 480  # 0 takes every training slice once

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from brainseg.chapters import patients_on_several_sides, study_run
from brainseg.cohort import read_image
from brainseg.evaluation.scores import HEADINGS
from brainseg.experiments import comparison
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.statistics import p_text

style.use_theme()

# %% [markdown]
# ## The three runs
#
# Same slices, same steps, same loss, same schedule, same {term}`seed`. Only the architecture differs. The minutes leave out
# a start from simulated patients.

# %%
runs = {
    name: study_run(
        name, data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
        split_by=split_by, fold=fold, filters=filters, epochs=epochs,
        slices_per_epoch=slices_per_epoch,
    )
    for name in ("fcn32", "unet", "resunet")
}  # fmt: skip

# %%
known = runs["unet"].prepared
on_several_sides = patients_on_several_sides(known.table, runs["unet"].split)
costs = comparison.costs(runs)
work = costs["multiply-adds per slice (millions)"]
display(costs.style.format("{:,.0f}").format("{:.1f}", subset=["training (minutes)"]))
print(f"In multiply-adds, the dearest network costs {work.max() / work.min():.2f} times the cheapest.")
print("Patients with slices on more than one side:", on_several_sides)

# %% [markdown]
# A number above 0 in the last line means that slices were split, not patients (`split_by = "slice"`). The networks
# have then seen near-copies of the slices that they are scored on, and no score below is an estimate for a new patient.

# %% [markdown]
# ## The article's table
#
# The article shows its results as a picture of a table, which has not survived. Its text says only that the IoU
# was near 1 and that ResUNet was best. So we make the table anew: loss, {term}`IoU` and {term}`Dice` on training, validation and
# test slices, as `model.evaluate` gives them. That is in the cropped frame, softly, with smoothing, averaged over
# batches. The article does not say how it scored, so this is our reading.

# %%
article = comparison.score_as_the_article(runs)
article.style.format("{:.3f}")

# %% [markdown]
# A batch mixes slices with and without tumour, and its pixels are counted together.
# So a large tumour in the batch hides a small one that was missed.
#
# ## The honest table
#
# Now the unit is the **patient**.
# Predictions go back into the original frame of 256 by 256 pixels. What the crop cut off counts as missed.
# Each slice is predicted twice, as it is and mirrored, and the mean of both counts. A probability of one half or more is tumour. Pieces apart that are smaller than a fifth of a patient's largest piece are dropped: most patients have one tumour.
# All slices of a patient are one volume with one Dice.

# %%
side = comparison.score_test_side(runs)
honest = side.summary(seed=seed)
honest.rename(columns=HEADINGS).style.format(precision=3, na_rep="-")

# %% mystnb={"figure": {"name": "fig-compare-patients", "caption": "Per-volume Dice of the test patients. Each dot is a patient; the diamond is the mean with its 95 % bootstrap interval over patients."}, "image": {"alt": "Three columns of dots between 0 and 1, one column a network, each with a diamond and an interval for the mean."}}
figures.patient_dice(side.patients, {model: honest.loc[MODEL_NAMES[model]] for model in runs})

# %% [markdown]
# The interval in {numref}`fig-compare-patients` answers one question: how much could this mean change with other patients of the same kind?
# It was made by drawing the test patients again and again, with replacement: a {term}`bootstrap`.
# Slices would give a far narrower one, and a wrong one: neighbouring slices of one head are no independent witnesses.
#
# ## Fresh patients
#
# Real patients are few. Simulated ones are cheap, so on the synthetic cohort we can do what nobody can do with real ones:
# draw as many new patients as the cohort has, with another seed, and score the same networks on all of them.
# No network, setting or chapter has met these patients.

# %%
fresh = comparison.score_fresh_patients(runs, seed=seed)
scored = fresh or side  # the patients whom the next two sections look at
stands_out = comparison.how_far_tumours_stand_out(scored.table, scored.dice().index)
found = comparison.findings(article, side, fresh, stands_out, trainings=1, on_several_sides=on_several_sides, seed=seed)
results = found.results()
glue("results", results.round(4).to_dict("list"), display=False)

# %% [markdown]
# That cell has measured all that follows. The rest of the page takes one question at a time. The first: what do fresh patients add?

# %%
if fresh:
    display(results.set_index(["on", "model"]).rename(columns=HEADINGS).style.format(precision=3, na_rep="-"))
display(Markdown(found.fresh_sentence()))

# %% [markdown]
# ## How far an interval can be trusted
#
# With few patients an interval can be too narrow. How much too narrow can be tried: let the scored patients
# stand for everyone there is, so that the true mean is known. They are the fresh ones where there are such, otherwise those of the test side.
# Draw as many patients from them as there are test patients, make the interval, see whether it holds the true mean, and repeat.
#
# The plain way takes {term}`percentiles of the redrawn means <bootstrap>` as the ends of the interval. It is right where scores spread evenly to both sides. Dice scores do not:
# a few patients have almost none. The intervals of this study shift the two ends to allow for that. They are called bias-corrected and accelerated ({term}`BCa`).
# The differences between two networks, which the chapter comes to below, are tried as well.

# %%
if len(found.trial.held):
    display(found.trial.held.style.format("{:.1%}"))
display(Markdown(found.trial.sentence()))

# %% [markdown]
# ## Which patients fail
#
# A mean can hide two groups: many patients with a good score, and a few with almost none. Do the few share something?
# One candidate is a faint tumour. [Chapter 2](02_contrast) has the measure: how often is a random tumour pixel brighter on {term}`FLAIR` than a random pixel of
# the brain around it? At one half, the tumour is as bright as its surroundings. {numref}`fig-compare-faint` sets it against the score.

# %% mystnb={"figure": {"name": "fig-compare-faint", "caption": "Per-volume Dice against how far the tumour stands out from the brain around it on FLAIR: 0.5 is not at all, 1 is every pixel brighter. Each mark is a patient, of the fresh ones where there are such, otherwise of the test side."}, "image": {"alt": "A cloud of marks in three colours and shapes, one for each network: upwards the Dice, to the right how often the tumour is brighter than its surroundings."}}
figures.dice_against(stands_out, scored.patients, "how often the tumour is brighter")

# %%
Markdown(found.faint.sentence())

# %% [markdown]
# [Chapter 1](01_explore) sets the faintest simulated tumours beside the faintest real ones.
#
# ## Is one network better than another?
#
# Two intervals can overlap although one network is better on nearly every patient.
# The fair comparison is **paired**: subtract the scores patient by patient.
#
# Since the interval can be too narrow, it does not decide alone. The study has {term}`one rule`, and every chapter
# uses it. The data show a difference where the 95 % interval of the {term}`paired difference` excludes zero *and* the p value is below 0.05. Two
# networks are {term}`equivalent` where the 90 % interval lies within a margin, here 0.02 of Dice. In every other case the data **cannot tell**. Fewer than ten patients,
# or fewer than three trainings of each network, cannot tell either: another training of the same network could turn the order round.
# This page has one training of each, so here the rule can give no other answer. The numbers show what a verdict would rest on.
#
# The p value is that of a {term}`sign-flip test`: were neither network better, each patient's difference could as well have the other sign.
# It is corrected by Holm {cite:p}`holm1979`, because three pairs are compared: the smallest
# p value counts three times, the next twice and the last once, and none may fall below the one before it. [Chapter 11](11_claims) corrects in the same way.

# %%
pairs = found.ranking.table()
shown = pairs.drop(columns=["patients", "the data"])  # all have the same patients, and sentences below say the rest
shown = shown.rename(columns=HEADINGS)
shown.style.format("{:+.3f}", subset=shown.columns[:4], na_rep="-").format(p_text, subset=["p corrected"])

# %% mystnb={"figure": {"name": "fig-compare-paired", "caption": "Differences in per-volume Dice on the same test patients: mean and 95 % bootstrap interval. An interval that crosses the dashed line leaves the order open. One that does not is not enough by itself."}, "image": {"alt": "Three horizontal intervals, one for each pair of networks, around a dashed vertical line at zero."}}
figures.paired_differences(pairs)

# %% [markdown]
# {numref}`fig-compare-paired` shows the differences. This is what the rule says of them:

# %%
Markdown(found.order_sentences())

# %% [markdown]
# [Chapter 15](15_results) has several trainings of each network and scores real patients of all folds, so there the rule can answer.
#
# ## The same slices through all three
#
# The slices of {numref}`fig-compare-panel` are chosen by their tumour, not by their score: the largest tumour slice of up to four test patients.

# %%
table = known.table.iloc[side.rows]
largest = table[table["tumour_px"] > 0].sort_values("tumour_px", ascending=False).drop_duplicates("patient")
positions = np.unique(np.linspace(0, max(len(largest) - 1, 0), 4).round().astype(int))
chosen = largest.iloc[positions[: len(largest)]]
places = np.searchsorted(side.rows, chosen.index)

# %% mystnb={"figure": {"name": "fig-compare-panel", "caption": "The largest tumour slice of up to four test patients through all three networks: true and predicted outlines on FLAIR."}, "image": {"alt": "Rows of head slices. In each row the plain slice, then the slice with two outlines for FCN-32, U-Net and ResUNet."}}
figures.side_by_side(
    [read_image(path) for path in chosen["image_path"]],
    side.truth[places],
    {model: masks[places] for model, masks in side.predicted.items()},
    [f"{px:,} px" for px in chosen["tumour_px"]],
)

# %%
Markdown(found.gap.sentence())

# %% tags=["answer"]
Markdown(f"**Answer.** {found.answer()}")

# %% [markdown]
# ## Take-away
#
# - The unit of scoring is a choice. Here it is the patient, because a patient is what a result must hold for.
# - A mean without an interval says little when the test patients are few, and then the interval may be too narrow as well.
# - A mean can hide the tail. Look at who is in it, and at what those patients share.
# - Which network is better is a question about *differences on the same patients*.
#
# ## Exercises
#
# **1. Recall.** Why would a bootstrap over slices give an interval that is too narrow?
#
# **2. Compute.** Which test patient is hardest for all three networks? Complete the function, and use it on `side.dice()`.


# %% tags=["solution", "hide-cell"]
def hardest_patient(scores):
    """The patient whom no network segments well: the one whose best score is the lowest.

    Parameters
    ----------
    scores : DataFrame
        Dice; one row per patient, one column per network.

    Returns
    -------
    str
        The patient's name, from the index.
    """
    return scores.max(axis=1).idxmin()


by_patient = side.dice().rename(columns=MODEL_NAMES)
by_patient.loc[[hardest_patient(by_patient)]].style.format("{:.3f}")

# %% tags=["check", "hide-cell"]
drawn_scores = pd.DataFrame({"one": [0.0, 0.5, 0.9], "other": [0.8, 0.4, 0.1]}, index=["a", "b", "c"])
answer = hardest_patient(drawn_scores)
assert answer is not None, (
    "The function returns nothing yet. What is the best score of each patient? Who has the lowest of these?"
)
assert answer != "a", (
    "One network fails on patient a, and the other does well. Look at the best score of each patient, not at the worst or the mean."
)
assert answer == "b", f"The best scores of a, b and c are 0.8, 0.5 and 0.9. So b is the hardest, and not {answer!r}."
print("Right.")

# %% [markdown]
# **3. Change one parameter.** Make the chapter quick: `data = "phantom:10"`, `image_size = 64`, `filters = 8`, `epochs = 16` and `slices_per_epoch = 160`. Run it.
# Then run it three more times, each with one change from there: `split_by = "slice"`, `seed = 1`, `fold = 1`.
# **Write down first** which of the tables will change most with each, and whether the order of the networks will survive.
#
# **4. Open.** How many test patients would you need to show a difference of 0.02 in Dice? Use the differences of this page as a guide.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Slices of one patient are alike, so a hundred of them carry less than a hundred independent facts. The bootstrap would take them for independent.
#
# **3.** Split by slice, neighbours of the test slices were learnt from, and "patients" of the honest table are parts of patients: it no longer says anything about new ones.
# A new seed or fold changes the patients that are scored. With one or two of them, an order that survives is luck. The table of fresh patients has as many as the cohort: see whether the order survives there.
#
# **4.** The width of an interval shrinks with the root of the number of patients. Take the spread of the paired differences $s$: about $(2 s / 0.02)^2$ patients
# make an interval that reaches 0.02 to either side. Where the true difference is 0.02, one study of that size in two shows it. For four in five take
# $(2.8 s / 0.02)^2$, about twice as many, and more where several pairs are compared.
# :::
