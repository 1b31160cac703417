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

# %% tags=["hide-input"]
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from brainseg import statistics
from brainseg.chapters import study_run
from brainseg.cohort import FLAIR, read_image, read_patient
from brainseg.data import get_cohort
from brainseg.evaluation import predict, scores
from brainseg.evaluation.scores import summarise
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.images.prepared import prepare
from brainseg.images.visibility import ring_of_brain, separability
from brainseg.networks import models

style.use_theme()
NAMES = style.MODEL_NAMES

# %% tags=["hide-input"]
if split_by != "patient":
    display(
        Markdown(
            "**Slices were split here, not patients.** Slices of one patient stand on more than one "
            "side, so the network has seen near-copies of the slices that it is scored on. Where the "
            "text says that test or validation patients are new to the network, that is not true of "
            "this run. A patient's *volume* is only those of the slices that fell on the scored side. "
            "Scores of this run are no estimate of how the network does on a new patient."
        )
    )

# %% [markdown]
# ## The three runs
#
# Same slices, same steps, same loss, same schedule, same seed. Only the architecture differs.

# %%
runs = {
    name: study_run(
        name, data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
        split_by=split_by, fold=fold, filters=filters, epochs=epochs,
        slices_per_epoch=slices_per_epoch,
    )
    for name in ("fcn32", "unet", "resunet")
}  # fmt: skip

# %% tags=["hide-input"]
costs = pd.DataFrame(
    {
        NAMES[name]: {
            "parameters (thousands)": run.model.count_params() / 1e3,
            "multiply-adds per slice (millions)": models.multiply_adds(run.model) / 1e6,
            "training (minutes)": run.record.seconds / 60,
            "best epoch": run.record.best_epoch,
        }
        for name, run in runs.items()
    }
).T
display(costs.style.format("{:,.0f}").format("{:.1f}", subset=["training (minutes)"]))
work = costs["multiply-adds per slice (millions)"]
display(Markdown(f"In multiply-adds, the dearest network costs {work.max() / work.min():.2f} times the cheapest."))

# %% [markdown]
# ## The article's table
#
# The article shows its results as a picture of a table, which has not survived. Its text says only that the IoU
# was near 1 and that ResUNet was best. So we make the table anew: loss, {term}`IoU` and {term}`Dice` on training, validation and
# test slices, as `model.evaluate` gives them. That is in the cropped frame, softly, with smoothing, averaged over
# batches. The article does not say how it scored, so this is our reading.

# %%
rows = {}
for name, run in runs.items():
    for part in ["train", "validation", "test"]:
        rows[NAMES[name], part] = predict.article_scores(run, run.rows(part))
article = pd.DataFrame(rows).T

# %% tags=["hide-input"]
display(article.style.format("{:.3f}"))

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
known = runs["unet"].prepared
test = runs["unet"].rows("test")  # the same for all three:
assert all((run.rows("test") == test).all() for run in runs.values())
truth = known.truth(test)
predicted = {name: predict.predict_masks(run, test) for name, run in runs.items()}
slices = {name: scores.score_slices(marked, truth, known.table.iloc[test]) for name, marked in predicted.items()}
patients = {name: scores.score_patients(table) for name, table in slices.items()}
summaries = {name: summarise(table, seed=seed) for name, table in patients.items()}

honest = pd.DataFrame(summaries).T.rename(index=NAMES)
honest["patients"] = honest["patients"].astype(int)

# %% tags=["hide-input"]
shown = honest.rename(columns={"low": "95 % bootstrap interval from", "high": "to"})
display(shown.style.format("{:.3f}", subset=shown.columns[1:], na_rep="-"))

# %% mystnb={"figure": {"name": "fig-compare-patients", "caption": "Per-volume Dice of the test patients. Each dot is a patient; the diamond is the mean with its 95 % bootstrap interval over patients."}, "image": {"alt": "Three columns of dots between 0 and 1, one column a network, each with a diamond and an interval for the mean."}} tags=["hide-input"]
figures.patient_dice(patients, summaries)

# %% [markdown]
# The interval in {numref}`fig-compare-patients` answers one question: how much could this mean change with other patients of the same kind?
# It was made by drawing the test patients again and again, with replacement: a {term}`bootstrap`.
# Slices would give a far narrower one, and a wrong one: neighbouring slices of one head are no independent witnesses.
#
# With few patients even this interval is too narrow. How much too narrow can be simulated:
# draw as many normal numbers as there are test patients, make the interval, see whether it holds the true mean, and repeat.


# %%
def coverage(n, samples=2000, draws=2000):
    """Share of normal samples of size n whose 95 % interval holds the mean."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((samples, n))
    # A row of weights is a resample.
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n
    low, high = np.percentile(values @ weights.T, [2.5, 97.5], axis=1)
    return float(np.mean((low <= 0) & (high >= 0)))


n_test = len(patients["unet"])

# %% tags=["hide-input"]
display(
    Markdown(
        f"With {n_test} test patients, an interval that is called 95 % holds the true mean in "
        f"**{coverage(n_test):.0%}** of the simulated samples. "
        "Per-volume Dice is not normally distributed, so this is a guide, not a correction."
        if n_test > 1
        else "There is one test patient, so there is no interval at all."
    )
)

# %% [markdown]
# ## Fresh patients
#
# Real patients are few. Simulated ones are cheap, so on the synthetic cohort we can do what nobody can do with real ones:
# draw as many new patients as the cohort has, with another seed, and score the same networks on all of them.
# No network, setting or chapter has met these patients.

# %%
fresh_patients, fresh_summaries = {}, {}
if known.table["synthetic"].all():
    draw = f"phantom:{known.table['patient'].nunique()}:{1000 + seed}"
    cohort = prepare(get_cohort(draw), known.preprocessing)
    if cohort.fingerprint == known.fingerprint:
        raise ValueError(f"data is {draw} itself, none fresh: choose another seed")
    everyone = pd.Series("test", index=cohort.table.index)
    for name, run in runs.items():
        on_fresh = replace(run, prepared=cohort, split=everyone)
        on_slices = predict.evaluate(on_fresh, "test")
        fresh_patients[name] = scores.score_patients(on_slices)
        fresh_summaries[name] = summarise(fresh_patients[name], seed=seed)

# %% tags=["hide-input"]
if fresh_summaries:
    fresh = pd.DataFrame(fresh_summaries).T.rename(index=NAMES)
    fresh["patients"] = fresh["patients"].astype(int)
    shown = fresh.rename(columns={"low": "95 % bootstrap interval from", "high": "to"})
    display(shown.style.format("{:.3f}", subset=shown.columns[1:], na_rep="-"))
    means = "; ".join(
        f"{NAMES[name]} {summaries[name]['mean']:.3f} there, {fresh_summaries[name]['mean']:.3f} here" for name in runs
    )
    display(
        Markdown(
            f"The same networks, {n_test} test patients against {fresh['patients'].max()} fresh ones: {means}. "
            + (
                "Both means vary with the patients that were drawn, that of fewer patients more. "
                if split_by == "patient"
                else "The test slices are of patients whom the networks know, the fresh ones are not. "
            )
            + f"For the networks' worth on this kind of patient, the mean over {fresh['patients'].max()} is the better guess."
        )
    )
else:
    display(
        Markdown(
            "These patients are real, so no more can be drawn. What comes nearest are patients of the data set whom no kept network has met: "
            "where there are such, `make reproduce` scores them and lists them as new."
        )
    )
tables = {"test patients": honest, "fresh patients": fresh} if fresh_summaries else {"test patients": honest}
together = pd.concat({on: table.reset_index(names="model") for on, table in tables.items()}, names=["on"]).reset_index(
    "on"
)
glue("results", together.round(4).to_dict("list"), display=False)

# %% [markdown]
# ## Which patients fail
#
# A mean can hide two groups: many patients with a good score, and a few with almost none. Do the few share something?
# One candidate is a faint tumour. [Chapter 2](02_contrast) has the measure: how often is a random tumour pixel brighter on {term}`FLAIR` than a random pixel of
# the brain around it? At one half, the tumour is as bright as its surroundings. {numref}`fig-compare-faint` sets it against the score.

# %%
if fresh_patients:
    scored, scored_table = fresh_patients, cohort.table
else:
    scored, scored_table = patients, known.table


def tumour_stands_out(patient):
    """How often a tumour pixel is brighter than one around it: mean over slices."""
    images, masks = read_patient(scored_table, patient)
    shares = [
        separability(image[..., FLAIR], mask, ring_of_brain(image, mask))
        for image, mask in zip(images, masks, strict=True) if mask.any()
    ]  # fmt: skip
    return pd.Series(shares, dtype=float).mean()  # NaN, no ring left: skipped


stands_out = {patient: tumour_stands_out(patient) for patient in scored["unet"].index}
stands_out = pd.Series(stands_out).dropna()

# %% mystnb={"figure": {"name": "fig-compare-faint", "caption": "Per-volume Dice against how far the tumour stands out from the brain around it on FLAIR: 0.5 is not at all, 1 is every pixel brighter. Each dot is a patient, of the fresh ones where there are such, otherwise of the test side."}, "image": {"alt": "A cloud of dots in three colours, one colour a network: upwards the Dice, to the right how often the tumour is brighter than its surroundings."}} tags=["hide-input"]
figures.dice_against(stands_out, scored, "how often the tumour is brighter")

# %% tags=["hide-input"]
if len(stands_out) >= statistics.FEWEST_PATIENTS:
    faint = stands_out.index.isin(stands_out.nsmallest(len(stands_out) // 4).index)
    scores = pd.DataFrame({name: table["dice"] for name, table in scored.items()}).loc[stands_out.index]
    means = "; ".join(
        f"{NAMES[name]} {scores.loc[faint, name].mean():.2f} against {scores.loc[~faint, name].mean():.2f}"
        for name in scores
    )
    rank = stands_out.corr(scores["unet"], method="spearman")
    display(
        Markdown(
            f"The {faint.sum()} patients with the faintest tumours against the {(~faint).sum()} others, mean Dice: {means}. "
            f"Over all {len(faint)} patients, the rank correlation between U-Net's Dice and how far the tumour stands out is {rank:+.2f}. "
            "Faint tumours may differ in other ways too, and with few patients all of this is luck in part: a candidate, and no proof."
            + (
                " How the faintest simulated tumours compare with the faintest real ones is in [chapter 1](01_explore.html)."
                if fresh_patients
                else ""
            )
        )
    )
else:
    display(Markdown(f"Patients here: {len(stands_out)}. That is too few for a number."))

# %% [markdown]
# ## Is one network better than another?
#
# Two intervals can overlap although one network is better on nearly every patient.
# The fair comparison is **paired**: subtract the scores patient by patient.
#
# Since the interval is too narrow, it does not decide alone. We call an order *clear* only if three things hold:
#
# - there are at least ten test patients,
# - the interval of the {term}`paired difference` excludes zero,
# - the p value of Wilcoxon's signed-rank test is below 0.05 after Holm's correction {cite:p}`holm1979`, because three pairs are compared.
#
# The test asks how often differences as one-sided as these would come up if neither network were better. Holm's correction multiplies the smallest
# p value by three, the next by two and the last by one, and lets none fall below the one before it. [Chapter 11](11_claims) corrects in the same way.

# %%
rows = {}
for first, second in combinations(reversed(runs), 2):
    one, other = patients[first]["dice"], patients[second]["dice"]
    difference = statistics.paired_difference(one, other, seed=seed)
    rows[f"{NAMES[first]} minus {NAMES[second]}"] = {
        "mean": difference.estimate, "low": difference.low, "high": difference.high,
        "p": difference.p_value, "better on": int((one > other).sum()),
    }  # fmt: skip
differences = pd.DataFrame.from_dict(rows, orient="index")
differences.insert(4, "p corrected", statistics.holm(differences["p"]))
excludes_zero = (differences["low"] > 0) | (differences["high"] < 0)
significant = excludes_zero & (differences["p corrected"] < statistics.LARGEST_P)
differences["clear"] = significant & (n_test >= statistics.FEWEST_PATIENTS)

# %% tags=["hide-input"]
shown = differences.drop(columns="clear").rename(columns={"low": "95 % bootstrap interval from", "high": "to"})
display(
    shown.style.format("{:+.3f}", subset=shown.columns[:3], na_rep="-").format(
        statistics.p_text, subset=["p", "p corrected"]
    )
)

# %% mystnb={"figure": {"name": "fig-compare-paired", "caption": "Differences in per-volume Dice on the same test patients: mean and 95 % bootstrap interval. An interval that crosses the dashed line leaves the order open. One that does not is not enough by itself."}, "image": {"alt": "Three horizontal intervals, one for each pair of networks, around a dashed vertical line at zero."}} tags=["hide-input"]
figures.paired_differences(differences)

# %% [markdown]
# {numref}`fig-compare-paired` shows the differences. The next cell applies the rule.

# %% tags=["hide-input"]
sentences = []
for label, row in differences.iterrows():
    if n_test < statistics.FEWEST_PATIENTS:
        verdict = ""
    else:
        verdict = ": the order is clear" if row["clear"] else ": the order stays open"
    sentences.append(
        f"- **{label}**: {row['mean']:+.3f}, {statistics.p_text(row['p corrected'], name='corrected p')}, "
        f"better on {row['better on']} of {n_test}{verdict}."
    )
if n_test < statistics.FEWEST_PATIENTS:
    sentences.append(f"\nTest patients: {n_test}. That is **too few to order networks**, so no order is called clear.")
best = max(summaries, key=lambda name: summaries[name]["mean"])
of_resunet = differences[differences.index.str.startswith(NAMES["resunet"])]
if (of_resunet["clear"] & (of_resunet["mean"] > 0)).all():
    agrees = "ResUNet is clearly best of the three, **as the article found**."
elif (of_resunet["clear"] & (of_resunet["mean"] < 0)).any():
    agrees = "ResUNet is clearly behind another network, so the article's ranking **does not hold here**."
else:
    agrees = "The article's ranking, ResUNet first, is **neither confirmed nor refuted here**."
sentences.append(
    f"\nThe highest mean has {NAMES[best]}. {agrees} "
    "One training each: the order is of these networks, not of the architectures, and all of it is one split and one seed."
)
display(Markdown("\n".join(sentences)))

# %% [markdown]
# ## The same slices through all three
#
# The slices of {numref}`fig-compare-panel` are chosen by their tumour, not by their score: the largest tumour slice of up to four test patients.

# %% tags=["hide-input"]
table = known.table.iloc[test]
largest = table[table["tumour_px"] > 0].sort_values("tumour_px", ascending=False)
largest = largest.drop_duplicates("patient")
positions = np.unique(np.linspace(0, max(len(largest) - 1, 0), 4).round().astype(int))
chosen = largest.iloc[positions[: len(largest)]]
places = np.searchsorted(test, chosen.index)

# %% mystnb={"figure": {"name": "fig-compare-panel", "caption": "The largest tumour slice of up to four test patients through all three networks: true and predicted outlines on FLAIR."}, "image": {"alt": "Rows of head slices. In each row the plain slice, then the slice with two outlines for FCN-32, U-Net and ResUNet."}} tags=["hide-input"]
figures.side_by_side(
    [read_image(path) for path in chosen["image_path"]],
    truth[places],
    {name: marked[places] for name, marked in predicted.items()},
    [f"{px:,} px" for px in chosen["tumour_px"]],
)

# %% tags=["hide-input"]
gap = {NAMES[n]: article.loc[(NAMES[n], "test"), "Dice"] - summaries[n]["mean"] for n in runs}
widest = max(gap, key=lambda name: abs(gap[name]))
display(
    Markdown(
        f"On the same test slices, the article's way of scoring and ours differ most for {widest}: "
        f"{article.loc[(widest, 'test'), 'Dice']:.3f} by batch against {honest.loc[widest, 'mean']:.3f} by patient."
    )
)

# %% [markdown]
# ## Take-away
#
# - The unit of scoring is a choice. Here it is the patient, because a patient is what a result must hold for.
# - A mean without an interval says little when the test patients are few, and then the interval is too narrow as well.
# - A mean can hide the tail. Look at who is in it, and at what those patients share.
# - Which network is better is a question about *differences on the same patients*.
#
# ## Exercises
#
# **1. Recall.** Why would a bootstrap over slices give an interval that is too narrow?
#
# **2. Compute.** Which test patient is hardest for all three networks? Complete the function, and use it on the `patients` tables.


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


by_patient = pd.DataFrame({NAMES[name]: table["dice"] for name, table in patients.items()})
print(hardest_patient(by_patient))
by_patient.loc[hardest_patient(by_patient)]

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
# **3. Change three parameters.** Set `data = "phantom:8"`, `image_size = 64`, `filters = 8`, `epochs = 4` and `slices_per_epoch = 160`, and run the
# chapter. Then change one of the three and run again: `split_by = "slice"`, `seed = 1`, `fold = 1`.
# **Write down first** which of the tables will change most with each, and whether the order of the networks will survive.
#
# **4. Open.** How many test patients would you need to call a difference of 0.02 in Dice clear? Use the differences of this page as a guide.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Slices of one patient are alike, so a hundred of them carry less than a hundred independent facts. The bootstrap would take them for independent.
#
# **3.** Split by slice, neighbours of the test slices were learnt from, and "patients" of the honest table are parts of patients: it no longer says anything about new ones.
# A new seed or fold changes the patients that are scored. With one or two of them, an order that survives is luck. The table of fresh patients has as many as the cohort: see whether the order survives there.
#
# **4.** The width of an interval shrinks with the root of the number of patients. Take the spread of the paired differences $s$: about $(2 s / 0.02)^2$ patients
# make an interval that reaches 0.02 to either side. Where the true difference is 0.02, one study of that size in two calls it clear. For four in five take
# $(2.8 s / 0.02)^2$, about twice as many, and more where several pairs are compared.
# :::
