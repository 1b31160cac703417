"""A cohort by its name: the only place that knows the phantom, the download and folders alike."""

from __future__ import annotations

from pathlib import Path

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import find_folder, patient_folders
from brainseg.paths import build_folder
from brainseg.provenance import code_digest, modules_of


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
    # A cohort that is there is never remade, so its folder carries the code that drew it.
    name = "-".join(["phantom", *map(str, options.values()), code_digest(*modules_of("brainseg.phantom"))[:8]])
    root = build_folder() / "cohorts" / name / "kaggle_3m"
    if not patient_folders(root):
        from brainseg.phantom import make_phantom

        make_phantom(root, **options)
    return root
