"""A cohort by its name: the only place that knows the phantom, the download and folders alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import find_folder, patient_folders
from brainseg.images import prepared as arrays
from brainseg.images.preprocess import Preprocessing
from brainseg.paths import build_folder, locked
from brainseg.provenance import code_digest, modules_of

if TYPE_CHECKING:
    from brainseg.phantom.anatomy import Head
    from brainseg.phantom.cohort import Drawing
    from brainseg.phantom.plan import PatientPlan


MOST_PATIENTS = 9999
"""Of a phantom: the name of a patient has four digits for its number."""


class PhantomChange(NamedTuple):
    """How another phantom differs from the study's.

    Attributes
    ----------
    planned : callable, optional
        Takes the plan of a patient and gives another of the same name.
    drawn : callable, optional
        Takes the plan and the drawing, tissues included, and gives another of the same shape.
    draw : callable, optional
        Takes the plan and the head and draws, in place of :func:`brainseg.phantom.cohort.draw_patient`. It draws no
        tissues, so nothing is left for `drawn`.
    key : str
        What the phantom is known by; it changes with the code of the three.
    """

    planned: Callable[[PatientPlan], PatientPlan] | None = None
    drawn: Callable[[PatientPlan, Drawing], Drawing] | None = None
    draw: Callable[[PatientPlan, Head], Drawing] | None = None
    key: str = ""


def get_cohort(data: str | Path) -> Path:
    """The folder that holds the patient folders of a cohort, made or downloaded where it is absent.

    Parameters
    ----------
    data : str or Path
        ``"phantom"``: the embedded cohort; ``"phantom:4"``: one of four patients; ``"phantom:4:1"``: four others, drawn
        with seed 1; each is stored apart. ``"kaggle"``: the real one. Anything else is a folder, as
        :func:`brainseg.cohort.find.find_folder` takes it.

    Raises
    ------
    CohortError
        Where nothing is named, a phantom is named wrongly, the download fails, or the folder holds no cohort.
    """
    name, *draw = str(data).split(":")
    if name == "phantom":
        return _get_phantom(draw)
    if str(data) == "kaggle":
        from brainseg.cohort.kaggle import download_kaggle

        return download_kaggle()
    if not str(data).strip():
        raise CohortError('No cohort was named. Give "phantom", "kaggle" or a folder.')
    return find_folder(data)


def _get_phantom(numbers: list[str]) -> Path:
    """The embedded cohort, made where it is absent. `numbers` are none, that of patients, or that and the seed."""
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers) or (numbers and int(numbers[0]) < 1):
        name = ":".join(["phantom", *numbers])
        raise CohortError(
            f'"{name}" is neither phantom:PATIENTS nor phantom:PATIENTS:SEED. Write for example "phantom:4".'
        )
    options = dict(zip(("patients", "seed"), map(int, numbers), strict=False))
    refuse_many(options.get("patients", 1))
    # A cohort that is there is never remade, so its folder carries the code that drew it.
    name = "-".join(["phantom", *map(str, options.values()), code_digest(*modules_of("brainseg.phantom"))[:8]])
    root = build_folder() / "cohorts" / name / "kaggle_3m"
    if not patient_folders(root):
        from brainseg.phantom import make_phantom

        make_phantom(root, **options)
    return root


def refuse_many(patients: int) -> None:
    """Refuse a phantom of more patients than there are names for, before hours of drawing.

    Raises
    ------
    CohortError
        Above `MOST_PATIENTS`.
    """
    if patients > MOST_PATIENTS:
        raise CohortError(f"A phantom has at most {MOST_PATIENTS} patients: their names have four digits for a number.")


def prepare_phantom(
    patients: int, seed: int, preprocessing: Preprocessing, change: PhantomChange | None = None
) -> arrays.Prepared:
    """Draw a phantom straight into the arrays that a network is trained on, without a file for each slice.

    The arrays are those that `brainseg.images.prepared.prepare` makes of the files of
    `brainseg.phantom.make_phantom`. An interrupted call goes on with the patients that are still missing.

    Parameters
    ----------
    patients, seed
        As :func:`brainseg.phantom.make_phantom`.
    preprocessing : Preprocessing
    change : PhantomChange, optional
        Draws another phantom than the study's.

    Returns
    -------
    brainseg.images.prepared.Prepared
        Its table has no paths and no mean grey levels.

    Raises
    ------
    ValueError
        `patients` below 1 or `seed` below 0.
    """
    from brainseg.phantom.cohort import for_each_plan

    plans, table = _plans(patients, seed, change), phantom_table(patients, seed, change)
    folder = build_folder() / "prepared" / arrays.prepared_fingerprint(table, preprocessing)
    with locked(folder):
        if not (folder / "manifest.json").is_file():
            arrays.start_folder(folder, len(table), preprocessing.image_size, with_truth=True)
            missing = [plan for plan in plans if not arrays.is_prepared(folder, plan.name)]
            starts = table.reset_index().groupby("patient")["index"].first().to_dict()
            work = functools.partial(
                _prepare_plan, folder=folder, starts=starts, preprocessing=preprocessing, change=change
            )
            for_each_plan(work, missing, patients, workers=None)
            arrays.finish_folder(folder, [plan.name for plan in plans], table.attrs["fingerprint"], preprocessing)
    return arrays.open_folder(folder, table, preprocessing)


def phantom_table(patients: int, seed: int, change: PhantomChange | None = None) -> pd.DataFrame:
    """The slices of a phantom that need not have been drawn: what a plan of trainings has to know of it.

    Parameters
    ----------
    patients, seed
        As :func:`brainseg.phantom.make_phantom`, errors too.
    change
        As :func:`prepare_phantom`.

    Returns
    -------
    DataFrame
        A row a slice, as in the table of :func:`prepare_phantom`, without what only a drawing tells; ``attrs`` has the
        ``fingerprint``.
    """
    return _phantom_table(patients, seed, change).copy()


@functools.cache  # a plan asks for it at every training
def _phantom_table(patients: int, seed: int, change: PhantomChange | None) -> pd.DataFrame:
    from brainseg.phantom.cohort import drawing_key

    table = pd.concat([_slices(plan) for plan in _plans(patients, seed, change)], ignore_index=True)
    table.attrs["fingerprint"] = f"phantom-{drawing_key(patients, seed)}" + (f"-{change.key}" if change else "")
    return table


def _plans(patients: int, seed: int, change: PhantomChange | None) -> list[PatientPlan]:
    from brainseg.phantom.cohort import checked_plans

    plans, _ = checked_plans(patients, seed)
    if change is not None and change.planned is not None:
        plans = [change.planned(plan) for plan in plans]
    return sorted(plans, key=lambda plan: plan.name)


def _slices(plan: PatientPlan) -> pd.DataFrame:
    """The rows of a planned patient, as far as they are known before it is drawn."""
    return pd.DataFrame(
        {
            "patient": plan.name,
            "case": plan.case,
            "institution": plan.institution.code,
            "slice": range(1, plan.slices + 1),
            "missing_pre": plan.missing == "pre",
            "missing_post": plan.missing == "post",
            "synthetic": True,
        }
    )


def _prepare_plan(
    plan: PatientPlan,
    head: Head,
    folder: Path,
    starts: dict[str, int],
    preprocessing: Preprocessing,
    change: PhantomChange | None,
) -> None:
    import cv2

    from brainseg.phantom.cohort import draw_patient

    cv2.setNumThreads(1)
    change = change or PhantomChange()
    drawing = change.draw(plan, head) if change.draw else draw_patient(plan, head, truth=change.drawn is not None)
    if change.drawn:
        drawing = change.drawn(plan, drawing)
    rows = _slices(plan)
    rows.index += starts[plan.name]
    arrays.add_patient(folder, rows, drawing.images, drawing.masks, preprocessing)
