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
# # Results on real slices
#
# **Question.** How good are the networks on real patients whom they have never met, and where do they fail?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** read the results of the networks that this project has trained on real patients.
# - **You will learn** how good they are on patients whom they have never met, and where they fail.
# - **You need** [the comparison](08_compare) and [the split evaluation](09_split_evaluation), and a copy of the project: the page reads the tables in its `results/`.
# - **It takes** about 15 minutes to read and seconds to run: nothing is trained here.
# :::
#
# All scores come from the tables in `results/`, whatever cohort the other pages were executed on. `make reproduce` checks those of the {term}`reference runs <reference run>` on the slices: it predicts with the kept weights, those of the first seed, and scores the kept masks of all seeds.
# 22 more patients of the data set are a locked test set that nobody here has scored ({doc}`../limits`). The {doc}`data card <../data>` tells where slices and masks come from, and under which licences. Not for clinical use.

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
data = "phantom"  # whose slices are shown, where they are the ones that the networks were tested on
seed = 0  # of the bootstrap

# %%
import pandas as pd
from IPython.display import Markdown, display

from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.evaluation.headline import headline
from brainseg.evaluation.scores import HEADINGS, summarise_by_size
from brainseg.experiments import gallery, locked, outcome, seeds, trials, variants
from brainseg.experiments.ranking import by_fold, rank_networks
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.results import read_log, read_table

style.use_theme()
patients, slices = outcome.read_scores()
unet = patients[patients["model"] == "unet"]

# %% [markdown]
# ## The headline
#
# Each network was trained on simulated patients first, then on the real patients of four folds, and scored on the patients of the fifth. So nobody is scored by a network that has met them. A patient counts once, as one {term}`volume` in the original {term}`frame`.

# %% mystnb={"figure": {"name": "fig-reference-headline", "caption": "Per-volume Dice of patients whom the network has never met. A small dot is a patient, the large one is the mean, the bar its 95 % bootstrap interval over patients, which leaves out that another training gives another network. Only rows with the same number of patients are of the same patients. The dashed line is the published mean of a 22-fold cross-validation on all 110 patients, with other folds; the grey band is the mean agreement of two human readers with one standard deviation to each side, as the same page quotes it without a source."}, "image": {"alt": "Rows of dots between 0 and 1, each with a large dot and a bar for its mean, a dashed line and a narrow grey band."}}
lines = headline(seed)
figures.headline(lines)

# %% tags=["hide-input"]
shown = outcome.headline_table(lines)
display(shown.style.format("{:.3f}", subset=["mean", "from", "to", "median", "worst"]).hide(axis="index"))

# %%
found = outcome.read_findings(seed)
Markdown(found.sentences())

# %% [markdown]
# The aims were set before any of these networks was trained. They say what we hoped for, and rest on no result.
# FCN-32 sees each prepared slice at twice its size, so its cells are 16 of the slice's pixels wide, not the 32 of its name ([chapter 5](05_train_fcn32)).
#
# ## Is one network better?
#
# The networks are compared on the same patients. The data show a difference where the interval of the {term}`paired difference` excludes zero and the corrected p value of the {term}`sign-flip test` confirms it. They show that two networks are {term}`equivalent` where the 90 % interval lies within 0.02.
# Both answers ask for three trainings of each network, because a training is one draw.

# %%
trainings = int(patients["networks"].min())  # seeds in each fold
ranking = rank_networks(outcome.wide_dice(patients), trainings=trainings, seed=seed)
in_fold = patients.drop_duplicates("patient").set_index("patient")["fold"]
said = [*(pair.sentence() for pair in ranking.pairs), "", ranking.sentence()]
Markdown("\n".join([*said, "", by_fold(outcome.wide_dice(patients), in_fold)]))

# %% [markdown]
# ### How much is luck?
#
# A {term}`seed` decides the starting weights, the order of the slices and how they are augmented. The result of a network is the mean of its seeds' probabilities. Here each seed stands for itself. Some were trained on another kind of machine (the table at the end says which), and rounding is a part of their luck as well.

# %%
by_seed = read_table("reference", "seeds")
Markdown(seeds.findings(by_seed[by_seed["protocol"] == "honest"], seed).sentences())

# %% [markdown]
# ## Two harder questions
#
# **What is the recipe worth?** A *plain* U-Net is the floor: drawn weights instead of those from the phantom (and so half the steps), the whole frame, grey levels as they are, slices as they come, no augmentation, one prediction per slice, and every piece counts. **What does a new institution cost?** The folds mix institutions, so the networks above have met that of their test patients. A network *without* an institution has not. Where the institution is large, it also learns from far fewer patients, and not all of a difference is the institution. So the two largest have a control of the same size: networks that learn from as many patients, *with half of* the institution among them, and are tested on the other half.
#
# Each is set against the reference U-Nets of the first seed on the same patients, and a network without an institution against its control as well.

# %%
Markdown(variants.sentences(seed))

# %% [markdown]
# ## Where they fail
#
# A mean can hide the tail. These are the ten patients with the lowest Dice in the mean over the networks, and {numref}`fig-results-gallery` has the slice of each that shows most tumour.

# %% mystnb={"figure": {"name": "fig-results-gallery", "caption": "The ten patients with the lowest scores: the slice with most tumour, as it is and with the outlines of truth and prediction. The slices are drawn where the page was made with them."}, "image": {"alt": "Ten rows of a head slice. In each row the plain slice, then the slice with two outlines for FCN-32, U-Net and ResUNet; or a sentence, where the slices are not at hand."}}
lowest = gallery.failures(patients)
pictures = gallery.pictures(index_cohort(get_cohort(data)), lowest, gallery.reference_masks(patients))
if pictures:
    figure = figures.side_by_side(pictures.images, pictures.truth, pictures.predicted, pictures.titles)
else:
    figure = style.nothing_to_show("This page was made without the slices of these patients, so there are no pictures.")
figure

# %%
Markdown("\n".join(f"1. {failure.sentence()}" for failure in lowest))

# %% [markdown]
# A name of two capitals is that of an institution. A missing T1 is filled with a copy of FLAIR in this data set, and the networks were trained with such copies on purpose. Groups of fewer than ten patients get no interval.

# %%
outcome.by_group(patients, seed)

# %% [markdown]
# One pixel of outline costs a small tumour far more Dice than a large one ({numref}`fig-reference-size`).

# %% mystnb={"figure": {"name": "fig-reference-size", "caption": "Dice of each test slice with tumour against the size of its tumour, on a logarithmic scale."}, "image": {"alt": "Clouds of dots, one per network: small tumours scatter over the whole range of Dice, large ones gather near the top."}}
figures.dice_against_size(slices)

# %%
by_size = summarise_by_size(slices[slices["model"] == "unet"]).rename(columns=HEADINGS)
by_size.style.format("{:.2f}", subset=["mean Dice", "median Dice", "10th percentile"], na_rep="-")

# %% tags=["hide-input"]
shown = outcome.border_table(slices)
shown = shown.style.format("{:.0f}", subset="tumour slices").format("{:.1f}", subset="median HD95 (px)")
display(shown.format("{:.2f}", subset=["mean NSD at 1 px", "at 2 px"]).format("{:.1%}", subset="missed"))

# %% [markdown]
# {term}`HD95` is the distance within which 95 % of one outline lies from the other, and {term}`NSD` the share of the outlines that agree to within a tolerance. Where nothing was found, HD95 is the diagonal of the frame.
#
# Slices without tumour have no Dice. The question there is whether a network keeps quiet: a slice is *left clean* where no pixel is called tumour, and every other one is a false alarm.

# %% tags=["hide-input"]
shown = outcome.empty_table(slices)
whole = ["slices", "median false pixels in an alarm", "most false pixels"]
display(
    shown.style.format("{:.0f}", subset=whole)
    .format("{:.1%}", subset="left clean")
    .format("{:.5f}", subset="specificity of pixels")
)

# %% [markdown]
# ## The article's protocol
#
# The same architectures were trained on slices prepared as in the article (CLAHE, a box per slice), with slices split at random. What the article leaves open is our reading. Their predictions are scored twice: as `model.evaluate` does it, softly, smoothed and averaged over batches, and as masks in the original frame. The last column is the honest protocol's result on new patients. It is the mean of several networks, which trained on simulated patients before, so it cannot be held against the others.

# %%
leaky = outcome.read_scores("article")
by_article = outcome.article_findings(read_table("reference", "article"), leaky, patients)
display(outcome.article_table(by_article).round(2))
Markdown(outcome.article_sentence(by_article))

# %% [markdown]
# [Chapter 10](10_leakage) takes the two protocols apart.
#
# ## The locked test
#
# Every patient above is known to this project: settings were chosen on some of them, and their scores have been seen. A test that nobody here could have aimed at needs patients whom nobody here has met.

# %%
Markdown(locked.sentences(seed))

# %% [markdown]
# ## How the recipe was chosen
#
# The ways of training were compared on inner patients alone, and the recipe was frozen in `results/protocol.md` before any network above was trained. A gain counts where it lies above one standard error over the patients and does not hang on one of them.
# The first table sets other ways of training beside the plainest, the second other ways of making a mask beside the study's (both ways, cut at one half, small pieces dropped). Looking both ways came from the first campaign, and did not have to earn its place here.
#
# The way that was adopted scales grey levels by the brain, and it starts from the phantom. It was chosen beside the plainest way alone. The table has each step by itself, too: those two rows were trained later, and the other two again from the same code ({doc}`../limits`). With the phantom come as many steps again, and the table cannot part the two: [Chapter 16](16_synthetic) trains from drawn weights and after the phantom for equally many steps, and shows what is left of the gain.

# %% tags=["hide-input"]
tried = read_table("trials", "patients")
plainest, chosen = tried["trial"].iloc[[0, -1]]
for trial, gains in ((plainest, trials.findings(tried)), (chosen, trials.prediction_findings(tried, chosen))):
    display(Markdown(trials.beside(tried, trial)))
    shown = pd.DataFrame([gain.row() for gain in gains]).style.hide(axis="index")
    display(shown.format("{:.3f}", subset=["mean Dice", "median", "standard error"]).format("{:+.3f}", subset=["gain"]))

# %% [markdown]
# ## What was trained, and every look
#
# {doc}`../reproduce` has the commands, and says how to train a network whose weights are not kept. {doc}`../limits` has the dates of all choices.

# %% tags=["hide-input"]
display(outcome.training_table().style.hide(axis="index"))

# %% [markdown]
# Who looks often enough finds a lucky number, so every evaluation of test patients that led to a result or to a change is written down here; those that steered the phantom by its development patients stand in `results/phantom_steps.csv`. A page that is executed again adds no line.

# %%
outcome.looks(read_log()).style.hide(axis="index")

# %% [markdown]
# {download}`The log itself <../test_log.csv>` has a line for each network, with its reason and its commit. In the project it lies in `results/reference/`.

# %% tags=["answer"]
Markdown(f"**Answer.** {found.answer(lowest)}")

# %% [markdown]
# ## Take-away
#
# - A result is a mean, an interval, and the list of patients behind it.
# - The tail of low scores matters more than the third digit of the mean.
# - Weights know whom they have seen. Score them on nobody else.
#
# ## Exercises
#
# **1. Recall.** Why is no fold wholly untouched, although no network was trained on the patients that it is scored on?
#
# **2. Compute.** In how many patients does U-Net find less than half of the tumour's pixels? Complete the function, and use it on `unet`.


# %% tags=["solution", "hide-cell"]
def poorly_found(patients):
    """How many patients have less than half of their tumour's pixels found.

    Parameters
    ----------
    patients : DataFrame
        One row per patient: ``tumour_px``, pixels of tumour in the truth, and ``tp``, those of them that were found.

    Returns
    -------
    int
    """
    return int((2 * patients["tp"] < patients["tumour_px"]).sum())


print(f"{poorly_found(unet)} of {len(unet)} patients")

# %% tags=["check", "hide-cell"]
three_patients = pd.DataFrame({"tumour_px": [100, 100, 100], "tp": [49, 50, 80], "fp": [0, 100, 300]})
answer = poorly_found(three_patients)
assert answer is not None, "The function returns nothing yet. Which share of each patient's tumour was found?"
assert answer == 1, (
    f"Of 100 pixels each, 49, 50 and 80 were found. Only the first is less than half: 1, and not {answer}. False alarms do not count here."
)
print("Right.")

# %% [markdown]
# **3. Try.** With the Kaggle slices and `.[networks]` installed, in a copy of the project: run
# `python -m brainseg predict PATIENT_FOLDER OUT --run results/reference/unet-by-patient-fold0-seed0`, once for a patient of the network's training side and once for one of its
# test side (`split.csv` beside its weights). What does `seen_in_training` say in `patients.csv`? And what without `--run`?
#
# **4. Open.** What would you change first to lift the lowest scores? How would you find out without looking at test patients?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** The recipe was chosen by trials whose inner patients are test patients of folds 1 to 4, and on the test side of fold 0 pilot trainings had been scored. So each score had a small say in how all networks are trained. The 22 of the locked test come nearest to being free of that: no number of
# theirs has reached this project. But others had scored earlier networks on them, and told in which direction the scores moved.
#
# **3.** Whether a patient of that name was among those that the network was trained or chosen on. A score on such a patient is no result. Without `--run` the command takes the
# U-Nets that have not met the patient, so it says False for both.
#
# **4.** Look at the lowest *validation* patients, guess what they share, change one thing, and compare on validation patients of several folds. Test patients come once, at the end.
# :::
