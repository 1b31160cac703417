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
# # What is a synthetic tumour worth?
#
# **Question.** How well does a network outline real tumours if it has never been trained on a real image?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** set networks that trained on simulated patients alone beside a plain threshold, and beside networks that went on with real patients; and count the patients that a simulation replaces.
# - **You will learn** how to judge what a simulation has taught, and what "no real image" does not say.
# - **You need** [the comparison](08_compare) and [the results](15_results), and a copy of the project: the page reads the tables in its `results/`.
# - **It takes** about 15 minutes to read and a minute to run: nothing is trained here.
# :::
#
# A mask takes an expert's time, and a scan is private. A simulated patient has neither problem: the computer that draws the tumour knows its outline. The {term}`phantom` of this book was made so that every chapter runs without a download.
# But a simulation may teach the wrong thing. So we ask real patients.
#
# The results are those of real patients, from the tables in `results/`. The pictures are simulated. One figure has real slices, and only where they are at hand. Not for clinical use.

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
data = "phantom"  # whose slices are shown where a network without a real image fails; elsewhere they are simulated
seed = 0  # of the bootstrap

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg.cohort import index_cohort, read_patient
from brainseg.data import get_cohort
from brainseg.experiments import exchange, gallery, longer, synthetic
from brainseg.figures import style
from brainseg.figures import synthetic as figures
from brainseg.figures.results import side_by_side
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import confusion, dice
from brainseg.results import read_record, read_table

style.use_theme()
patients, tried = (read_table("synthetic", name) for name in ("patients", "threshold"))
found = synthetic.read_findings(seed)

# %% [markdown]
# ## A rule without a network
#
# A score of networks that trained on simulated patients says little by itself, because these tumours are bright on FLAIR. Perhaps no network is needed. So the first thing to beat is a rule that fits in two lines: **call tumour what is brighter than a threshold, and drop small pieces apart.**
#
# The rule gets what the networks get: FLAIR, with the grey levels of each patient scaled so that the median of the brain is the same. The scalp is the brightest part of a head, so a rim along its edge is left out. The threshold and the width of the rim are chosen on simulated patients, as the networks were trained on them.

# %% mystnb={"figure": {"name": "fig-synthetic-thresholds", "caption": "Mean Dice of simulated patients by the threshold, for each width of the rim that is left out. The diamond marks the best, which is applied to the real patients."}, "image": {"alt": "Four lines over the threshold, one for each width of the rim; a diamond marks the highest point."}}
figures.thresholds(tried)

# %%
Markdown(found.chosen())

# %% [markdown]
# Here is the rule at work on simulated patients. {numref}`fig-synthetic-simulated` shows for each the slice with the largest tumour.

# %%
root = get_cohort(data if str(data).startswith("phantom") else "phantom:4")
prepared = prepare(root, Preprocessing())
pictures = []
for name in prepared.table["patient"].unique()[:4]:
    rows = np.flatnonzero(prepared.table["patient"] == name)
    flair = synthetic.brain_flair(prepared, rows, found.threshold.rim_px)
    mask = synthetic.flat_mask(flair, found.threshold.level)
    images, truth = read_patient(prepared.table, name)
    largest = truth.sum(axis=(1, 2)).argmax()
    score = float(dice(confusion(truth, mask), empty=np.nan))
    pictures.append((images[largest], truth[largest], mask[largest], f"Dice {score:.2f}"))

# %% mystnb={"figure": {"name": "fig-synthetic-simulated", "caption": "Simulated patients on FLAIR, in the slice with the largest tumour: as it is (top), and with the true outline and that of the threshold (bottom). The Dice is that of the whole volume."}, "image": {"alt": "Simulated slices of heads with a tumour. Below, the same slices with two outlines."}}
figures.simulated(*zip(*pictures, strict=True))

# %% [markdown]
# ## Who trains, and who is scored

# %%
Markdown(synthetic.described(patients, read_record("synthetic")))

# %% [markdown]
# The primary question was named before these networks were scored: does U-Net do better than the threshold? The protocol asks that the lower end of the interval lies above 0. The {term}`one rule`, which answers here, asks that and more. To it, differences of less than 0.03 of Dice do not matter.
#
# ## Without one real image

# %% mystnb={"figure": {"name": "fig-synthetic-methods", "caption": "Dice of real patients: a small dot is a patient, the large one the mean, the bar its 95 % bootstrap interval. Filled dots: trained on the phantom alone, or chosen on it. Open dots: trained on real patients after the phantom, each patient scored by networks that have not met him or her. All rows are of the same patients, each with the mean Dice over the seeds."}, "image": {"alt": "Rows of dots between 0 and 1, with a large dot and a bar for the mean. The flat threshold stands first. Below it each network has two rows, after the phantom alone and after real patients."}}
alone, trained = synthetic.mean_dice(patients), synthetic.mean_dice(synthetic.trained_on_real())
figures.methods(alone, trained)

# %% tags=["hide-input"]
numbers = ["mean", "from", "to", "median", "worst"]
display(found.table().style.format("{:.3f}", subset=numbers).hide(axis="index"))

# %%
Markdown(found.primary_sentence())

# %% [markdown]
# In the table, the mean has its 95 % interval, a *failure* is a patient with a Dice below 0.1, which is to say that the tumour was not found, and the last column has the lowest and the highest mean of the seeds.
#
# ## What real patients add
#
# The reference networks of [the page of results](15_results) started from networks trained in this very way, and went on with the real patients of four folds, for as many steps again. Real patients and longer training came together, and the difference holds both. On both sides each network is scored by itself, and a patient's Dice is the mean over the seeds.

# %% mystnb={"figure": {"name": "fig-synthetic-patients", "caption": "The same real patients after the phantom alone (upwards) and after real patients as well (to the right), one mark for each patient and network. On the dashed line both are equal; below it, real patients helped."}, "image": {"alt": "A square with a dashed diagonal, and marks of three shapes, one for each network."}}
figures.patient_by_patient(alone, trained)

# %%
Markdown(found.gap_sentences())

# %% [markdown]
# So what did the longer training do? In more trainings, which were planned after the results above were known, networks stayed with the phantom for as many steps as those above took in all.

# %%
stayed = longer.read_findings(seed)
Markdown(stayed.sentences())

# %% [markdown]
# The p values behind these verdicts are corrected together. One more thing differs. With real patients the learning rate starts anew, and on the phantom alone it falls once, over all the steps.

# %% [markdown]
# ## How many real patients is it worth?
#
# A mask by an expert costs money. So we ask for the exchange rate: how many outlined patients does the phantom replace? U-Net gets 1, 2, 5 and more real patients of a fold, drawn at random. It starts once from drawn weights, and once from a network that was trained on the phantom.
#
# Along both lines of {numref}`fig-synthetic-exchange` a network takes the same number of steps in all. From drawn weights all are with real slices; after the phantom the second half are. The dotted line is the phantom alone, after half as many steps. Its mean is not that of the table above: these are fewer patients, and not all trainings are the same: here it has those from which the networks after the phantom start. Where the line from drawn weights reaches it, it has as many real patients as the phantom is worth.

# %% mystnb={"figure": {"name": "fig-synthetic-exchange", "caption": "Mean Dice of U-Net by the number of real patients in training, with 95 % bootstrap intervals over the scored patients. Squares: from drawn weights. Dots: after the phantom. The small marks beside them: each draw of patients by itself. The dotted line and its 95 % band: the phantom alone. The diamond marks where the squares reach it, if they do between the fewest and all."}, "image": {"alt": "Two lines over the number of real patients on a logarithmic axis, with small marks beside each point, and a dotted horizontal line with a band and a diamond."}}
rate = exchange.read_findings(seed)
figures.exchange(rate)

# %%
beyond = synthetic.mean_dice(read_table("longer", "patients"))[synthetic.MODEL]
Markdown(f"{rate.sentence()}\n\n{exchange.longer_sentence(rate, read_table('exchange', 'patients'), beyond, seed)}")

# %% tags=["hide-input"]
rate.table().style.hide(axis="index")

# %%
Markdown(rate.ends())

# %% [markdown]
# The difference is that of the two starts, with its 95 % interval over the scored patients; *by draw* has the lowest and the highest difference of one draw, which the interval leaves out, and p is corrected for all rows. Each draw takes other patients in each fold, and other trainings. A verdict is about the mean over the draws.
#
# With few patients given, these patients decide much, as the small marks show. And the steps that help a network with many patients may teach one with a single patient that patient by heart, and let it forget the phantom.
#
# This question is not in the protocol. The phantom's numbers were set by statistics of real patients, the scored ones among them, and the recipe was chosen for networks that start from it. So the rate holds for this phantom and this recipe, and may be too favourable to them. It is not the price of a phantom that was made without masks.
#
# The lines say something about the recipe itself, too. The trials that adopted the start from the phantom ({doc}`limits <../limits>`) gave the networks from drawn weights half as many steps. So they could not tell the start from the longer training. Here both sides take the same number of steps, although after the phantom the learning rate starts anew.

# %%
Markdown(exchange.described(read_record("exchange")))

# %% [markdown]
# ## Where it goes better
#
# Two properties of a tumour that could matter are its size, and how far it stands out: the chance that a pixel of the tumour is brighter on FLAIR than one of the brain around it. These are associations with U-Net's Dice, and no causes.

# %%
Markdown(found.link_sentences())

# %%
by_institution = synthetic.by_institution(patients, synthetic.trained_on_real())
by_institution.style.format("{:.2f}", subset=by_institution.columns[1:])

# %% [markdown]
# These are means of U-Net, and some institutions have few patients.
#
# ## Where it does worst
#
# These are the five patients with the lowest Dice after the phantom alone, in the mean over the trainings of U-Net. {numref}`fig-synthetic-failures` has the slice of each that shows most tumour, with what a network makes of it before and after real patients.

# %% mystnb={"figure": {"name": "fig-synthetic-failures", "caption": "The five patients on whom U-Net without a real image does worst: the slice with most tumour, as it is, and with the outlines of truth and prediction: of the first of the trainings on the phantom alone, and of the networks together that went on with other real patients. The number is the mean Dice of the volume over the trainings on the phantom alone."}, "image": {"alt": "Five rows of a head slice. In each row the plain slice, then the slice with two outlines after the phantom alone, and after real patients; or a sentence, where the slices are not at hand."}}
lowest = synthetic.failures(patients)
shown = gallery.pictures(index_cohort(get_cohort(data)), lowest, synthetic.masks_side_by_side(patients))
if shown is None:
    figure = style.nothing_to_show("This page was made without the slices of these patients, so there are no pictures.")
else:
    figure = side_by_side(shown.images, shown.truth, shown.predicted, shown.titles)
figure

# %%
Markdown("\n".join(f"1. {failure.sentence()}" for failure in lowest))

# %% [markdown]
# ## What "no real image" does not say
#
# The weights of these networks have met no real image. That is less than "no real data", because people who had seen real data made the phantom and chose the recipe:
#
# - **Its numbers.** Sizes, contrasts and the habits of its readers were set until the phantom's statistics came near to those of the project's real patients, images and masks. Those who are scored here were among them.
# - **Its places and ages.** Where its tumours lie, and how old its patients are, was read off the data set's table of all patients.
# - **Its steering.** Changes of the phantom are judged on a development set, which is left out of all scores above. [The next chapter](17_phantoms) shows its scores.
# - **The recipe.** Length of training, augmentation and the way of making a mask were chosen by scores of real patients.
# - **Earlier looks.** Shorter trainings of this kind had been scored on real patients before the question was written down.
#
# So the numbers are those of a phantom that knows something of its judges. {doc}`The data card <../data>` says how the phantom is made, and [the next chapter](17_phantoms) draws it with wider ranges, and with published relaxation times in the place of fitted grey levels.
#
# ## What others have done
#
# Lindner et al. trained a U-Net on synthetic glioblastomas alone and tested it on real images {cite:p}`lindner2019using`, and SynthTumour begins with hand-crafted tumours and goes on with what its first network outlines in unlabelled real images {cite:p}`zhang2025unsupervised`.
# SynthSeg gives realism up: it draws the contrast of a whole brain at random, so that no scanner is special {cite:p}`billot2023synthseg`.

# %% tags=["answer"]
Markdown(f"**Answer.** {found.conclusion().removesuffix('.')}; {stayed.in_short()}. {rate.in_short()}.")

# %% [markdown]
# ## Take-away
#
# - Before a network is praised for what a simulation taught it, set a rule without a network beside it, chosen on the same simulation.
# - "Trained on synthetic data alone" is about weights. Ask also who set the simulation, and on whom the recipe was chosen.
# - A mean hides failures. Count them.
#
# ## Exercises
#
# **1. Recall.** Why are the development patients left out of the scores that answer the question of this page, although the phantom alone was the teacher?
#
# **2. Compute.** The threshold is one end, training on real patients the other. How much of the way does the phantom alone go? Complete the function, and use it on U-Net.


# %% tags=["solution", "hide-cell"]
def share_of_the_way(start, reached, end):
    """How much of the way from one mean to another a third one goes.

    Parameters
    ----------
    start, reached, end : float arrays (patients,)
        Dice of the same patients by the threshold, after the phantom alone, and after real patients.

    Returns
    -------
    float
        0 at the start, 1 at the end.
    """
    return (np.mean(reached) - np.mean(start)) / (np.mean(end) - np.mean(start))


ends = pd.DataFrame({"flat": alone[synthetic.FLAT], "phantom": alone["unet"], "real": trained["unet"]}).dropna()
print(f"{share_of_the_way(ends['flat'], ends['phantom'], ends['real']):.0%} of the way")

# %% tags=["check", "hide-cell"]
answer = share_of_the_way([0.2, 0.4], [0.6, 0.5], [0.8, 0.6])
assert answer is not None, "The function returns nothing yet. How far is it from start to end, in the mean?"
assert not np.isclose(answer, np.mean([2 / 3, 1 / 2])), (
    "Take the means first. A mean of shares lets a patient with a short way count as much as one with a long way."
)
assert np.isclose(answer, 5 / 8), f"The means are 0.30, 0.55 and 0.70: five eighths of the way, and not {answer:.3f}."
print("Right.")

# %% [markdown]
# **3. Predict.** Suppose that somebody leaves five patients out, "because of poor image quality", and they happen to be those on whom U-Net does worst. How much higher is the mean Dice after the phantom alone? Guess before you look.

# %% tags=["solution", "hide-cell"]
reached = alone["unet"].dropna().sort_values()
print(f"{reached.mean():.3f} with all {len(reached)}, {reached[5:].mean():.3f} without the lowest five")
# Whom to leave out is decided before a network is scored, by a rule that does not ask for the score.

# %% [markdown]
# **4. Open.** How would you make a phantom that knows nothing of the patients who will judge it, and how would you show that it does not?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** They judged whether a change of the phantom was a step forward. A phantom that is kept because it suits these patients would be flattered by them.
#
# **4.** Take every range from the literature or from anatomy, and vary more than any scanner does. Write the ranges down, with their sources, and fix them by a commit before a real image is opened.
# Choose recipe and threshold on phantom patients alone. Then score real patients once, and keep the log. [The next chapter](17_phantoms) goes part of this way.
# :::
