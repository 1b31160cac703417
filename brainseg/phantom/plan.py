"""What is decided before anything is drawn: who is scanned where, how, and with which disease."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Kaggle's columns, in its order.
CLINICAL_COLUMNS = (
    "Patient", "RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster",
    "OncosignCluster", "COCCluster", "histological_type", "neoplasm_histologic_grade", "tumor_tissue_site",
    "laterality", "tumor_location", "gender", "age_at_initial_pathologic", "race", "ethnicity", "death01",
)  # fmt: skip


@dataclass(frozen=True)
class Institution:
    """A scanner and its habits; ranges are drawn from uniformly, a patient at a time.

    `brightness` is the intensity of subcutaneous fat in 0..255 grey levels, the brightest tissue; `noise` is the
    standard deviation of the noise as a share of it.
    """

    code: str
    slices: tuple[int, int]
    pixel_mm: tuple[float, float]
    brightness: tuple[float, float]
    noise: tuple[float, float]
    blur_px: float
    bias: float


# Invented codes, two letters as in the real names. XD writes nearly black slices, as the article met them.
INSTITUTIONS = (
    Institution("XA", (20, 24), (0.90, 0.98), (130, 195), (0.008, 0.020), 0.70, 0.12),
    Institution("XB", (32, 40), (0.90, 1.03), (105, 180), (0.010, 0.035), 0.55, 0.10),
    Institution("XC", (24, 32), (0.90, 1.03), (100, 170), (0.010, 0.030), 0.65, 0.20),
    Institution("XD", (20, 26), (0.92, 1.00), (26, 46), (0.010, 0.025), 0.70, 0.10),
)
# A cycle of twelve patients: two thirds of the cohort come from XB and XC, one patient in twelve from XD.
_INSTITUTION_CYCLE = ["XA", "XB", "XD", "XC", "XB", "XA", "XB", "XC", "XB", "XA", "XC", "XB"]
# Which sequence is a copy of FLAIR: 3 patients in 24, so that even four patients hold one.
_MISSING_CYCLE = {3: "post", 11: "pre", 18: "post"}


@dataclass(frozen=True)
class Growth:
    """How a tumour spreads: the positive control for shape against RNASeqCluster.

    roughness : spread (log standard deviation) of the random diffusivity; more makes a lobed, ragged shape.
    anisotropy : ratio of the diffusivity along one random axis to that across it; more makes a long shape.
    white_to_grey : how much faster cells move in white matter than in grey.
    """

    roughness: float
    anisotropy: float
    white_to_grey: float


# Designed, not measured: cluster 1 round and smooth, 2 ragged, 3 long, 4 in between.
GROWTH_BY_CLUSTER = {
    1: Growth(roughness=0.3, anisotropy=1.0, white_to_grey=3.0),
    2: Growth(roughness=1.6, anisotropy=1.5, white_to_grey=6.0),
    3: Growth(roughness=0.5, anisotropy=5.0, white_to_grey=5.0),
    4: Growth(roughness=0.9, anisotropy=2.0, white_to_grey=5.0),
}

# data.csv's code -> mean and spread of the seed in MNI mm (x without its sign).
LOCATIONS = {
    2: ((26, 34, 20), (9, 14, 16)),  # frontal
    5: ((32, -46, 36), (9, 12, 12)),  # parietal
    6: ((46, -12, -14), (6, 14, 8)),  # temporal
}
_LOCATION_SHARES = {2: 0.58, 5: 0.12, 6: 0.30}

# Natural logarithm of the tumour's volume in millilitres: mean and standard deviation.
_LOG_VOLUME_ML = (4.55, 0.75)


@dataclass(frozen=True)
class PatientPlan:
    """One patient before drawing. `missing` names the sequence that is a copy of FLAIR, or is empty."""

    case: str
    date: str
    institution: Institution
    slices: int
    pixel_mm: float
    missing: str
    growth: Growth
    seed_mm: tuple[float, float, float]
    volume_ml: float
    conspicuity: float
    enhancement: float
    cyst: bool
    age: int
    entropy: tuple[int, ...]

    @property
    def name(self) -> str:
        """The folder's name, e.g. PHANTOM_XA_0001_20000101."""
        return f"{self.case}_{self.date}"


def plan_cohort(patients: int, seed: int) -> tuple[list[PatientPlan], pd.DataFrame]:
    """Draw the plans and the matching clinical table.

    Quantities that the calibration fixes (volume, conspicuity) are drawn from strata, one stratum a patient,
    so that a cohort of two dozen shows the distribution's shape rather than the luck of the draw.

    Returns
    -------
    plans : list of PatientPlan
    clinical : DataFrame with `CLINICAL_COLUMNS`, synthetic codes, about one value in 25 missing
    """
    rng = np.random.default_rng([seed, patients])
    by_code = {institution.code: institution for institution in INSTITUTIONS}
    volumes = np.exp(_LOG_VOLUME_ML[0] + _LOG_VOLUME_ML[1] * _stratified_normal(patients, rng))
    conspicuities = _stratified_normal(patients, rng)
    clusters = rng.permutation(np.arange(patients) % len(GROWTH_BY_CLUSTER)) + 1
    plans, rows = [], []
    for number in range(patients):
        institution = by_code[_INSTITUTION_CYCLE[number % len(_INSTITUTION_CYCLE)]]
        case = f"PHANTOM_{institution.code}_{number + 1:04d}"
        location = int(rng.choice(list(_LOCATION_SHARES), p=list(_LOCATION_SHARES.values())))
        side = int(rng.choice([-1, 1]))
        mean, spread = LOCATIONS[location]
        seed_mm = rng.normal(mean, spread) * (side, 1, 1)
        age = int(np.clip(rng.normal(46, 14), 20, 75))
        cluster = int(clusters[number])
        plans.append(
            PatientPlan(
                case=case,
                date=f"2000{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}",
                institution=institution,
                slices=int(rng.integers(institution.slices[0], institution.slices[1] + 1)),
                pixel_mm=float(rng.uniform(*institution.pixel_mm)),
                missing=_MISSING_CYCLE.get(number % 24, ""),
                growth=GROWTH_BY_CLUSTER[cluster],
                seed_mm=tuple(seed_mm),
                volume_ml=float(np.clip(volumes[number], 4, 250)),
                conspicuity=float(conspicuities[number]),
                enhancement=float(rng.choice([0.0, 0.0, rng.uniform(0.15, 0.6)])),
                cyst=bool(rng.random() < 0.25),
                age=age,
                entropy=(seed, number),
            )
        )
        rows.append(_clinical_row(case, cluster, location, side, age, rng))
    clinical = pd.DataFrame(rows, columns=list(CLINICAL_COLUMNS))
    # The real table has such gaps, and more of them in the RNA clusters; the key is never missing.
    gaps = rng.random(clinical.shape) < 0.04
    gaps[:, 0] = False
    return plans, clinical.mask(gaps)


def _stratified_normal(count: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal draws, exactly one from each of `count` equally likely strata, in random order."""
    from scipy.special import ndtri

    return ndtri((rng.permutation(count) + rng.uniform(0.25, 0.75, count)) / count)


def _clinical_row(case: str, cluster: int, location: int, side: int, age: int, rng: np.random.Generator) -> dict:
    """Codes in the ranges of the real table. Only cluster, location, side and age have to do with the images."""

    def code(highest: int) -> int:
        return int(rng.integers(1, highest + 1))

    return {
        "Patient": case,
        "RNASeqCluster": cluster,
        "MethylationCluster": code(5),
        "miRNACluster": code(4),
        "CNCluster": code(3),
        "RPPACluster": code(4),
        "OncosignCluster": code(3),
        "COCCluster": code(3),
        "histological_type": code(3),
        "neoplasm_histologic_grade": code(2),
        "tumor_tissue_site": 1,
        "laterality": 1 if side < 0 else 3,
        "tumor_location": location,
        "gender": code(2),
        "age_at_initial_pathologic": age,
        "race": 3,
        "ethnicity": 2,
        "death01": int(rng.random() < 0.25),
    }
