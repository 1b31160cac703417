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
# **Question.** What does a network learn from a simulated patient, and how much hangs on a simulation that fits its judges?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** draw the phantom otherwise, take one ingredient out of it at a time, and ask real patients what that changes.
# - **You will learn** how to find out what a simulation teaches, and why the best of many changes flatters itself.
# - **You need** [the chapter before](16_synthetic), and a copy of the project: the page reads the tables in its `results/`.
# - **It takes** about 10 minutes to read and seconds to run: nothing is trained here.
# :::
#
# Networks that have met simulated patients alone outline many real tumours. [The chapter before](16_synthetic) measured how well. Here we ask what in these patients teaches them. Each answer takes trainings on another {term}`phantom`, and real patients who judge the networks.
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
from brainseg.experiments.ingredients import WIDE
from brainseg.experiments.plan import Phantom
from brainseg.figures import style
from brainseg.figures import synthetic as figures
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import confusion, dice
from brainseg.results import read_record, read_table

style.use_theme()
other_phantoms, step = phantoms.step_apart(read_table("phantoms", "patients"))
without = read_table("ablation", "patients")

# %% [markdown]
# ## Other phantoms
#
# The study's phantom was fitted to real patients, and those who judge its networks were among them. How much of the result is owed to that? We drew another phantom by the same program, with wider ranges: tumours nearly anywhere in the cerebrum, from small to huge and from faint to glaring; ages, slices, noise and shading from end to end; and every tissue made brighter or darker by its own draw, on each sequence, so that no scanner is special. Only missing sequences are narrower: there are none. {numref}`fig-phantoms-wide` shows some of its patients.

# %% mystnb={"figure": {"name": "fig-phantoms-wide", "caption": "Simulated patients on FLAIR with their outlines, in the slice with the largest tumour: of the study's phantom (top), and of the phantom with wide ranges (bottom)."}, "image": {"alt": "Two rows of simulated head slices. In the lower row the tissues have other grey levels in each picture."}}
drawn = []
for change in ("", WIDE):
    prepared = Phantom(4, 0, change).prepare(Preprocessing())
    largest = prepared.table.groupby("patient")["tumour_px"].idxmax().to_numpy()
    drawn.append((prepared.images[largest], prepared.tumour(largest)))
figures.phantoms(drawn)

# %% [markdown]
# The study's phantom is also one draw of patients, outlined by a reader who follows the line. Another draw, or a reader who stays two pixels inside or outside the line, could teach something else. (Inside the line, the thin ends of a tumour vanish from its mask.) Each phantom is compared with the study's on the same real patients, and with the flat threshold, as in the chapter before.

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
# The difference is that to the study's phantom, with its 95 % interval over patients. *By training* has the lowest and the highest difference between two trainings of the same seed, of which the interval knows nothing. *Not found* counts the tumours with a Dice below 0.1.
#
# Even the phantom of wider ranges knows something of its judges. Its anatomy is an average of real heads. Its tissues have the same order, its tumours stand out in the same way, and its reader draws the same line. And its makers had seen the real patients. What was taken away is the fit of most of its ranges.
#
# ## Which ingredient matters?
#
# There is another way to ask: take one ingredient out, and train U-Net on what is left. Eight were taken out, one at a time.

# %% tags=["hide-input"]
ablation.ingredients().style.hide(axis="index")

# %% [markdown]
# No tumour of this phantom presses the brain aside, so that cannot be taken out.
#
# Some real patients may steer the phantom, and are left out of all other scores: its *development patients* ({doc}`../data`). They judge here, because the answer may change the phantom.

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
# The development patients also judge whether a change of the phantom is a step forward. The makers tried to bring it nearer to real patients, one step upon the other. The *distance* compares its statistics with those of the development patients: the smaller, the more alike. The other columns are mean Dice: on *own patients*, simulated ones that were kept apart, and on the development patients, with its interval.

# %% tags=["hide-input"]
steps = steering.read_steps()
shown = steering.as_table(steps)
shown.style.format("{:.3f}", subset=shown.columns[1:-1]).hide(axis="index")

# %%
Markdown(steering.sentences(steps))

# %% [markdown]
# That does not show that realism harms. Each row is one short training, judged by few patients. The networks also differ in how well they learned their own phantom. Longer trainings might have chosen otherwise.
#
# ## A step forward?
#
# One of the eight phantoms raises the mean Dice of the development patients most. By the rule above it would be a step forward. But whoever tries many changes on few patients finds one that suits them by chance. So the same networks were scored once more, on the patients who had no part in the choice.

# %%
Markdown(phantoms.step_sentences(without, step, seed))

# %% [markdown]
# The phantom of this book stays as it is, because every other number rests on it.

# %% tags=["answer"]
Markdown(f"**Answer.** {ablation.conclusion(without, other_phantoms, seed)}")

# %% [markdown]
# ## Take-away
#
# - Whoever wants to know what a simulation teaches takes one thing out at a time, and trains again, more than once.
# - A simulation need not look real in everything. Ask a network which part it needs.
# - The best of many changes flatters itself, most of all on few patients. Ask others before you believe it.
#
# ## Exercises
#
# **1. Recall.** Why are the networks of the ablation scored on the development patients, and not on the others?
#
# **2. Compute.** Suppose that none of eight changes does anything, and chance alone moves each patient's Dice a little, up or down. How much does the best of the eight seem to gain? Complete the function, and let chance play a thousand times.


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
chance = np.random.default_rng(seed).normal(0, differences.std().median(), (1000, *differences.T.shape))
gains = [best_gain(draw) for draw in chance]
print(f"+{np.mean(gains):.3f} of Dice in the mean, by chance alone")

# %% tags=["check", "hide-cell"]
answer = best_gain([[0.0, 0.2], [0.2, 0.2], [-0.1, 0.4]])
assert answer is not None, "The function returns nothing yet. What is the mean of each row?"
assert not np.isclose(answer, 0.4), "Take the means first. A change is judged by all patients, and not by the luckiest."
assert not np.isclose(answer, 0.15), "That is the mean of all changes. Which one would you have kept?"
assert np.isclose(answer, 0.2), f"The means are 0.10, 0.20 and 0.15: the best is 0.20, and not {answer:.3f}."
print("Right.")

# %% [markdown]
# **3. Predict.** Suppose that a phantom's masks all reach two pixels too far. A network that learns this perfectly draws every outline two pixels too wide. What would that cost, in a large tumour and in a small one? Guess before you look.

# %% tags=["solution", "hide-cell"]
disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
own = Phantom(4, 0, "").prepare(Preprocessing())
slices = sorted(own.truth(np.flatnonzero(own.table["tumour_px"])), key=np.count_nonzero)
for truth in (slices[len(slices) // 10], slices[-1]):
    wide = cv2.dilate(truth.astype(np.uint8), disc) > 0
    print(f"{truth.sum()} px: Dice {float(dice(confusion(truth, wide), empty=np.nan)):.2f}")
# A border of two pixels is a larger share of a small tumour, so a habit of the phantom's readers alone costs it more.

# %% [markdown]
# **4. Open.** The development patients have judged many changes by now. What would you do before the next one?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** The answer may change the phantom. Whoever lets the other patients choose an ingredient can no longer ask them, without bias, how good the networks are.
#
# **4.** Each look at the same patients makes luck more likely to win. Ask of a change that it gains more than chance would give to the best of all that were tried, or correct for their number.
# Train each variant several times, so that one lucky training decides nothing. And draw new development patients, where there are any, before the old ones are worn out.
# :::
