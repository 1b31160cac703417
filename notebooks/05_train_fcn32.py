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
# - **You will learn** what a coarse grid costs: the best score that this design could ever reach.
# - **You need** the chapters on [cropping](03_crop) and [metrics](04_metrics), and some Keras.
# - **It takes** about 20 minutes to read. The training itself takes a few minutes on a laptop.
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
import cv2
import keras
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from keras import layers

from brainseg import evaluation, metrics, models
from brainseg.cohort import find_cohort, read_image
from brainseg.figures import style
from brainseg.figures import training as figures
from brainseg.prepare import Preprocessing, prepare
from brainseg.runs import study_options, study_run

style.use_theme()

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
    print(f"after stage {stage}: {x.shape[1]} x {x.shape[2]} cells, {x.shape[3]} channels")

# %% [markdown]
# Five halvings are a factor of 32. That is the 32 in the name.
#
# **Step two: the votes.** A convolution of one by one pixel turns the channels of each cell into one score.

# %%
score = layers.Conv2D(1, 1)(x)
print(f"scores: {score.shape[1]} x {score.shape[2]} cells")

# %% [markdown]
# **Step three: the enlargement.** A transposed convolution writes a soft blob of 64 by 64 pixels for each cell.
# The blobs overlap and add up. At the start of the training they interpolate bilinearly. Then they are learned.

# %%
enlarged = layers.Conv2DTranspose(1, 64, strides=32, padding="same", kernel_initializer=models.Bilinear())(score)
tumour = layers.Activation("sigmoid")(enlarged)
print(f"output: {tumour.shape[1]} x {tumour.shape[2]} pixels")

# %% [markdown]
# The network of this study has two or three convolutions a stage, as VGG-16 has, and more channels.
# It also enlarges the slice first, by a factor of two.
# The paper works on photographs of about 500 pixels, where a cell of 32 pixels is a sixteenth of the picture.
# Our slices are small, and a cell would be a large part of the head.
# Enlarging adds no information. It only brings the cells closer to their proportion in the paper.
# The enlarged slice costs four times the work. Fewer channels make up for that, so that the three networks of this study cost about the same.

# %% mystnb={"figure": {"name": "fig-fcn32-network", "caption": "FCN-32 from left to right. A block is a layer: as high as its maps, as wide as it has channels (both on a logarithmic scale). Numbers are the side of the maps in pixels."}, "image": {"alt": "A row of coloured blocks that get lower from left to right; the last one jumps back to full height."}} tags=["hide-input"]
model = models.fcn32(image_size, **study_options("fcn32", filters))
figures.network(model)

# %% tags=["hide-input"]
reach = models.receptive_field(model)
seen = "the whole frame" if reach >= image_size else f"{reach} of {image_size} rows"
display(
    Markdown(
        f"It has **{model.count_params():,} parameters** and needs {models.multiply_adds(model) / 1e6:,.0f} million "
        f"multiply-adds for one slice of {image_size} x {image_size} pixels. "
        f"Its output at the centre depends on {seen} of the input: that is its receptive field."
    )
)

# %% [markdown]
# ## The best that this design could do
#
# Before training anything, ask what a *perfect* FCN-32 would score.
# It says one number for each cell, and the numbers are interpolated.
# So take the true masks, give each cell the share of tumour in it, enlarge, and cut at the best threshold.
# {numref}`fig-fcn32-ceiling` tries several grids. A cell of 32 pixels is the paper's network on our slices as they are.
# A cell of 16 is the network above, which enlarges them first.

# %%
prepared = prepare(find_cohort(data), Preprocessing(image_size=image_size, contrast=contrast, crop=crop))
masks = prepared.masks[prepared.table["tumour_px"].to_numpy() > 0] / np.float32(255)


def best_dice(masks, cell):
    """Dice over all tumour slices of masks that were averaged over cells and enlarged again."""
    side = masks.shape[1]
    coarse = [cv2.resize(m, (side // cell, side // cell), interpolation=cv2.INTER_AREA) for m in masks]
    fine = np.stack([cv2.resize(m, (side, side), interpolation=cv2.INTER_LINEAR) for m in coarse])
    truth = masks >= 0.5
    return max(
        float(metrics.dice(metrics.confusion(truth, fine >= threshold), empty=1)) for threshold in np.arange(0.1, 0.7, 0.05)
    )


ceiling = {cell: best_dice(masks, cell) for cell in (32, 16, 8, 4, 2)}

# %% mystnb={"figure": {"name": "fig-fcn32-ceiling", "caption": "Dice, pooled over all tumour slices of the cohort, of the true masks after a passage through a coarse grid. No training is involved."}, "image": {"alt": "Five horizontal bars, one a cell size from 32 down to 2 pixels; the finer the grid, the longer the bar."}} tags=["hide-input"]
figures.bars(pd.Series({f"cells of {cell} px": value for cell, value in ceiling.items()}), "best Dice", style.COLOURS["fcn32"])

# %% tags=["hide-input"]
cell = 32 // study_options("fcn32", filters)["enlarge"]
display(
    Markdown(
        f"Slices of {image_size} pixels give our FCN-32 a grid of {image_size // cell} by {image_size // cell} cells. "
        f"Even with perfect votes, bilinear enlargement of that grid reaches a Dice of **{ceiling[cell]:.2f}**. "
        f"Without enlarging the slice first it would be {ceiling[32]:.2f}. "
        "The trained enlargement can do a little better, because its blobs are learned. "
        "The paper knew this: its FCN-16 and FCN-8 add finer grids. U-Net, in the next chapter, goes all the way."
    )
)

# %% [markdown]
# ## Training
#
# Slices are normalised within the patient, cropped to the head, resized and augmented at random.
# [The next chapter](06_train_unet) shows what the augmentation does.
# The loss is the sum of cross-entropy and Dice loss over the batch ([chapter 4](04_metrics)), and half of the slices drawn show tumour.
# After each epoch the validation patients are scored, each as one volume. The weights of the best epoch are kept.

# %%
run = study_run(
    "fcn32", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop, split_by=split_by,
    fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
)  # fmt: skip

# %% mystnb={"figure": {"name": "fig-fcn32-curves", "caption": "Training of FCN-32: the loss on training slices (left) and the mean per-volume Dice of the validation patients (right). The dotted line marks the epoch whose weights are kept."}, "image": {"alt": "Two curves over the epochs: the loss on the left, the validation Dice on the right."}} tags=["hide-input"]
figures.learning_curves(run.history, run.record["best_epoch"], style.COLOURS["fcn32"])

# %% tags=["hide-input"]
memory = run.record["peak_memory_mib"]
display(
    Markdown(
        f"The training took **{run.record['seconds'] / 60:.1f} minutes** on {run.record['processor']} "
        f"and {'an unknown amount' if memory is None else f'at most {memory / 1024:.1f} GiB'} of memory. "
        f"The best epoch was {run.record['best_epoch']} of {run.recipe.epochs}, "
        f"with a mean validation Dice of {run.record['validation_dice']:.3f} "
        f"(validation patients: {len(run.record['patients']['validation'])}). "
        "The epoch was chosen by this very number, so it is too good to be reported. "
        "[Chapter 8](08_compare) scores patients that played no part in any choice."
    )
)

# %% [markdown]
# ## First predictions
#
# These are validation slices: the test set stays closed until chapter 8.

# %% mystnb={"figure": {"name": "fig-fcn32-first", "caption": "Validation slices with a large, a medium and a small tumour: FLAIR, truth, prediction, and both outlines."}, "image": {"alt": "Three rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}} tags=["hide-input"]
tumour_px = run.prepared.table["tumour_px"].to_numpy()
rows = run.rows("validation")
rows = rows[np.argsort(-tumour_px[rows])][: (tumour_px[rows] > 0).sum()]
rows = rows[[len(rows) // 10, len(rows) // 2, len(rows) * 9 // 10]]
figures.predictions(
    [read_image(path) for path in run.prepared.table["image_path"].iloc[rows]],
    run.prepared.truth(rows),
    evaluation.predict(run, rows),
    [f"{px:,} px tumour" for px in tumour_px[rows]],
)

# %% [markdown]
# Look for the blobs of the votes in the outlines. A tumour smaller than a cell is the hardest case.
#
# ## Take-away
#
# - A network for naming images becomes one for labelling pixels when its last grid is enlarged.
# - A coarse grid costs score whatever the training does. How much can be measured before training.
# - The epoch is chosen on validation patients, so the validation score is no result.
#
# ## Exercises
#
# 1. **Recall.** What is the side of the last grid for an image of 256 pixels?
# 2. **Count.** How many weights has the transposed convolution, and why does it not depend on `filters`?
# 3. **Try.** Train with `Recipe(model="fcn32", options={"filters": 16, "enlarge": 1})`.
#    Predict the score from the figure above before you run it.
# 4. **Open.** Add the finer grid of FCN-16: score the output of stage 4 too, and add both before enlarging.

# %% tags=["solution", "hide-cell"]
# Exercise 2: one kernel, twice as wide as a cell, from one score map to one output map, and one bias.
upsample = model.get_layer("upsample")
assert upsample.count_params() == (2 * cell) ** 2 + 1
upsample.count_params()
