"""The cohort: where it is, whether every file of it is sound, and one table with a row per slice.

The layout is that of the Kaggle data set ``mateuszbuda/lgg-mri-segmentation``::

    kaggle_3m/data.csv
    kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1.tif
    kaggle_3m/TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_1_mask.tif

A folder's name is project, institution, patient number and date. The first three fields are the case, which is the key
of ``data.csv``. The phantom cohort uses the same layout and names.

The steps, each a module: `find` (where the cohort is), `read` (one file), `index` (all files, and the table). Beside
them `pixels` (what a picture from outside may hold), `convert` (a cohort of other images) and `kaggle` (the download).
"""

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import find_folder, is_synthetic
from brainseg.cohort.index import index_cohort
from brainseg.cohort.read import (
    FLAIR,
    FRAME,
    POST,
    PRE,
    SEQUENCES,
    read_image,
    read_mask,
    read_patient,
    read_patient_table,
)

__all__ = [
    "FLAIR",
    "FRAME",
    "POST",
    "PRE",
    "SEQUENCES",
    "CohortError",
    "find_folder",
    "index_cohort",
    "is_synthetic",
    "read_image",
    "read_mask",
    "read_patient",
    "read_patient_table",
]
