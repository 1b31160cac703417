"""Experiments: what is to be trained (`plan`), what trains and scores it (`engine`), and a module for each question."""

EXPERIMENTS = {
    "ablation": "brainseg.experiments.ablation",
    "claims": "brainseg.experiments.claims",
    "exchange": "brainseg.experiments.exchange",
    "leakage": "brainseg.experiments.leakage",
    "longer": "brainseg.experiments.longer",
    "phantoms": "brainseg.experiments.phantoms",
    "quality": "brainseg.experiments.quality",
    "shape": "brainseg.experiments.shape_genomics.study",
    "synthetic": "brainseg.experiments.synthetic",
    "trials": "brainseg.experiments.trials",
    "variants": "brainseg.experiments.variants",
}
"""Name of an experiment, and of its folder below ``results``, -> its module."""

KEPT = {"reference": "brainseg.experiments.reference"}
"""One whose runs are kept, and not its tables alone: ``keep_runs(cohort, settings, runs)`` does what ``score`` and the
engine do for the others."""
