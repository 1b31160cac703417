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

# %% [markdown] tags=["kept-results"]
# # What makes a phantom teach?
#
# **Question.** What does a network miss when its simulated patients lack something, and does it matter that they resemble their judges?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** draw the phantom otherwise, take one ingredient out of it at a time, and ask real patients what that changes.
# - **You will learn** how to find out what a network needs of a simulation, and why the best of many changes may flatter itself.
# - **You need** [the chapter before](16_synthetic), and a copy of the project: the page reads the tables in its `results/`.
# - **It takes** about 10 minutes to read and seconds to run: nothing is trained here.
# :::
#
# Networks that have met simulated patients alone outline many real tumours. [The chapter before](16_synthetic) measured how well. Here we ask what in these patients teaches them. For each answer U-Net is trained on another {term}`phantom`, and scored on real patients.
#
# The results are those of real patients, from the tables in `results/`. All pictures are simulated. Not for clinical use.

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
    # An installed package has no results/, so this page takes a copy of the project. No deep-learning library is needed.
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", repository, "brainseg-project"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "brainseg-project"], check=True)
    sys.path.insert(0, "brainseg-project")  # this kernel was there before the copy
    print("Installed. If a later cell fails, restart the kernel once: other versions may have been loaded already.")

# %% tags=["parameters"]
seed = 0  # of the bootstrap

# %%
import cv2
import numpy as np
from IPython.display import Markdown

from brainseg.experiments import ablation, phantoms, steering
from brainseg.experiments.changes import literature_ranges, literature_tissues
from brainseg.experiments.ingredients import WIDE
from brainseg.experiments.literature import LITERATURE
from brainseg.experiments.plan import Phantom
from brainseg.figures import style
from brainseg.figures import synthetic as figures
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import confusion, dice
from brainseg.results import read_record, read_table

style.use_theme()
other_phantoms, step = phantoms.questions(read_table("phantoms", "patients"))
without = read_table("ablation", "patients")

# %% [markdown]
# ## Other phantoms
#
# The study's phantom was fitted to real patients, and those who judge its networks were among them. How much of the result is owed to that? We drew another phantom by the same program, with wider ranges: tumours nearly anywhere in the cerebrum, from small to huge and from faint to glaring; ages, numbers of slices, noise and shading over wide ranges; and every tissue made brighter or darker by its own draw, on each sequence, so that no contrast is typical. Only missing sequences are narrower: there are none.
#
# These ranges still lie around the grey levels of the study's phantom, which were read off real patients. So another phantom gets the levels of its tissues from physics. How a tissue responds to the scanner's pulses depends on two {term}`relaxation times`, T1 and T2, and on how many protons it holds. For white and grey matter these numbers have been measured many times {cite:p}`bojorquez2017relaxation`, and the simulator BrainWeb has a list of them {cite:p}`collins1998design`; for gliomas there are some {cite:p}`kinoshita2021relaxometry,kern2020t2`. Where we knew of none, as for bone and cysts, we chose wide ranges. Together with the timing of the pulses {cite:p}`aalten2014parelsnoer,westbrook2019mri`, these numbers give the brightness of a tissue on each sequence by a formula.
#
# This phantom *from the literature* has a way of growing and a reader of its own, too, who follows the edge of the visible tumour with a line that is more or less smooth. Sizes, places, and the strength of the shading are those of the phantom with wide ranges, patient by patient; the noise is drawn anew from the same range. {numref}`fig-phantoms-wide` shows patients of the three phantoms.

# %% mystnb={"figure": {"name": "fig-phantoms-wide", "caption": "Simulated patients on FLAIR with their outlines, in the slice with the largest tumour: of the study's phantom (top), of the phantom with wide ranges (middle), and of the phantom from the literature (bottom). The two lower rows share sizes and places."}, "image": {"alt": "Three rows of simulated head slices with outlined tumours. In the lower rows the tissues have other grey levels in each picture."}}
drawn = []
for change in ("", WIDE, LITERATURE):
    prepared = Phantom(4, 0, change).prepare(Preprocessing())
    largest = prepared.table.groupby("patient")["tumour_px"].idxmax().to_numpy()
    drawn.append((prepared.images[largest], prepared.tumour(largest)))
figures.phantoms(drawn)

# %% [markdown]
# These are the ranges of the phantom from the literature. They were written down before a network met it. Each patient has a field between 1.5 and 3 tesla, and times and timing of his or her own. Where the tumour would hardly be brighter on FLAIR than healthy brain, its times are drawn again, because nobody would outline it; so the longest T1 are rarer than the table says.

# %% tags=["hide-input"]
literature_tissues().style.hide(axis="index")

# %% [markdown]
# The rest of the ranges is folded away here.

# %% tags=["hide-input", "hide-output"]
literature_ranges().style.hide(axis="index")

# %% [markdown]
# The study's phantom is also one draw of patients, outlined by a reader who follows the line. Another draw, or a reader who stays two pixels inside or outside the line, could teach something else. (Inside the line, the thin ends of a tumour vanish from its mask.)
#
# Each phantom is compared with the study's on the same real patients. {term}`The one rule <one rule>` answers, with p values corrected for all rows of a table. To it, differences of less than 0.03 of Dice do not matter. Each phantom is also set beside the *flat threshold* of the chapter before, which calls tumour what is bright on FLAIR, without a network.

# %% mystnb={"figure": {"name": "fig-phantoms-others", "caption": "Dice after another phantom minus Dice after the study's, for the same real patients. A dot is a patient, the diamond the mean with its 95 % interval, the number the mean. Rows in colour are shown to differ. To the left, the network does worse after the other phantom."}, "image": {"alt": "A row for each other phantom. In each, a dot per patient, and below a diamond with an interval, around a line at zero. Dashed lines on both sides mark what matters."}}
figures.changes_in_dice(other_phantoms, seed)

# %%
said = phantoms.sentence(phantoms.findings(other_phantoms, seed), {}, between="after")
Markdown(f"{said}\n\n{phantoms.threshold_sentence(other_phantoms, phantoms.flat_threshold(), seed)}")

# %% tags=["hide-input"]
phantoms.as_table(other_phantoms, seed).style.hide(axis="index")

# %%
Markdown(phantoms.described(other_phantoms, read_record("phantoms")))

# %% [markdown]
# The difference is that to the study's phantom, with its 95 % interval over patients. *By training* has the lowest and the highest difference between two trainings of the same seed, which the interval leaves out. *Not found* counts the tumours with a Dice below 0.1, and *better on* the patients with a higher Dice than after the study's. A verdict is about the mean, and a few patients can carry it.
#
# The phantom from the literature differs from the study's in many things at once. Beside the phantom of wide ranges it differs in fewer:

# %%
Markdown(phantoms.pair_sentence(other_phantoms, LITERATURE, WIDE, seed))

# %% [markdown]
# Even the phantom from the literature may know something of its judges, because we had seen them when we wrote it. It replaces the levels of the tissues, the numbers of the growth, the reader, and what was seen in this archive alone: a noise floor that is cut away, slabs with a slanted end. Its other ranges were chosen around those of the study's phantom. And it keeps that phantom's program: how heads are built and tumours grow, the grain of the tissue, the specks in white matter, the look of a core.
#
# ## Which ingredient matters?
#
# There is another way to ask: take one ingredient out, and train U-Net on what is left. We did that with each of these, one at a time.

# %% tags=["hide-input"]
ablation.ingredients().style.hide(axis="index")

# %% [markdown]
# No tumour of this phantom presses the brain aside, so that cannot be taken out.
#
# Some real patients may steer the phantom: its {term}`development set`. They are left out of the scores above, and of those that answer the question of the chapter before. Here they judge, because the answer may change the phantom.

# %% mystnb={"figure": {"name": "fig-phantoms-without", "caption": "Dice after a phantom without one ingredient minus Dice after the whole one, for the development patients. A dot is a patient, the diamond the mean with its 95 % interval, the number the mean. Rows in colour are shown to differ. To the left, the network does worse without the ingredient."}, "image": {"alt": "A row for each ingredient that was taken out. In each, a dot per patient, and below a diamond with an interval, around a line at zero. Dashed lines on both sides mark what matters."}}
figures.changes_in_dice(without, seed)

# %%
Markdown(ablation.sentence(without, seed))

# %% tags=["hide-input"]
phantoms.as_table(without, seed).style.hide(axis="index")

# %%
Markdown(phantoms.described(without, read_record("ablation")))

# %% [markdown]
# Read these rows with care:
#
# - **A loss is the loss of a match.** The real patients keep their skulls. A network that has never seen one does not know what to do with it, and it has learned from brains that fill more of a slice. How well a skull must be drawn, the row does not say.
# - **Some is put back.** The augmentation adds noise, changes brightness and contrast, and drops sequences. And the recipe was chosen with the whole phantom.
# - **One row may change two things**, as that of one scanner does. Then a loss cannot be given to either.
# - **They lean on each other.** All rows share the same trainings on the whole phantom. Were these lucky, every row would move to the left.
# - **Few patients.** Holm's correction is for the differences. The verdicts that something does as well are not corrected for their number. The margin is that of the chapter before.
#
# ## Steps that were not taken
#
# The development patients also judge whether a change of the phantom is a step forward. We tried to bring it nearer to real patients, one step upon the other. The *distance* compares its statistics with those of the development patients: the smaller, the more alike. Then comes the mean Dice on *own patients*, which are simulated ones that were kept apart, and on the development patients, with its interval. *Not found* counts as above.

# %% tags=["hide-input"]
steps = steering.read_steps()
shown = steering.as_table(steps)
shown.style.format("{:.3f}", subset=shown.columns[1:-1]).hide(axis="index")

# %%
Markdown(steering.sentences(steps))

# %% [markdown]
# This table cannot tell whether realism helps or harms. Each row is one short training, judged by few patients. The networks also differ in how well they learned their own phantom. Longer trainings might have chosen otherwise.
#
# ## A step forward?
#
# The table of ingredients was not made to find a step. But one of its rows has the highest mean.

# %%
Markdown(ablation.best_sentence(without, seed))

# %% [markdown]
# Whoever tries many changes on few patients finds one that suits them by chance. So the same networks were scored once more, on the patients who had no part in the choice. For them that is one comparison, and its p value is not corrected.

# %%
Markdown(phantoms.step_sentences(without, step, seed))

# %% [markdown]
# Each group is judged by itself. Whether the change does more for the one than for the other is not tested here. The phantom of this book stays as it is, because every other number rests on it.

# %% tags=["answer"]
Markdown(f"**Answer.** {ablation.conclusion(without, other_phantoms, seed)}")

# %% [markdown]
# ## Take-away
#
# - To learn what a network misses when a simulation lacks something, take one thing out at a time, and train more than once.
# - To learn what a fit to the judges is worth, draw the same simulation without it, and ask the same judges.
# - That a simulation looks real does not say which part of it a network needs.
# - The best of many changes on few patients may owe its place to chance. Ask others before you believe it.
#
# ## Exercises
#
# **1. Recall.** Why are the networks of the ablation scored on the development patients, and not on the others?
#
# **2. Compute.** Suppose that none of the changes does anything, and chance alone moves each patient's Dice a little, up or down. How much does the best of them seem to gain? Complete the function. Then draw as many changes of as many patients as in the table above, a thousand times, from a normal distribution with mean 0 and the standard deviation that the differences of each change have.
# `phantoms.dice_by_phantom(without)` has a row per patient and a column per phantom; `phantoms.OWN` is the whole one.


# %% tags=["solution", "hide-cell"]
def best_gain(differences):
    """The mean difference of the change that looks best.

    Parameters
    ----------
    differences : float array (changes, patients)
        Dice of each patient after a change, minus the Dice before it.

    Returns
    -------
    float
        The largest of the means over the patients.
    """
    return np.mean(differences, axis=1).max()


by_phantom = phantoms.dice_by_phantom(without)
differences = by_phantom.drop(columns=phantoms.OWN).sub(by_phantom[phantoms.OWN], axis=0)
spread = differences.std().to_numpy()[:, None]  # each change moves patients by its own amount
chance = np.random.default_rng(seed).normal(0, spread, (1000, *differences.T.shape))
gains = np.array([best_gain(draw) for draw in chance])
observed = best_gain(differences.T)
print(f"By chance alone the best gains {gains.mean():+.3f} of Dice in the mean, and {observed:+.3f} or more")
print(f"in {np.mean(gains >= observed):.0%} of the draws. {observed:+.3f} is what the best change of the table gains.")
# The real changes are not as independent as these: all are differences to the same three networks.

# %% tags=["check", "hide-cell"]
answer = best_gain([[0.0, 0.2], [0.2, 0.2], [-0.1, 0.4]])
assert answer is not None, "The function returns nothing yet. What is the mean of each row?"
assert not np.isclose(answer, 0.4), "Take the means first. A change is judged by all patients, and not by the luckiest."
assert not np.isclose(answer, 0.15), "That is the mean of all changes. Which one would you have kept?"
assert np.isclose(answer, 0.2), f"The means are 0.10, 0.20 and 0.15: the best is 0.20, and not {answer:.3f}."
print("Right.")

# %% [markdown]
# **3. Predict.** Suppose that a phantom's masks all reach two pixels too far. A network that learns this perfectly draws every outline two pixels too wide. What would that cost in a slice with much tumour, and in one with little? Guess before you look.

# %% tags=["solution", "hide-cell"]
disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
own = Phantom(4, 0, "").prepare(Preprocessing())
slices = sorted(own.truth(np.flatnonzero(own.table["tumour_px"])), key=np.count_nonzero)
for truth in (slices[len(slices) // 10], slices[-1]):
    wide = cv2.dilate(truth.astype(np.uint8), disc) > 0
    print(f"{truth.sum()} px: Dice {float(dice(confusion(truth, wide), empty=np.nan)):.2f}")
# A border of two pixels is a larger share of a small tumour, so the same habit costs it more. On real patients, the
# figure above has another loss: there no outline is perfect to begin with, and a habit may offset an error.

# %% [markdown]
# **4. Open.** The development patients have judged many changes by now. What would you do before the next one?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** The answer may change the phantom. Whoever lets the other patients choose an ingredient can no longer ask them, without bias, how good the networks are.
#
# **4.** Each look at the same patients makes luck more likely to win. Ask of a change that it gains more than chance would give to the best of all that were tried, or correct for their number.
# Train each variant several times, so that one lucky training decides nothing. And draw new development patients, where there are any, before the old ones are worn out.
# :::
