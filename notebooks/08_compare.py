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

# %% tags=["parameters"]
data = "phantom"  # "phantom", "kaggle", or a folder in Kaggle's layout
seed = 0
image_size = 96  # side of the prepared slices in pixels, a multiple of 32
contrast = "clahe"  # "none", "he" or "clahe"
crop = "patient"  # "none", "slice" or "patient"
split_by = "patient"  # "patient" is honest, "slice" is the article's
fold = 0  # which of the five folds is the test set
filters = 16  # width of the first level
epochs = 10
slices_per_epoch = 480  # 0 takes every training slice once

# %% tags=["hide-input"]
from itertools import combinations

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from brainseg import evaluation, metrics, models
from brainseg.cohort import read_image
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.runs import study_run

style.use_theme()
NAMES = style.MODEL_NAMES

# %% [markdown]
# ## The three runs
#
# Same slices, same steps, same loss, same schedule, same seed. Only the architecture differs.

# %%
runs = {
    name: study_run(
        name, data, seed=seed, image_size=image_size, contrast=contrast, crop=crop, split_by=split_by,
        fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
    )
    for name in ("fcn32", "unet", "resunet")
}  # fmt: skip

# %% tags=["hide-input"]
costs = pd.DataFrame(
    {
        NAMES[name]: {
            "parameters (thousands)": run.model.count_params() / 1e3,
            "multiply-adds a slice (millions)": models.multiply_adds(run.model) / 1e6,
            "training (minutes)": run.record["seconds"] / 60,
            "best epoch": run.record["best_epoch"],
        }
        for name, run in runs.items()
    }
).T
display(costs.style.format("{:,.0f}").format("{:.1f}", subset=["training (minutes)"]))

# %% [markdown]
# ## The article's table
#
# The article shows its results as a picture of a table, which has not survived. Its text says only that the IoU
# was near 1 and that ResUNet was best. So we make the table anew: loss, IoU and Dice on training, validation and
# test slices, as `model.evaluate` gives them. That is in the cropped frame, softly, with smoothing, averaged over
# batches. The article does not say how it scored, so this is our reading.

# %%
rows = []
for name, run in runs.items():
    for part in ("train", "validation", "test"):
        rows.append({"model": NAMES[name], "part": part, **evaluation.article_scores(run, run.rows(part))})
article = pd.DataFrame(rows).pivot(index="model", columns="part", values=["loss", "IoU", "Dice"])
article = article.reindex(index=[NAMES[name] for name in runs], columns=["train", "validation", "test"], level=1)

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
# A probability of one half or more is tumour.
# All slices of a patient are one volume with one Dice.

# %%
slices = {name: evaluation.evaluate(run, "test") for name, run in runs.items()}
patients = {name: evaluation.score_patients(table) for name, table in slices.items()}
summaries = {name: evaluation.summarise(table, seed=seed) for name, table in patients.items()}

honest = pd.DataFrame(summaries).T.rename(index=NAMES)
honest["patients"] = honest["patients"].astype(int)

# %% tags=["hide-input"]
shown = honest.rename(columns={"low": "95 % interval from", "high": "to"})
display(shown.style.format("{:.3f}", subset=shown.columns[1:]))
glue("results", honest.round(4).reset_index(names="model").to_dict("list"), display=False)

# %% mystnb={"figure": {"name": "fig-compare-patients", "caption": "Per-volume Dice of the test patients. Each dot is a patient; the diamond is the mean with its 95 % bootstrap interval over patients."}, "image": {"alt": "Three columns of dots between 0 and 1, one column a network, each with a diamond and an interval for the mean."}} tags=["hide-input"]
figures.patient_dice(patients, summaries)

# %% [markdown]
# The interval in {numref}`fig-compare-patients` answers one question: how much could this mean change with other patients of the same kind?
# It was made by drawing the test patients again and again, with replacement.
# Slices would give a far narrower one, and a wrong one: neighbouring slices of one head are no independent witnesses.
#
# ## Is one network better than another?
#
# Two intervals can overlap although one network is better on nearly every patient.
# The fair comparison is **paired**: subtract the scores patient by patient.

# %%
rows = {}
for first, second in combinations(reversed(runs), 2):
    difference = metrics.paired_difference(patients[first]["dice"], patients[second]["dice"], seed=seed)
    wins = int((patients[first]["dice"] > patients[second]["dice"]).sum())
    rows[f"{NAMES[first]} minus {NAMES[second]}"] = {
        "mean": difference[0], "low": difference[1], "high": difference[2], "better on": wins,
    }  # fmt: skip
differences = pd.DataFrame(rows).T

# %% mystnb={"figure": {"name": "fig-compare-paired", "caption": "Differences in per-volume Dice on the same test patients: mean and 95 % bootstrap interval. An interval that crosses the dashed line leaves the order open."}, "image": {"alt": "Three horizontal intervals, one a pair of networks, around a dashed vertical line at zero."}} tags=["hide-input"]
figures.paired_differences(differences)

# %% tags=["hide-input"]
sentences = []
for label, row in differences.iterrows():
    if np.isnan(row["low"]):
        verdict = "one patient tells nothing about the order"
    else:
        verdict = "the order is clear" if row["low"] > 0 or row["high"] < 0 else "the order stays open"
    sentences.append(
        f"- **{label}**: {row['mean']:+.3f} (from {row['low']:+.3f} to {row['high']:+.3f}), "
        f"better on {row['better on']:.0f} of {len(patients['unet'])} test patients: {verdict}."
    )
best = max(summaries, key=lambda name: summaries[name]["mean"])
agrees = "as the article found" if best == "resunet" else "not ResUNet, which the article found best"
sentences.append(
    f"\nThe highest mean has **{NAMES[best]}**, {agrees}. Three pairs were compared on one split with one seed, "
    "without correction for comparing three times."
)
display(Markdown("\n".join(sentences)))

# %% [markdown]
# ## The same slices through all three
#
# The slices are chosen by their tumour, not by their score: the largest tumour slice of four test patients.

# %% tags=["hide-input"]
run = runs["unet"]
table = run.prepared.table.iloc[run.rows("test")]
largest = table.loc[table.groupby("patient")["tumour_px"].idxmax()]
largest = largest[largest["tumour_px"] > 0].sort_values("tumour_px", ascending=False)
chosen = largest.iloc[np.unique(np.linspace(0, len(largest) - 1, 4).round().astype(int))]
chosen_rows = chosen.index.to_numpy()

# %% mystnb={"figure": {"name": "fig-compare-panel", "caption": "The largest tumour slice of up to four test patients through all three networks: true and predicted outlines on FLAIR."}, "image": {"alt": "Rows of head slices. In each row the plain slice, then the slice with two outlines for FCN-32, U-Net and ResUNet."}} tags=["hide-input"]
figures.side_by_side(
    [read_image(path) for path in chosen["image_path"]],
    run.prepared.truth(chosen_rows),
    {name: evaluation.predict(r, chosen_rows) >= evaluation.THRESHOLD for name, r in runs.items()},
    [f"{px:,} px" for px in chosen["tumour_px"]],
)

# %% tags=["hide-input"]
gap = {NAMES[n]: article.loc[NAMES[n], ("Dice", "test")] - summaries[n]["mean"] for n in runs}
widest = max(gap, key=lambda name: abs(gap[name]))
display(
    Markdown(
        f"On the same test slices, the article's way of scoring and ours differ most for {widest}: "
        f"{article.loc[widest, ('Dice', 'test')]:.3f} by batch against {honest.loc[widest, 'mean']:.3f} by patient."
    )
)

# %% [markdown]
# ## Take-away
#
# - The unit of scoring is a choice. Here it is the patient, because a patient is what a result must hold for.
# - A mean without an interval says little when the test patients are few.
# - Which network is better is a question about *differences on the same patients*.
#
# ## Exercises
#
# 1. **Recall.** Why would a bootstrap over slices give an interval that is too narrow?
# 2. **Compute.** Which test patient is hardest for all three networks? Use the `patients` tables.
# 3. **Try.** Run this notebook with `split_by = "slice"`. Predict first which of the two tables will change more.
# 4. **Open.** Run it with three values of `seed`. Does the order of the networks survive?

# %% tags=["solution", "hide-cell"]
# Exercise 2: the patient with the lowest best score.
by_patient = pd.DataFrame({NAMES[name]: table["dice"] for name, table in patients.items()})
hardest = by_patient.max(axis=1).idxmin()
assert by_patient.loc[hardest].max() == by_patient.max(axis=1).min()
by_patient.loc[hardest]
