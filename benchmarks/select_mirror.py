"""What predicting a slice both ways is worth: the kept networks on their own validation patients, no test patient.

    python benchmarks/select_mirror.py --data FOLDER    # the real cohort

The result goes to ``results/mirror_selection.csv``: Dice per volume in the original frame, one row per network and
validation patient, with the slice predicted as it is, and averaged with its mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from brainseg import evaluation
from brainseg.cohort import find_cohort
from brainseg.kept import kept_runs, load_kept
from brainseg.prepare import prepare
from brainseg.runs import load_network

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help='"kaggle" or a folder in Kaggle\'s layout')
    root = find_cohort(parser.parse_args().data)
    tables = []
    for folder in kept_runs():
        _, preprocessing, _ = load_network(folder)
        run = load_kept(folder, prepare(root, preprocessing))
        rows = run.rows("validation")
        ways = {
            "as_it_is": evaluation.predict(run, rows, both_ways=False),
            "both_ways": evaluation.predict(run, rows),
        }
        truth, of = run.prepared.truth(rows), run.prepared.table.iloc[rows]
        scores = {
            way: evaluation.score_patients(evaluation.score_slices(p >= evaluation.THRESHOLD, truth, of))["dice"]
            for way, p in ways.items()
        }
        tables.append(pd.DataFrame(scores).reset_index().assign(run=folder.name))
    table = pd.concat(tables)[["run", "patient", "as_it_is", "both_ways"]]
    table.round(4).to_csv(ROOT / "results" / "mirror_selection.csv", index=False)
    gain = table["both_ways"] - table["as_it_is"]
    print(f"{gain.mean():+.4f} on average over {len(gain)} scores, higher for {(gain > 0).mean():.0%}")


if __name__ == "__main__":
    main()
