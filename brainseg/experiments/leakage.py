"""What a random split by slice is worth: masks made without an image, and networks that differ in a leak alone.

Two ways need no image. For each test slice, the mask of the nearest training slice of the same patient is copied, or
one is drawn between the nearest two.

The trained comparison is graded. The test patients of a fold are its *probes*, and a part of each probe's slices is
tested. A network trains on the *common* patients and on a share of the probes' slices, its *dose* in percent: 0 is the
honest split, 80 what a random split by slice leaks, and 100 a control that trains on the tested slices themselves. Each
probe slice has a *stand-in* of another patient, which trains the networks that do not get it. So all train on as many
slices, with and without tumour. Steps and recipe are the same, and so are the tested slices. What is left is the leak,
and that the probes are heads that the honest network does not meet: it trains on fewer patients. The control does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from brainseg.chapters import epochs_text, study_recipe, trainings_text
from brainseg.cohort import FRAME, index_cohort, read_mask
from brainseg.data import get_cohort
from brainseg.evaluation.scores import score_patients, score_slices
from brainseg.experiments.plan import Training, after_the_phantom
from brainseg.experiments.reference import sides
from brainseg.images.preprocess import Preprocessing
from brainseg.networks.record import shares_reference_patients
from brainseg.splits import split_by_slice
from brainseg.statistics import (
    DRAWS,
    FEWEST_PATIENTS,
    FEWEST_TRAININGS,
    Answer,
    Difference,
    Interval,
    Verdict,
    bootstrap_interval,
    interval_over_groups,
    interval_text,
    p_text,
    paired_difference,
    percentile_interval,
    shown,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

DOSES = (0, 25, 50, 80, 100)
"""Percent of the probes' slices that a network trains on."""

MOST = 80
"""Percent of a probe's slices that may leak; the others are tested. A random split in five folds trains on as many."""

MARGIN = 0.03
"""Of Dice: a leak that is worth less would not change how a score is read. Named before this rule was applied."""

QUESTIONS = 5
"""Primary questions of ``results/protocol.md``, of which the leak is one."""

FARTHEST = 5  # slices; what lies farther is counted with it

IMAGE_FREE = ("copy", "interpolation")
"""Ways of making a mask of the leaked masks alone."""


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


def copy_sides(table: pd.DataFrame, split: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """From which slices of a split by slice masks are copied, and to which.

    Returns
    -------
    sources, targets : ndarray of int
        Row numbers of the training slices, and of the test slices whose patient has some.

    Raises
    ------
    ValueError
        Where none of the targets shows tumour, as where each patient has one slice.
    """
    sources = split == "train"
    targets = (split == "test") & table["patient"].isin(table["patient"][sources])
    if not (table["tumour_px"][targets] > 0).any():
        raise ValueError(
            "split by slice, no test slice shows tumour and has another slice of its patient in training: nothing can "
            "leak"
        )
    return np.flatnonzero(sources), np.flatnonzero(targets)


def without_source(split: pd.Series, targets: np.ndarray) -> str:
    """The test slices that :func:`copy_sides` leaves out, in a sentence; empty where there are none."""
    left = int((split == "test").sum()) - len(targets)
    return f" Left out: {left} test slice{'s' * (left != 1)} of patients who have none in training." if left else ""


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


def design(table: pd.DataFrame, side: pd.Series, seed: int | Sequence[int] = 0) -> pd.DataFrame:
    """Give every slice of the cohort its role in the comparison, and its turn to leak.

    A probe's slices with tumour are put in a random order, and those without as well. The turn of a slice is its place
    in that order in percent, so that a dose leaks the slices whose turn it has reached. The last fifth is tested, and
    with it at least one slice with tumour of every probe that has some.

    As many patients as there are probes are drawn from the rest to stand in for them, and more only where these have
    too few slices of a kind. A stand-in has the turn of the slice whose place it takes.

    A test patient with one slice of each kind at most has nothing to leak beside what is tested, and is no probe.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    side : Series
        From :func:`brainseg.experiments.reference.sides`.
    seed : int or sequence of int
        Of the turns and the stand-ins.

    Returns
    -------
    DataFrame
        On the table's index: ``patient, slice, tumour_px``, ``role`` ("probe", "stand-in", "common", "unused" for the
        other slices of those who stand in, or "new" for those who have no part in it) and ``turn`` (above 0 to 100 for
        probes and stand-ins, else NaN).

    Raises
    ------
    ValueError
        Where no probe slice shows tumour, or too few others can stand in.
    """
    rng = np.random.default_rng(seed)
    tumour = table["tumour_px"] > 0
    tested = int((side == "test").sum())
    alike = table.groupby([table["patient"], tumour])["slice"].transform("size").groupby(table["patient"])
    side = side.mask((side == "test") & (alike.transform("max") < 2), "new")
    probe = side == "test"
    if not (probe & tumour).any():
        also = "" if probe.sum() == tested else " and is of a patient with several slices"
        raise ValueError(f"none of the {tested} test slices shows tumour{also}: take another fold or seed")
    turn = pd.Series(np.nan, index=table.index)
    for _, rows in table[probe].groupby([table["patient"], tumour]):
        turn[rows.index] = 100 * (rng.permutation(len(rows)) + 1) / len(rows)
    role = side.replace({"test": "probe", "train": "common"}).rename("role")
    helpers = _helpers(table, side, rng)
    role[helpers] = "unused"
    for kind in (True, False):
        replaced = turn[probe & (tumour == kind)]
        drawn = rng.choice(table.index[helpers & (tumour == kind)], len(replaced), replace=False)
        role[drawn] = "stand-in"
        turn[drawn] = replaced.to_numpy()
    return table[["patient", "slice", "tumour_px"]].assign(role=role, turn=turn)


def require_leak(data: str | Path, fold: int, seed: int, seeds: int, recompute: bool) -> None:
    """Refuse a cohort on which the chapter on leaks would fail, before anything is done; parameters as the chapter has.

    Raises
    ------
    ValueError
        Where nothing can leak from slice to slice; where networks would be trained and a :func:`design` is impossible.
    """
    table = index_cohort(get_cohort(data))
    try:
        copy_sides(table, split_by_slice(table, fold=fold, seed=seed))
        if recompute or not shares_reference_patients(table):
            for training in range(seeds):
                _roles(table, Settings(seed=seed), fold, training)
    except ValueError as error:
        raise ValueError(
            f"Chapter 10 cannot show on {data} what a leak is worth: {error}. The other chapters run one at a time, as "
            "in: python -m brainseg notebook 01"
        ) from None


def no_probes(table: pd.DataFrame, turns: pd.DataFrame, fold: int, seed: int) -> str:
    """Test patients of a fold who are no probes of a :func:`design`, in a sentence; empty where there are none.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    turns : DataFrame
        ``design`` of :func:`score`.
    fold, seed : int
        As in :class:`Settings`.
    """
    tested = table["patient"][sides(table, fold, seed) == "test"]
    left = sorted(set(tested) - set(turns["patient"]))
    if not left:
        return ""
    return f" Left out, with too few slices to leak some and test others: {', '.join(left)}."


def _helpers(table: pd.DataFrame, side: pd.Series, rng: np.random.Generator) -> pd.Series:
    """Slices of the patients who stand in: as many patients as there are probes, and more where they have too few."""
    tumour = table["tumour_px"] > 0
    needed = {kind: int(((side == "test") & (tumour == kind)).sum()) for kind in (True, False)}
    order = rng.permutation(table.loc[side == "train", "patient"].unique())
    for count in range(table.loc[side == "test", "patient"].nunique(), len(order) + 1):
        helpers = table["patient"].isin(order[:count])
        if all((helpers & (tumour == kind)).sum() >= number for kind, number in needed.items()):
            return helpers
    raise ValueError(
        f"the {len(order)} other training patients have too few slices to stand in for {sum(needed.values())} ones of "
        "the probes: take a larger cohort"
    )


def is_tested(roles: pd.DataFrame) -> pd.Series:
    """Which slices of a :func:`design` are tested: bool, on its index."""
    return (roles["role"] == "probe") & (roles["turn"] > MOST)


def leaks(roles: pd.DataFrame, dose: int) -> pd.Series:
    """Which slices of a :func:`design` leak at a dose: bool, on its index."""
    return (roles["role"] == "probe") & (roles["turn"] <= dose)


def dose_split(roles: pd.DataFrame, dose: int) -> pd.Series:
    """The split that a network trains by: "train", "test", and "out" for what it does not see."""
    split = pd.Series("out", index=roles.index, name="split")
    split[is_tested(roles)] = "test"
    stands_in = (roles["role"] == "stand-in") & (roles["turn"] > dose)
    split[(roles["role"] == "common") | stands_in | leaks(roles, dose)] = "train"
    return split


def distance_to_leak(roles: pd.DataFrame, dose: int) -> np.ndarray:
    """Slices from each tested slice to the nearest one of its patient that leaks at a dose; NaN without one.

    0 is a tested slice that leaks itself.
    """
    tested, leaked = is_tested(roles), leaks(roles, dose)
    distance = pd.Series(np.nan, index=roles.index)
    reached = tested & roles["patient"].isin(roles.loc[leaked, "patient"])
    _, found = nearest_source(roles, np.flatnonzero(leaked), np.flatnonzero(reached))
    distance[reached] = found
    return distance[tested].to_numpy()


def training_sizes(roles: pd.DataFrame, doses: Sequence[int] = DOSES) -> pd.DataFrame:
    """What a network of each dose trains on, a row a dose: patients, slices, tumour slices, and slices of probes."""
    rows = []
    for dose in doses:
        trained = roles[dose_split(roles, dose) == "train"]
        rows.append(
            {
                "dose": dose,
                "patients": trained["patient"].nunique(),
                "slices": len(trained),
                "tumour_slices": int((trained["tumour_px"] > 0).sum()),
                "probe_slices": int((trained["role"] == "probe").sum()),
            }
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- training, and the tables


@dataclass(frozen=True)
class Settings:
    """What all networks have in common, and how many there are.

    Attributes
    ----------
    image_size, contrast, crop
        As in :class:`brainseg.images.preprocess.Preprocessing`.
    filters, epochs, slices_per_epoch, learning_rate
        As in :class:`brainseg.networks.recipe.Recipe`.
    after_phantom : bool
        Whether they start from a network trained on a phantom, as the reference runs do.
    doses : tuple of int
        Percent, with 0 and at least one more up to `MOST`.
    folds : tuple of int
        Whose test patients are the probes.
    seeds : int
        Networks of each dose in each fold: seeds 0, 1, ... of weights, order and augmentation, and of turns and
        stand-ins.
    seed : int
        Of the split, where no reference run has divided the patients.
    """

    image_size: int = 128
    contrast: str = "none"
    crop: str = "patient"
    filters: int = 16
    epochs: int = 24
    slices_per_epoch: int = 1024
    learning_rate: float = 1e-3
    after_phantom: bool = True
    doses: tuple[int, ...] = DOSES
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    seeds: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError(f"seeds is {self.seeds}: at least one network a dose is needed")
        tested = any(0 < dose <= MOST for dose in self.doses)  # what the findings rest on
        if 0 not in self.doses or not tested or not all(0 <= dose <= 100 for dose in self.doses):
            raise ValueError(f"doses are {self.doses}: name 0 and others up to 100 percent, at least one up to {MOST}")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """U-Net at each dose, in each fold, with each seed."""
    preprocessing = Preprocessing(image_size=settings.image_size, contrast=settings.contrast, crop=settings.crop)
    trainings = []
    for seed, fold in itertools.product(range(settings.seeds), settings.folds):
        roles = _roles(cohort, settings, fold, seed)
        recipe = study_recipe(
            filters=settings.filters, epochs=settings.epochs, slices_per_epoch=settings.slices_per_epoch,
            learning_rate=settings.learning_rate, seed=seed,
        )  # fmt: skip
        for dose in settings.doses:
            labels = {"arm": arm_name(dose), "fold": fold, "seed": seed}
            training = Training(recipe, preprocessing, dose_split(roles, dose), labels)
            trainings.append(after_the_phantom(training, cohort) if settings.after_phantom else training)
    return trainings


def _roles(cohort: pd.DataFrame, settings: Settings, fold: int, seed: int) -> pd.DataFrame:
    return design(cohort, sides(cohort, fold, settings.seed), (settings.seed, fold, seed))


def arm_name(dose: int) -> str:
    """How the networks of a dose are called in the tables."""
    return f"{dose} %"


def doses_of(table: pd.DataFrame) -> list[int]:
    """The doses of the networks in a table with ``arm``, rising."""
    return sorted(int(arm.removesuffix(" %")) for arm in table["arm"].unique() if arm.endswith(" %"))


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Score the networks, and the masks made without an image, on the tested slices.

    Returns
    -------
    dict of DataFrame
        ``design``: ``fold, seed`` and ``patient, slice, tumour_px, turn`` of the probes; ``sizes``: ``fold, seed`` and
        :func:`training_sizes`; ``slices``: arm (a dose as in "80 %", "copy" or "interpolation"), fold, seed,
        ``distance`` to the leak in slices, and counts and Dice of each tested slice; ``patients``:
        :func:`score_probes`.
    """
    from brainseg.evaluation.predict import evaluate_bare

    designs, sizes, scores = [], [], []
    for seed, fold in itertools.product(range(settings.seeds), settings.folds):
        roles = _roles(cohort, settings, fold, seed)
        own = {"fold": fold, "seed": seed}
        designs.append(roles.loc[roles["role"] == "probe", ["patient", "slice", "tumour_px", "turn"]].assign(**own))
        sizes.append(training_sizes(roles, settings.doses).assign(**own))
        tested, leaked = np.flatnonzero(is_tested(roles)), np.flatnonzero(leaks(roles, MOST))
        copies = score_copies(cohort, leaked, tested)
        scores.append(copies.assign(arm="copy", **own))
        scores.append(score_interpolations(cohort, leaked, tested).assign(arm="interpolation", **own))
    for training, run in runs:
        labels = training.labels
        roles = _roles(cohort, settings, labels["fold"], labels["seed"])
        # Pixel by pixel, as for the copy: to drop small pieces, one would have to look at the leaked slices as well.
        # And once, as a slice is: what a network remembers of its neighbour, it remembers that way round.
        found = evaluate_bare(run, np.flatnonzero(is_tested(roles)))
        dose = int(labels["arm"].removesuffix(" %"))
        scores.append(found.assign(**labels, distance=distance_to_leak(roles, dose)))
    slices = pd.concat(scores, ignore_index=True)
    columns = ["arm", "fold", "seed", "patient", "slice", "distance", "tumour_px", "tp", "fp", "fn", "dice"]
    return {
        "design": pd.concat(designs, ignore_index=True),
        "sizes": pd.concat(sizes, ignore_index=True),
        "slices": slices[columns],
        "patients": score_probes(slices),
    }


# ---------------------------------------------------------------- from slices to a conclusion


def score_probes(slices: pd.DataFrame) -> pd.DataFrame:
    """One row an arm, fold, seed and patient, over the patient's tested slices.

    Parameters
    ----------
    slices : DataFrame
        With ``arm, fold, seed`` and the columns of :func:`brainseg.evaluation.scores.score_slices`.

    Returns
    -------
    DataFrame
        ``arm, fold, seed, patient, slices, tumour_slices, tumour_px, tp, fp, fn``, ``slice_dice`` (the mean over
        tumour slices, NaN without one) and ``volume_dice`` (counts added, then divided; NaN where there is
        neither tumour nor a prediction).
    """
    patients = score_patients(slices, by=("arm", "fold", "seed")).rename(columns={"dice": "volume_dice"}).reset_index()
    counted = ["slices", "tumour_slices", "tumour_px", "tp", "fp", "fn"]
    return patients[["arm", "fold", "seed", "patient", *counted, "slice_dice", "volume_dice"]]


def paired(patients: pd.DataFrame, score: str = "slice_dice") -> pd.DataFrame:
    """A score of each probe in each arm: one row a patient, one column an arm, the seeds averaged.

    The image-free ways come first, then the doses as they rise. Patients that have no score in some arm are left out.
    """
    wide = patients.pivot_table(index="patient", columns="arm", values=score, aggfunc="mean")
    return wide[[*IMAGE_FREE, *map(arm_name, doses_of(patients))]].dropna()


def gap_by_distance(slices: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What the smallest leak gains on tumour slices, against the distance to the nearest leaked slice.

    At the smallest dose above 0 the distances vary most. Seeds are averaged for each patient and distance, and then
    patients.

    Returns
    -------
    DataFrame
        ``arm`` ("0 %", that of the dose, and "gap": the dose minus 0 %), ``distance`` (at most `FARTHEST`, which stands
        for all beyond it as well), ``patients``, ``slices``, ``dice``, ``low``, ``high`` (95 % bootstrap interval over
        patients). The copied masks are not there: they come from the largest leak, which lies elsewhere.
    """
    rows = []
    for distance, scored in _by_distance(slices).groupby("distance"):
        means = scored.drop(columns="slices").groupby("patient").mean()
        for arm in means:
            dice, low, high = bootstrap_interval(means[arm].to_numpy(), seed=seed)
            rows.append(
                {"arm": arm, "distance": int(distance), "patients": len(means), "slices": int(scored["slices"].sum()),
                 "dice": dice, "low": low, "high": high}
            )  # fmt: skip
    return pd.DataFrame(rows)


def near_minus_far(slices: pd.DataFrame, seed: int = 0) -> Interval:
    """How much larger the gap is next to the leak than far from it, with an interval over patients.

    The gaps are those of :func:`gap_by_distance` at its smallest and its largest distance. A patient may have slices at
    one of the two only. A draw takes patients, and so keeps what a patient has. Draws with nobody on one side are left
    out.

    Returns
    -------
    Interval
        NaN where all slices lie at one distance; `low` and `high` are NaN for a single patient.
    """
    gaps = _by_distance(slices)["gap"].unstack()
    if gaps.shape[1] < 2:
        return Interval(np.nan, np.nan, np.nan)
    ends = gaps.iloc[:, [0, -1]].dropna(how="all").to_numpy()
    estimate = float(np.subtract(*np.nanmean(ends, axis=0)))
    if len(ends) == 1:
        return Interval(estimate, np.nan, np.nan)
    weights = np.random.default_rng(seed).multinomial(len(ends), np.full(len(ends), 1 / len(ends)), size=DRAWS)
    sums, counts = weights @ np.nan_to_num(ends), weights @ np.isfinite(ends)
    means = sums[(counts > 0).all(axis=1)] / counts[(counts > 0).all(axis=1)]
    return percentile_interval(estimate, means[:, 0] - means[:, 1])


def smallest_leak(table: pd.DataFrame) -> int:
    """The smallest dose above 0 in a table with ``arm``."""
    return min(dose for dose in doses_of(table) if dose)


def _by_distance(slices: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice of a patient's tumour slices at each distance to the smallest leak, in each arm; ``gap``, ``slices``.

    A slice is tested by all networks of its seed, so each counts in every arm, at the distance of the leak.
    """
    least = arm_name(smallest_leak(slices))
    keys = ["patient", "slice", "seed"]
    tumour = slices[slices["tumour_px"] > 0]
    distance = tumour[tumour["arm"] == least].set_index(keys)["distance"].clip(upper=FARTHEST).dropna()
    arms = [arm_name(0), least]
    by_arm = tumour[tumour["arm"].isin(arms)].pivot(index=keys, columns="arm", values="dice")[arms]
    by_arm = by_arm.loc[distance.index].assign(distance=distance)
    grouped = by_arm.groupby(["patient", "distance"])
    means = grouped.mean().rename_axis(columns=None)
    return means.assign(gap=means[least] - means[arm_name(0)], slices=grouped.size())


def described(record: dict) -> str:
    """How the networks were trained, in a sentence; the record is that of the tables."""
    settings, cohort = record["settings"], record["cohort"]
    kind = "synthetic" if cohort["synthetic"] else "real"
    first = ", after as long on simulated patients" if settings["after_phantom"] else ""
    folds = len(settings["folds"])
    return (
        f"These tables come from {cohort['patients']} {kind} patients with {cohort['slices']} slices: U-Net with "
        f"{settings['filters']} filters at {settings['image_size']} pixels, "
        f"{epochs_text(settings['epochs'], settings['slices_per_epoch'])}{first}; {len(settings['doses'])} doses, "
        f"{folds} fold{'s' * (folds > 1)}, {settings['seeds']} seed{'s' * (settings['seeds'] > 1)}: "
        f"{trainings_text(record)}."
    )


def described_test(slices: pd.DataFrame) -> str:
    """The tested slices in a sentence; the table is that of :func:`score`."""
    tested = slices[slices["arm"] == "copy"]
    once = tested.drop_duplicates(["patient", "slice"])
    beside = (tested["distance"] == 1).mean()
    return (
        f"The test: {len(once)} slices of {once['patient'].nunique()} probe patients, "
        f"{once['tumour_px'].gt(0).sum()} of them with tumour. Where {MOST} % leak, {beside:.0%} of the tested slices "
        f"lie next to a leaked one, and the farthest lies {tested['distance'].max():.0f} slices away."
    )


def described_training(sizes: pd.DataFrame) -> str:
    """On how many patients networks of each kind train, in a sentence; the table is ``sizes`` of :func:`score`."""
    met = sizes.groupby("dose")["patients"].mean()
    leaky = met.drop([0, 100], errors="ignore").mean()
    said = (
        f"All train on as many slices, but not of as many patients: {met[0]:.0f} without a leak and {leaky:.0f} with "
        "one, in the mean, because the probes come on top. What more heads teach may be part of the gain."
    )
    return f"{said} The control trains on {met[100]:.0f}, so its gain is free of that." if 100 in met else said


# ---------------------------------------------------------------- what the comparison says


@dataclass(frozen=True)
class DoseFinding:
    """What a leak is worth: the networks of a dose minus those without a leak, paired by patient.

    Attributes
    ----------
    dose : int
        Percent.
    mean, honest : float
        Mean over patients, with and without the leak.
    difference : Difference
    """

    dose: int
    mean: float
    honest: float
    difference: Difference


@dataclass(frozen=True)
class DistanceFinding:
    """Whether the smallest leak gains more next to a leaked slice.

    Attributes
    ----------
    dose : int
        Percent.
    near, far : int
        Distances in slices; `far` stands for all beyond it as well, where it is `FARTHEST`.
    near_gap, far_gap : float
    fall : Interval
        Near minus far.
    far_patients, far_slices : int
    trainings : int
        Of each dose and fold.
    """

    dose: int
    near: int
    far: int
    near_gap: float
    far_gap: float
    fall: Interval
    far_patients: int
    far_slices: int
    trainings: int

    def sentence(self) -> str:
        """What it says of remembered neighbours, in Markdown."""
        said = f"Where {self.dose} % leak, the gain at a distance of {self.near} is **{self.near_gap:+z.3f}**"
        if self.far == self.near:
            return f"{said}, and there is no other distance to hold it against."
        said += f"; at {self.far}{' or more' if self.far == FARTHEST else ''} it is **{self.far_gap:+z.3f}**. "
        if self.far_patients < FEWEST_PATIENTS:
            return said + (
                f"The farthest point is too thin for a verdict (slices: {self.far_slices}, patients: "
                f"{self.far_patients})."
            )
        said += f"Near minus far is {interval_text(self.fall)}, over patients. "
        if self.trainings < FEWEST_TRAININGS:
            return said + (
                f"There are too few trainings for a verdict ({self.trainings} of each dose and fold, and "
                f"{FEWEST_TRAININGS} are needed)."
            )
        return said + (
            "The gain is larger near the leak, as remembered neighbours would make it."
            if self.fall.low > 0
            else "The gain is smaller near the leak, so remembered neighbours do not explain it."
            if self.fall.high < 0
            else "The interval includes 0, so these data cannot tell whether the gain is larger near the leak."
        )


@dataclass(frozen=True)
class LeakFindings:
    """What the trained comparison says.

    Attributes
    ----------
    doses : tuple of DoseFinding
        By the mean Dice of tumour slices, named beforehand, as the dose rises; the control is not among them.
    verdict : Verdict
        By the one rule with `MARGIN`, of the primary question: the largest dose.
    control : DoseFinding, optional
        Networks that trained on the tested slices themselves.
    volume : DoseFinding
        The largest dose by the Dice of the tested slices as one volume.
    image_free : mapping
        Way -> its mean over the same patients.
    gains : tuple of float
        What the largest dose gains, network by network: in each fold with each seed.
    by_fold : Interval, optional
        95 % interval of what it gains, over the means of the folds; None with fewer than three.
    trimmed : Difference, optional
        What the largest dose gains without the patient who gains most; None where that leaves fewer than two.
    p_corrected : float
        Of the largest dose, were the `QUESTIONS` of the protocol one family, by Bonferroni.
    of_five : Verdict
        What would be said of it then.
    distance : DistanceFinding
        Secondary; it has an interval and no p value, because some patients have slices on one side only.
    """

    doses: tuple[DoseFinding, ...]
    verdict: Verdict
    control: DoseFinding | None
    volume: DoseFinding
    image_free: Mapping[str, float]
    gains: tuple[float, ...]
    by_fold: Interval | None
    trimmed: Difference | None
    p_corrected: float
    of_five: Verdict
    distance: DistanceFinding

    @property
    def primary(self) -> DoseFinding:
        """The largest dose."""
        return self.doses[-1]

    def conclusion(self) -> str:
        """The result in one sentence, whichever way it came out."""
        leak = self.primary.difference
        heads = f"{leak.patients} patients" if leak.patients > 1 else "one patient"
        these = "these patients" if leak.patients > 1 else "this patient"
        said = (
            f"On tumour slices of {heads}, networks that had trained on {self.primary.dose} % of the slices of {these} "
            f"reached a mean Dice of {self.primary.mean:.3f}, and networks that had never met {these} reached "
            f"{self.primary.honest:.3f}: a difference of "
        )
        if leak.patients == 1:
            return f"{said}{leak.estimate:+z.3f}, and a single patient gives no interval."
        said += f"{interval_text(leak)}, {p_text(leak.p_value, name='p')}"
        if self.verdict.answer is Answer.DIFFERENCE and self.verdict.direction > 0:
            return f"{said}; {self.verdict.text}. That is what the leak is worth here; a new patient gets nothing."
        if self.verdict.answer is Answer.DIFFERENCE:
            return f"{said}; {self.verdict.text}. Here the leak did not flatter the networks but held them back."
        if self.verdict.answer is Answer.EQUIVALENT:
            return f"{said}. Here the leak is worth less than {MARGIN:g} either way."
        return f"{said}. What the leak is worth, these data {self.verdict.text}."

    def without_images(self) -> str:
        """How far the same leak gets without an image and without a network."""
        best, mean = max(self.image_free.items(), key=lambda way: way[1])
        words = {"copy": "copying the nearest leaked mask", "interpolation": "drawing between the nearest leaked masks"}
        share = mean / self.primary.honest if self.primary.honest else np.inf
        held = "more than" if share > 1 else f"{share:.0%} of"
        return (
            f"On the same slices, {words[best]} reaches **{mean:.3f}** without looking at an image: {held} what the "
            f"network reaches that has never met these patients ({self.primary.honest:.3f})."
        )

    def sensitivity(self) -> str:
        """Whether the comparison could have seen a leak: what training on the tested slices gains."""
        if self.control is None:
            return (
                "No network was trained on the tested slices themselves, so nothing shows that a leak can be seen here."
            )
        gain = self.control.difference
        said = (
            f"Networks that trained on the tested slices themselves reach {self.control.mean:.3f}, "
            f"{interval_text(gain) if gain.patients > 1 else f'{gain.estimate:+z.3f}'} beside those without a leak. "
        )
        if gain.low > 0:
            return f"{said}So this comparison can see a leak where there is one."
        return f"{said}So little is remembered that a smaller leak can hardly be seen."

    def fragility(self) -> str:
        """How much of the primary answer hangs on one patient, and on counting one question; empty for few patients."""
        leak = self.primary.difference
        if self.trimmed is None:
            return ""
        return (
            f"The median patient gains {leak.median:+z.3f}. Without the patient who gains most, the mean gain is "
            f"{self.trimmed.estimate:+z.3f}, {p_text(self.trimmed.p_value, name='p')}. Each question of the protocol "
            f"is a family of its own. Corrected for all {QUESTIONS} of them (Bonferroni), this one would have "
            f"{p_text(self.p_corrected, name='p')}, and the answer would be: {self.of_five.text}."
        )

    def over_folds(self) -> str:
        """The primary answer with folds in the place of patients; empty for few folds."""
        if self.by_fold is None:
            return ""
        low, high = self.by_fold.low, self.by_fold.high
        said = "includes 0, so folds alone would not show a difference" if low <= 0 <= high else "excludes 0 as well"
        return (
            "Patients of a fold are scored by the same networks, so they are not quite independent. Over the means of "
            f"the folds, the 95 % interval is {low:+.3f} to {high:+.3f} (by t): it {said}."
        )

    def luck(self) -> str:
        """How far the trainings lie apart."""
        if len(self.gains) < 2:
            return (
                "There is one network with the leak and one without. How much of the difference is the luck of a "
                "training, nothing here can tell, because the interval over patients does not know it."
            )
        return (
            f"Network by network ({len(self.gains)} pairs), the gain lies between {min(self.gains):+.3f} and "
            f"{max(self.gains):+.3f}. Other patients and the luck of a training make them differ, and the interval "
            "over patients knows the first alone."
        )

    def table(self) -> pd.DataFrame:
        """A row a comparison with no leak: patients, both means, the difference with its interval and p."""
        rows = {f"{finding.dose} %": finding for finding in self.doses}
        rows[f"{self.volume.dose} %, volume"] = self.volume
        if self.control is not None:
            rows["100 %"] = self.control
        return pd.DataFrame.from_dict(
            {
                name: {
                    "patients": finding.difference.patients, "no leak": finding.honest, "with it": finding.mean,
                    "gain": finding.difference.estimate, "from": finding.difference.low,
                    "to": finding.difference.high, "p": finding.difference.p_value,
                }
                for name, finding in rows.items()
            },
            orient="index",
        )  # fmt: skip


def findings(patients: pd.DataFrame, slices: pd.DataFrame, seed: int = 0) -> LeakFindings:
    """What the leak is worth.

    Parameters
    ----------
    patients, slices : DataFrame
        Tables of :func:`score`.
    seed : int
        Of the bootstrap.
    """
    honest = arm_name(0)
    doses = doses_of(patients)
    by_score = {score: paired(patients, score) for score in ("slice_dice", "volume_dice")}

    def finding(dose: int, score: str = "slice_dice") -> DoseFinding:
        leaky, never = by_score[score][arm_name(dose)], by_score[score][honest]
        return DoseFinding(dose, float(leaky.mean()), float(never.mean()), paired_difference(leaky, never, seed=seed))

    graded = tuple(finding(dose) for dose in doses if 0 < dose <= MOST)
    primary = graded[-1]
    leaky, never = (by_score["slice_dice"][arm_name(dose)] for dose in (primary.dose, 0))
    gain, fold = leaky - never, patients.drop_duplicates("patient").set_index("patient")["fold"]
    others = gain.drop(gain.idxmax()).index
    networks = patients[patients["arm"].isin([honest, arm_name(primary.dose)])]
    each = networks.groupby(["fold", "seed", "arm"])["slice_dice"].mean().unstack("arm")
    trainings = int(networks.groupby(["arm", "fold"])["seed"].nunique().min())
    p_corrected = min(1.0, QUESTIONS * primary.difference.p_value)
    return LeakFindings(
        doses=graded,
        verdict=shown(primary.difference, margin=MARGIN, trainings=trainings),
        control=finding(100) if 100 in doses else None,
        volume=finding(primary.dose, "volume_dice"),
        image_free=dict(by_score["slice_dice"][list(IMAGE_FREE)].mean()),
        gains=tuple(each[arm_name(primary.dose)] - each[honest]),
        by_fold=interval_over_groups(gain, fold.reindex(gain.index)),
        trimmed=paired_difference(leaky[others], never[others], seed=seed) if len(others) > 1 else None,
        p_corrected=p_corrected,
        of_five=shown(primary.difference, margin=MARGIN, trainings=trainings, p_corrected=p_corrected),
        distance=_distance_finding(slices, trainings, seed),
    )


def _distance_finding(slices: pd.DataFrame, trainings: int, seed: int) -> DistanceFinding:
    at = gap_by_distance(slices, seed=seed).set_index(["arm", "distance"])
    distances = at.loc["gap"].index
    near, far = int(distances.min()), int(distances.max())
    return DistanceFinding(
        smallest_leak(slices), near, far,
        float(at.loc[("gap", near), "dice"]), float(at.loc[("gap", far), "dice"]),
        near_minus_far(slices, seed=seed),
        int(at.loc[("gap", far), "patients"]), int(at.loc[("gap", far), "slices"]), trainings,
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
        f"{found.primary.mean:.3f} and others {found.primary.honest:.3f}, a difference of {leak.estimate:+z.3f} "
        f"({found.verdict.text})."
    )


def copy_findings(copies: pd.DataFrame) -> CopyFindings:
    """What :func:`score_copies` or :func:`score_interpolations` gives, in a few numbers."""
    volumes = score_probes(copies.assign(arm="copy", fold=0, seed=0))["volume_dice"].dropna()
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
