"""Making the cohort: every patient drawn, in parallel, and written whole in Kaggle's layout."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from brainseg.paths import folder_atomically
from brainseg.phantom.anatomy import NOTICE, Head, load_head
from brainseg.phantom.plan import PatientPlan, plan_cohort
from brainseg.phantom.scanner import acquire, head_points, slice_grid
from brainseg.phantom.sequences import signals, tissue_at
from brainseg.phantom.tumour import annotate, grow


def make_phantom(root: str | Path, patients: int = 24, seed: int = 0, workers: int | None = None) -> Path:
    """Write a synthetic cohort in Kaggle's layout, or leave alone one that is there.

    ``root/<patient>/<patient>_<k>.tif`` are 256x256x3 uint8 (pre-contrast T1, FLAIR, post-contrast T1), ``_mask.tif``
    256x256 uint8 of 0 and 255, k counts from 1 upwards from the skull base; ``root/data.csv`` has Kaggle's columns.
    The folder appears only when it is whole. The same seed and number of patients give the same files, whatever
    `workers` is; another kind of processor may round a grey level here and there. Sizes, contrasts and prevalence were
    set against the real cohort; see ``benchmarks/calibrate_phantom.py``.

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
    if patients < 1:
        raise ValueError(f"patients is {patients}: a phantom cohort has at least 1")
    if seed < 0:
        raise ValueError(f"seed is {seed}: give 0 or more")
    root = Path(root)
    plans, clinical = plan_cohort(patients, seed)
    if (root / "data.csv").is_file():
        if {path.name for path in root.iterdir() if path.is_dir()} != {plan.name for plan in plans}:
            raise FileExistsError(
                f"{root} holds other patients than these {patients} of seed {seed}: remove it or choose another folder"
            )
        return root
    if root.exists():
        raise FileExistsError(
            f"{root} exists, but is no cohort (it has no data.csv): remove it or choose another folder"
        )

    # Imported late, because only the making of a cohort needs them.
    from joblib import Parallel, delayed, parallel_config
    from tqdm import tqdm

    head = load_head()
    if workers is None:
        workers = min(os.cpu_count() or 1, (patients + 1) // 2)
    with folder_atomically(root) as folder:
        # Idle processes would keep a gigabyte for minutes, beside the networks that are trained next.
        with parallel_config("loky", n_jobs=max(workers, 1), idle_worker_timeout=10):
            # joblib hands the head's large arrays to the processes as one memory-mapped file.
            done = Parallel(return_as="generator_unordered")(
                delayed(_write_patient)(folder, plan, head) for plan in plans
            )
            for _ in tqdm(done, total=patients, desc="synthetic patients", unit="patient"):
                pass
        (folder / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
        clinical.to_csv(folder / "data.csv", index=False)
    return root


def draw_patient(plan: PatientPlan, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Draw one patient.

    Returns
    -------
    images : (n, 256, 256, 3) uint8
    masks : (n, 256, 256) bool
    """
    # One stream of random numbers a step, so that a change in one step leaves the others' draws as they were.
    warp, texture, growth, lesion, scanner, reader = (np.random.default_rng([*plan.entropy, step]) for step in range(6))
    axes_mm = slice_grid(plan, warp)
    points = head_points(axes_mm, warp)
    # Ventricles and sulci widen with age.
    fluid_bias = 0.1 + 0.5 * (plan.age - 46) / 30 + 0.2 * warp.standard_normal()
    anatomy = tissue_at(head, points, axes_mm, fluid_bias, texture)
    tumour = grow(head, plan.growth, plan.seed_mm, plan.volume_ml, growth)
    signal, density = signals(anatomy, tumour, plan, points, axes_mm, lesion)
    return acquire(signal, plan, axes_mm, scanner), annotate(density, reader)


def _write_patient(folder: Path, plan: PatientPlan, head: Head) -> None:
    import tifffile
    from threadpoolctl import threadpool_limits

    # One thread in every process, in this one too: matrix products of two threads round otherwise, here and there by a
    # grey level.
    with threadpool_limits(1):
        images, masks = draw_patient(plan, head)
    patient = folder / plan.name
    patient.mkdir()
    for number, (image, mask) in enumerate(zip(images, masks, strict=True), start=1):
        tifffile.imwrite(patient / f"{plan.name}_{number}.tif", image, photometric="rgb")
        tifffile.imwrite(patient / f"{plan.name}_{number}_mask.tif", mask.astype(np.uint8) * 255)
