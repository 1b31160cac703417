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
# # Training U-Net
#
# **Question.** How does a network that halves its grid four times still draw a sharp outline?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** build a U-Net level by level, train it, and look at what it finds.
# - **You will learn** why a network that halves its grid four times can still draw a sharp outline.
# - **You need** [the chapter on FCN-32](05_train_fcn32), which explains how all three networks are trained.
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
import keras
import pandas as pd
from IPython.display import Markdown
from keras import layers

from brainseg import chapters
from brainseg.evaluation.predict import predict_masks
from brainseg.experiments.inside import BridgeFinding
from brainseg.figures import style
from brainseg.figures import training as figures
from brainseg.networks import models
from brainseg.networks.batches import load_batch, make_batch
from brainseg.networks.training import validation_dice

style.use_theme()

# %% [markdown]
# ## One problem, two wishes
#
# To know *whether* a bright patch is tumour, a network must see much of the head around it.
# To know *where* the patch ends, it must see single pixels.
# A deep network that halves its grid again and again gets the first and loses the second.
#
# U-Net {cite:p}`ronneberger2015unet` keeps both.
# An **encoder** goes down: it sees more and more of the head on a coarser and coarser grid.
# A **decoder** comes back up.
# At every level a **bridge** carries the encoder's fine map over to the decoder. Elsewhere it is called a {term}`skip connection`.
#
# ## Built level by level
#
# One step down is two convolutions and a halving of the grid.
# Here are two steps down, with a width of 4 to keep the numbers small.

# %%
image = keras.Input((image_size, image_size, 3), name="image")


def two_convolutions(x, width):
    for _ in range(2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    return x


level_1 = two_convolutions(image, 4)
level_2 = two_convolutions(layers.MaxPooling2D(2)(level_1), 8)
bottom = two_convolutions(layers.MaxPooling2D(2)(level_2), 16)

for name, x in {"level 1": level_1, "level 2": level_2, "bottom": bottom}.items():
    print(f"{name}: {x.shape[1]} × {x.shape[2]} pixels, {x.shape[3]} channels")

# %% [markdown]
# The grid shrinks and the channels grow.
# One step up is the reverse: double the grid, **put the encoder's map beside it**, convolve twice.

# %%
up_2 = layers.Concatenate()([level_2, layers.Conv2DTranspose(8, 2, strides=2)(bottom)])
decoded_2 = two_convolutions(up_2, 8)
up_1 = layers.Concatenate()([level_1, layers.Conv2DTranspose(4, 2, strides=2)(decoded_2)])
decoded_1 = two_convolutions(up_1, 4)
tumour = layers.Conv2D(1, 1, activation="sigmoid")(decoded_1)
small = keras.Model(image, tumour)

for name, x in {"up to level 2": up_2, "up to level 1": up_1, "tumour": tumour}.items():
    print(f"{name}: {x.shape[1]} × {x.shape[2]} pixels, {x.shape[3]} channels")

# %% [markdown]
# That is all of it. The {term}`batch normalisation` and the {term}`transposed convolution` are those of [chapter 5](05_train_fcn32).
# With a {term}`stride` of 2, the transposed convolution doubles the grid.
#
# The network of this study is the same with four levels and more channels: `brainseg.networks.models.unet`.
# {numref}`fig-unet-network` draws it.

# %% mystnb={"figure": {"name": "fig-unet-network", "caption": "U-Net from left to right. A block is a layer: as high as its maps, as wide as it has channels (both on a logarithmic scale). Numbers are the side of the maps in pixels."}, "image": {"alt": "A row of coloured blocks that get lower towards the middle and higher again, in the shape of a U."}}
model = models.unet(image_size, filters=filters)
figures.network(model)

# %%
Markdown(chapters.network_summary(model))

# %% [markdown]
# ## What the network is shown
#
# Slices are normalised within the patient, cropped to the head and resized, as chapter 3 prepared them.
# In training each slice is also moved, bent and mirrored at random, and its grey levels are stretched and bent a little,
# each {term}`sequence` on its own, with some noise, as another scanner might have done.
# Now and then {term}`FLAIR` takes the place of a {term}`T1` sequence, as this data set does where one was not acquired.
# All this is {term}`augmentation`.
# A tumour stays a tumour under all of that, so the network should learn not to mind.
# The mask moves with its image, as {numref}`fig-unet-augmentation` shows.

# %%
run = chapters.study_run(
    "unet", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
    split_by=split_by, fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
)  # fmt: skip

# %% mystnb={"figure": {"name": "fig-unet-augmentation", "caption": "Training slices as they were prepared (top) and as the network sees them once (bottom). FLAIR, true outline in blue."}, "image": {"alt": "Two rows of head slices. The lower ones are rotated, mirrored or bent copies of the upper ones, and the outline of the tumour follows."}}
training = run.prepared.table.iloc[run.rows("train")]
with_tumour = training[training["tumour_px"] > 0].sort_values("tumour_px", ascending=False)
largest = with_tumour.drop_duplicates("patient").index[:4].to_numpy()  # each patient's largest tumour
figures.augmentation(
    *load_batch(run.prepared, largest), *make_batch(run.prepared, largest, run.recipe, epoch=0, index=0)
)

# %% [markdown]
# The training sees these slices again and again, each time changed in another way.
# The next table counts who stands on which side. With `split_by = "patient"` they are different people, and the training never reads a test slice.

# %%
table = run.prepared.table.assign(part=run.split, tumour=run.prepared.table["tumour_px"] > 0)
sides = table.groupby("part").agg(
    patients=("patient", "nunique"), slices=("patient", "size"), with_tumour=("tumour", "sum")
)
sides.reindex(["train", "validation", "test"], fill_value=0).rename(columns={"with_tumour": "slices with tumour"})

# %% [markdown]
# ## Training
#
# Loss, steps and schedule are those of [chapter 5](05_train_fcn32). {numref}`fig-unet-curves` shows how it went.

# %% mystnb={"figure": {"name": "fig-unet-curves", "caption": "Training of U-Net: the loss on training slices and, where there are validation patients, their mean per-volume Dice, with a dotted line at the epoch whose weights are kept."}, "image": {"alt": "The loss over the epochs as a curve, and beside it, where there are validation patients, their Dice."}}
figures.learning_curves(run.record)

# %%
Markdown(chapters.training_summary(run))

# %% [markdown]
# ## First predictions
#
# {numref}`fig-unet-first` shows slices of the same patients as in chapter 5. Compare the outlines with those of FCN-32.

# %% mystnb={"figure": {"name": "fig-unet-first", "caption": "Slices from a large tumour (top) to a small one: FLAIR, truth, prediction, and both outlines."}, "image": {"alt": "Rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}}
rows = chapters.example_rows(run)
figures.predictions(run.prepared, rows, predict_masks(run, rows))

# %% [markdown]
# ## What the bridges are worth
#
# Cut one bridge of the trained network and score the same patients again: {numref}`fig-unet-bridges`.
# The convolution behind a bridge reads the encoder's channels first and the decoder's second,
# so a cut is a kernel whose first half is zero.


# %%
def without_bridge(model, level):
    cut = keras.Model.from_config(model.get_config())  # without the loss of its training
    cut.set_weights(model.get_weights())
    names = [layer.name for layer in cut.layers]
    behind = cut.layers[names.index(f"bridge{level}") + 1]
    (kernel,) = behind.get_weights()
    kernel[:, :, : kernel.shape[2] // 2] = 0
    behind.set_weights([kernel])
    return cut


rows = run.rows(chapters.shown_part(run))
scores = {"as trained": validation_dice(run.model, run.prepared, rows)}
for level in (1, 2, 3, 4):
    name = f"without bridge {level} ({image_size // 2 ** (level - 1)} px)"
    cut = without_bridge(run.model, level)
    scores[name] = validation_dice(cut, run.prepared, rows)

# %% mystnb={"figure": {"name": "fig-unet-bridges", "caption": "Mean per-volume Dice with one bridge cut at a time, without training again."}, "image": {"alt": "Five horizontal bars: the network as trained, and with each of its four bridges cut."}}
figures.bars(pd.Series(scores), "Dice per patient, mean")

# %%
bridges = BridgeFinding(scores["as trained"], {name: score for name, score in scores.items() if name != "as trained"})
Markdown(bridges.sentence())

# %% [markdown]
# The network was never trained with a bridge cut. So this says how much *this* network uses each bridge, not how good a network without it could become.

# %% tags=["answer"]
Markdown(f"**Answer.** {bridges.answer()}")

# %% [markdown]
# ## Take-away
#
# - Going down tells *what*, going up tells *where*, and the bridges connect the two.
# - The whole network is three building blocks: two convolutions, a halving, a doubling with a bridge.
# - A score on patients whom the training or the choice of an epoch has seen is no result.
#
# ## Exercises
#
# **1. Recall.** Why does the number of channels double where the grid halves?
#
# **2. Count.** How many weights has a convolution? Complete the function. Then use it on the first convolution of level 2 of this chapter's `model`, and check with
# `model.layers`. It has `filters` channels in, twice as many out, and no bias.


# %% tags=["solution", "hide-cell"]
def convolution_weights(side, channels_in, channels_out, bias=False):
    """Weights of a convolution with a square kernel.

    Parameters
    ----------
    side : int
        Side of the kernel in pixels.
    channels_in, channels_out : int
    bias : bool
        Whether every outgoing channel has one.

    Returns
    -------
    int
    """
    kernels = side * side * channels_in * channels_out
    return kernels + channels_out if bias else kernels


convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
assert convolutions[2].count_params() == convolution_weights(3, filters, 2 * filters)
convolution_weights(3, filters, 2 * filters)

# %% tags=["check", "hide-cell"]
answer = convolution_weights(1, 8, 1)
assert answer is not None, (
    "The function returns nothing yet. Each pair of an incoming and an outgoing channel has a kernel of its own."
)
assert answer == 8, f"A kernel of one pixel from 8 channels to 1 has 8 weights, and not {answer}."
assert convolution_weights(3, 2, 5) == 90, (
    "A kernel of 3 by 3 pixels has 9 weights. From 2 to 5 channels there are 10 such kernels."
)
assert convolution_weights(1, 8, 1, bias=True) == 9, (
    "A bias is one more weight for every outgoing channel, not for every kernel."
)
assert convolution_weights(3, 2, 5, bias=True) == 95, (
    "Each of the 5 outgoing channels has a bias of its own: 90 weights and 5 more."
)
print("Right.")

# %% [markdown]
# **3. Change one parameter.** Make the chapter quick: `data = "phantom:10"`, `image_size = 64`, `filters = 8`, `epochs = 16` and `slices_per_epoch = 160`. Run it.
# Then run it three more times, each with one change from there: `filters = 4`, `epochs = 8`, `slices_per_epoch = 80`.
# **Write down first** what each does to the parameters, to the minutes, and to the last point of the loss in {numref}`fig-unet-curves`.
# Which two of the three cost the same number of training steps?
#
# **4. Open.** Train a U-Net without its first bridge from the start. Does it find what the cut one lost?
# Exercise 4 of [chapter 5](05_train_fcn32) has the lines that train a model of your own.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** The coarser grid has a quarter of the pixels, and each of them has to describe more of the head. Doubling the channels still halves the
# numbers that are passed on, and it keeps the work of a level about the same.
#
# **3.** Half the filters are about a quarter of the weights, because a kernel joins channels to channels. The time shrinks less, because small layers leave a processor idle. `epochs = 8` and
# `slices_per_epoch = 80` both leave half of the steps, so expect a higher loss at the end of both.
#
# **4.** Copy `brainseg.networks.models.unet`, leave the concatenation of level 1 out, and train it with the same recipe. A network that never had the bridge can learn to do
# without it. Cutting the bridge of a trained one breaks what it relies on, so the loss after a cut shows reliance, and not what a bridge is worth.
# :::
