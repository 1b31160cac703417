"""What predicting a slice both ways is worth: the kept networks on their own validation patients, no test patient.

    python benchmarks/select_mirror.py --data FOLDER    # the real cohort

The result goes to ``results/mirror_selection.csv``: Dice per volume in the original frame, before small pieces are dropped.
One row per network and validation patient, with the slice predicted as it is, and averaged with its mirror image. The digest
says which weights: the choice was made with those of the first edition, and ``results/reference/test_log.csv`` knows them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from brainseg import evaluation
from brainseg.cohort import find_cohort
from brainseg.kept import kept_runs
from brainseg.paths import write_atomically
from brainseg.runs import load_kept, prepare_for
from brainseg.weights import weights_digest

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help='"kaggle" or a folder in Kaggle\'s layout')
    root = find_cohort(parser.parse_args().data)
    tables = []
    for folder in kept_runs():
        run = load_kept(folder, prepare_for(folder, root))
        rows = run.rows("validation")
        truth, of = run.prepared.truth(rows), run.prepared.table.iloc[rows]
        if missing := set(run.record["patients"]["validation"]) - set(of["patient"]):
            raise SystemExit(f"{root} lacks validation patients of {folder.name}: {', '.join(sorted(missing))}")
        scores = {}
        for way, both in (("as_it_is", False), ("both_ways", True)):
            marked = evaluation.predict(run, rows, both_ways=both) >= evaluation.THRESHOLD
            scores[way] = evaluation.score_patients(evaluation.score_slices(marked, truth, of))["dice"]
        digest = weights_digest(folder / "best.npz")
        tables.append(pd.DataFrame(scores).reset_index().assign(run=folder.name, weights=digest))
    table = pd.concat(tables)[["run", "weights", "patient", "as_it_is", "both_ways"]]
    with write_atomically(ROOT / "results" / "mirror_selection.csv") as part:
        table.round(4).to_csv(part, index=False)
    gain = table["both_ways"] - table["as_it_is"]
    print(f"{gain.mean():+.4f} on average over {len(gain)} scores, higher for {(gain > 0).mean():.0%}")


if __name__ == "__main__":
    main()
