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
# **Question.** What does a coarse grid cost a segmentation?
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

# %%
import cv2
import keras
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from keras import layers

from brainseg import chapters
from brainseg.evaluation.predict import predict_masks
from brainseg.experiments import coarse_grid
from brainseg.figures import style
from brainseg.figures import training as figures
from brainseg.networks import models
from brainseg.networks.layers import Bilinear
from brainseg.networks.recipe import MODEL_NAMES

style.use_theme()

# %% [markdown]
# The parameters ask for slices without {term}`CLAHE`, which the article uses.
# [Chapter 2](02_contrast) measures what CLAHE does to the {term}`contrast-to-noise ratio`, and [chapter 11](11_claims) trains with it and without it.
# A network can learn a curve of grey levels by itself, so the study starts from the plainer slices.
# The article's way is one parameter away: `contrast = "clahe"`.
#
# ## From naming an image to labelling its pixels
#
# Networks that name what is in a photograph were there first.
# They halve the grid again and again, until one vector describes the whole image.
#
# Long, Shelhamer and Darrell {cite:p}`long2015fully` left out the last step.
# They stopped at a coarse grid, let each of its cells vote, and enlarged the votes to the size of the image.
# Such a network is {term}`convolutions <convolution>` from end to end, so they called it *fully convolutional*.
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
enlarged = layers.Conv2DTranspose(1, 64, strides=32, padding="same", kernel_initializer=Bilinear())(score)
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
# The table below the figure says what is left.

# %% mystnb={"figure": {"name": "fig-fcn32-network", "caption": "FCN-32 from left to right. A block is a layer: as high as its maps, as wide as it has channels (both on a logarithmic scale). Numbers are the side of the maps in pixels."}, "image": {"alt": "A row of coloured blocks that get lower from left to right; the last one jumps back to full height."}}
model = models.fcn32(image_size, **chapters.study_recipe("fcn32", filters=filters).options)
figures.network(model)

# %%
costs = {}
for name in models.MODELS:
    network = models.build_model(name, image_size, **chapters.study_recipe(name, filters=filters).options)
    costs[MODEL_NAMES[name]] = models.multiply_adds(network) / 1e6
display(pd.DataFrame({"million multiply-adds per slice": costs}).round().astype(int))
Markdown(chapters.network_summary(model))

# %% [markdown]
# What the output at the centre depends on is called its {term}`receptive field`.
#
# ## What averaging over cells keeps
#
# Before training anything, ask how much of a tumour's outline survives a coarse grid.
# Take a true mask and give each cell the share of tumour in it. Enlarge that bilinearly, and cut at the one threshold that does best.
#
# This is *one* answer that such a grid allows, and a simple one. It is **no upper limit**.
# The votes of a network need not be averages, and its blobs are learned. So a trained network can do better.
#
# `study_run` trains the network, or loads it where it was trained before. For now we only want its training patients.

# %%
run = chapters.study_run(
    "fcn32", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
    split_by=split_by, fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
)  # fmt: skip
cell = 32 // run.recipe.options["enlarge"]  # in pixels of the slice, before it is enlarged

training = run.rows("train")
largest = training[run.prepared.table["tumour_px"].to_numpy()[training].argmax()]
mask = run.prepared.masks[largest] / np.float32(255)
cells = cv2.resize(mask, (image_size // cell, image_size // cell), interpolation=cv2.INTER_AREA)
passed = cv2.resize(cells, mask.shape, interpolation=cv2.INTER_LINEAR)
print(
    f"{mask.sum():.0f} px of tumour become {np.count_nonzero(cells)} cells, and {np.sum(passed >= 0.5)} px at a threshold of 0.5"
)

# %% [markdown]
# {numref}`fig-fcn32-kept` does this with all training patients and several grids. A cell of 32 pixels is the paper's network on our slices as they are.
# A cell of 16 is the network above, which enlarges them first.

# %% mystnb={"figure": {"name": "fig-fcn32-kept", "caption": "What averaging over cells keeps: per-volume Dice, mean over the training patients, of their true masks after a passage through a coarse grid. No training is involved, and it is no upper limit."}, "image": {"alt": "Five horizontal bars, one for each cell size from 32 down to 2 pixels."}}
kept = {side: coarse_grid.kept_dice(run.prepared, training, side) for side in coarse_grid.CELLS_PX}
figures.bars(
    pd.Series(kept).rename(lambda side: f"cells of {side} px"), "Dice per patient, mean", style.COLOURS["fcn32"]
)

# %%
Markdown(
    f"Slices of {image_size} pixels give our FCN-32 a grid of {image_size // cell} by {image_size // cell} cells. "
    f"A simple answer on that grid, averaging and interpolating, keeps a Dice of **{kept[cell]:.2f}**. "
    f"Without enlarging the slice first it keeps {kept[32]:.2f}."
)

# %% [markdown]
# A trained enlargement can do better, because its blobs are learned.
# The paper refines the grid instead: its FCN-16 and FCN-8 add finer ones.
# U-Net, in the next chapter, goes all the way.
#
# ## Training
#
# Slices are normalised within the patient, cropped to the head, resized and augmented at random.
# [The next chapter](06_train_unet) shows what the {term}`augmentation` does.
# The {term}`loss` is the sum of cross-entropy and {term}`Dice` loss over the batch ([chapter 4](04_metrics)), and half of the slices drawn show tumour.
# {term}`Adam` moves the weights: a descent along the slope of the loss that gives each weight a step of its own.
# The steps grow for a short warm-up, then shrink along a {term}`cosine schedule`, so that the training settles.
# Where there are validation patients, they are scored after each {term}`epoch`, each as one {term}`volume`, and the weights of the best epoch are kept.
# {numref}`fig-fcn32-curves` shows how it went.

# %% mystnb={"figure": {"name": "fig-fcn32-curves", "caption": "Training of FCN-32: the loss on training slices and, where there are validation patients, their mean per-volume Dice, with a dotted line at the epoch whose weights are kept."}, "image": {"alt": "The loss over the epochs as a curve, and beside it, where there are validation patients, their Dice."}}
figures.learning_curves(run.record)

# %%
Markdown(chapters.training_summary(run))

# %% [markdown]
# ## First predictions
#
# {numref}`fig-fcn32-first` shows slices from either end and the middle, by the size of the tumour.
# In a run of this book, no network is scored on the test patients before [chapter 8](08_compare).
# Look for the blobs of the votes in the outlines, and compare the smallest tumour with the size of a cell.

# %% mystnb={"figure": {"name": "fig-fcn32-first", "caption": "Slices from a large tumour (top) to a small one: FLAIR, truth, prediction, and both outlines."}, "image": {"alt": "Rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}}
rows = chapters.example_rows(run)
figures.predictions(run.prepared, rows, predict_masks(run, rows))

# %%
grid = coarse_grid.finding(run, cell)
Markdown(grid.sentence())

# %% tags=["answer"]
Markdown(f"**Answer.** {grid.answer()}")

# %% [markdown]
# ## Take-away
#
# - A network for naming images becomes one for labelling pixels when its last grid is enlarged.
# - A coarse grid blurs outlines. What a simple answer on it keeps can be measured before training, but that is no limit for a trained one.
# - A score on patients whom the training or the choice of an epoch has seen is no result.
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
# **3. Change one parameter.** Make the chapter quick: `data = "phantom:10"`, `image_size = 64`, `filters = 8`, `epochs = 16` and `slices_per_epoch = 160`. Run it.
# Then run it three more times, each with one change from there: `image_size = 128`, `filters = 2`, `crop = "none"`.
# **Write down first** which bars of {numref}`fig-fcn32-kept` will move, and which way. Then: which of the three makes an epoch slower?
#
# **4. Open.** Add the finer grid of FCN-16: score the output of stage 4 too, and add both before enlarging.
# With the settings of this chapter, any Keras model is trained by:
#
# ```python
# from pathlib import Path
# from tqdm import tqdm
# from brainseg.networks.training import train
#
# folder = Path("my_network")
# folder.mkdir()  # a new one for each training; the best weights stay there
# history = train(network, run.recipe, run.prepared, run.split, folder, tqdm())
# ```

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
# the sum by 16, as in the paper and in the small network of this chapter. The network of this study enlarges the slice by two first, so there it is 8.
# The gain to expect is in the difference between two bars of the same figure.
# :::
