"""What predicting a slice both ways is worth: the reference runs on their own validation patients, no test patient.

    python benchmarks/select_mirror.py --data FOLDER    # the real cohort

The result goes to ``results/mirror_selection.csv``: Dice per volume in the original frame, before small pieces are
dropped. One row per network and validation patient, with the slice predicted as it is, and averaged with its mirror
image. The digest says which weights: the choice was made with those of the first edition, and
``results/reference/test_log.csv`` knows them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from brainseg.data import get_cohort
from brainseg.evaluation.predict import predict_probabilities
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.metrics import THRESHOLD
from brainseg.networks.backend import configure_backend
from brainseg.networks.record import reference_runs
from brainseg.networks.runs import load_reference
from brainseg.paths import write_atomically

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help='"kaggle" or a folder in Kaggle\'s layout')
    root = get_cohort(parser.parse_args().data)
    configure_backend()
    tables = []
    for record in reference_runs(with_weights=True):
        run = load_reference(record, root)
        rows = run.rows("validation")
        truth, slices = run.prepared.truth(rows), run.prepared.table.iloc[rows]
        if missing := set(record.patients["validation"]) - set(slices["patient"]):
            raise SystemExit(f"{root} lacks validation patients of {record.name}: {', '.join(sorted(missing))}")
        dice = {}
        for way, both in (("as_it_is", False), ("both_ways", True)):
            marked = predict_probabilities(run, rows, both_ways=both) >= THRESHOLD
            dice[way] = score_patients(score_slices(marked, truth, slices, borders=False))["dice"]
        tables.append(pd.DataFrame(dice).reset_index().assign(run=record.name, weights=record.digest()))
    table = pd.concat(tables)[["run", "weights", "patient", "as_it_is", "both_ways"]]
    with write_atomically(ROOT / "results" / "mirror_selection.csv") as part:
        table.round(4).to_csv(part, index=False)
    gain = table["both_ways"] - table["as_it_is"]
    print(f"{gain.mean():+.4f} on average over {len(gain)} scores, higher for {(gain > 0).mean():.0%}")


if __name__ == "__main__":
    main()
