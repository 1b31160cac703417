"""Brain-tumour segmentation from MRI slices: a small tested package behind a reproducible study.

Research and teaching only. Not for clinical use.

Each subject has a room. Imports go one way, from the top of this list down; a test holds them to it.

==============  ====================================================================================================
paths           build and results folders, atomic writing, the environment variables
provenance      digests of code, commit, processor, origin of a record
metrics         counts of pixels, ratios of counts, distances between borders
statistics      bootstrap, paired differences, corrections, ranks, and the one rule for "the data show it"
splits          by patient, by slice, by institution
results         tables and records under ``results/``, the log of looks at test patients, what others published
cohort          one file, the folders, the table of slices; other people's images; the download
phantom         the embedded synthetic cohort
images          contrast, visibility, the crop and its inverse; one patient; a whole cohort on disk
data            a cohort by its name
networks        models, losses, recipe, training; runs, and what they say of themselves
evaluation      from a run to masks, from masks to tables and summaries
chapters        THE recipe of the study, and the run that a chapter's parameters describe
experiments     plans, the engine that trains them, and a module for each question, with its findings
figures         every picture of the book, as a function that returns a figure
publishing      from the notebooks' sources to a published book
__main__        the command line
==============  ====================================================================================================

What predicts needs Keras; what scores is NumPy and pandas. The state of the backend is set by commands and by
`brainseg.networks.runs.train_or_load` alone, the theme of the figures by `brainseg.figures.style.use_theme`.
"""

import os

# TensorFlow greets every start with a page about processors and missing GPUs. Errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Keras reads keras.json from here, which may say channels_first or float16. A run of the study has settings of its own:
# KERAS_BACKEND alone chooses between them.
_keras = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
if os.path.isabs(_keras) and os.path.basename(_keras) != "brainseg":
    os.environ["KERAS_HOME"] = os.path.join(_keras, "brainseg")

__version__ = "0.1.0"
