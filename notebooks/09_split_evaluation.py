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
# # Slices with and without tumour, apart
#
# **Question.** Is a score over all slices high because most of them show no tumour?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** score tumour slices and empty slices separately, and look at the best, the middle and the worst.
# - **You will learn** what is right and what is wrong in the article's closing argument.
# - **You need** [the comparison](08_compare).
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

from brainseg.chapters import patients_on_several_sides, study_run
from brainseg.evaluation.scores import HEADINGS, summarise_by_size, summarise_empty
from brainseg.experiments import apart, comparison
from brainseg.figures import results as figures
from brainseg.figures import style, viewer
from brainseg.figures import training as panels
from brainseg.networks.recipe import MODEL_NAMES

style.use_theme()

# %% [markdown]
# ## The article's worry
#
# The article's {term}`IoU` came out near 1, and it asks the right question.
# Most pixels are not tumour, and most slices hold none. Could the score come from them?
#
# Its test is to score the test slices in two groups.
# It finds that the numbers look okay and concludes that the score is not high because of the empty slices.
# We repeat the test, first as the article does it, with the network that it found best.

# %%
runs = {
    name: study_run(
        name, data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
        split_by=split_by, fold=fold, filters=filters, epochs=epochs,
        slices_per_epoch=slices_per_epoch,
    )
    for name in ("fcn32", "unet", "resunet")
}  # fmt: skip
run = runs["resunet"]
print("Patients with slices on more than one side:", patients_on_several_sides(run.prepared.table, run.split))
article = apart.score_groups(run)
article.style.format(precision=3)

# %% [markdown]
# A number above 0 in the line above the table means that slices were split, not patients (`split_by = "slice"`). No score below is
# then an estimate for a new patient.

# %%
side = comparison.score_test_side(runs)
found = apart.findings(article, side.truth, side.predicted["resunet"])
Markdown(found.article_sentence())

# %% [markdown]
# ## What an empty prediction would score
#
# A number needs something to be compared with.
# {numref}`fig-split-inflation` adds a prediction that never finds anything, on the same slices. Five rules score both.
#
# - *Pixel accuracy* is the share of pixels with the right label, tumour or not.
# - *By slice, empty counts as 1*: each slice gets an IoU or a Dice, and their mean is the score. A slice without tumour and without prediction gets the full 1.
# - *On tumour slices only*: the mean of those slices that show tumour.

# %% mystnb={"figure": {"name": "fig-split-inflation", "caption": "The same test slices by five rules: ResUNet, and a prediction that is always empty."}, "image": {"alt": "Pairs of horizontal bars for five ways of scoring. The empty prediction scores high by the first three and zero by the last two."}}
figures.rules(found.rules)

# %%
Markdown(found.rule_sentence())

# %% [markdown]
# ## What is right and what is wrong in the argument
#
# **Right:** to look at tumour slices alone. A score over all slices mixes two questions: does the network find the tumour, and does it keep quiet where there is none?
#
# **Wrong:** to give the empty slices a {term}`Dice` or an IoU at all.
# Where there is no tumour, both are 0/0, and the smoothing in the formula decides what comes out ([chapter 4](04_metrics)).
# On empty slices only the second question is left, and false alarms answer it.
#
# **Missing:** patients. Slices of one head are alike, so even the tumour-slice score of a random split
# is that of patients whom the network knows. It need not hold for a new one ([chapter 10](10_leakage)).
#
# ## Tumour slices
#
# All three networks, on tumour slices, in the original {term}`frame`.
# {term}`HD95` is the distance in pixels within which 95 % of one outline lies from the other. A slice where nothing was
# found costs the diagonal of the frame. {term}`NSD` is the share of the outlines that agree to within the tolerance.

# %%
table = apart.tumour_slice_table(side.slices).rename(columns=HEADINGS)
table.style.format(precision=2, na_rep="-").format("{:.0%}", subset=["missed"], na_rep="-").format(
    precision=1, subset=["median HD95 (px)"], na_rep="-"
)

# %% [markdown]
# These are means over slices, and a patient with many tumour slices counts many times.
# So here is the mean Dice of each patient's tumour slices, averaged over patients, with a {term}`bootstrap` over patients.
# [Chapter 8](08_compare) says how far such an interval can be trusted with few patients.

# %%
table = apart.by_patient_table(side.slices, seed=seed).rename(columns=HEADINGS)
table.style.format(precision=2, na_rep="-")

# %% mystnb={"figure": {"name": "fig-split-size", "caption": "Dice of each tumour slice against the size of its tumour, on a logarithmic scale."}, "image": {"alt": "A cloud of dots for each network. One dot is one tumour slice."}}
figures.dice_against_size(side.slices)

# %%
by_model = {MODEL_NAMES[model]: part for model, part in side.slices.groupby("model", sort=False)}
sizes = pd.concat({name: summarise_by_size(part) for name, part in by_model.items()}, names=["network"])
sizes.rename(columns=HEADINGS).style.format(precision=2, na_rep="-")

# %% [markdown]
# {numref}`fig-split-size` shows each tumour slice by its size.
# One pixel off all round costs a small tumour far more Dice than a large one ({numref}`fig-metrics-one-pixel`).
# So a mean over slices depends on which sizes are in the test set.
#
# ## Empty slices
#
# Here a false alarm is a slice with any pixel called tumour. {numref}`fig-split-alarms` counts and sizes them.

# %% mystnb={"figure": {"name": "fig-split-alarms", "caption": "Test slices without tumour: the share in which a network sees some (left), and how many pixels each false alarm has (right)."}, "image": {"alt": "Left, three bars for the share of false alarms. Right, dots for the size of each alarm on a logarithmic scale."}}
figures.false_alarms(side.slices)

# %%
empty = pd.DataFrame({name: summarise_empty(part) for name, part in by_model.items()}).T
whole = ["slices", "median false pixels in an alarm", "most false pixels"]
empty.style.format("{:.0f}", subset=whole).format("{:.0%}", subset=["left clean"], na_rep="-").format(
    "{:.4f}", subset=["specificity of pixels"], na_rep="-"
)

# %% [markdown]
# ## Input, truth, prediction
#
# The article shows a few good examples. In {numref}`fig-split-panel` the score chooses: the best, the median and the worst tumour slice of ResUNet.

# %% mystnb={"figure": {"name": "fig-split-panel", "caption": "ResUNet on the test slices with the best, the median and the worst Dice: input (FLAIR), truth, prediction, both outlines."}, "image": {"alt": "Three rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}}
chosen = apart.best_median_worst(side.slices[side.slices["model"] == "resunet"])
titles = [f"{which}: Dice {dice:.2f}" for which, dice in zip(chosen["which"], chosen["dice"], strict=True)]
places = np.searchsorted(side.rows, chosen.index)
panels.predictions(run.prepared, chosen.index.to_numpy(), side.predicted["resunet"][places], titles)

# %% [markdown]
# ## Whole patients
#
# Three slices are a poor sample of a head. So here is the patient with the median Dice of ResUNet, and the one with the worst.
# In the book you can scroll through both in the [viewer](../viewer), with the outlines of all three networks.

# %%
titles = apart.median_and_worst(side.patients["resunet"]["dice"])
whole = [
    viewer.patient_of_run(run.prepared, side.rows, side.truth, side.predicted, patient, title)
    for patient, title in titles.items()
]
display(viewer.viewer_output(whole), raw=True)

# %% tags=["answer"]
Markdown(f"**Answer.** {found.answer()}")

# %% [markdown]
# ## Take-away
#
# - A score over all slices mixes "does it find the tumour" with "does it keep quiet". Report them apart.
# - Compare every score with that of a prediction that does nothing.
# - Look at the worst cases. They say what a mean cannot.
#
# ## Exercises
#
# **1. Recall.** What is the Dice of an empty prediction on an empty slice, and who decides?
#
# **2. Compute.** How many tumour slices in a row does a network miss? Complete the function. Then find the longest gap of ResUNet in any test patient.


# %% tags=["solution", "hide-cell"]
def longest_gap(missed):
    """The largest number of neighbouring slices that were missed.

    Parameters
    ----------
    missed : sequence of bool
        Of one patient, in the order of the slices; True where a slice shows tumour and none of its tumour pixels was found.

    Returns
    -------
    int
    """
    longest = current = 0
    for slice_missed in missed:
        current = current + 1 if slice_missed else 0
        longest = max(longest, current)
    return longest


of_resunet = side.slices[side.slices["model"] == "resunet"].sort_values(["patient", "slice"])
all_missed = (of_resunet["tumour_px"] > 0) & (of_resunet["tp"] == 0)
gaps = all_missed.groupby(of_resunet["patient"]).agg(lambda of_patient: longest_gap(of_patient))
print(f"The longest gap of ResUNet in any test patient has {gaps.max()} slices.")

# %% tags=["check", "hide-cell"]
answer = longest_gap([True, False, True, True, False, True])
assert answer is not None, (
    "The function returns nothing yet. Count up while slices are missed, and start again at 0 where one is not."
)
assert answer != 4, "4 is the number of all missed slices. Start again at 0 where a slice was not missed."
assert answer == 2, f"The longest stretch of missed slices has 2 of them, and not {answer}."
assert longest_gap([False, True, True, True]) == 3, "A stretch may last until the end of the list."
assert longest_gap([False]) == 0, "Where nothing is missed, the longest gap is 0."
print("Right.")

# %% [markdown]
# **3. Change one parameter.** Make the chapter quick: `data = "phantom:10"`, `image_size = 64`, `filters = 8`, `epochs = 16` and `slices_per_epoch = 160`. Run it.
# Then run it three more times, each with one change from there: `epochs = 1`, `crop = "none"`, `split_by = "slice"`.
# **Write down first** what each does to the Dice on tumour slices, and to the score over *all* slices where an empty one counts as 1.
#
# **4. Try.** Raise the threshold from 0.5 to 0.9, and score again: `predict_masks` of `brainseg.evaluation.predict` takes a run, `side.rows` and a threshold, and
# `score_slices` of `brainseg.evaluation.scores` takes masks, truth and the rows of the table. What happens to false alarms and to small tumours?

# %% tags=["solution", "hide-cell"]
from brainseg.evaluation.predict import predict_masks
from brainseg.evaluation.scores import score_slices

by_size = {}
for threshold in (0.5, 0.9):
    masks = predict_masks(run, side.rows, threshold=threshold)
    rescored = score_slices(masks, side.truth, run.prepared.table.iloc[side.rows], borders=False)
    print(f"at {threshold}: {summarise_empty(rescored)['left clean']:.0%} of the empty slices are left clean")
    by_size[str(threshold)] = summarise_by_size(rescored)
pd.concat(by_size, names=["threshold"]).rename(columns=HEADINGS).style.format(precision=2, na_rep="-")

# %% [markdown]
# **5. Open.** Write the sentence that the article should have closed with, with numbers from this page.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** It is 0/0. Whoever writes the formula decides: by smoothing, by a rule for empty slices, or by leaving such slices out. The report must say which.
#
# **3.** A short training hurts the tumour slices. The score over all slices can go either way: a network that has learnt little often says nothing anywhere, and is rewarded for it on
# every empty slice. Without a crop a tumour covers fewer pixels of the network's frame, so the small ones suffer. Split by slice, the score no longer speaks of new patients.
#
# **4.** Fewer false alarms, and more small tumours that are missed: the same probabilities, cut elsewhere. Choose a threshold on validation patients.
#
# **5.** It should name the patients and their number, the score on tumour slices with its interval, the false alarms on empty ones, and what a prediction that never finds anything would score.
# :::
