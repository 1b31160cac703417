"""The comparison on which the default settings rest: validation patients only, the test fold is left out.

    python benchmarks/select_recipe.py            # the embedded cohort, about ten minutes on two cores
    python benchmarks/select_recipe.py --data FOLDER

The patients outside the test fold are divided once into training and validation patients (seed 0).
Each candidate is trained once with the study's recipe and scored per volume, in the original frame.
The result goes to ``results/recipe_selection.csv``, one row per candidate and validation patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg import evaluation
from brainseg.chapters import study_options
from brainseg.cohort import find_cohort
from brainseg.prepare import Preprocessing, prepare
from brainseg.recipe import Recipe
from brainseg.runs import train_or_load
from brainseg.splits import make_split

ROOT = Path(__file__).resolve().parent.parent
CANDIDATES = [{"model": model, "contrast": contrast} for model in ("unet", "resunet") for contrast in ("none", "clahe")]
VALIDATION_SHARE = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="phantom", help='"phantom", "kaggle" or a folder in Kaggle\'s layout')
    data = parser.parse_args().data
    root = find_cohort(data)
    tables = []
    for candidate in CANDIDATES:
        prepared = prepare(root, Preprocessing(image_size=96, contrast=candidate["contrast"], crop="patient"))
        split = make_split(prepared.table, by="patient", fold=0, validation_share=VALIDATION_SHARE, seed=0)
        recipe = Recipe(
            model=candidate["model"],
            options=study_options(candidate["model"], 16),
            epochs=10,
            slices_per_epoch=480,
            tumour_share=0.5,
            drop_sequence=0.1,
        )
        run = train_or_load(recipe, prepared, split)
        patients = evaluation.score_patients(evaluation.evaluate(run, "validation")).reset_index()
        tables.append(patients[["patient", "dice"]].assign(**candidate))
        print(candidate, f"mean validation Dice {np.mean(patients['dice']):.3f} over {len(patients)} patients")
    columns = ["model", "contrast", "patient", "dice"]
    pd.concat(tables)[columns].round(4).to_csv(ROOT / "results" / "recipe_selection.csv", index=False)


if __name__ == "__main__":
    main()
