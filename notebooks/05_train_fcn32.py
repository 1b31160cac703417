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
# # Training FCN-32
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** turn a network that names images into one that labels pixels, and train it.
# - **You will learn** what a coarse grid costs, and how to measure part of it before any training.
# - **You need** the chapters on [cropping](03_crop) and [metrics](04_metrics), and some Keras.
# - **It takes** about 20 minutes to read. The training itself takes a few minutes on a laptop.
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
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from keras import layers

from brainseg import metrics
from brainseg.chapters import study_recipe, study_run
from brainseg.cohort import read_image
from brainseg.data import get_cohort
from brainseg.evaluation import predict
from brainseg.figures import style
from brainseg.figures import training as figures
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import layers, models
from brainseg.paths import project_root
from brainseg.splits import make_split

style.use_theme()

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
# The parameters ask for slices without {term}`CLAHE`, which the article uses.
# [Chapter 2](02_contrast) measures what CLAHE does to the {term}`contrast-to-noise ratio`, and compares it with doing nothing.
# A network can learn a curve of grey levels by itself, so the study starts from the plainer slices.
# The article's way is one parameter away: `contrast = "clahe"`.

# %% tags=["hide-input"]
# Validation patients of the embedded cohort, none from the test fold: benchmarks/select_recipe.py.
recorded = (project_root() or Path()) / "results" / "recipe_selection.csv"
if recorded.is_file():
    recipes = pd.read_csv(recorded)
    means = recipes.groupby(["model", "contrast"])["dice"].mean().round(3).unstack()
    gains = (means["none"] - means["clahe"]).round(3)
    display(
        Markdown(
            "A small comparison on validation patients of the embedded synthetic cohort is kept in "
            "`results/recipe_selection.csv`. Mean Dice per patient without CLAHE and with it: "
            + "; ".join(
                f"{style.MODEL_NAMES[name]} {row['none']:.3f} and {row['clahe']:.3f}"
                for name, row in means.dropna().iterrows()
            )
            + f" (patients: {recipes['patient'].nunique()}; one training each). "
            + (
                "Each network leans towards leaving CLAHE out. "
                if (gains.dropna() > 0).all()
                else "It does not lean towards leaving CLAHE out for every network. "
            )
            + "So few patients prove nothing."
        )
    )

# %% [markdown]
# ## From naming an image to labelling its pixels
#
# Networks that name what is in a photograph were there first.
# They halve the grid again and again, until one vector describes the whole image.
#
# Long, Shelhamer and Darrell {cite:p}`long2015fully` left out the last step.
# They stopped at a coarse grid, let each of its cells vote, and enlarged the votes to the size of the image.
# Such a network is convolutions from end to end, so they called it *fully convolutional*.
#
# ## Built in three steps
#
# **Step one: the encoder.** Five times: convolve, then halve the grid. Here with few channels.

# %%
x = image = keras.Input((image_size, image_size, 3), name="image")
for stage, width in enumerate((4, 8, 16, 32, 32), start=1):
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    print(f"stage {stage}: {x.shape[1]} × {x.shape[2]} cells, {x.shape[3]} channels")

# %% [markdown]
# Five halvings are a factor of 32. That is the 32 in the name.
#
# **Step two: the votes.** A convolution of one by one pixel turns the channels of each cell into one score.

# %%
score = layers.Conv2D(1, 1)(x)
print(f"scores: {score.shape[1]} × {score.shape[2]} cells")

# %% [markdown]
# **Step three: the enlargement.** A {term}`transposed convolution` works the other way round.
# A convolution sums a patch of pixels into one number. This one spreads one number over a patch of pixels.
# Here it writes a soft blob of 64 by 64 pixels for each cell. The {term}`stride` is the step from one blob to the next: 32 pixels.
# The blobs overlap and add up. At the start of the training they interpolate bilinearly. Then they are learned.

# %%
enlarged = layers.Conv2DTranspose(1, 64, strides=32, padding="same", kernel_initializer=layers.Bilinear())(score)
tumour = layers.Activation("sigmoid")(enlarged)
print(f"output: {tumour.shape[1]} × {tumour.shape[2]} pixels")

# %% [markdown]
# The network of this study has two or three convolutions per stage, as VGG-16 has, and more channels.
# {numref}`fig-fcn32-network` draws it. These are its main departures from the paper.
#
# - It **enlarges the slice first**, by a factor of two. The paper works on photographs of about 500 pixels,
#   where a cell of 32 pixels is a sixteenth of the picture. Our slices are small, and a cell would be a large part of the head.
#   Enlarging adds no information. It only brings the cells closer to their proportion in the paper.
# - It is **trained from scratch**. The paper starts from a network that had learned to name photographs.
# - It has {term}`batch normalisation`: after a convolution, every channel is brought to mean 0 and spread 1 over the batch,
#   and then scaled and shifted as the network learns. That makes learning from scratch steadier.
# - Its **last enlargement is learned**. The paper keeps this one bilinear, and learns only those of FCN-16 and FCN-8.
# - Its two layers before the votes have **16 times the width of the first stage**, in VGG-16 it is 64 times,
#   and the first of them looks at 3 by 3 cells, not 7 by 7.
# - **Dropout**, which silences random channels in training, comes once with a share of 0.2. The paper has it twice with 0.5.
#
# The enlarged slice costs four times the work. There is no way back up through the stages, which saves a part of it.
# The sentence below the figure says what is left.

# %% mystnb={"figure": {"name": "fig-fcn32-network", "caption": "FCN-32 from left to right. A block is a layer: as high as its maps, as wide as it has channels (both on a logarithmic scale). Numbers are the side of the maps in pixels."}, "image": {"alt": "A row of coloured blocks that get lower from left to right; the last one jumps back to full height."}} tags=["hide-input"]
model = models.fcn32(image_size, **study_recipe("fcn32", filters=filters).options)
figures.network(model)

# %% tags=["hide-input"]
reach = models.receptive_field(model)
seen = "the whole frame" if reach >= image_size else f"{reach} of {image_size} rows"
display(
    Markdown(
        f"It has **{model.count_params():,} parameters** and needs "
        f"{models.multiply_adds(model) / 1e6:,.0f} million multiply-adds "
        f"for one slice of {image_size} × {image_size} pixels. "
        f"Its output at the centre depends on {seen} of the input."
    )
)

# %% tags=["hide-input"]
work = {
    name: models.multiply_adds(models.build_model(name, image_size, **study_recipe(name, filters=filters).options))
    for name in ("fcn32", "unet", "resunet")
}
display(
    Markdown(
        "Beside the other two networks of this study, in multiply-adds per slice: "
        + ", ".join(f"{style.MODEL_NAMES[name]} {n / 1e6:,.0f} million" for name, n in work.items())
        + f". The dearest costs **{max(work.values()) / min(work.values()):.2f} times** the cheapest."
    )
)

# %% [markdown]
# What the output at the centre depends on is called its {term}`receptive field`.
#
# ## What averaging over cells keeps
#
# Before training anything, ask how much of a tumour's outline survives a coarse grid.
# Take the true masks of the training patients and give each cell the share of tumour in it.
# Enlarge that bilinearly, and cut at the one threshold that does best.
#
# This is *one* answer that such a grid allows, and a simple one. It is **no upper limit**.
# The votes of a network need not be averages, and its blobs are learned. So a trained network can do better.
#
# {numref}`fig-fcn32-kept` tries several grids. A cell of 32 pixels is the paper's network on our slices as they are.
# A cell of 16 is the network above, which enlarges them first.

# %%
prepared = prepare(get_cohort(data), Preprocessing(image_size=image_size, contrast=contrast, crop=crop))
split = make_split(prepared.table, by=split_by, fold=fold, seed=seed)


def kept_dice(part, cell):
    """Mean per-volume Dice of masks after a coarse grid, at the best threshold."""
    rows = np.flatnonzero((split == part) & (prepared.table["tumour_px"] > 0))
    masks = prepared.masks[rows] / np.float32(255)
    side = masks.shape[1]
    grid, full = (side // cell, side // cell), (side, side)
    coarse = [cv2.resize(m, grid, interpolation=cv2.INTER_AREA) for m in masks]
    fine = np.stack([cv2.resize(m, full, interpolation=cv2.INTER_LINEAR) for m in coarse])
    patients = prepared.table["patient"].to_numpy()[rows]

    def at(threshold):
        counts = metrics.confusion(masks >= 0.5, fine >= threshold, axis=(1, 2))
        return float(metrics.dice(metrics.pool(counts, by=patients), empty=1).mean())

    return max(at(threshold) for threshold in np.arange(0.1, 0.7, 0.05))


kept = {cell: kept_dice("train", cell) for cell in (32, 16, 8, 4, 2)}

# %% mystnb={"figure": {"name": "fig-fcn32-kept", "caption": "What averaging over cells keeps: per-volume Dice, mean over the training patients, of their true masks after a passage through a coarse grid. No training is involved, and it is no upper limit."}, "image": {"alt": "Five horizontal bars, one for each cell size from 32 down to 2 pixels."}} tags=["hide-input"]
figures.bars(
    pd.Series({f"cells of {cell} px": value for cell, value in kept.items()}),
    "Dice per patient, mean", style.COLOURS["fcn32"],
)  # fmt: skip

# %% tags=["hide-input"]
cell = 32 // study_recipe("fcn32", filters=filters).options["enlarge"]
display(
    Markdown(
        f"Slices of {image_size} pixels give our FCN-32 a grid of {image_size // cell} by {image_size // cell} cells. "
        f"A simple answer on that grid, averaging and interpolating, keeps a Dice of **{kept[cell]:.2f}**. "
        f"Without enlarging the slice first it keeps {kept[32]:.2f}. "
        "A trained enlargement can do better, because its blobs are learned. "
        "The paper refines the grid instead: its FCN-16 and FCN-8 add finer ones. "
        "U-Net, in the next chapter, goes all the way."
    )
)

# %% [markdown]
# ## Training
#
# Slices are normalised within the patient, cropped to the head, resized and augmented at random.
# [The next chapter](06_train_unet) shows what the {term}`augmentation` does.
# The {term}`loss` is the sum of cross-entropy and {term}`Dice` loss over the batch ([chapter 4](04_metrics)), and half of the slices drawn show tumour.
# {term}`Adam` moves the weights: a descent along the slope of the loss that gives each weight a step of its own.
# The steps grow for a short warm-up, then shrink along a {term}`cosine schedule`, so that the training settles.
# After each {term}`epoch` the validation patients are scored, each as one {term}`volume`. The weights of the best epoch are kept.
# {numref}`fig-fcn32-curves` shows how it went.

# %%
run = study_run(
    "fcn32", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
    split_by=split_by, fold=fold, filters=filters, epochs=epochs,
    slices_per_epoch=slices_per_epoch,
)  # fmt: skip

# %% mystnb={"figure": {"name": "fig-fcn32-curves", "caption": "Training of FCN-32: the loss on training slices (left) and the mean per-volume Dice of the validation patients (right). The dotted line marks the epoch whose weights are kept."}, "image": {"alt": "Two curves over the epochs: the loss on the left, the validation Dice on the right."}} tags=["hide-input"]
figures.learning_curves(run.history, run.record.best_epoch, style.COLOURS["fcn32"])

# %% tags=["hide-input"]
memory = run.record.peak_memory_mib
display(
    Markdown(
        f"The training took **{run.record.seconds / 60:.1f} minutes** on {run.record.processor} "
        f"and {'an unknown amount' if memory is None else f'at most {memory / 1024:.1f} GiB'} "
        "of memory. "
        f"The best epoch was {run.record.best_epoch} of {run.recipe.epochs}, "
        f"with a mean validation Dice of {run.record.validation_dice:.3f} "
        f"(validation patients: {len(run.record.patients['validation'])}). "
        "It is taken on the slices as the network sees them, and no piece of a prediction is dropped. "
        "The epoch was chosen by this very number, so it is too good to be reported. "
        "[Chapter 8](08_compare.html) scores patients that no epoch was chosen by, in the original frame."
    )
)

# %% [markdown]
# ## First predictions
#
# {numref}`fig-fcn32-first` shows validation slices.
# No network has been scored on the test patients before [chapter 8](08_compare).

# %% mystnb={"figure": {"name": "fig-fcn32-first", "caption": "Validation slices from a large tumour (top) to a small one: FLAIR, truth, prediction, and both outlines."}, "image": {"alt": "Rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}} tags=["hide-input"]
tumour_px = run.prepared.table["tumour_px"].to_numpy()
rows = run.rows("validation")
rows = rows[np.argsort(-tumour_px[rows])][: (tumour_px[rows] > 0).sum()]
if len(rows):
    rows = rows[np.unique([len(rows) // 10, len(rows) // 2, len(rows) * 9 // 10])]
figures.predictions(
    [read_image(path) for path in run.prepared.table["image_path"].iloc[rows]],
    run.prepared.truth(rows),
    predict.predict_masks(run, rows),
    [f"{px:,} px tumour" for px in tumour_px[rows]],
)

# %% [markdown]
# Look for the blobs of the votes in the outlines. Compare the smallest tumour with the size of a cell.

# %% tags=["hide-input"]
reached = run.record.validation_dice
if (tumour_px[run.rows("validation")] > 0).any():
    average = kept_dice("validation", cell)
    gap = round(reached, 2) - round(average, 2)
    place = "above" if gap > 0 else "below" if gap < 0 else "level with"
    display(
        Markdown(
            f"Trained, the network reaches a mean validation Dice of **{reached:.2f}**. "
            f"Averaging the true masks of the same patients over its cells keeps {average:.2f}. "
            f"So the trained votes and blobs stand {place} this simple answer, "
            "which is given the truth but may only average and interpolate it. "
            + ("Its grid alone does not explain what it misses." if gap < 0 else "")
        )
    )

# %% [markdown]
# ## Take-away
#
# - A network for naming images becomes one for labelling pixels when its last grid is enlarged.
# - A coarse grid blurs outlines. What a simple answer on it keeps can be measured before training, but that is no limit for a trained one.
# - The epoch is chosen on validation patients, so the validation score is no result.
#
# ## Exercises
#
# **1. Recall.** What is the side of the last grid for an image of 256 pixels, in the paper's network and in ours?
#
# **2. Count.** How many weights has the transposed convolution that enlarges the votes? Complete the function. Why does the number not depend on `filters`?


# %% tags=["solution", "hide-cell"]
def enlargement_weights(cell):
    """Weights of the learned enlargement: one map of votes in, one map out, and a bias.

    Parameters
    ----------
    cell : int
        Side of a cell in pixels, which is the stride. The blob that a cell writes is twice as wide and twice as high.

    Returns
    -------
    int
    """
    return (2 * cell) ** 2 + 1


assert model.get_layer("upsample").count_params() == enlargement_weights(cell)
enlargement_weights(cell)

# %% tags=["check", "hide-cell"]
answer = enlargement_weights(2)
assert answer is not None, (
    "The function returns nothing yet. How many pixels has the blob of one cell? Each is a weight, and the bias is one more."
)
assert answer == 17, (
    f"Cells of 2 pixels write blobs of 4 by 4 pixels: 16 weights and a bias, 17 in all, and not {answer}."
)
assert enlargement_weights(32) == 4097, "The blob is twice as wide as a cell and twice as high, for every cell size."
print("Right.")

# %% [markdown]
# **3. Change three parameters.** Set `data = "phantom:8"`, `image_size = 64`, `filters = 8`, `epochs = 4` and `slices_per_epoch = 160`, and run the
# chapter. Then change one of the three and run again: `image_size = 128`, `filters = 2`, `crop = "none"`.
# **Write down first** which bars of {numref}`fig-fcn32-kept` will move, and which way. Then: which of the three makes an epoch slower?
#
# **4. Open.** Add the finer grid of FCN-16: score the output of stage 4 too, and add both before enlarging.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** 8 by 8 cells in the paper's network. Ours enlarges the slice by two first, so 16 by 16.
#
# **2.** One map of votes goes in and one map comes out, however many channels there were before the votes.
#
# **3.** The bars depend on the cell's size in relation to the tumour's. At 128 pixels a tumour covers more cells, so more of its
# outline survives. Without a crop it covers fewer, so the bars fall. `filters` changes no bar: no network is involved. Four times the pixels need about four times the work. A change of a few
# hundredths in the *validation* Dice means little, because that is one patient or two.
#
# **4.** Take the output of stage 4 before the next halving. Give it a convolution of one by one pixel, enlarge the coarse votes by two, add, and enlarge
# the sum by 16. The gain to expect is in the difference between two bars of the same figure.
# :::
