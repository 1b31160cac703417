"""Making the cohort: every patient drawn, in parallel, and written whole in Kaggle's layout."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brainseg.cohort import FRAME
from brainseg.cohort.find import PATIENT
from brainseg.paths import folder_atomically, locked, write_atomically
from brainseg.phantom.anatomy import NOTICE, Head, load_head
from brainseg.phantom.plan import PatientPlan, plan_cohort
from brainseg.phantom.scanner import Pose, Scanner, slice_grid
from brainseg.phantom.sequences import TISSUES, Signals, Tissues
from brainseg.phantom.tumour import annotate, grow
from brainseg.provenance import code_digest, modules_of

_BLOCK_SLICES = 2
_TISSUE, _BIAS = "__tissue", "__bias"


@dataclass(frozen=True)
class Drawing:
    """One drawn patient: what a scanner and a reader give, and what only a phantom knows.

    Attributes
    ----------
    images : (n, 256, 256, 3) uint8
    masks : (n, 256, 256) bool
    tissue : (n, 256, 256) uint8, optional
        At each pixel the place in `TISSUES` of what most of it is made of; the tumour grows in these.
    bias : (n, 256, 256, 3) float32, optional
        What the coil multiplied the signal by, about 1; 1 outside the head's window.
    """

    images: np.ndarray
    masks: np.ndarray
    tissue: np.ndarray | None
    bias: np.ndarray | None


def make_phantom(
    root: str | Path, patients: int = 24, seed: int = 0, workers: int | None = None, truth: bool = False
) -> Path:
    """Write a synthetic cohort in Kaggle's layout, or leave alone one that is there.

    ``root/<patient>/<patient>_<k>.tif`` are 256x256x3 uint8 (pre-contrast T1, FLAIR, post-contrast T1), ``_mask.tif``
    256x256 uint8 of 0 and 255, k counts from 1 upwards from the skull base; ``root/data.csv`` has Kaggle's columns,
    ``CARD.md`` describes the cohort, ``NOTICE.txt`` has to stay with every copy. The folder appears only when it is
    whole; what an interrupted call drew waits in a hidden folder beside it, and the next call goes on from there. The
    same seed and number of patients give the same files, on every processor and whatever `workers` is. Sizes, contrasts
    and prevalence were set against real patients; see ``benchmarks/calibrate_phantom.py``.

    Parameters
    ----------
    root : path
        The folder that will hold the patient folders.
    patients : int
        At least 1. The plan is balanced over the whole cohort, so the first patients of a larger cohort
        differ from those of a smaller one.
    seed : int
        0 or more.
    workers : int, optional
        Processes. By default one a processor core, at most one for every two patients.
    truth : bool
        Whether to write what only a phantom knows: ``__tissue/<patient>.tif`` and ``__bias/<patient>.tif``, a page a
        slice, as :class:`Drawing` has them.

    Returns
    -------
    Path
        `root`.

    Raises
    ------
    ValueError
        `patients` below 1 or `seed` below 0.
    FileExistsError
        `root` exists, but does not hold this cohort: something else lies there.
    """
    root = Path(root)
    plans, clinical = checked_plans(patients, seed)
    if (root / "data.csv").is_file():
        if {path.name for path in root.iterdir() if PATIENT.fullmatch(path.name)} != {plan.name for plan in plans}:
            raise FileExistsError(
                f"{root} holds other patients than these {patients} of seed {seed}: remove it or choose another folder"
            )
        return root
    if root.exists():
        raise FileExistsError(
            f"{root} exists, but is no cohort (it has no data.csv): remove it or choose another folder"
        )
    unfinished = root.with_name(f".{root.name}-{drawing_key(patients, seed)}{'-truth' * truth}")
    with locked(unfinished):
        if root.exists():  # another process made it while we waited
            return make_phantom(root, patients, seed, workers, truth)
        for name in (_TISSUE, _BIAS) if truth else ():
            (unfinished / name).mkdir(parents=True, exist_ok=True)
        missing = [plan for plan in plans if not (unfinished / plan.name).is_dir()]
        for_each_plan(functools.partial(_write_patient, unfinished, truth=truth), missing, patients, workers)
        (unfinished / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
        (unfinished / "CARD.md").write_text(_card(plans, seed, truth), encoding="utf-8")
        clinical.to_csv(unfinished / "data.csv", index=False)
        unfinished.rename(root)
    return root


def checked_plans(patients: int, seed: int) -> tuple[list[PatientPlan], pd.DataFrame]:
    """As :func:`brainseg.phantom.plan.plan_cohort`, which takes the numbers as they are.

    Raises
    ------
    ValueError
        `patients` below 1 or `seed` below 0.
    """
    if patients < 1:
        raise ValueError(f"patients is {patients}: a phantom cohort has at least 1")
    if seed < 0:
        raise ValueError(f"seed is {seed}: give 0 or more")
    return plan_cohort(patients, seed)


def drawing_key(patients: int, seed: int) -> str:
    """What a cohort is known by: how many patients, which seed, and the code that draws them."""
    return f"{patients}-{seed}-{code_digest(*modules_of('brainseg.phantom'))[:8]}"


def for_each_plan(
    work: Callable[[PatientPlan, Head], None], plans: Sequence[PatientPlan], patients: int, workers: int | None
) -> None:
    """Call `work` for every plan in processes, with one progress bar of patients.

    Parameters
    ----------
    work : callable
        Takes a plan and the head. It can be sent to another process.
    plans : sequence of PatientPlan
        Those that are still to be drawn.
    patients : int
        Of the cohort.
    workers : int, optional
        As :func:`make_phantom`.
    """
    # Imported late, because only the making of a cohort needs them.
    from joblib import Parallel, delayed, parallel_config
    from tqdm import tqdm

    if workers is None:
        workers = min(os.cpu_count() or 1, (len(plans) + 1) // 2)
    head = load_head()
    # Idle processes would keep a gigabyte for minutes, beside the networks that are trained next.
    with parallel_config("loky", n_jobs=max(workers, 1), idle_worker_timeout=10):
        # joblib hands the head's large arrays to the processes as one memory-mapped file.
        done = Parallel(return_as="generator_unordered")(delayed(work)(plan, head) for plan in plans)
        bar = tqdm(total=patients, initial=patients - len(plans), desc="synthetic patients", unit="patient")
        with bar:
            for _ in done:
                bar.update()


def draw_patient(plan: PatientPlan, head: Head, truth: bool = False) -> Drawing:
    """Draw one patient; with `truth` also what only a phantom knows."""
    # One stream of random numbers a step, so that a change in one step leaves the others' draws as they were.
    warp, texture, growth, lesion, scan, reader = (np.random.default_rng([*plan.entropy, step]) for step in range(6))
    axes_mm = slice_grid(plan, warp)
    pose = Pose(axes_mm, warp)
    rows, columns = pose.window(head)
    # Ventricles and sulci widen with age.
    fluid_bias = 0.1 + 0.5 * (plan.age - 46) / 30 + 0.2 * warp.standard_normal()
    tissues = Tissues(axes_mm, fluid_bias, texture)
    tumour = grow(head, plan.growth, plan.seed_mm, plan.volume_ml, growth)
    signals, scanner = Signals(plan, axes_mm, lesion), Scanner(plan, axes_mm, scan)
    images = np.empty((plan.slices, *FRAME, 3), np.uint8)
    density = np.zeros((plan.slices, *FRAME), np.float32)
    tissue = np.zeros(density.shape, np.uint8) if truth else None
    bias = np.ones(images.shape, np.float32) if truth else None
    # A few slices at a time: what is computed of them stays in the processor's cache.
    for first in range(0, plan.slices, _BLOCK_SLICES):
        block = (slice(first, min(first + _BLOCK_SLICES, plan.slices)), rows, columns)
        points = pose.points(block)
        anatomy = tissues.at(head, points, block)
        signal, density[block] = signals.of(anatomy, tumour, points, block)
        shading = scanner.shading(block)
        images[block[0]] = scanner.frames(signal * shading, block)
        if truth:
            tissue[block] = anatomy.labels()
            bias[block] = np.moveaxis(shading, 0, -1)
    return Drawing(images, annotate(density, reader), tissue, bias)


def _write_patient(folder: Path, plan: PatientPlan, head: Head, truth: bool) -> None:
    import tifffile

    drawing = draw_patient(plan, head, truth)
    if truth:
        for name, pages, kind in ((_TISSUE, drawing.tissue, "minisblack"), (_BIAS, drawing.bias, "rgb")):
            with write_atomically(folder / name / f"{plan.name}.tif") as part:
                tifffile.imwrite(part, pages, photometric=kind)
    # Last, and whole or not at all: a patient's folder says that the patient is done.
    with folder_atomically(folder / plan.name) as patient:
        for number, (image, mask) in enumerate(zip(drawing.images, drawing.masks, strict=True), start=1):
            tifffile.imwrite(patient / f"{plan.name}_{number}.tif", image, photometric="rgb")
            tifffile.imwrite(patient / f"{plan.name}_{number}_mask.tif", mask.astype(np.uint8) * 255)


def _card(plans: Sequence[PatientPlan], seed: int, truth: bool) -> str:
    """The data card of a cohort, in Markdown."""
    extra = (
        f"""
`{_TISSUE}/<patient>.tif` has a page for each slice. A value is the place in this list, from 0, of what most of a pixel
is made of: {", ".join(TISSUES)}. The tumour grows in these tissues and is none of them: its mask is apart.
`{_BIAS}/<patient>.tif` is what the coil multiplied each channel by, in float32.
"""
        if truth
        else ""
    )
    return f"""# A synthetic cohort for teaching and tests

{len(plans)} made-up patients, {sum(plan.slices for plan in plans)} slices. Nobody's images. Not for clinical use.

**Drawn by** `python -m brainseg phantom FOLDER --patients {len(plans)} --seed {seed}{" --truth" if truth else ""}`. The
same call gives the same files on every machine.

**What it is.** Real average anatomy (the MNI152 maps, see `NOTICE.txt`), warped for each patient; skull, scalp, tumour,
contrast, noise and the reader's mask are simulated. The network that learns from it should be tested on real patients
before anything is said about real patients.

**Layout.** That of Kaggle's `lgg-mri-segmentation`: `<patient>/<patient>_<k>.tif` is 256 x 256 x 3, uint8: T1 before
contrast agent, FLAIR, T1 after it; `<patient>_<k>_mask.tif` is 0 or 255. Slices count from 1 at the skull base. Where
a sequence is missing its channel is a copy of FLAIR. `data.csv` has Kaggle's columns, with invented codes: only age,
side, location and `RNASeqCluster`, which is tied to the tumour's shape, have to do with the images.
{extra}
**Licence.** CC BY 4.0, with the notice of the MNI152 maps, which has to stay with every copy.
"""
