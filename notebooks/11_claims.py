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
# # The article's claims put to the test
#
# **Question.** Do three claims of the article hold: that contrast greatly improves the models, that its score owes nothing to empty slices, and that ResUNet is best?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** put three sentences of the article to the test, and score one prediction in every way you may meet.
# - **You will learn** how to compare several treatments without fooling yourself, and how a way of scoring makes a number.
# - **You need** [the metrics](04_metrics) and [the comparison](08_compare).
# - **It takes** about 20 minutes to read. Where results are kept they are read. Otherwise small networks are trained:
#   two minutes, and some more if chapters 5 to 7 were not run.
# :::
#
# The article says: enhancing the contrast "will greatly improve the performance of the models".
# It says that ResUNet performs best. And it concludes that its score is not high because of the empty slices.
# Each of these can be tested. None needs a better network than the article's, only a comparison.

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
fold = 0  # which of the five folds is the test set
recompute = False  # train anew on real data, instead of reading the kept tables
# The six arms, where they are trained here
arms_image_size = 64
arms_filters = 8
arms_epochs = 4
arms_slices_per_epoch = 320
arms_seeds = 1
# The three networks of chapters 5 to 7
image_size = 96  # side of the prepared slices in pixels, a multiple of 32
contrast = "none"  # "none", "he", or "clahe" as in the article
crop = "patient"  # "none", "slice" or "patient"
filters = 16  # width of the first level
epochs = 12
slices_per_epoch = 480  # 0 takes every training slice once

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg.chapters import SHORT_LEARNING_RATE
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.evaluation import conventions
from brainseg.experiments import claims, outcome
from brainseg.experiments.engine import get_tables
from brainseg.experiments.evidence import network_dice
from brainseg.figures import claims as draw
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.results import of_which_cohort
from brainseg.statistics import p_text

style.use_theme()

# %% [markdown]
# ## Claim 1: "Enhancing the contrast will greatly improve the models"
#
# Six **arms** are compared: with CLAHE and without, by three crops. An arm is a way to prepare the slices: {numref}`fig-claims-arms`.
# All else that a training chooses is the same in each: U-Net, the slices and their order, the number of steps, the learning rate, the loss, the seeds. Not all trainings ran on the same kind of machine, which is named with the results; another machine rounds otherwise, so to us it is a part of a training's luck.
#
# The article normalises no volume, names no augmentation and knows no simulated patients, so no arm has any of these.
# The first two are other remedies for dark slices. With them, we would no longer test what contrast does in the article's pipeline.
# Nor does an arm take the two steps that chapter 8 adds after the network: no slice is predicted mirrored as well, and no small piece of a prediction is dropped.
#
# The slice crop finds its box with CLAHE, as in the article, also where the slices are not enhanced.
# The patient crop is ours, from [chapter 3](03_crop). A crop shows the tumour larger on the same grid of pixels, and it may cut some of it off. What a crop changes is the sum of the two.
#
# The protocol first had an arm with histogram equalisation in the place of CLAHE with the patient crop. {doc}`../limits` tells when that was changed.

# %%
cohort = index_cohort(get_cohort(data))

# %% mystnb={"figure": {"name": "fig-claims-arms", "caption": "What the network sees in each arm: FLAIR of one training slice, with the tumour's outline. It is the largest tumour slice of the darkest training patient."}, "image": {"alt": "Six squares with the same slice, above as it is and below after CLAHE: in the whole frame, cropped to the slice's box, and cropped to the patient's box."}}
draw.arms_of_a_slice(*claims.arms_of_darkest(cohort, fold, seed))

# %% [markdown]
# ### What was laid down before these networks were scored
#
# - **Three main effects**: what CLAHE changes, and what each of the two crops changes. CLAHE has a difference with each crop, and a patient's value
#   is the mean of the three. A crop has one with each contrast, and the mean of the two counts. The article's claim is judged by CLAHE.
#   What CLAHE does with one crop, and the whole pipeline against neither, are secondary.
# - **They are measured** as a difference in Dice of a patient's {term}`volume`, in the original {term}`frame`, averaged over test patients.
#   Several trainings with different seeds count as one: a patient's score is their mean.
# - **"Great"** is five points of Dice or more. That is about what one wrong pixel all round costs ([chapter 4](04_metrics)).
#   A gain is great where the whole 95 % interval lies there. A great gain is ruled out where the 90 % interval ends below.
# - **The answer** follows the {term}`one rule`. There is a difference where the 95 % interval excludes zero *and* the p value is below 0.05. Arms are {term}`equivalent` where
#   the 90 % interval lies within five points of Dice. Otherwise the data cannot tell. With fewer than ten patients, or fewer than three trainings of each arm, there is no other answer.

# %%
settings = {
    "folds": (fold,), "seed": seed, "seeds": arms_seeds, "image_size": arms_image_size, "filters": arms_filters,
    "epochs": arms_epochs, "slices_per_epoch": arms_slices_per_epoch, "learning_rate": SHORT_LEARNING_RATE,
}  # fmt: skip
kept = get_tables("claims", cohort, settings, recompute)
patients, scored = kept.tables["patients"], kept.tables["conventions"]
found = claims.findings(patients, seed)

# %% tags=["hide-input"]
where = (
    "The tables were **read** from `results/claims`."
    if kept.read
    else "The networks are small and were trained for this page, so they show the method. The experiment itself is `python -m brainseg experiment claims`."
)
display(Markdown(f"{where} {claims.described(kept.record)}{of_which_cohort(kept.record, cohort)}"))

# %% mystnb={"figure": {"name": "fig-claims-effects", "caption": "What CLAHE and the crops change, on the same test patients. The coloured rows are the main effects, the numbers the means. To the right of zero is better."}, "image": {"alt": "Seven rows, one per effect, the three main effects on top. In each, a dot per patient, and below a diamond with an interval, around a line at zero. Dashed lines on both sides mark where a change is great."}}
dice = claims.mean_over_seeds(patients)
changes = claims.effects(dice)
figures.effects(found.table(), changes, claims.MAIN, claims.GREAT, beyond="great")

# %% [markdown]
# ### Several comparisons, several chances
#
# {numref}`fig-claims-effects` holds seven comparisons. Try enough of them, and one will look significant by luck.
# There are two remedies, and both are needed.
#
# The first is to name few comparisons beforehand. Here they are the main effects. They make a **family** of their own, so that
# looking at the other four costs them nothing.
#
# The second is to correct the p values of a family. Holm's way {cite:p}`holm1979` sorts them. The smallest is multiplied by
# their number $m$, the next by $m - 1$, and so on. None may fall below the one before it:
#
# $$\tilde p_{(i)} = \min\Bigl(1,\; \max_{j \le i}\, (m - j + 1)\, p_{(j)}\Bigr)$$


# %%
def holm_sorted(p_values):
    p = np.sort(p_values)
    factors = np.arange(len(p), 0, -1)  # m, m - 1, ..., 1
    return np.minimum(np.maximum.accumulate(factors * p), 1)


main = found.table().loc[list(claims.MAIN)]
corrected = holm_sorted(main["p"])
assert np.allclose(corrected, np.sort(main["p_corrected"]))  # the package's, in its own order
print("corrected p values of the main effects, sorted:", ", ".join(p_text(p) for p in corrected))

# %% tags=["hide-input"]
shown = found.table()[["mean", "low", "high", "p", "p_corrected", "better_on"]]
shown.columns = ["mean difference", "95 % interval from", "to", "p", "p corrected", "better on"]
display(
    shown.style.format("{:+z.3f}", subset=["mean difference", "95 % interval from", "to"], na_rep="-").format(
        p_text, subset=["p", "p corrected"]
    )
)

# %%
Markdown(found.sentences())

# %% [markdown]
# Trainings of one arm and fold differ by their seed, and some by the machine that trained them. The intervals above do not hold that spread.

# %%
Markdown(found.luck())

# %% [markdown]
# Here is each arm by itself: its mean over patients, and the smallest and the largest mean of its seeds.

# %%
display(claims.arm_means(patients).style.format("{:.3f}", subset=["mean", "smallest", "largest"]))
study = outcome.wide_dice(outcome.read_scores().patients)["unet"] if kept.read else pd.Series(dtype=float)
Markdown(f"{claims.cut_off(patients)} {claims.level(dice, study)}")

# %% [markdown]
# The verdict is about U-Net with this budget. A longer training may need the help less, or use it better.
# Nor does it say that dark slices are harmless. The study's own remedy is normalisation within the volume, which no arm had.
#
# ### Does it help the dark ones?
#
# The article shows a slice that is nearly black, and argues from it. If the argument is right,
# dark patients gain most: in {numref}`fig-claims-dark` the dots would fall from left to right.

# %% mystnb={"figure": {"name": "fig-claims-dark", "caption": "What CLAHE gained or lost on each test patient, over the crops, and how bright the patient's FLAIR slices are as they come."}, "image": {"alt": "A dot per test patient: the mean grey level of its FLAIR slices to the right, the gain in Dice upwards, with a line at zero."}}
brightness = patients.groupby("patient")["mean_flair"].first().reindex(dice.index)
draw.by_brightness(brightness.to_numpy(), changes[claims.CONTRAST].to_numpy())

# %%
Markdown(found.dark.sentence())

# %% [markdown]
# ## Claim 2: "The score is not high because of the empty slices"
#
# A way of scoring has a **convention**. What is counted together: the pixels of a slice, of a patient, or of all slices? What does an empty slice score: 1, 0, or nothing at all?
# What is added above and below the line, so that 0/0 has a value?
# We take the conventions that papers, notebooks and libraries use, and give them predictions that know nothing about tumours:
#
# - **nothing**: no tumour anywhere,
# - **everything**: every pixel is tumour,
# - **the usual spot**: the pixels that are tumour most often in training patients, on every slice,
# - **Otsu on FLAIR**: the bright part of the head {cite:p}`otsu1979`.
#
# Beside them stands the U-Net of the article's pipeline. A score that "nothing" can have is no praise.

# %% tags=["hide-input"]
Markdown(claims.described_conventions(kept.record))

# %% mystnb={"figure": {"name": "fig-claims-baselines", "caption": "One network and four predictions that know nothing, by convention, on the same test slices. Below the line are the conventions that this book reports."}, "image": {"alt": "A table of shaded cells: twelve conventions down, five predictions across, a score in each cell."}}
draw.conventions(claims.by_predictor(scored), conventions.HONEST)

# %%
by_convention = claims.convention_findings(scored)
Markdown(by_convention.empty_slices())

# %% [markdown]
# The article checked the right thing, tumour slices apart. But it did not ask what a score of the *empty* slices is made of.
# On them, Dice is $0/0$. The convention fills the gap, and the convention alone decides the number ([chapter 9](09_split_evaluation)).
#
# ## One set of predictions, every convention
#
# Now only the network. {numref}`fig-claims-inflation` holds its predictions still and changes nothing but the way of scoring.
# Two more conventions join in: scored in the cropped frame, what the crop cut off is forgotten.

# %% mystnb={"figure": {"name": "fig-claims-inflation", "caption": "The same predictions of one U-Net on the same test slices by every convention, sorted."}, "image": {"alt": "Fourteen horizontal bars, sorted from the highest score to the lowest. Two are coloured: Dice per tumour slice and Dice per volume."}}
draw.inflation(by_convention.network, conventions.HONEST)

# %%
Markdown(by_convention.spread())

# %% [markdown]
# ## Claim 3: "ResUNet performs best"
#
# [Chapter 8](08_compare) compares the three networks. Here the question is put to the best evidence at hand. On the patients of the reference edition,
# its networks answer, each patient scored by those that have never met him or her. On all others, as on the phantom, the runs of chapters 5 to 7 do.
#
# Not all networks of the reference edition were trained at once, and some were started after scores of others had been seen. {doc}`../limits` has the dates.

# %%
evidence = network_dice(
    data, cohort, recompute,
    seed=seed, image_size=image_size, contrast=contrast, crop=crop, split_by="patient", fold=fold,
    filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
)  # fmt: skip
ranking = evidence.rank(seed)

# %% mystnb={"figure": {"name": "fig-claims-networks", "caption": "Differences in per-volume Dice on the same test patients: mean and 95 % bootstrap interval over patients."}, "image": {"alt": "Three horizontal intervals, one for each pair of networks, around a dashed vertical line at zero."}}
figures.paired_differences(ranking.table())

# %%
pairs = "\n".join(pair.sentence() for pair in ranking.pairs)
Markdown(f"{evidence.sentence()}\n\n{pairs}\n\n{ranking.sentence()}")

# %% tags=["answer"]
Markdown(f"**Answer.** {claims.answer(found, by_convention, ranking)}")

# %% [markdown]
# ## Take-away
#
# - A claim about an improvement needs a comparison in which all else is the same, on the same patients.
# - Name the few comparisons that count beforehand, and correct each family for being several.
# - Give every score to a prediction that finds nothing. What that one scores is the true zero of the scale.
# - The way of scoring belongs to the number, as a unit does.
#
# ## Exercises
#
# **1. Recall.** The main effects are corrected for being three, and not for being seven. Why, and when would that be cheating?
#
# **2. Compute.** Let the score of *nothing* be the zero of the scale: where nothing scores 0.8, a network at 0.9 has gone half of the way to 1. Complete the function, and use it on
# U-Net by every convention: `claims.by_predictor(scored)` has a row for each. Which convention leaves the network least?


# %% tags=["solution", "hide-cell"]
def above_nothing(score, nothing):
    """What is left of a score if a prediction that finds nothing is the zero of the scale.

    Parameters
    ----------
    score, nothing : float
        Scores by the same convention, at most 1.

    Returns
    -------
    float
        1 for a perfect score, 0 for that of nothing, negative below it; NaN where nothing is perfect already.
    """
    return (score - nothing) / (1 - nothing) if nothing < 1 else np.nan


left = {name: above_nothing(row["U-Net"], row["nothing"]) for name, row in claims.by_predictor(scored).iterrows()}
pd.Series(left).dropna().sort_values().to_frame("left of U-Net's score").style.format("{:.3f}")

# %% tags=["check", "hide-cell"]
answer = above_nothing(0.9, 0.8)
assert answer is not None, (
    "The function returns nothing yet. How far is it from the score of nothing to the best score? How much of this way was made?"
)
assert np.isclose(answer, 0.5), f"From 0.8 to 1 it is 0.2, and 0.9 is half of the way: 0.5, and not {answer:.3f}."
assert np.isclose(above_nothing(0.7, 0.8), -0.5), "Below the score of nothing the result is negative."
assert np.isnan(above_nothing(1.0, 1.0)), "Where nothing scores 1 already, there is no way to go: return np.nan."
print("Right.")

# %% [markdown]
# **3. Try.** Run this notebook on the phantom with `arms_seeds = 3`. How far apart are the seeds of one arm, next to the differences between the arms?
#
# **4. Open.** Design the comparison that would change your mind about contrast. What is its one main effect?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** They were named before the results were seen, so the study had three chances to be wrong about them. The other four answer other questions, and have a correction of their own. It is cheating when the "main" comparisons are chosen afterwards, because they came out best.
#
# **3.** Take the spread of the seeds within an arm as the unit. A difference between arms that is smaller than this spread says nothing about contrast or crop.
#
# **4.** For example: the same network and crop, with CLAHE and without, on as many patients as the spread of the differences demands, with several seeds each, and with the dark patients named beforehand. One main effect: CLAHE minus none, Dice per volume, over patients.
# :::
