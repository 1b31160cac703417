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
# # Training ResUNet
#
# **Question.** What does a residual unit add to the signal that passes through it?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** rebuild U-Net out of {term}`residual units <residual unit>`, train it, and measure what each unit adds.
# - **You will learn** why a unit that has learned nothing does no harm, and how much a trained one adds to its input.
# - **You need** [the chapter on U-Net](06_train_unet).
# - **It takes** about 15 minutes to read. The training itself takes a few minutes on a laptop.
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
import numpy as np
import pandas as pd
from IPython.display import Markdown
from keras import layers

from brainseg import chapters
from brainseg.evaluation.predict import predict_masks
from brainseg.experiments.inside import UnitFinding
from brainseg.figures import style
from brainseg.figures import training as figures
from brainseg.networks import models
from brainseg.networks.batches import load_batch

style.use_theme()

# %% [markdown]
# ## Learn the correction, not the whole
#
# A deep network must pass its signal through every layer.
# Each layer distorts it a little, and the way back for the {term}`gradient` is just as long.
# A shortcut past the layers is a straight way for both.
#
# A {term}`residual unit` adds its input to its output.
# If the layers inside do nothing, the unit passes its input on unharmed.
# They only have to learn what to *add*: the residual.
#
# ResUNet {cite:p}`zhang2018road` was made to find roads in aerial photographs.
# It is a U-Net in which every pair of convolutions is a residual unit, and a {term}`stride` takes the place of pooling:
# the convolution moves on by two pixels at a time, and so halves the grid itself.
#
# ## One residual unit

# %%
x = keras.Input((image_size, image_size, 8))
inside = x
for _ in range(2):  # normalise, activate, convolve: "pre-activation", as in the paper
    inside = layers.BatchNormalization()(inside)
    inside = layers.Activation("relu")(inside)
    inside = layers.Conv2D(8, 3, padding="same")(inside)
unit = keras.Model(x, layers.Add()([x, inside]))

# %% [markdown]
# With its convolutions set to zero, the unit is the identity. So doing no harm is easy to learn.

# %%
for layer in unit.layers:
    if isinstance(layer, layers.Conv2D):
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])

rng = np.random.default_rng(seed)
signal = rng.normal(size=(1, image_size, image_size, 8)).astype("float32")
change = np.abs(unit.predict_on_batch(signal) - signal)
print("largest change of the signal:", float(change.max()))

# %% [markdown]
# Where the grid halves or the channels change, input and output differ in shape.
# There the shortcut is a convolution of one by one pixel, which *projects* the input to the new shape. The projection is followed by batch normalisation, which the paper does not ask for.
#
# ## The whole network

# %% mystnb={"figure": {"name": "fig-resunet-network", "caption": "ResUNet from left to right. A block is a layer: as high as its maps, as wide as it has channels (both on a logarithmic scale). Numbers are the side of the maps in pixels."}, "image": {"alt": "A row of coloured blocks that get lower towards the middle and higher again; grey blocks mark where shortcuts are added."}}
model = models.resunet(image_size, **chapters.study_recipe("resunet", filters=filters).options)
figures.network(model)

# %% [markdown]
# The paper halves the grid three times. In {numref}`fig-resunet-network` it is four times, as in U-Net: with three, the
# {term}`receptive field` of an output pixel would be smaller than a U-Net's, and a comparison would compare depths.

# %%
Markdown(chapters.network_summary(model))

# %% [markdown]
# ## Training
#
# The same slices, steps, loss and schedule of steps as for [U-Net](06_train_unet). Only the architecture differs.
# {numref}`fig-resunet-curves` shows how it went.

# %%
run = chapters.study_run(
    "resunet", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
    split_by=split_by, fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
)  # fmt: skip

# %% mystnb={"figure": {"name": "fig-resunet-curves", "caption": "Training of ResUNet: the loss on training slices and, where there are validation patients, their mean per-volume Dice, with a dotted line at the epoch whose weights are kept."}, "image": {"alt": "The loss over the epochs as a curve, and beside it, where there are validation patients, their Dice."}}
figures.learning_curves(run.record)

# %%
Markdown(chapters.training_summary(run))

# %% [markdown]
# {numref}`fig-resunet-first` shows its first predictions.

# %% mystnb={"figure": {"name": "fig-resunet-first", "caption": "Slices from a large tumour (top) to a small one: FLAIR, truth, prediction, and both outlines."}, "image": {"alt": "Rows of a slice, its true mask, the predicted mask, and the slice with both outlines."}}
rows = chapters.example_rows(run)
figures.predictions(run.prepared, rows, predict_masks(run, rows))

# %% [markdown]
# ## What the units add
#
# How large is the correction that each unit makes on the slices of {numref}`fig-resunet-first`, compared with the signal on its shortcut?
# A ratio near 0 means a unit that hardly does anything. A ratio above 1 means a unit that does more than correct: what it adds outweighs what it passes on.

# %%
additions = [layer for layer in run.model.layers if isinstance(layer, layers.Add)]
added = [tensor for layer in additions for tensor in layer.input]
inner = keras.Model(run.model.input, added)
images, _ = load_batch(run.prepared, rows if len(rows) else run.rows(chapters.shown_part(run))[:3])
signals = inner.predict_on_batch(images)
size = [float(np.sqrt(np.mean(np.square(signal)))) for signal in signals]
# Each addition takes the correction first and the shortcut second.
ratio = pd.Series(
    {layer.name: size[2 * i] / size[2 * i + 1] for i, layer in enumerate(additions)},
    name="correction / shortcut",
)
ratio.round(2).to_frame()

# %%
units = UnitFinding(ratio.to_dict())
Markdown(units.sentence())

# %% tags=["answer"]
Markdown(f"**Answer.** {units.answer()}")

# %% [markdown]
# ## Take-away
#
# - A residual unit adds what it has learned to its input, so a unit that has learned nothing does no harm.
# - ResUNet is a U-Net of such units. Encoder, decoder and bridges stay.
# - The article found ResUNet best of the three. [The next chapter](08_compare) asks whether that holds, and how surely.
#
# ## Exercises
#
# **1. Recall.** Why does a shortcut need a projection where the grid halves?
#
# **2. Compute.** How far does a stack of convolutions see? Complete the function. Then compare `models.receptive_field` for a depth of 3 and of 4.


# %% tags=["solution", "hide-cell"]
def field_of_stack(convolutions):
    """Receptive field of a stack of convolutions: how many pixels of a row one output pixel depends on.

    Parameters
    ----------
    convolutions : list of (int, int)
        Side of the kernel and stride of each, from the input on.

    Returns
    -------
    int
        In pixels of the input.
    """
    seen, step = 1, 1
    for side, stride in convolutions:
        seen += (side - 1) * step  # a neighbour in this grid is `step` pixels of the input away
        step *= stride
    return seen


shallow, deep = (models.resunet(image_size, filters=2, depth=depth) for depth in (3, 4))
reach = {3: models.receptive_field(shallow), 4: models.receptive_field(deep)}
assert reach[3] <= reach[4]  # a level more sees further, up to the whole frame
reach

# %% tags=["check", "hide-cell"]
answer = field_of_stack([(3, 1)])
assert answer is not None, (
    "The function returns nothing yet. Start from one pixel, and go through the convolutions one by one."
)
assert answer == 3, f"One convolution of 3 pixels sees 3 pixels, and not {answer}."
assert field_of_stack([(3, 1), (3, 1)]) == 5, "A second convolution of 3 pixels adds one pixel on either side: 5."
assert field_of_stack([(3, 2), (3, 1)]) == 7, (
    "After a stride of 2, a neighbour lies two pixels of the input away, so the second convolution adds 4: 7."
)
assert field_of_stack([(3, 1), (3, 2)]) == 5, "A stride counts for the convolutions that follow it, not for its own: 5."
assert field_of_stack([(3, 2), (3, 2), (3, 1)]) == 15, (
    "Strides multiply: after two strides of 2, a neighbour lies four pixels of the input away. 3 + 4 + 8 = 15."
)
assert field_of_stack([(5, 1)]) == 5, "A kernel of 5 pixels sees 5 pixels: use the side of each kernel."
print("Right.")

# %% [markdown]
# **3. Change one parameter.** Make the chapter quick: `data = "phantom:10"`, `image_size = 64`, `filters = 8`, `epochs = 16` and `slices_per_epoch = 160`. Run it.
# Then run it three more times, each with one change from there: `seed = 1`, `contrast = "clahe"`, `fold = 1`.
# **Write down first** which of them changes the validation Dice most. What does the answer say about a comparison of two networks by one training each?
#
# **4. Try.** Train with `depth = 3`, the paper's, and all else as in this chapter. Which tumours would you expect to suffer?
#
# ```python
# from dataclasses import replace
# from brainseg.networks.runs import train_or_load
#
# shallower = train_or_load(replace(run.recipe, options={"filters": filters, "depth": 3}), run.prepared, run.split)
# ```
#
# **5. Open.** Take the shortcuts out of `brainseg.networks.models.resunet` and train again. How do the first epochs differ?
# Exercise 4 of [chapter 5](05_train_fcn32) has the lines that train a model of your own.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Only arrays of one shape can be added. Where the grid halves, the input has four times the pixels of the output, and half the channels.
#
# **3.** Your runs have the answer. `fold` changes the patients. `seed` changes the weights at the start and the order of the slices, and the split as well.
# Where a seed moves a score as much as a setting does, one training each cannot tell two settings apart.
#
# **4.** The large ones, and those that can be told only by what lies around them: an output pixel sees less of the head.
#
# **5.** Without shortcuts the early layers get their gradient through all later ones. Expect a slower start; whether the end differs is a matter of
# depth, and this network is not very deep.
# :::
