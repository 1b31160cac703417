"""From the features of many patients to tables: links with codes, agreement of sources, what else explains a link."""

from __future__ import annotations

import numpy as np
import pandas as pd

from brainseg.experiments.shape_genomics import association
from brainseg.experiments.shape_genomics.features import FEATURES
from brainseg.statistics import Evidence, eta_squared, rank_p_value

MANUAL = "manual"
GRID = "manual, through the grid"
"""The drawn masks as a faultless network would give them back: as coarse as its slices, and put back in the frame."""
HONEST, LEAKY = "by patient", "by slice"
"""Networks of the study: folds by patient, and folds by slice, whose networks have seen other slices of the patient."""

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

DIFFERENCE = ["difference", "low", "high", "low_90", "high_90", "difference_p"]
"""Columns of a :class:`brainseg.statistics.Evidence`."""
EFFECT_COLUMNS = ["patients", "manual", "effect", *DIFFERENCE, "manual_p", "p_value"]
CARRIED_COLUMNS = ["source", "feature", "patients", "positive", "manual", "auc", *DIFFERENCE]
LEAK_COLUMNS = ["feature", "measure", "patients", "honest", "leaky", *DIFFERENCE]

#: What else could tell that cluster from the rest, in prose -> column of the features' table or of data.csv.
OTHERS = {
    "slices with tumour": "slices",
    "tumour size in pixels": "tumour_px",
    "age": "age_at_initial_pathologic",
    "grade (its code)": "neoplasm_histologic_grade",
}
#: For what a feature is adjusted, in prose -> names of `OTHERS`.
ADJUSTMENTS = {
    "nothing": (),
    "slices and size": ("slices with tumour", "tumour size in pixels"),
    "grade": ("grade (its code)",),
    "all four": tuple(OTHERS),
}


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
        ``effects`` has p values of the rank test by both, on these same patients, and what
        :func:`brainseg.experiments.shape_genomics.association.compare_effects` gives of their difference.
        ``carried``: whether another source tells `TARGET` as well as the manual masks, see :func:`carried_of`.
        ``leak``: what `LEAKY` has more than `HONEST`, see :func:`leak_of`; no rows without both.
        ``others`` and ``adjusted``: what else could explain a link, see :func:`others_of` and :func:`adjusted_of`.
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
        "effects": pd.DataFrame(effects, columns=["source", "feature", "code", *EFFECT_COLUMNS]),
        "carried": carried_of(features, codes, seed, draws),
        "leak": leak_of(features, codes, seed, draws),
        "others": others_of(features, clinical),
        "adjusted": adjusted_of(features, clinical),
    }


def carried_of(features: pd.DataFrame, codes: pd.DataFrame, seed: int, draws: int) -> pd.DataFrame:
    """Whether other masks tell `TARGET` from the rest as well as the manual ones: Q5 of ``results/protocol.md``.

    Parameters
    ----------
    features, codes, seed, draws
        As :func:`leak_of`.

    Returns
    -------
    DataFrame
        A row per other source and feature, on the patients whom both sources give a number: ``source, feature,
        patients``, how many are ``positive``, the AUC by ``manual`` masks and by these (``auc``), and `DIFFERENCE` of
        these minus manual. No rows where one kind has fewer than two patients.
    """
    code, value = TARGET
    rows = []
    for source in features["source"].unique() if code in codes else ():
        first, second, shared = _paired(features, codes, source)
        for feature, sign in IRREGULAR.items() if source != MANUAL else ():
            known = (first[feature].notna() & second[feature].notna() & shared[code].notna()).to_numpy()
            positive = shared.loc[known, code].to_numpy() == value
            if min(positive.sum(), (~positive).sum()) < 2:
                continue
            drawn, other = (sign * part.loc[known, feature].to_numpy(float) for part in (first, second))
            manual, by_other = (float(association.auc(scores, positive)) for scores in (drawn, other))
            row = {"source": source, "feature": feature, "positive": int(positive.sum()), "manual": manual}
            difference = association.compare_aucs(other, drawn, positive, draws, seed)
            rows.append(row | {"auc": by_other} | _columns(difference))
    return pd.DataFrame(rows, columns=CARRIED_COLUMNS)


def leak_of(features: pd.DataFrame, codes: pd.DataFrame, seed: int, draws: int) -> pd.DataFrame:
    """What networks that know the patient are worth: `LEAKY` against `HONEST`, on the same patients and draws.

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
        classification. ``patients, honest, leaky``, and `DIFFERENCE` of leaky minus honest.
    """
    wide = features.pivot_table(index="patient", columns="source", values=list(FEATURES), sort=False, dropna=False)
    labels = codes.assign(patient=features["patient"]).groupby("patient").first().reindex(wide.index)
    rows = []
    for feature in FEATURES if {HONEST, LEAKY} <= set(features["source"]) else ():
        values = wide[feature][[MANUAL, HONEST, LEAKY]].dropna()
        drawn, honest, leaky = values.to_numpy().T
        if len(values) > 1:
            icc = _icc_with(drawn)
            row = {"feature": feature, "measure": "icc", "honest": float(icc(honest)), "leaky": float(icc(leaky))}
            rows.append(row | _columns(association.compare_sources(leaky, honest, icc, draws, seed)))
        of_code = labels.get(TARGET[0], pd.Series(np.nan, labels.index)).loc[values.index].to_numpy(float)
        known = np.isfinite(of_code)
        if 1 < len(np.unique(of_code[known])) < known.sum():
            by_honest, by_leaky = eta_squared(np.stack([honest, leaky])[:, known], of_code[known])
            difference = association.compare_effects(leaky[known], honest[known], of_code[known], draws, seed)
            row = {"feature": feature, "measure": "effect", "honest": by_honest, "leaky": by_leaky}
            rows.append(row | _columns(difference))
    return pd.DataFrame(rows, columns=LEAK_COLUMNS)


def others_of(features: pd.DataFrame, clinical: pd.DataFrame) -> pd.DataFrame:
    """What else differs between the target cluster and the rest, by the manual masks and data.csv.

    Returns
    -------
    DataFrame
        A row for each of `OTHERS` that is there: ``what, patients, in_cluster, in_rest`` (medians), ``auc`` (chance
        that a patient of the cluster has the larger value) and ``p_value`` of the rank test.
    """
    table, positive = _beside(features, clinical)
    rows = []
    for what in OTHERS:
        known = table[what].notna().to_numpy()
        values, kind = table.loc[known, what].to_numpy(), positive[known]
        if min(kind.sum(), (~kind).sum()) < 2:
            continue
        rows.append(
            {
                "what": what, "patients": len(values),
                "in_cluster": np.median(values[kind]), "in_rest": np.median(values[~kind]),
                "auc": float(association.auc(values, kind)), "p_value": float(rank_p_value(values, kind)),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "patients", "in_cluster", "in_rest", "auc", "p_value"])


def adjusted_of(features: pd.DataFrame, clinical: pd.DataFrame) -> pd.DataFrame:
    """What a feature tells of the target cluster beyond what `OTHERS` tell of it, by the manual masks.

    Returns
    -------
    DataFrame
        A row per feature and name of `ADJUSTMENTS`: ``feature, adjusted_for, patients`` and ``p_value``
        (:func:`brainseg.experiments.shape_genomics.association.added_p_value`).
    """
    table, positive = _beside(features, clinical)
    rows = []
    for feature in FEATURES:
        for name, others in ADJUSTMENTS.items():
            columns = [feature, *others]
            known = table[columns].notna().all(axis=1).to_numpy()
            values = table.loc[known, columns].to_numpy(float)
            p_value = association.added_p_value(values[:, 0], values[:, 1:], positive[known])
            rows.append({"feature": feature, "adjusted_for": name, "patients": len(values), "p_value": p_value})
    return pd.DataFrame(rows, columns=["feature", "adjusted_for", "patients", "p_value"])


def _beside(features: pd.DataFrame, clinical: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and `OTHERS` of the patients with a drawn tumour and a code, and who of them is of the target's cluster.

    What data.csv does not have is NaN.
    """
    by_hand = features[(features["source"] == MANUAL) & ~features["empty"]]
    code = codes_of(by_hand, clinical).reindex(columns=[TARGET[0]])[TARGET[0]]
    by_hand, code = by_hand[code.notna()], code.dropna()
    of_patients = clinical.reindex(by_hand["patient"].str.rpartition("_")[0]).set_axis(by_hand.index)
    table = by_hand[list(FEATURES)].copy()
    for what, column in OTHERS.items():
        source = by_hand if column in by_hand else of_patients
        table[what] = pd.to_numeric(source.get(column, pd.Series(np.nan, by_hand.index)), errors="coerce")
    return table, code.to_numpy() == TARGET[1]


def _columns(found: Evidence) -> dict:
    """The columns ``patients`` and `DIFFERENCE`."""
    values = (found.estimate, found.low, found.high, found.low_90, found.high_90, found.p_value)
    return {"patients": found.patients, **dict(zip(DIFFERENCE, values, strict=True))}


def _icc_with(drawn: np.ndarray):
    """The ICC with the drawn masks, as :func:`brainseg.experiments.shape_genomics.association.compare_sources` asks."""

    def icc(values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        return association.icc(np.stack(np.broadcast_arrays(drawn[rows], values), axis=-1))

    return icc


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
    """Eta squared by manual (first row) and other masks (second), and the difference of the other."""
    rows = []
    for code in codes:
        labels = codes[code].to_numpy(float)
        known = np.isfinite(labels)
        if not 1 < len(np.unique(labels[known])) < known.sum():
            continue
        drawn, other = values[:, known]
        manual, effect = eta_squared(values[:, known], labels[known])
        manual_p, p_value = rank_p_value(values[:, known], labels[known])
        difference = association.compare_effects(other, drawn, labels[known], draws, seed)
        row = {"code": code, "manual": manual, "effect": effect, "manual_p": manual_p, "p_value": p_value}
        rows.append(row | _columns(difference))
    return rows
