"""Brain-tumour segmentation from MRI slices: a small tested package behind a reproducible study.

Research and teaching only. Not for clinical use.

The modules form a line, and each imports only from those before it::

    paths, cohort, download, phantom -> contrast -> crop -> prepare -> splits
    -> metrics, losses -> models -> training -> evaluation -> predict -> figures -> study
"""

import os

# TensorFlow greets every start with a page about processors and missing GPUs. Errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
