"""What a synthetic tumour is worth: networks that have met nothing but the phantom, on real patients.

They are trained as the networks from which the reference edition starts. Beside them stands a rule that needs no
network, a flat threshold on FLAIR, which is chosen on phantom patients as well.

The phantom is steered by 20 real patients, the development set. They are left out of the scores here;
:mod:`brainseg.experiments.ablation` and :mod:`brainseg.experiments.steering` ask them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.chapters import study_recipe
from brainseg.cohort import FLAIR, read_patient
from brainseg.evaluation.masks import Masks, pack_masks
from brainseg.evaluation.scores import VOLUME_COLUMNS, drop_small_pieces, score_patients, score_slices, summarise
from brainseg.experiments import gallery
from brainseg.experiments.gallery import Failure
from brainseg.experiments.plan import PHANTOM, Training, on_the_phantom
from brainseg.experiments.reference import masks_of as reference_masks_of
from brainseg.experiments.reference import participants
from brainseg.images.crop import head_silhouette
from brainseg.images.prepared import Prepared, prepare
from brainseg.images.preprocess import BRAIN_LEVEL, Preprocessing
from brainseg.images.visibility import ring_of_brain, separability
from brainseg.metrics import Confusion, confusion, dice, precision, recall
from brainseg.networks.recipe import MODEL_NAMES, MODELS
from brainseg.paths import write_atomically
from brainseg.results import REFERENCE, read_csv, read_table, results_folder
from brainseg.splits import draw_patients
from brainseg.statistics import (
    Difference,
    Interval,
    Verdict,
    holm,
    interval_text,
    paired_difference,
    rank_correlation,
    shown,
)

if TYPE_CHECKING:
    from brainseg.networks.runs import Run

SYNTHETIC = "synthetic"
"""The folder of its results."""

MODEL = "unet"
"""Of the primary question."""

FLAT = "flat threshold"
"""The rule that needs no network, in the place of a model's name."""

LEVELS = np.round(np.arange(0.4, 1, 0.04), 2)
"""Thresholds that are tried. The median of the brain lies at 0.4, what is 2.5 times as bright at 1."""

RIMS_PX = (10, 18, 26, 34)
"""How much of a head's edge is tried to be left out: about the scalp in its middle, and more where it is cut aslant."""

SOURCES = ("phantom alone", "then real patients")
"""What two networks of a kind were trained on, in figures: nothing else, or real patients afterwards."""

FAILURE = 0.1
"""Of Dice: below it, a tumour was not found."""

MARGIN = 0.03
"""Of Dice: what differs by less is equally good for this question."""

DEVELOPMENT_PATIENTS = 20
DEVELOPMENT_SEED = 15
"""Of the draw: fixed before any patient was looked at for it, and never drawn again."""

_FILE = "phantom_development.csv"


def draw_development(table: pd.DataFrame) -> pd.DataFrame:
    """Draw the development set from the real cohort: institutions and tumour loads in their shares.

    Parameters
    ----------
    table : DataFrame
        From :func:`brainseg.cohort.index_cohort`.

    Returns
    -------
    DataFrame
        One row a patient: ``patient, institution, slices, tumour_px``.
    """
    drawn = draw_patients(table, DEVELOPMENT_PATIENTS, DEVELOPMENT_SEED)
    rows = table[table["patient"].isin(drawn)].groupby("patient", as_index=False)
    return rows.agg(institution=("institution", "first"), slices=("slice", "size"), tumour_px=("tumour_px", "sum"))


def keep_development(table: pd.DataFrame) -> None:
    """Write the development set of a cohort to ``results/phantom_development.csv``, once and for all.

    Raises
    ------
    FileExistsError
        Where one is kept: another draw would bring patients into it that scores were reported of.
    """
    path = results_folder(_FILE)
    if path.exists():
        raise FileExistsError(f"{path} is there: the development set is drawn once")
    with write_atomically(path) as part:
        draw_development(table).to_csv(part, index=False)


def development_patients() -> pd.DataFrame:
    """The kept development set, as :func:`draw_development` gives it."""
    return read_csv(results_folder(_FILE))


def phantom_split(table: pd.DataFrame) -> pd.Series:
    """The sides of a phantom cohort for a network that real patients judge: a tenth validates, the others train."""
    patients = table["patient"].nunique()
    validation = draw_patients(table, max(1, patients // 10))
    return table["patient"].isin(validation).map({True: "validation", False: "train"}).rename("split")


def masks_of(model: str, seed: int) -> Path:
    """The file of the masks that a network trained on the phantom alone predicts for the scored real patients."""
    return results_folder(SYNTHETIC) / "masks" / f"{model}-seed{seed}.npz"


def on_real(run: Run, root: Path, patients: Collection[str]) -> Run:
    """A run that was trained on other patients, with these real ones as its test side; parameters as `score_real`."""
    prepared = prepare(root, run.record.preprocessing)
    split = prepared.table["patient"].isin(list(patients)).map({True: "test", False: "new"})
    return replace(run, prepared=prepared, split=split)


def score_real(run: Run, root: Path, patients: Collection[str]) -> pd.DataFrame:
    """Score a run that was trained on other patients: one row a patient, as `brainseg.evaluation.scores` has them.

    Parameters
    ----------
    run : Run
    root : Path
        The real cohort, from :func:`brainseg.data.get_cohort`.
    patients : collection of str
        Of the real cohort.
    """
    from brainseg.evaluation.predict import evaluate

    return score_patients(evaluate(on_real(run, root, patients), borders=False))


def judges(cohort: pd.DataFrame) -> set[str]:
    """The real patients of a cohort who may judge the phantom: all participants but the development set."""
    return set(participants(cohort)["patient"]) - set(development_patients()["patient"])


def scored_on(patients: set[str], cohort: pd.DataFrame, runs: Iterable[tuple[Training, Run]]) -> pd.DataFrame:
    """The scores of networks on real patients: each training's labels, then `VOLUME_COLUMNS`; a row a patient."""
    scored = []
    for training, run in runs:
        found = score_real(run, cohort.attrs["root"], patients).reset_index()
        scored.append(found.assign(**training.labels)[[*training.labels, *VOLUME_COLUMNS]])
    return pd.concat(scored, ignore_index=True)


# ---------------------------------------------------------------- a threshold instead of a network


class Threshold(NamedTuple):
    """A flat threshold: what is at least as bright as `level`, farther than `rim_px` from the edge of the head."""

    rim_px: int
    level: float


def brain_flair(prepared: Prepared, rows: np.ndarray, rim_px: int) -> np.ndarray:
    """FLAIR as the networks get it, back in the original frame, and 0 near the edge of the head and outside.

    The scalp is the brightest part of a head, so a threshold alone would call it tumour.

    Parameters
    ----------
    prepared : Prepared
        With brain-normalised grey levels, so that one threshold can serve all patients.
    rows : ndarray of int
        Row numbers of its table.
    rim_px : int
        Width of what is left out along the edge of the head that a slice shows, in pixels of the original frame.

    Returns
    -------
    ndarray, float32 (n, 256, 256) in [0, 1]
    """
    images = prepared.images[rows]
    flair = images[..., FLAIR] / np.float32(255)
    for plane, image, row in zip(flair, images, rows, strict=True):
        reach = round(rim_px * prepared.preprocessing.image_size / prepared.box(row).height)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        plane[cv2.erode(head_silhouette(image[None]).astype(np.uint8), disc) == 0] = 0
    return prepared.restore(flair, rows)


def flat_mask(flair: np.ndarray, level: float) -> np.ndarray:
    """What is as bright as the threshold, without small pieces, as for a network: bool, as `flair`, a whole volume."""
    return drop_small_pieces(flair >= level)


def try_thresholds(prepared: Prepared, patients: Collection[str]) -> pd.DataFrame:
    """The Dice of the volume by each of `RIMS_PX` and `LEVELS`: ``patient, rim_px, level, dice``."""
    rows = prepared.table.groupby("patient").indices
    found = []
    for patient in tqdm(sorted(patients), desc="trying thresholds", unit="patient"):
        truth = prepared.truth(rows[patient])
        for rim_px in RIMS_PX:
            flair = brain_flair(prepared, rows[patient], rim_px)
            for level in LEVELS:
                reached = float(dice(confusion(truth, flat_mask(flair, level)), empty=np.nan))
                found.append({"patient": patient, "rim_px": rim_px, "level": level, "dice": reached})
    return pd.DataFrame(found)


def best_threshold(tried: pd.DataFrame) -> Threshold:
    """The one with the best mean Dice."""
    rim_px, level = tried.groupby(["rim_px", "level"])["dice"].mean().idxmax()
    return Threshold(int(rim_px), float(level))


def score_threshold(prepared: Prepared, patients: Collection[str], threshold: Threshold) -> pd.DataFrame:
    """Score a threshold on some patients: one row a patient, as :func:`score_real`."""
    rows = prepared.table.groupby("patient").indices
    scored = []
    for patient in tqdm(sorted(patients), desc="the threshold on patients", unit="patient"):
        own = rows[patient]
        mask = flat_mask(brain_flair(prepared, own, threshold.rim_px), threshold.level)
        scored.append(score_slices(mask, prepared.truth(own), prepared.table.iloc[own], borders=False))
    return score_patients(pd.concat(scored))


# ---------------------------------------------------------------- trainings, and the tables


@dataclass(frozen=True)
class Settings:
    """Which networks are scored, and on how many phantom patients the threshold is chosen.

    Attributes
    ----------
    models : tuple of str
        Names of :data:`brainseg.networks.recipe.MODELS`.
    seeds : tuple of int
    threshold_patients : int
        Of the phantom that the networks are trained on, drawn so that they stand for it.
    """

    models: tuple[str, ...] = ("unet", "resunet", "fcn32")
    seeds: tuple[int, ...] = (0, 1, 2)
    threshold_patients: int = 32

    def __post_init__(self) -> None:
        if strangers := set(self.models) - set(MODELS):
            raise ValueError(f"unknown {', '.join(sorted(strangers))}: choose from {', '.join(MODELS)}")


def require_real(cohort: pd.DataFrame) -> None:
    """Raise ValueError for a synthetic cohort, because it cannot say what a synthetic tumour is worth."""
    if cohort["synthetic"].any():
        raise ValueError("Real patients say what a synthetic tumour is worth. Name their folder with --data.")


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Each network with each seed on the phantom alone, trained as those that the reference edition starts from.

    Raises
    ------
    ValueError
        On a synthetic cohort, which cannot say what a synthetic tumour is worth.
    """
    require_real(cohort)
    return [
        on_the_phantom(study_recipe(model, seed=seed), Preprocessing(), {"model": model, "seed": seed})
        for model in settings.models
        for seed in settings.seeds
    ]


def score(
    cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]
) -> dict[str, pd.DataFrame | Masks]:
    """Score networks and threshold on the real patients outside the development set.

    Returns
    -------
    dict of DataFrame and Masks
        ``"patients"``: ``model`` (or `FLAT`), ``seed`` (0 for the threshold), ``patient, institution, tumour_px, tp,
        fp, fn, dice`` of the volume, ``separability`` (the chance that a tumour pixel is brighter on FLAIR than one of
        the brain around it, mean over the patient's tumour slices; NaN where a patient has none). ``"threshold"``:
        :func:`try_thresholds` of phantom patients. And the masks of each network, by the name of :func:`masks_of`.
    """
    from brainseg.evaluation.predict import evaluate_with_masks

    root = cohort.attrs["root"]
    names = sorted(judges(cohort))
    phantom = PHANTOM.prepare(Preprocessing())
    tried = try_thresholds(phantom, draw_patients(phantom.table, settings.threshold_patients))
    real = prepare(root, Preprocessing())
    scored = [score_threshold(real, names, best_threshold(tried)).reset_index().assign(model=FLAT, seed=0)]
    networks = len(settings.models) * len(settings.seeds)
    masks = {}
    for training, run in tqdm(runs, total=networks, desc="scoring real patients", unit="network"):
        slices, predicted = evaluate_with_masks(on_real(run, root, names), borders=False)
        scored.append(score_patients(slices).reset_index().assign(**training.labels))
        masks[masks_of(**training.labels).stem] = pack_masks(slices, predicted)
    patients = pd.concat(scored, ignore_index=True)[["model", "seed", *VOLUME_COLUMNS]]
    visible = {name: _separability(cohort, name) for name in names}
    return {"patients": patients.assign(separability=patients["patient"].map(visible)), "threshold": tried, **masks}


def _separability(cohort: pd.DataFrame, patient: str) -> float:
    images, masks = read_patient(cohort, patient)
    found = [
        separability(image[..., FLAIR], mask, ring_of_brain(image, mask))
        for image, mask in zip(images, masks, strict=True)
        if mask.any()
    ]
    return float(np.nanmean(found)) if np.isfinite(found).any() else np.nan


# ---------------------------------------------------------------- what the tables say


@dataclass(frozen=True)
class MethodFinding:
    """Networks that trained on the phantom alone, or the flat threshold, on real patients.

    Attributes
    ----------
    model : str
        Or `FLAT`.
    summary : mapping
        From :func:`brainseg.evaluation.scores.summarise`, of each patient's mean Dice over the seeds.
    failures : int
        Patients with a Dice below `FAILURE`.
    by_seed : tuple of float
        Mean Dice of each training.
    """

    model: str
    summary: Mapping[str, float]
    failures: int
    by_seed: tuple[float, ...]

    @property
    def name(self) -> str:
        """As in a sentence."""
        return MODEL_NAMES.get(self.model, self.model)

    def row(self) -> dict:
        """As a row of a table to read."""
        means = (f"{mean:.3f}" for mean in (min(self.by_seed), max(self.by_seed)))
        numbers = {
            name: self.summary[key]
            for name, key in {"mean": "mean", "from": "low", "to": "high", "median": "median", "worst": "worst"}.items()
        }
        return {
            "method": self.name,
            **numbers,
            "failures": self.failures,
            "by seed": "-" if self.model == FLAT else " to ".join(means),
        }


@dataclass(frozen=True)
class Gap:
    """Networks without a real image beside the same kind of network that went on with real patients.

    Attributes
    ----------
    model : str
    alone, real : float
        Mean Dice of the two on the patients that both were scored on.
    difference : Difference
        With real patients minus without.
    verdict : Verdict
    """

    model: str
    alone: float
    real: float
    difference: Difference
    verdict: Verdict

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        found = self.difference
        return (
            f"- **{MODEL_NAMES[self.model]}**: {self.alone:.3f} without a real image, {self.real:.3f} with real "
            f"patients as well: {interval_text(found)} on {found.patients} patients, and better on {found.better_on}. "
            f"{self.verdict.sentence}"
        )


@dataclass(frozen=True)
class SyntheticFindings:
    """What networks are worth that have met no real image.

    Attributes
    ----------
    methods : tuple of MethodFinding
        The flat threshold first.
    threshold : Threshold
    primary : Difference
        Of `MODEL` minus the flat threshold.
    verdict : Verdict
    gaps : tuple of Gap
        Of the networks that the reference edition has as well.
    links : mapping
        What a tumour is like -> the rank correlation with the Dice of `MODEL`.
    """

    methods: tuple[MethodFinding, ...]
    threshold: Threshold
    primary: Difference
    verdict: Verdict
    gaps: tuple[Gap, ...]
    links: Mapping[str, Interval]

    def _of(self, model: str) -> MethodFinding:
        return next(method for method in self.methods if method.model == model)

    def table(self) -> pd.DataFrame:
        """A row a method, to read."""
        return pd.DataFrame([method.row() for method in self.methods])

    def chosen(self) -> str:
        """Which threshold the phantom chose, as a sentence."""
        return (
            f"The phantom patients chose a threshold of {self.threshold.level:.2f} (the median of the brain lies at "
            f"{BRAIN_LEVEL:g}) and a rim of {self.threshold.rim_px} pixels."
        )

    def primary_sentence(self) -> str:
        """The answer to the primary question, in Markdown."""
        return (
            f"**{MODEL_NAMES[MODEL]} without a real image minus the flat threshold:** {interval_text(self.primary)} on "
            f"{self.primary.patients} real patients. {self.verdict.sentence}"
        )

    def gap_sentences(self) -> str:
        """What real patients add, a line a network, in Markdown."""
        return "\n".join(gap.sentence() for gap in self.gaps) or "No network of the reference edition has been scored."

    def link_sentences(self) -> str:
        """Where it goes better, a line a number, in Markdown."""
        lines = []
        for what, found in self.links.items():
            told = "the interval includes 0" if found.low <= 0 <= found.high else "the interval excludes 0"
            lines.append(f"- Dice and {what}: rank correlation {interval_text(found, 2)}; {told}.")
        return "\n".join(lines)

    def conclusion(self) -> str:
        """The finding in a sentence."""
        network, flat = self._of(MODEL), self._of(FLAT)
        said = (
            f"{network.name} whose weights have met no real image reaches a mean Dice of "
            f"{network.summary['mean']:.2f} on {network.summary['patients']} real patients, where a flat threshold "
            f"that is chosen on the same phantom has {flat.summary['mean']:.2f} ({self.verdict.in_short})"
        )
        for gap in self.gaps:
            if gap.model == MODEL:
                gain = gap.difference.estimate
                moved = f"{'adds' if gain >= 0 else 'takes away'} {abs(gain):.2f}"
                said += f", and going on with real patients for as many steps again {moved} ({gap.verdict.in_short})"
        return f"{said}."


def findings(patients: pd.DataFrame, threshold: pd.DataFrame, real: pd.DataFrame, seed: int = 0) -> SyntheticFindings:
    """Networks without a real image, beside the threshold and beside networks that went on with real patients.

    The primary question is that of `MODEL` and the threshold. The gaps are three more, whose p values are corrected
    together. A verdict about a gap asks for three trainings of both sides.

    Parameters
    ----------
    patients, threshold : DataFrame
        From :func:`score`.
    real : DataFrame
        ``model, seed, patient, dice`` of networks trained on real patients, each patient scored by one that has not
        met him or her: the honest part of the reference edition's table ``seeds``.
    seed : int
        Of the bootstrap.
    """
    alone, trained = mean_dice(patients), mean_dice(real)
    methods = []
    for model in _in_order(alone):
        rows = patients[patients["model"] == model]
        by_seed = tuple(rows.groupby("seed")["dice"].mean())
        dice_of = alone[model].rename("dice").to_frame()
        failures = int((alone[model] < FAILURE).sum())
        methods.append(MethodFinding(model, summarise(dice_of, seed), failures, by_seed))
    both = alone[[MODEL, FLAT]].dropna()
    primary = paired_difference(both[MODEL], both[FLAT], seed=seed)
    trainings = patients.groupby("model")["seed"].nunique()
    return SyntheticFindings(
        tuple(methods), best_threshold(threshold), primary,
        shown(primary, margin=MARGIN, trainings=int(trainings[MODEL])),
        _gaps(alone, trained, trainings.combine(real.groupby("model")["seed"].nunique(), min, fill_value=0), seed),
        _links(patients, alone[MODEL], seed),
    )  # fmt: skip


def mean_dice(patients: pd.DataFrame, by: str = "model") -> pd.DataFrame:
    """Each patient's Dice of the volume, the mean over the seeds: a row a patient, a column a value of `by`."""
    return patients.groupby(["patient", by])["dice"].mean().unstack(by)


def _in_order(models: Iterable[str]) -> list[str]:
    return [model for model in (FLAT, *MODEL_NAMES) if model in models]


def _gaps(alone: pd.DataFrame, trained: pd.DataFrame, trainings: pd.Series, seed: int) -> tuple[Gap, ...]:
    pairs = {
        model: pd.DataFrame({"real": trained[model], "alone": alone[model]}).dropna()
        for model in _in_order(alone)
        if model in trained
    }
    apart = {model: paired_difference(*pair.to_numpy().T, seed=seed) for model, pair in pairs.items()}
    corrected = holm(difference.p_value for difference in apart.values())
    return tuple(
        Gap(
            model, float(pairs[model]["alone"].mean()), float(pairs[model]["real"].mean()), difference,
            shown(difference, margin=MARGIN, trainings=int(trainings[model]), p_corrected=float(p)),
        )
        for (model, difference), p in zip(apart.items(), corrected, strict=True)
    )  # fmt: skip


def _links(patients: pd.DataFrame, reached: pd.Series, seed: int) -> dict[str, Interval]:
    tumours = patients.drop_duplicates("patient").set_index("patient").join(reached.rename("reached"))
    found = {}
    for what, column in (("the size of the tumour", "tumour_px"), ("how far it stands out on FLAIR", "separability")):
        known = tumours[[column, "reached"]].dropna()
        found[what] = rank_correlation(known[column], known["reached"], seed=seed)
    return found


def failures(patients: pd.DataFrame, number: int = 5) -> list[Failure]:
    """The real patients on whom U-Net without a real image does worst, in the mean over its seeds.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    number : int
    """
    rows = patients[patients["model"] == MODEL]
    counts = Confusion(*(rows[name].to_numpy() for name in ("tp", "fp", "fn")), tn=0)
    shares = {"recall": recall(counts, empty=np.nan), "precision": precision(counts, empty=0.0)}
    return gallery.failures(rows.assign(**shares), number)


def masks_side_by_side(patients: pd.DataFrame) -> dict[str, Callable[[str], Path]]:
    """The files with U-Net's masks, for :func:`brainseg.experiments.gallery.pictures`.

    Without a real image they are of its first seed; with real patients, of the seeds of the reference edition together.

    Parameters
    ----------
    patients : DataFrame
        From :func:`score`.
    """
    first = int(patients.loc[patients["model"] == MODEL, "seed"].min())
    fold = read_table(REFERENCE, "folds").set_index("patient")["fold"]
    files = (lambda _: masks_of(MODEL, first), lambda patient: reference_masks_of("honest", MODEL, int(fold[patient])))
    return dict(zip(SOURCES, files, strict=True))


def by_institution(patients: pd.DataFrame, real: pd.DataFrame, model: str = MODEL) -> pd.DataFrame:
    """Mean Dice of a network by institution, without a real image and with them; tables as :func:`findings`."""
    both = pd.DataFrame({"without": mean_dice(patients)[model], "with": mean_dice(real)[model]}).dropna()
    institution = patients.drop_duplicates("patient").set_index("patient")["institution"]
    groups = both.groupby(institution.reindex(both.index))
    table = groups.mean().assign(patients=groups.size())[["patients", "without", "with"]]
    return table.rename(columns={"without": "without a real image", "with": "with real patients"})


def trained_on_real() -> pd.DataFrame:
    """The honest part of the reference edition's table of single networks: ``model, seed, patient, dice`` and more."""
    seeds = read_table(REFERENCE, "seeds")
    return seeds[seeds["protocol"] == "honest"]


def read_findings(seed: int = 0) -> SyntheticFindings:
    """The findings of the kept tables."""
    return findings(read_table(SYNTHETIC, "patients"), read_table(SYNTHETIC, "threshold"), trained_on_real(), seed)


def described(patients: pd.DataFrame, record: Mapping) -> str:
    """Who trained on what and who is scored, in Markdown; the tables as :func:`findings`, their record."""
    settings = record["settings"]
    networks = [MODEL_NAMES[model] for model in settings["models"]]
    return (
        f"- **Networks.** {', '.join(networks)}, each trained {len(settings['seeds'])} times with another seed, on "
        f"{PHANTOM.patients} simulated patients and nobody else, by the study's recipe. Nobody validates: the weights "
        "are those of the last epoch.\n"
        f"- **Threshold.** Chosen on {settings['threshold_patients']} of the same simulated patients.\n"
        f"- **Scored.** {patients['patient'].nunique()} real patients. The {len(development_patients())} of the "
        "phantom's development set are left out. A patient is one volume in the original frame, and each slice is "
        "predicted as it is and mirrored, as everywhere in this study."
    )
