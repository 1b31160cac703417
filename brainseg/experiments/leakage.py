"""What a random split by slice is worth: a copy that looks at no image, and two networks that differ in one thing.

The copy takes, for each test slice, the mask of the nearest training slice of the same patient.

The trained comparison has one fixed set of test slices, of some *probe* patients. Both networks train on the same
*common* patients. The leaky one trains on the *leaked* slices as well: the probes' other slices. The honest one
gets *stand-ins* for them: as many slices, with and without tumour, of as many other patients. Size, steps, recipe
and validation patients are the same, and so is the scoring. What is left is the leak.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from brainseg.chapters import SHORT_LEARNING_RATE, epochs_text, study_recipe
from brainseg.cohort import FRAME, read_mask
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.experiments.plan import Training
from brainseg.images.preprocess import Preprocessing
from brainseg.splits import split_by_patient
from brainseg.statistics import (
    DRAWS,
    FEWEST_PATIENTS,
    FEWEST_TRAININGS,
    Answer,
    Difference,
    Interval,
    Verdict,
    bootstrap_interval,
    interval_text,
    p_text,
    paired_difference,
    percentile_interval,
    shown,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

BLOCKS = (1, 3, 5, 9)
"""Lengths of the blocks of neighbouring slices, in slices. Test slices inside a long block are far from training."""

TRAINS = {"leaky": ("common", "leaked"), "honest": ("common", "stand-in")}
"""The roles that an arm trains on."""

MARGIN = 0.03
"""Of Dice: a leak that is worth less would not change how a score is read. Named before this rule was applied."""

FARTHEST = 5  # slices; what lies farther is counted with it


# ---------------------------------------------------------------- a copy instead of a network


def nearest_source(table: pd.DataFrame, sources: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each target slice, the nearest source slice of the same patient.

    Parameters
    ----------
    table : DataFrame
        With ``patient`` and ``slice``.
    sources, targets : arrays of int
        Row numbers of the table.

    Returns
    -------
    rows : ndarray of int
        A source for each target. Of two that are equally near, the one with the lower slice number.
    distance : ndarray of int
        How far away it is, in slices.

    Raises
    ------
    ValueError
        Where a patient has targets but no source.
    """
    patients, numbers = table["patient"].to_numpy(), table["slice"].to_numpy()
    sources = np.asarray(sources)[np.argsort(numbers[sources], kind="stable")]
    targets = np.asarray(targets)
    rows, distance = np.empty(len(targets), int), np.empty(len(targets), int)
    for patient in np.unique(patients[targets]):
        mine = patients[targets] == patient
        own = sources[patients[sources] == patient]
        if len(own) == 0:
            raise ValueError(f"{patient} has slices to test and none to copy from")
        apart = np.abs(numbers[targets[mine]][:, None] - numbers[own])
        rows[mine], distance[mine] = own[apart.argmin(1)], apart.min(1)
    return rows, distance


def read_masks(table: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """The masks of some rows as they are on disk: bool (n, 256, 256)."""
    return np.stack([read_mask(path) for path in table["mask_path"].iloc[rows]])


def score_copies(table: pd.DataFrame, sources: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Copy to each target the mask of its nearest source, and score it; with ``distance`` in slices."""
    rows, distance = nearest_source(table, sources, targets)
    masks, truth = read_masks(table, rows), read_masks(table, targets)
    scores = score_slices(masks, truth, table.iloc[targets], borders=False)
    return scores.assign(distance=distance)


def score_interpolations(table: pd.DataFrame, sources: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Draw each target's mask between its nearest sources below and above, and score it; with ``distance`` in slices.

    The outline between two outlines is where the mean of their signed distances, weighted by nearness, is 0. It needs
    the masks of other slices, and no image. Where there is a source on one side alone, its mask is copied.

    References
    ----------
    Raya S.P., Udupa J.K. Shape-based interpolation of multidimensional objects. IEEE Trans. Med. Imaging 9, 1990,
    32-42, doi:10.1109/42.52980.
    """
    patients, numbers = table["patient"].to_numpy(), table["slice"].to_numpy()
    sources, targets = np.asarray(sources), np.asarray(targets)
    _, distance = nearest_source(table, sources, targets)  # refuses a patient without a source
    masks = np.empty((len(targets), *FRAME), bool)
    for patient in np.unique(patients[targets]):
        own = sources[patients[sources] == patient]
        own = own[np.argsort(numbers[own])]
        known = read_masks(table, own)
        for place in np.flatnonzero(patients[targets] == patient):
            above = int(np.searchsorted(numbers[own], numbers[targets[place]]))
            if above in (0, len(own)):
                masks[place] = known[min(above, len(own) - 1)]
                continue
            low, high = numbers[own[above - 1]], numbers[own[above]]
            share = (numbers[targets[place]] - low) / (high - low)
            masks[place] = between(known[above - 1], known[above], float(share))
    scores = score_slices(masks, read_masks(table, targets), table.iloc[targets], borders=False)
    return scores.assign(distance=distance)


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The mask that lies a share of the way from one mask to another, by their signed distances.

    An empty mask has no outline. It counts as one that lies as far outside everywhere as the other one is deep, so that
    a tumour that ends shrinks towards its middle.

    Parameters
    ----------
    first, second : bool arrays (H, W)
    share : float in 0..1
        0 is the first, 1 the second.

    Returns
    -------
    bool array (H, W)
    """
    inside, outside = _signed_distance(first), _signed_distance(second)
    if inside is None and outside is None:
        return np.zeros(first.shape, bool)
    if inside is None:
        inside = np.full(first.shape, -outside.max())
    if outside is None:
        outside = np.full(second.shape, -inside.max())
    return (1 - share) * inside + share * outside > 0


def _signed_distance(mask: np.ndarray) -> np.ndarray | None:
    """Pixels to the outline, positive inside; None for an empty mask."""
    if not mask.any():
        return None
    padded = np.pad(mask.astype(np.uint8), 1)  # beyond the frame there is no tumour
    inner, outer = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (padded, 1 - padded))
    return (inner - outer)[1:-1, 1:-1]


def copies_by_distance(table: pd.DataFrame, distances: Sequence[int] = range(1, 11)) -> pd.DataFrame:
    """How well a mask fits the tumour slices of the same patient that lie a given number of slices away.

    Returns
    -------
    DataFrame
        ``patient, distance, dice``: the mean over the patient's tumour slices and both directions. Where the
        volume ends before the distance is reached, there is no row.
    """
    found = []
    for patient, slices in table[table["tumour_px"] > 0].groupby("patient"):
        whole = table[table["patient"] == patient]
        target = whole["tumour_px"].to_numpy() > 0
        volume = read_masks(whole, np.flatnonzero(target)).reshape(target.sum(), -1)
        volume = volume[:, volume.any(0)]  # pixels that are tumour somewhere: the others add nothing
        masks = np.zeros((len(whole), volume.shape[1]), np.float32)
        masks[target] = volume
        overlap = masks[target] @ masks.T  # whole numbers below 2^24, so exact
        area = masks.sum(1)
        dice = 2 * overlap / (area[target][:, None] + area)
        apart = np.abs(slices["slice"].to_numpy()[:, None] - whole["slice"].to_numpy())
        found += [
            {"patient": patient, "distance": distance, "dice": float(dice[apart == distance].mean())}
            for distance in distances
            if (apart == distance).any()
        ]
    return pd.DataFrame(found, columns=["patient", "distance", "dice"])


# ---------------------------------------------------------------- the design of the trained comparison


def deal_blocks(slices: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a volume into alternating blocks of test and other slices: bool (slices,), True for test.

    A test block is followed, or preceded, by another block of its length, so half of the volume is tested. The
    lengths are those of :data:`BLOCKS` in random order, again and again; none is longer than half the volume.
    """
    first = bool(rng.integers(2))
    sides: list[bool] = []
    while len(sides) < slices:
        for length in np.minimum(rng.permutation(BLOCKS), max(slices // 2, 1)):
            sides += [first] * length + [not first] * length
    return np.array(sides[:slices])


def design(table: pd.DataFrame, fold: int = 0, seed: int = 0) -> pd.DataFrame:
    """Give every slice of the cohort its role in the comparison.

    The probes are the test patients of an outer fold of :func:`brainseg.splits.split_by_patient`, and its
    validation patients validate. As many patients as there are probes are drawn from the rest to stand in for
    them, and more only where these have too few slices of a kind.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    fold, seed : int
        Of the split; the seed also draws blocks and stand-ins.

    Returns
    -------
    DataFrame
        On the table's index: ``patient, slice, tumour_px``, ``role`` ("test", "leaked", "stand-in", "common",
        "validation", or "unused" for the other slices of those who stand in) and ``distance``, from a test slice
        to the nearest leaked slice of its patient (NaN elsewhere).

    Raises
    ------
    ValueError
        Where no test slice shows tumour, a probe has a single slice, or too few others can stand in.
    """
    side = split_by_patient(table, fold=fold, seed=seed)
    rng = np.random.default_rng([seed, fold])
    role = side.replace({"train": "common"}).rename("role")
    for _, rows in table[side == "test"].groupby("patient"):
        tested = deal_blocks(len(rows), rng)
        role[rows.index[~tested]] = "leaked"
    if not (table["tumour_px"][role == "test"] > 0).any():
        raise ValueError(f"none of the {(role == 'test').sum()} test slices shows tumour: take another fold or seed")
    role[_stand_ins(table, side, role == "leaked", rng)] = "stand-in"
    helpers = table["patient"].isin(table.loc[role == "stand-in", "patient"])
    role[helpers & (role == "common")] = "unused"

    roles = table[["patient", "slice", "tumour_px"]].assign(role=role, distance=np.nan)
    tested, leaked = (np.flatnonzero(role == name) for name in ("test", "leaked"))
    roles.iloc[tested, -1] = nearest_source(table, leaked, tested)[1]
    return roles


def _stand_ins(table: pd.DataFrame, side: pd.Series, leaked: pd.Series, rng: np.random.Generator) -> pd.Index:
    """Slices of other patients in the place of the leaked ones: as many with tumour, as many without."""
    tumour = table["tumour_px"] > 0
    needed = {kind: int((leaked & (tumour == kind)).sum()) for kind in (True, False)}
    order = rng.permutation(table.loc[side == "train", "patient"].unique())
    for count in range(table.loc[leaked, "patient"].nunique(), len(order) + 1):
        helpers = table["patient"].isin(order[:count])
        if all((helpers & (tumour == kind)).sum() >= number for kind, number in needed.items()):
            break
    else:
        raise ValueError(
            f"the {len(order)} other training patients have too few slices to stand in for {leaked.sum()} leaked "
            "ones: take a larger cohort"
        )
    drawn = [rng.choice(table.index[helpers & (tumour == kind)], needed[kind], replace=False) for kind in needed]
    return pd.Index(np.concatenate(drawn))


def arm_split(roles: pd.DataFrame, arm: str) -> pd.Series:
    """The split that an arm trains by: "train", "validation", "test", and "out" for what it does not see."""
    sides = {**dict.fromkeys(TRAINS[arm], "train"), "validation": "validation", "test": "test"}
    return roles["role"].map(sides).fillna("out").rename("split")


def arm_sizes(roles: pd.DataFrame) -> pd.DataFrame:
    """What each arm trains on, one row an arm: patients, slices, tumour slices, and how many probes are among them."""
    probes = roles.loc[roles["role"] == "test", "patient"].unique()
    rows = {}
    for arm in TRAINS:
        trained = roles[arm_split(roles, arm) == "train"]
        rows[arm] = {
            "training patients": trained["patient"].nunique(),
            "training slices": len(trained),
            "with tumour": int((trained["tumour_px"] > 0).sum()),
            "slices of probe patients": int(trained["patient"].isin(probes).sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


# ---------------------------------------------------------------- training, and the tables


@dataclass(frozen=True)
class Settings:
    """What both arms have in common.

    Attributes
    ----------
    image_size, contrast, crop
        As in :class:`brainseg.images.preprocess.Preprocessing`.
    filters, epochs, slices_per_epoch
        As in :class:`brainseg.networks.recipe.Recipe`.
    seeds : int
        How many networks an arm has: seeds 0, 1, ... of weights, order and augmentation.
    fold, seed
        As in :func:`design`.
    """

    image_size: int = 96
    contrast: str = "none"
    crop: str = "patient"
    filters: int = 16
    epochs: int = 10
    slices_per_epoch: int = 480
    seeds: int = 3
    fold: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds}: at least one network an arm is needed")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """The leaky and the honest U-Net, with each seed."""
    roles = design(cohort, settings.fold, settings.seed)
    preprocessing = Preprocessing(image_size=settings.image_size, contrast=settings.contrast, crop=settings.crop)
    trainings = []
    for seed, arm in itertools.product(range(settings.seeds), TRAINS):
        recipe = study_recipe(
            filters=settings.filters, epochs=settings.epochs, slices_per_epoch=settings.slices_per_epoch,
            learning_rate=SHORT_LEARNING_RATE, seed=seed,
        )  # fmt: skip
        trainings.append(Training(recipe, preprocessing, arm_split(roles, arm), {"arm": arm, "seed": seed}))
    return trainings


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score the networks, and the copy, on the test slices.

    Returns
    -------
    dict of DataFrame
        ``design``; ``slices``: arm ("leaky", "honest", "copy"), seed (NaN for the copy), ``distance`` to the leak in
        slices, and counts and Dice of each test slice; ``patients``: :func:`score_probes`.
    """
    from brainseg.evaluation.predict import evaluate_bare

    roles = design(cohort, settings.fold, settings.seed)
    tested = np.flatnonzero(roles["role"] == "test")
    copies = score_copies(cohort, np.flatnonzero(roles["role"] == "leaked"), tested)
    scores = [copies.assign(arm="copy", seed=np.nan)]
    for training, run in runs:
        # Pixel by pixel, as for the copy: to drop small pieces, one would have to look at the leaked slices as well.
        # And once, as a slice is: what a network remembers of its neighbour, it remembers that way round.
        found = evaluate_bare(run)
        scores.append(found.assign(**training.labels, distance=roles["distance"].to_numpy()[tested].astype(int)))
    slices = pd.concat(scores, ignore_index=True)
    patients = score_probes(slices)
    slices = slices[["arm", "seed", "patient", "slice", "distance", "tumour_px", "tp", "fp", "fn", "dice"]]
    return {"design": roles, "slices": slices, "patients": patients}


# ---------------------------------------------------------------- from slices to a conclusion


def score_probes(slices: pd.DataFrame) -> pd.DataFrame:
    """One row an arm, seed and patient, over the patient's test slices.

    Parameters
    ----------
    slices : DataFrame
        With ``arm, seed`` and the columns of :func:`brainseg.evaluation.scores.score_slices`.

    Returns
    -------
    DataFrame
        ``arm, seed, patient, slices, tumour_slices, tumour_px, tp, fp, fn``, ``slice_dice`` (the mean over
        tumour slices, NaN without one) and ``volume_dice`` (counts added, then divided; NaN where there is
        neither tumour nor a prediction).
    """
    patients = score_patients(slices, by=("arm", "seed")).rename(columns={"dice": "volume_dice"}).reset_index()
    counted = ["slices", "tumour_slices", "tumour_px", "tp", "fp", "fn"]
    return patients[["arm", "seed", "patient", *counted, "slice_dice", "volume_dice"]]


def paired(patients: pd.DataFrame, score: str = "slice_dice") -> pd.DataFrame:
    """A score of each probe in each arm: one row a patient, one column an arm, the seeds averaged.

    Patients that have no score in some arm are left out.
    """
    return patients.pivot_table(index="patient", columns="arm", values=score, aggfunc="mean").dropna()


def by_distance(slices: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Dice of tumour slices against the distance to the nearest slice of the same patient that leaked.

    Seeds are averaged for each slice, slices for each patient, and then patients.

    Returns
    -------
    DataFrame
        ``arm`` (also "gap": leaky minus honest), ``distance`` (at most `FARTHEST`, which stands for all beyond it
        as well), ``patients``, ``slices``, ``dice``, ``low``, ``high`` (95 % bootstrap interval over patients).
    """
    rows = []
    for distance, scored in _by_arm(slices).groupby("distance"):
        means = scored.groupby("patient").mean()
        for arm in means:
            interval = bootstrap_interval(means[arm].to_numpy(), seed=seed)
            dice, low, high = interval
            rows.append(
                {"arm": arm, "distance": int(distance), "patients": len(means), "slices": len(scored),
                 "dice": dice, "low": low, "high": high}
            )  # fmt: skip
    return pd.DataFrame(rows)


def near_minus_far(slices: pd.DataFrame, seed: int = 0) -> Interval:
    """How much larger the gap between the arms is next to the leak than far from it, with an interval over patients.

    The gaps are those of :func:`by_distance` at its smallest and its largest distance. A patient may have slices at one
    of the two only. A draw takes patients, and so keeps what a patient has. Draws with nobody on one side are left out.

    Returns
    -------
    Interval
        NaN where all slices lie at one distance; `low` and `high` are NaN for a single patient.
    """
    gaps = _by_arm(slices).groupby(["patient", "distance"])["gap"].mean().unstack()
    if gaps.shape[1] < 2:
        return Interval(np.nan, np.nan, np.nan)
    ends = gaps.iloc[:, [0, -1]].to_numpy()
    estimate = float(np.subtract(*np.nanmean(ends, axis=0)))
    if len(ends) == 1:
        return Interval(estimate, np.nan, np.nan)
    weights = np.random.default_rng(seed).multinomial(len(ends), np.full(len(ends), 1 / len(ends)), size=DRAWS)
    sums, counts = weights @ np.nan_to_num(ends), weights @ np.isfinite(ends)
    means = sums[(counts > 0).all(axis=1)] / counts[(counts > 0).all(axis=1)]
    return percentile_interval(estimate, means[:, 0] - means[:, 1])


def _by_arm(slices: pd.DataFrame) -> pd.DataFrame:
    """Dice of each tumour slice (row) in each arm (column), seeds averaged, and the gap between leaky and honest."""
    tumour = slices[slices["tumour_px"] > 0]
    tumour = tumour.assign(distance=tumour["distance"].clip(upper=FARTHEST))
    by_arm = tumour.pivot_table(index=["patient", "slice", "distance"], columns="arm", values="dice")
    return by_arm.assign(gap=by_arm["leaky"] - by_arm["honest"])


def described(record: dict) -> str:
    """How the networks were trained, in a sentence; the record is that of the tables."""
    settings, cohort = record["settings"], record["cohort"]
    kind = "synthetic" if cohort["synthetic"] else "real"
    return (
        f"These tables come from {cohort['patients']} {kind} patients with {cohort['slices']} slices: U-Net with "
        f"{settings['filters']} filters at {settings['image_size']} pixels, "
        f"{epochs_text(settings['epochs'], settings['slices_per_epoch'])}, {settings['seeds']} "
        f"seed{'s' * (settings['seeds'] > 1)} in each arm, {len(record['runs'])} trainings, "
        f"{record['seconds'] / 60:.1f} minutes on {record['processor']}."
    )


def described_test(roles: pd.DataFrame) -> str:
    """The test slices of a :func:`design` in a sentence."""
    tested = roles[roles["role"] == "test"]
    return (
        f"The test: {len(tested)} slices of {tested['patient'].nunique()} probe patients, "
        f"{(tested['tumour_px'] > 0).sum()} of them with tumour. Of all test slices, "
        f"{(tested['distance'] == 1).mean():.0%} lie next to a leaked slice, and the farthest lies "
        f"{tested['distance'].max():.0f} slices away from one."
    )


def milder(roles: pd.DataFrame, record: dict) -> str:
    """In what the leak of a comparison is milder than that of a random split by slice, a line each, in Markdown."""
    tested, leaked = (roles[roles["role"] == role] for role in ("test", "leaked"))
    settings = record["settings"]
    validated = (roles["role"] == "validation").any()
    lines = [
        f"{len(leaked) / (len(leaked) + len(tested)):.0%} of the probes' slices leak. A random split with a small test "
        "share leaks most of them.",
        f"They leak in blocks. So {(tested['distance'] == 1).mean():.0%} of the test slices have a leaked slice beside "
        "them, and in a random split it is nearly every one.",
        "The validation patients are no probes. In a random split, they leak as well, and the best epoch is chosen by "
        "them."
        if validated
        else "Nobody validates. In a random split with validation slices, the best epoch is chosen by patients who "
        "leak as well.",
        f"The training has {epochs_text(settings['epochs'], settings['slices_per_epoch'])}. A network that trains "
        "longer has more time to remember.",
    ]
    return "\n".join(f"- {line}" for line in lines)


# ---------------------------------------------------------------- what the comparison says


@dataclass(frozen=True)
class LeakFinding:
    """What the leak is worth by one score: leaky minus honest, paired by patient.

    Attributes
    ----------
    score : str
        "slice_dice", the mean Dice of tumour slices, or "volume_dice", that of the test slices as one volume.
    means : mapping
        Mean over patients of each arm: "leaky", "honest", "copy".
    difference : Difference
    verdict : Verdict
        By the one rule, with `MARGIN`.
    """

    score: str
    means: Mapping[str, float]
    difference: Difference
    verdict: Verdict


@dataclass(frozen=True)
class DistanceFinding:
    """Whether the gap between the arms is larger next to the leak.

    Attributes
    ----------
    near, far : int
        Distances in slices; `far` stands for all beyond it as well, where it is `FARTHEST`.
    near_gap, far_gap : float
    near_copy, far_copy : float
        Dice of the copied mask at the same distances.
    fall : Interval
        Near minus far.
    far_patients, far_slices : int
    trainings : int
        Of each arm.
    """

    near: int
    far: int
    near_gap: float
    far_gap: float
    near_copy: float
    far_copy: float
    fall: Interval
    far_patients: int
    far_slices: int
    trainings: int

    def sentence(self) -> str:
        """What it says of remembered neighbours, in Markdown."""
        said = f"At a distance of {self.near}, the gap between the arms is **{self.near_gap:+z.3f}**"
        if self.far == self.near:
            return f"{said}, and there is no other distance to hold it against."
        said += (
            f"; at {self.far}{' or more' if self.far == FARTHEST else ''} it is **{self.far_gap:+z.3f}**. Over the "
            f"same distances the copied mask goes from {self.near_copy:.2f} to {self.far_copy:.2f}. "
        )
        if self.far_patients < FEWEST_PATIENTS:
            return said + (
                f"The farthest point is too thin for a verdict (slices: {self.far_slices}, patients: "
                f"{self.far_patients})."
            )
        said += f"Near minus far is {interval_text(self.fall)}, over patients. "
        if self.trainings < FEWEST_TRAININGS:
            return said + (
                f"There are too few trainings for a verdict ({self.trainings} in each arm, and {FEWEST_TRAININGS} are "
                "needed)."
            )
        return said + (
            "The gap is larger near the leak, as remembered neighbours would make it."
            if self.fall.low > 0
            else "The gap is smaller near the leak, so remembered neighbours do not explain it."
            if self.fall.high < 0
            else "The interval includes 0, so these data cannot tell whether the gap is larger near the leak."
        )


@dataclass(frozen=True)
class LeakFindings:
    """What the trained comparison says.

    Attributes
    ----------
    primary : LeakFinding
        By the mean Dice of tumour slices, named beforehand.
    secondary : LeakFinding
        By the Dice of the test slices as one volume.
    gains : tuple of float
        The primary score's leaky minus honest, seed by seed.
    distance : DistanceFinding
        Secondary as well; it has an interval and no p value, because some patients have slices on one side only.
    """

    primary: LeakFinding
    secondary: LeakFinding
    gains: tuple[float, ...]
    distance: DistanceFinding

    def conclusion(self) -> str:
        """The result in one sentence, whichever way it came out."""
        leak, verdict = self.primary.difference, self.primary.verdict
        heads = f"{leak.patients} patients" if leak.patients > 1 else "one patient"
        these = "these patients" if leak.patients > 1 else "this patient"
        said = (
            f"On the same test slices of {heads}, networks that had trained on other slices of {these} reached a mean "
            f"Dice of {self.primary.means['leaky']:.3f}, and networks that had not reached "
            f"{self.primary.means['honest']:.3f}: a difference of "
        )
        if leak.patients == 1:
            return f"{said}{leak.estimate:+z.3f}, and a single patient gives no interval."
        said += f"{interval_text(leak)}, {p_text(leak.p_value, name='p')}"
        if verdict.answer is Answer.DIFFERENCE and verdict.direction > 0:
            return f"{said}. That is what the leak is worth here, and no new patient would see it."
        if verdict.answer is Answer.DIFFERENCE:
            return f"{said}. Here the leak did not flatter the networks but held them back."
        if verdict.answer is Answer.EQUIVALENT:
            return f"{said}. Here the leak is worth less than {MARGIN:g} either way."
        return f"{said}. What the leak is worth, these data {verdict.text}."

    def luck(self) -> str:
        """How far the trainings lie apart, seed by seed."""
        if len(self.gains) < 2:
            return (
                "Each arm has one training. How much of the difference is the luck of a training, nothing here can "
                "tell, because the interval over patients does not know it."
            )
        gains = ", ".join(f"{gain:+.3f}" for gain in self.gains)
        return (
            f"Seed by seed, the leaky arm's mean Dice of tumour slices minus the honest one's: {gains}. How far these "
            "lie apart is the luck of a training, which the interval over patients does not know."
        )

    def table(self) -> pd.DataFrame:
        """A row a score: patients, means of the arms, the difference with its interval and p."""
        names = {"slice_dice": "Dice of tumour slices", "volume_dice": "Dice of the test slices as one volume"}
        rows = {
            names[finding.score]: {
                "patients": finding.difference.patients, **finding.means,
                "leaky minus honest": finding.difference.estimate,
                "95 % interval from": finding.difference.low, "to": finding.difference.high,
                "p": finding.difference.p_value,
            }
            for finding in (self.primary, self.secondary)
        }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index")


def findings(patients: pd.DataFrame, slices: pd.DataFrame, seed: int = 0) -> LeakFindings:
    """What the leak is worth.

    Parameters
    ----------
    patients, slices : DataFrame
        Tables of :func:`score`.
    seed : int
        Of the bootstrap.
    """
    networks = patients.dropna(subset="seed")
    trainings = int(networks.groupby("arm")["seed"].nunique().min())

    def finding(score: str) -> LeakFinding:
        by_arm = paired(patients, score)
        difference = paired_difference(by_arm["leaky"], by_arm["honest"], seed=seed)
        verdict = shown(difference, margin=MARGIN, trainings=trainings)
        return LeakFinding(
            score, {arm: float(by_arm[arm].mean()) for arm in ("copy", "honest", "leaky")}, difference, verdict
        )

    by_seed = networks.groupby(["seed", "arm"])["slice_dice"].mean().unstack("arm")
    at = by_distance(slices, seed=seed).set_index(["arm", "distance"])
    distances = at.loc["gap"].index
    near, far = int(distances.min()), int(distances.max())
    return LeakFindings(
        primary=finding("slice_dice"),
        secondary=finding("volume_dice"),
        gains=tuple(by_seed["leaky"] - by_seed["honest"]),
        distance=DistanceFinding(
            near, far, float(at.loc[("gap", near), "dice"]), float(at.loc[("gap", far), "dice"]),
            float(at.loc[("copy", near), "dice"]), float(at.loc[("copy", far), "dice"]),
            near_minus_far(slices, seed=seed),
            int(at.loc[("gap", far), "patients"]), int(at.loc[("gap", far), "slices"]), trainings,
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- what the copies show


@dataclass(frozen=True)
class CopyFindings:
    """What masks made without an image reach in a split by slice.

    Attributes
    ----------
    neighbours : float
        Share of the test slices whose source is the next slice.
    slice_dice : float
        Mean over tumour slices.
    volume_mean, volume_median : float
        Over patients, each one volume.
    patients : int
    """

    neighbours: float
    slice_dice: float
    volume_mean: float
    volume_median: float
    patients: int

    def sentence(self) -> str:
        """All of it, in Markdown."""
        return (
            f"In this split, **{self.neighbours:.0%}** of the test slices have a direct neighbour in training. The "
            f"copy reaches a mean Dice of **{self.slice_dice:.2f}** on tumour slices, and **{self.volume_mean:.2f}** "
            f"per volume (median {self.volume_median:.2f}, {self.patients} patients). A split by patient leaves it "
            "nothing to copy, so there it would score 0."
        )


def image_free_table(scored: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Ways of drawing a mask without an image, a row each: Dice of tumour slices, and of volumes.

    Parameters
    ----------
    scored : mapping
        Name of a way -> its table, as :func:`score_copies` gives it.
    """
    rows = {
        name: {
            "mean Dice of tumour slices": found.slice_dice,
            "mean Dice of volumes": found.volume_mean,
            "median": found.volume_median,
            "patients": found.patients,
        }
        for name, found in ((name, copy_findings(table)) for name, table in scored.items())
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def answer(image_free: pd.DataFrame, found: LeakFindings) -> str:
    """What masks without an image reach, and what a leak adds to a network, in a sentence: what the chapter finds.

    Parameters
    ----------
    image_free : DataFrame
        From :func:`image_free_table`: the way that does best is told.
    found : LeakFindings
    """
    best = image_free["mean Dice of tumour slices"]
    leak = found.primary.difference
    return (
        f"In such a split a mask {best.idxmax()}, without a look at an image, has a mean Dice of {best.max():.2f} on "
        "tumour slices; where the leak alone is changed, networks that have met the test patients have "
        f"{found.primary.means['leaky']:.3f} and others {found.primary.means['honest']:.3f}, a difference of "
        f"{leak.estimate:+z.3f} ({found.primary.verdict.text})."
    )


def copy_findings(copies: pd.DataFrame) -> CopyFindings:
    """What :func:`score_copies` or :func:`score_interpolations` gives, in a few numbers."""
    volumes = score_probes(copies.assign(arm="copy", seed=0))["volume_dice"].dropna()
    return CopyFindings(
        float((copies["distance"] == 1).mean()),
        float(copies["dice"].mean()),
        float(volumes.mean()),
        float(volumes.median()),
        len(volumes),
    )


def fading(by_slices_away: pd.DataFrame) -> str:
    """How fast a copied mask loses its fit, in a sentence; the table is that of :func:`copies_by_distance`."""
    means = by_slices_away.groupby("distance")["dice"].mean()
    below = means.index[means < means.iloc[0] / 2]
    return f"One slice away a copied mask fits with a Dice of {means.iloc[0]:.2f}. " + (
        f"From a distance of {below[0]} slices on, it is less than half of that."
        if len(below)
        else f"Even {means.index[-1]} slices away it is at least half of that."
    )
