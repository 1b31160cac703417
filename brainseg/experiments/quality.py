"""Should a prediction be trusted? Whether an unsteady network and an unusual volume foretell a low Dice.

The kept U-Nets of a fold answer for the patients of that fold, whom none of them has met: one, where the weights of one
seed are kept. `python -m brainseg predict` asks the same networks about such a patient. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from brainseg.cohort import read_patient
from brainseg.evaluation.trust import MODEL, agreement, agreement_threshold, appearance, strangeness
from brainseg.metrics import THRESHOLD, confusion, dice
from brainseg.networks.record import reference_runs
from brainseg.statistics import Interval, bootstrap_interval, interval_text, rank_correlation

if TYPE_CHECKING:
    from brainseg.experiments.plan import Training
    from brainseg.networks.runs import Run

LEAST = 0.01
"""A probability from which a pixel counts for the calibration. Nearly all lie below it, and rightly."""
BINS = np.array([LEAST, *np.arange(0.1, 1.01, 0.1)])
LOW_DICE = 0.7
"""What counts as a low Dice, where a number for it is needed."""


@dataclass(frozen=True)
class Settings:
    """There is nothing to set: the reference runs are what they are."""


def plan(cohort: pd.DataFrame, settings: Settings) -> list[Training]:
    """Nothing is trained.

    Raises
    ------
    ValueError
        Where no reference U-Net with weights has test patients in the cohort.
    """
    if not any((record.split(cohort) == "test").any() for record in _networks()):
        raise ValueError("no reference U-Net with weights tests a patient of this cohort: there is nothing to measure")
    return []


def _networks() -> list:
    return reference_runs(MODEL, "patient", with_weights=True)


def score(cohort: pd.DataFrame, settings: Settings, runs: Iterable[tuple[Training, Run]]) -> dict[str, pd.DataFrame]:
    """Predict each patient with the networks that have not met him or her.

    Returns
    -------
    dict of DataFrame
        ``"patients"``: ``patient, institution, fold, tumour_px, networks, dice`` (volume, of the networks' mean),
        ``agreement`` (mean Dice between their looks), ``strangeness`` (the largest of the volume's, against the
        patients on whom its networks were trained), ``strangest`` (of which number), ``unseen`` (share of the tumour
        whose probability is below `LEAST`), and the features.
        ``"calibration"``: ``patient, bin`` (its lower end), ``pixels, probability`` (mean), ``tumour`` (share).
    """
    from brainseg.evaluation.predict import predict_both_looks
    from brainseg.evaluation.scores import drop_small_pieces
    from brainseg.networks.backend import configure_backend
    from brainseg.networks.runs import load_reference

    configure_backend()
    names = cohort["patient"].unique()
    features = pd.DataFrame([appearance(read_patient(cohort, name)[0]) for name in names], index=names)
    records = _networks()
    patients, calibration = [], []
    for fold in tqdm(sorted({record.fold for record in records}), desc="predicting", unit="fold"):
        several = [load_reference(record, cohort.attrs["root"]) for record in records if record.fold == fold]
        table, tested = several[0].prepared.table, several[0].rows("test")
        trained = features.loc[features.index.isin(several[0].record.patients["train"])]
        for name, rows in table.iloc[tested].groupby("patient").indices.items():
            mine = tested[rows]
            truth = several[0].prepared.truth(mine)
            looks = np.concatenate([predict_both_looks(run, mine) for run in several])
            mean = looks.mean(axis=0)
            far = strangeness(features.loc[[name]], trained).iloc[0]
            patients.append(
                {
                    "patient": name,
                    "institution": table["institution"].iloc[mine[0]],
                    "fold": fold,
                    "tumour_px": np.count_nonzero(truth),
                    "networks": len(several),
                    "dice": float(dice(confusion(truth, drop_small_pieces(mean >= THRESHOLD)), empty=np.nan)),
                    "agreement": agreement(looks >= THRESHOLD),
                    "strangeness": far.max(),
                    "strangest": far.idxmax(),
                    "unseen": float(np.mean(mean[truth] < LEAST)) if truth.any() else np.nan,
                    **features.loc[name],
                }
            )
            calibration.append(_calibration(mean, truth).assign(patient=name))
    calibrated = pd.concat(calibration, ignore_index=True)
    return {
        "patients": pd.DataFrame(patients),
        "calibration": calibrated[["patient", "bin", "pixels", "probability", "tumour"]],
    }


def _calibration(probabilities: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Pixels of each bin of probability: how many, their mean probability, the share of them that is tumour."""
    counted = probabilities >= LEAST
    said, true = probabilities[counted], truth[counted]
    place = np.minimum(np.digitize(said, BINS) - 1, len(BINS) - 2)
    groups = pd.DataFrame({"bin": BINS[place], "probability": said, "tumour": true}).groupby("bin")
    means = groups[["probability", "tumour"]].mean()
    return means.assign(pixels=groups.size()).reset_index()


# ---------------------------------------------------------------- what the tables say


@dataclass(frozen=True)
class QualityFindings:
    """What foretells a low Dice, and how honest the probabilities are.

    Attributes
    ----------
    patients : int
    by_agreement, by_strangeness : Interval
        Rank correlation with the Dice.
    low, low_found, flagged : int
        Patients with a Dice below `LOW_DICE`; those of them below the threshold of agreement; all below it.
    threshold : float
        Of the agreement: the lowest fifth of the patients lies below it.
    dice_below, dice_above : float
        Mean Dice below the threshold and from it on.
    calibration_error : Interval
        Expected calibration error over patients, of pixels with a probability from `LEAST` on.
    below, above : Interval
        By how much the mean probability of these pixels exceeds the share of tumour among them, over patients: of those
        below `THRESHOLD`, and of those from it on, which are the mask.
    unseen : float
        Share of the tumour whose probability is below `LEAST`, the mean over patients.
    """

    patients: int
    by_agreement: Interval
    by_strangeness: Interval
    low: int
    low_found: int
    flagged: int
    threshold: float
    dice_below: float
    dice_above: float
    calibration_error: Interval
    below: Interval
    above: Interval
    unseen: float

    def sentences(self) -> str:
        """All of it, in Markdown."""
        shown = self.by_agreement.low > 0
        strange, error = self.by_strangeness.high < 0, self.calibration_error
        return (
            f"- **Agreement {'foretells' if shown else 'does not clearly foretell'} the Dice.** The rank correlation "
            f"is {interval_text(self.by_agreement, 2)} over {self.patients} patients. The fifth with the least "
            f"agreement (below {self.threshold:.2f}) has a mean Dice of {self.dice_below:.2f}, the others "
            f"{self.dice_above:.2f}. These {self.flagged} patients include {self.low_found} of the {self.low} with a "
            f"Dice below {LOW_DICE:g}.\n"
            f"- **An unusual volume {'tends to a lower' if strange else 'is no clear sign of a low'} Dice.** The rank "
            f"correlation with the largest distance from the training patients is "
            f"{interval_text(self.by_strangeness, 2)}.\n"
            f"- **Probabilities** miss the share of tumour by {error.estimate:.3f} "
            f"({error.low:.3f} to {error.high:.3f}), the mean over patients of the expected calibration error, where a "
            f"pixel is called at least {LEAST:.0%} likely. Below {THRESHOLD:.0%}, probability minus share is "
            f"{interval_text(self.below)}, {_honesty(self.below)}; from there on, where the mask is, it is "
            f"{interval_text(self.above)}, {_honesty(self.above)}. {self.unseen:.1%} of a tumour is called less likely "
            f"than {LEAST:.0%}, and is in no bin."
        )


def _honesty(overstated: Interval) -> str:
    """What an interval of probability minus share says."""
    return "too high" if overstated.low > 0 else "too low" if overstated.high < 0 else "not clearly too high or too low"


def findings(patients: pd.DataFrame, calibration: pd.DataFrame, seed: int = 0) -> QualityFindings:
    """What the tables of :func:`score` say.

    Parameters
    ----------
    patients, calibration : DataFrame
    seed : int
        Of the bootstrap.
    """
    scored = patients.dropna(subset=["dice", "agreement"])
    threshold = agreement_threshold(scored)
    below = scored["agreement"] < threshold
    low = scored["dice"] < LOW_DICE
    in_mask = calibration["bin"] >= THRESHOLD - 1e-9  # the bins' ends are sums of tenths
    return QualityFindings(
        patients=len(scored),
        by_agreement=rank_correlation(scored["agreement"].to_numpy(), scored["dice"].to_numpy(), seed=seed),
        by_strangeness=rank_correlation(scored["strangeness"].to_numpy(), scored["dice"].to_numpy(), seed=seed),
        low=int(low.sum()),
        low_found=int((low & below).sum()),
        flagged=int(below.sum()),
        threshold=threshold,
        dice_below=float(scored.loc[below, "dice"].mean()),
        dice_above=float(scored.loc[~below, "dice"].mean()),
        calibration_error=bootstrap_interval(calibration_errors(calibration).to_numpy(), seed=seed),
        below=bootstrap_interval(overstatements(calibration[~in_mask]).to_numpy(), seed=seed),
        above=bootstrap_interval(overstatements(calibration[in_mask]).to_numpy(), seed=seed),
        unseen=float(scored["unseen"].mean()),
    )


def calibration_errors(calibration: pd.DataFrame) -> pd.Series:
    """The expected calibration error of each patient: the mean over pixels of the distance in their bin.

    Naeini, Cooper and Hauskrecht 2015, AAAI, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    return _over_pixels((calibration["probability"] - calibration["tumour"]).abs(), calibration)


def overstatements(calibration: pd.DataFrame) -> pd.Series:
    """By how much the mean probability of each patient's pixels exceeds the share of tumour among them."""
    return _over_pixels(calibration["probability"] - calibration["tumour"], calibration)


def _over_pixels(values: pd.Series, calibration: pd.DataFrame) -> pd.Series:
    """The mean over the pixels of each patient of a value a bin."""
    pixels, groups = calibration["pixels"], calibration["patient"]
    return (values * pixels).groupby(groups).sum() / pixels.groupby(groups).sum()


def reliability(calibration: pd.DataFrame) -> pd.DataFrame:
    """The reliability diagram: a row a bin, ``probability, tumour`` of all patients' pixels, and ``pixels``."""
    weighted = calibration[["probability", "tumour"]].multiply(calibration["pixels"], axis=0)
    sums = weighted.assign(pixels=calibration["pixels"]).groupby(calibration["bin"]).sum()
    return sums[["probability", "tumour"]].div(sums["pixels"], axis=0).assign(pixels=sums["pixels"]).reset_index()
