"""A step of the phantom: a network that is trained on it alone, on the real patients of the development set.

    python benchmarks/steer_phantom.py --real FOLDER --change "what is new in this step"

adds a row for each network to results/phantom_steps.csv: how far the phantom's measures lie from those of the
development set (`calibrate_phantom.distance`), and the Dice there per volume. With --rest the other real patients are
scored, for a milestone: into results/phantom_rest.csv, and into the log of looks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort, prepare_phantom
from brainseg.evaluation.scores import summarise
from brainseg.experiments.synthetic import FAILURE, development_patients, phantom_split, score_real
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.recipe import MODELS
from brainseg.paths import write_atomically
from brainseg.phantom.plan import plan_cohort
from brainseg.provenance import commit
from brainseg.results import log_test, results_folder

sys.path.insert(0, str(Path(__file__).parent))
import calibrate_phantom

MEASURED = 24
"""Patients of the phantom, the first ones, whose measures are set beside the real ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder with the real cohort in Kaggle's layout")
    parser.add_argument("--change", required=True, help="what this step changed, for the table")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["unet"])
    parser.add_argument("--patients", type=int, default=160)
    parser.add_argument("--seed", type=int, default=7, help="of the cohort")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--commit", default=commit(), help="of the phantom's code, where this runs in a copy of it")
    parser.add_argument("--rest", action="store_true", help="score the real patients outside the development set too")
    arguments = parser.parse_args()

    from brainseg.networks.runs import train_or_load

    root = get_cohort(arguments.real)
    development = set(development_patients()["patient"])
    real = index_cohort(root)
    some = plan_cohort(arguments.patients, arguments.seed)[0][:MEASURED]
    apart = calibrate_phantom.distance(
        calibrate_phantom.measure_phantom(some), calibrate_phantom.measure_cohort(root, development)
    )
    prepared = prepare_phantom(arguments.patients, arguments.seed, Preprocessing())
    for model in arguments.models:
        recipe = study_recipe(model, epochs=arguments.epochs)
        run = train_or_load(recipe, prepared, phantom_split(prepared.table))
        about = {
            "change": arguments.change,
            "commit": arguments.commit,
            "phantom_patients": arguments.patients,
            "cohort_seed": arguments.seed,
            "model": model,
            "epochs": arguments.epochs,
            "calibration_distance": apart,
            "phantom_validation_dice": run.record.validation_dice,
        }
        add_row("phantom_steps.csv", about, score_real(run, root, development))
        if arguments.rest:
            rest = sorted(set(real["patient"]) - development)
            scores = score_real(run, root, rest)
            add_row("phantom_rest.csv", about, scores)
            log_test(
                run=f"phantom-only {model}",
                patients=len(rest),
                slices=int(real["patient"].isin(rest).sum()),
                weights=run.record.digest(),
                epochs=arguments.epochs,
                validation_dice=run.record.validation_dice,
                mean_dice=scores["dice"].mean(),
                commit=arguments.commit,
                why=f"a milestone of the phantom, on patients outside its development set: {arguments.change}",
            )


def add_row(file: str, about: dict, scores: pd.DataFrame) -> None:
    """Add a line to a table below ``results/``."""
    path = results_folder(file)
    row = pd.DataFrame([{**about, **summarise(scores), "failed": int((scores["dice"] < FAILURE).sum())}])
    print(row.T.to_string(), flush=True)
    before = [pd.read_csv(path)] if path.is_file() else []
    with write_atomically(path) as part:
        pd.concat([*before, row]).to_csv(part, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
