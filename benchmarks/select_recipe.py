"""The comparisons on which the settings rest: validation patients only, the test fold is left out.

    python benchmarks/select_recipe.py            # the embedded cohort: which contrast for which network
    python benchmarks/select_recipe.py --data FOLDER    # the real one: how to train U-Net

The patients outside test fold 0 are divided once into training and validation patients (seed 0).
Each candidate is trained once and scored per volume, in the original frame. The result goes to
``results/recipe_selection.csv`` or ``results/recipe_selection-real.csv``, one row per candidate and
validation patient. ``dice_all_pieces`` is the score before small pieces are dropped. The kept table of the real cohort
has a candidate more, which saw neighbouring slices as well; it was no better, and the option is gone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.data import get_cohort
from brainseg.evaluation.predict import evaluate, predict_probabilities
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import THRESHOLD
from brainseg.networks.runs import train_or_load
from brainseg.splits import make_split

ROOT = Path(__file__).resolve().parent.parent
COMMON = {"epochs": 10, "slices_per_epoch": 480, "tumour_share": 0.5, "drop_sequence": 0.1, "learning_rate": 2e-3}
SYNTHETIC = [{"model": model, "contrast": contrast} for model in ("unet", "resunet") for contrast in ("none", "clahe")]
REAL = [{"learning_rate": rate, "epochs": epochs} for rate, epochs in ((2e-3, 10), (1e-3, 10), (2e-3, 20))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="phantom", help='"phantom", "kaggle" or a folder in Kaggle\'s layout')
    root = get_cohort(parser.parse_args().data)
    tables = []
    synthetic = prepare(root, Preprocessing(image_size=96)).table["synthetic"].all()
    for candidate in SYNTHETIC if synthetic else REAL:
        settings = COMMON | candidate
        prepared = prepare(root, Preprocessing(image_size=96, contrast=settings.pop("contrast", "none")))
        share = 0.3 if synthetic else 0.25
        split = make_split(prepared.table, by="patient", fold=0, validation_share=share, seed=0)
        model = settings.pop("model", "unet")
        recipe = study_recipe(model, **settings)
        run = train_or_load(recipe, prepared, split)
        patients = score_patients(evaluate(run, "validation")).reset_index()
        rows = run.rows("validation")
        marked = predict_probabilities(run, rows) >= THRESHOLD
        all_pieces = score_slices(marked, prepared.truth(rows), prepared.table.iloc[rows], borders=False)
        patients["dice_all_pieces"] = score_patients(all_pieces)["dice"].to_numpy()
        tables.append(patients[["patient", "dice", "dice_all_pieces"]].assign(**candidate))
        print(f"{candidate}: mean validation Dice {np.mean(patients['dice']):.3f} over {len(patients)} patients")
    columns = [*candidate, "patient", "dice", "dice_all_pieces"]
    file = ROOT / "results" / ("recipe_selection.csv" if synthetic else "recipe_selection-real.csv")
    pd.concat(tables)[columns].round(4).to_csv(file, index=False)


if __name__ == "__main__":
    main()
