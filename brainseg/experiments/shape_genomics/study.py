"""The experiment ``shape``: tumour shape by several sources of masks, and what it says about the genomic clusters.

:func:`score` measures every patient by every source, and :func:`analyse` does the statistics, which take seconds.
A source is a name and a :class:`Source`; the manual masks are always the first. :func:`predicted` makes one of trained
runs, out of fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME, read_mask, read_patient_table
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.experiments.plan import Training
from brainseg.experiments.shape_genomics import association
from brainseg.experiments.shape_genomics.features import FEATURES, features_table
from brainseg.metrics import THRESHOLD
from brainseg.networks.record import reference_runs
from brainseg.splits import make_split

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

MANUAL = "manual"
HONEST, LEAKY = "by patient", "by slice"
"""The sources of the study: folds by patient, and folds by slice, whose networks have seen other slices of the
patient."""

#: Column of data.csv -> what was measured. What a code's number means, the data set does not say.
CODES = {
    "RNASeqCluster": "gene expression (RNASeq)",
    "MethylationCluster": "DNA methylation",
    "miRNACluster": "microRNA expression",
    "CNCluster": "DNA copy number",
    "RPPACluster": "protein expression (RPPA)",
    "OncosignCluster": "OncoSign",
    "COCCluster": "cluster of clusters (COC)",
}

#: p values of the abstract of Buda et al. 2019, each an upper bound. For BEVR it says "all tested molecular subtypes";
#: the ones here are those that it names and that data.csv has.
PAPER = {
    ("RNASeqCluster", "bevr"): 0.0002,
    ("RNASeqCluster", "mf"): 0.005,
    ("RNASeqCluster", "asd"): 0.02,
    ("MethylationCluster", "bevr"): 0.02,
    ("miRNACluster", "bevr"): 0.02,
    ("CNCluster", "bevr"): 0.02,
}

#: The cluster that is told from the rest. That this code is the paper's "R2" is our assumption.
TARGET = ("RNASeqCluster", 2)
#: Which end of a feature is the irregular one. R2 is held to be irregular before the data are looked at.
IRREGULAR = {"asd": 1, "bevr": -1, "mf": 1}


class Source(NamedTuple):
    """Where masks come from: ``masks(patient)`` is a bool volume (n, 256, 256) in the order of slices, for each of
    `patients`.
    """

    masks: Callable[[str], np.ndarray]
    patients: list[str]


def manual(table: pd.DataFrame) -> Source:
    """The masks that were drawn, of all patients of :func:`brainseg.cohort.index_cohort`'s table."""
    paths = table.groupby("patient")["mask_path"].apply(list)
    return Source(lambda patient: np.stack([read_mask(path) for path in paths[patient]]), list(paths.index))


def predicted(runs: Sequence) -> Source:
    """Masks by trained runs, each slice by the run that has it on its test side; small pieces are dropped as elsewhere.

    Parameters
    ----------
    runs : sequence of brainseg.networks.runs.Run
        Folds of one division of the same prepared cohort, by patient or by slice. The source has the patients whose
        slices are all on a test side: of one run split by patient, its test patients.

    Raises
    ------
    ValueError
        The runs rest on different arrays, or a slice is on two test sides.
    """
    from brainseg.evaluation.predict import predict_probabilities

    prepared = runs[0].prepared
    if len({run.prepared.fingerprint for run in runs}) > 1:
        raise ValueError("The runs were prepared differently: give folds of one division of one cohort")
    on_test = np.array([run.split.to_numpy() == "test" for run in runs])
    if (on_test.sum(axis=0) > 1).any():
        raise ValueError(f"{np.sum(on_test.sum(axis=0) > 1)} slices are on the test side of more than one run")
    owner = np.where(on_test.any(axis=0), on_test.argmax(axis=0), -1)
    patients = prepared.table["patient"].to_numpy()
    whole = pd.Series(owner >= 0).groupby(patients).all()

    def masks(patient: str) -> np.ndarray:
        rows = np.flatnonzero(patients == patient)
        volume = np.empty((len(rows), *FRAME), bool)
        for number in np.unique(owner[rows]):
            mine = owner[rows] == number
            volume[mine] = predict_probabilities(runs[number], rows[mine]) >= THRESHOLD
        return drop_small_pieces(volume)

    return Source(masks, list(whole.index[whole]))


@dataclass(frozen=True)
class Settings:
    """Whose masks are measured.

    Attributes
    ----------
    model : str
        A name of :data:`brainseg.networks.recipe.MODELS`.
    seed : int
        Of the bootstrap, the cross-validation and the shuffles.
    """

    model: str = "unet"
    seed: int = 0


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """The networks of `LEAKY`: the recipe of the reference runs, with slices dealt to as many folds at random.

    They differ from the reference runs in nothing but the split. None where the cohort shares no patient with those.
    """
    return [
        Training(
            recipe=record.recipe,
            preprocessing=record.preprocessing,
            split=make_split(cohort, by="slice", fold=record.fold, seed=record.recipe.seed),
            labels={"source": LEAKY, "fold": record.fold},
        )
        for record in reference_runs(settings.model, "patient", with_weights=True)
        if (record.split(cohort) == "test").any()
    ]


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Measure every patient by every source of masks: drawn by hand, and by networks that have and have not met the patient.

    Returns
    -------
    dict of DataFrame
        ``features`` (:func:`brainseg.experiments.shape_genomics.features.features_table`), and those of
        :func:`analyse`.
    """
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_reference

    leaky = [run for _, run in runs]
    configure_backend()
    records = reference_runs(settings.model, "patient", with_weights=True)
    honest = [load_reference(record, cohort.attrs["root"]) for record in records]
    predictions = {name: predicted(folds) for name, folds in ((HONEST, honest), (LEAKY, leaky)) if folds}
    sources = {MANUAL: manual(cohort)} | {name: source for name, source in predictions.items() if source.patients}
    features = features_table(sources)
    return {"features": features} | analyse(features, read_patient_table(cohort.attrs["root"]), settings.seed)


def codes_of(features: pd.DataFrame, clinical: pd.DataFrame) -> pd.DataFrame:
    """The codes of each row's patient, on the features' index; those columns of `CODES` that data.csv has."""
    cases = features["patient"].str.rpartition("_")[0]
    columns = [name for name in CODES if name in clinical]
    codes = clinical.reindex(cases)[columns].apply(pd.to_numeric, errors="coerce")
    return codes.set_axis(features.index)


def analyse(
    features: pd.DataFrame, clinical: pd.DataFrame, seed: int = 0, draws: int = association.DRAWS
) -> dict[str, pd.DataFrame]:
    """The statistics of a table of features.

    Parameters
    ----------
    features : DataFrame
        From :func:`brainseg.experiments.shape_genomics.features.features_table`.
    clinical : DataFrame
        From :func:`brainseg.cohort.read_patient_table`.

    Returns
    -------
    dict of DataFrame
        ``associations``: :func:`brainseg.experiments.shape_genomics.association.associations` for each source, with
        ``paper_p_below``.
        ``discrimination``: AUC of `TARGET` against the rest for each source, by each feature and by all together.
        ``agreement`` and ``effects``: each other source against the manual masks, on patients for which both have a
        tumour.
        ``effects`` has p values of the rank test by both, on these same patients.
        ``leak``: what `LEAKY` has more than `HONEST`, see :func:`leak_of`; no rows without both.
    """
    codes = codes_of(features, clinical)
    parts = {source: part.index for source, part in features.groupby("source", sort=False)}
    names = list(FEATURES)
    associations = []
    for source, index in parts.items():
        part = association.associations(features.loc[index, names], codes.loc[index])
        part.insert(0, "source", source)
        associations.append(part)
    associations = pd.concat(associations, ignore_index=True)
    pairs = zip(associations["code"], associations["feature"], strict=True)
    associations["paper_p_below"] = [PAPER.get(pair, np.nan) for pair in pairs]

    discrimination = [
        row
        for source, index in parts.items()
        for row in _discrimination(source, features.loc[index], codes.loc[index], seed, draws)
    ]
    agreement, effects = [], []
    for source in [source for source in parts if source != MANUAL]:
        first, second, shared = _paired(features, codes, source)
        for feature in names:
            both = np.isfinite(first[feature].to_numpy()) & np.isfinite(second[feature].to_numpy())
            values = np.stack([part[feature].to_numpy()[both] for part in (first, second)])
            if both.sum() > 1:
                found = association.agreement(*values, draws, seed)
                agreement.append({"source": source, "feature": feature, **found._asdict()})
            effects += [
                row | {"source": source, "feature": feature} for row in _effects(values, shared[both], seed, draws)
            ]
    return {
        "associations": associations,
        "discrimination": pd.DataFrame(
            discrimination, columns=["source", "score", "patients", "positive", "auc", "low", "high"]
        ),
        "agreement": pd.DataFrame(agreement, columns=["source", "feature", *association.Agreement._fields]),
        "effects": pd.DataFrame(
            effects,
            columns=[
                "source",
                "feature",
                "code",
                "patients",
                "manual",
                "effect",
                "difference",
                "low",
                "high",
                "manual_p",
                "p_value",
            ],
        ),
        "leak": leak_of(features, codes, seed, draws),
    }


def leak_of(features: pd.DataFrame, codes: pd.DataFrame, seed: int, draws: int) -> pd.DataFrame:
    """Do networks that know the patient give better masks for this purpose? `LEAKY` against `HONEST`, on the same patients and draws.

    Parameters
    ----------
    features : DataFrame
        From :func:`brainseg.experiments.shape_genomics.features.features_table`.
    codes : DataFrame
        From :func:`codes_of`, on the index of `features`.
    seed, draws : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        A row per feature and ``measure``: "icc" with the manual masks, and "effect", eta squared of `TARGET`'s
        classification.
        ``patients, honest, leaky, difference, low, high`` (paired bootstrap over patients).
    """
    wide = features.pivot_table(index="patient", columns="source", values=list(FEATURES), sort=False, dropna=False)
    labels = codes.assign(patient=features["patient"]).groupby("patient").first().reindex(wide.index)
    rows = []
    for feature in FEATURES if {HONEST, LEAKY} <= set(features["source"]) else ():
        values = wide[feature][[MANUAL, HONEST, LEAKY]].dropna()
        manual_values, honest, leaky = values.to_numpy().T
        if len(values) > 1:
            chosen = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
            pairs = [np.column_stack([manual_values, other]) for other in (honest, leaky)]
            found, resampled = (
                [association.icc(pair[rows_of]) for pair in pairs] for rows_of in (np.arange(len(values)), chosen)
            )
            rows.append({"feature": feature, "measure": "icc", "patients": len(values)} | _gap(found, resampled))
        of_code = labels.get(TARGET[0], pd.Series(np.nan, labels.index)).loc[values.index].to_numpy(float)
        known = np.isfinite(of_code)
        if 1 < len(np.unique(of_code[known])) < known.sum():
            both = association.bootstrap_effect(np.stack([honest, leaky])[:, known], of_code[known], draws, seed)
            rows.append({"feature": feature, "measure": "effect", "patients": int(known.sum())} | _gap(*both))
    return pd.DataFrame(
        rows, columns=["feature", "measure", "patients", "honest", "leaky", "difference", "low", "high"]
    )


def _gap(found: Sequence, resampled: Sequence) -> dict:
    """Second minus first of two estimates, with the interval of their paired draws."""
    difference, low, high = association.interval(found[1] - found[0], resampled[1] - resampled[0])
    return {"honest": float(found[0]), "leaky": float(found[1]), "difference": difference, "low": low, "high": high}


def _discrimination(source: str, features: pd.DataFrame, codes: pd.DataFrame, seed: int, draws: int) -> list[dict]:
    """AUC of each feature, and of all three, for the target cluster; no rows where it has fewer than two patients."""
    code, value = TARGET
    if code not in codes:
        return []
    known = (codes[code].notna() & features[list(FEATURES)].notna().all(axis=1)).to_numpy()
    positive = codes.loc[known, code].to_numpy() == value
    if min(positive.sum(), (~positive).sum()) < 2:
        return []
    values = features.loc[known, list(FEATURES)].to_numpy()
    scores = {feature: sign * values[:, list(FEATURES).index(feature)] for feature, sign in IRREGULAR.items()}
    scores["all three"] = association.cross_validated_scores(values, positive, seed=seed)
    rows = []
    for name, score in scores.items():
        estimate, low, high = association.auc_interval(score, positive, draws, seed)
        rows.append(
            {
                "source": source,
                "score": name,
                "patients": len(positive),
                "positive": int(positive.sum()),
                "auc": estimate,
                "low": low,
                "high": high,
            }
        )
    return rows


def _paired(
    features: pd.DataFrame, codes: pd.DataFrame, source: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows of the manual masks and of another source on the patients that both have, and these patients' codes."""
    first, second = (features[features["source"] == name].set_index("patient") for name in (MANUAL, source))
    patients = first.index.intersection(second.index)
    shared = codes[features["source"] == MANUAL].set_axis(first.index).loc[patients]
    return first.loc[patients], second.loc[patients], shared


def _effects(values: np.ndarray, codes: pd.DataFrame, seed: int, draws: int) -> list[dict]:
    """Eta squared by manual (first row) and other masks (second), and the paired bootstrap of their difference."""
    rows = []
    for code in codes:
        labels = codes[code].to_numpy(float)
        known = np.isfinite(labels)
        if not 1 < len(np.unique(labels[known])) < known.sum():
            continue
        effects, resampled = association.bootstrap_effect(values[:, known], labels[known], draws, seed)
        difference, low, high = association.interval(effects[1] - effects[0], resampled[1] - resampled[0])
        manual_p, p_value = association.rank_p_value(values[:, known], labels[known])
        rows.append(
            {
                "code": code, "patients": int(known.sum()), "manual": effects[0], "effect": effects[1],
                "difference": difference, "low": low, "high": high, "manual_p": manual_p, "p_value": p_value,
            }
        )  # fmt: skip
    return rows
