"""Slices and volumes of any kind that somebody has, gathered by patient and read into the study's frame.

What is taken: slices as the data set has them (256 x 256 x 3 TIFFs), grey pictures (PNG, JPEG, TIFF), NIfTI volumes
with a file for each sequence, DICOM series. FLAIR alone will do: its copy takes the place of a sequence that is
missing, as in the data set itself.
"""

from __future__ import annotations

import collections
import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from brainseg.cohort.errors import CohortError
from brainseg.cohort.find import by_patient, files_below, natural_key, patient_of, resolved
from brainseg.cohort.frame import framed, unframed
from brainseg.cohort.pixels import (
    PixelError,
    Plane,
    eight_bits,
    levels_of,
    read_picture,
    read_plane,
    refuse_head,
    tumour_of,
    write_png,
)
from brainseg.cohort.read import FLAIR, POST, PRE, SEQUENCES, read_image, read_mask
from brainseg.cohort.volumes import (
    NIFTI,
    Series,
    Volume,
    dicom_series,
    is_dicom,
    read_dicom,
    read_nifti,
    write_dicom,
    write_nifti,
)
from brainseg.paths import write_atomically

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".tif", ".tiff")
TRUTH = "truth"
_AGENT = r"gd|gad(?:o[a-z]*)?"
ROLES: dict[str | int, str] = {
    TRUTH: r"(?:^|[_.-])(?:seg|mask|label|segmentation)(?:[_.-]|$)",
    FLAIR: r"(?:(?<![a-z])t2w?[_ .-]?)?(?<!t1)(?<!t1[_ .-])flair|(?:^|[_.-])t2f(?=[_.-]|$)",
    POST: rf"ce-[a-z0-9]+_t1w?|(?<![a-z])t1w?[_ .-]?(?:ce|\+? ?c)(?![a-z0-9])"
    rf"|(?:(?<![a-z])t1w?[_ .-]?)?(?<![a-z])(?:post|{_AGENT})(?:[_ .-]?(?:contrast|{_AGENT}))?(?![a-z0-9])",
    "unused": r"(?:^|[_. -])(?:t2w?|dwi|adc|swi|pd)(?=[_. -]|$)",
    PRE: r"(?<![a-z])(?:t1[wn]?(?:[_ .-]?pre(?:[_ .-]?contrast)?)?|pre(?:[_ .-]?contrast)?)(?![a-z0-9])",
}
"""What a file of a volume is, by a pattern in its name or in the description of its series; the first that fits."""
_MASK = re.compile(r"[_-](?:mask|seg|segmentation|label)$", re.IGNORECASE)


class Wanted(NamedTuple):
    """Parts of names by which sequences are found where `ROLES` do not fit; empty where they do."""

    flair: str = ""
    pre: str = ""
    post: str = ""


AS_NAMED = Wanted()


@dataclass(frozen=True)
class Images:
    """One examination in the study's frame.

    Attributes
    ----------
    images : uint8 (n, 256, 256, 3)
        From the neck to the crown, sequences in the order of :data:`brainseg.cohort.SEQUENCES`.
    names : tuple of str
        Of the n slices.
    missing : tuple of str
        Sequences that FLAIR stands in for.
    voxel_ml : float
        Millilitres of a voxel of the file's own grid; NaN where it is not known.
    truth : bool (n, rows, columns), optional
        In the file's own grid, upright; None where there is none, or it was not asked for.
    own_masks : callable
        Takes masks in the frame, bool (n, 256, 256), and gives them in the file's own grid, upright.
    write : callable
        Takes masks in the file's own grid and a folder, and writes them in the form that the slices came in.
    """

    images: np.ndarray
    names: tuple[str, ...]
    missing: tuple[str, ...]
    voxel_ml: float
    truth: np.ndarray | None
    own_masks: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    write: Callable[[np.ndarray, Path], None] = field(repr=False)


@dataclass(frozen=True)
class Examination:
    """Files of one examination of one patient.

    Attributes
    ----------
    patient : str
        As the names tell, else that of the folder.
    folder : Path
        That holds the files.
    files : tuple of Path
    read : callable
        Takes whether the masks beside the slices are read too, which they are by default, and gives its
        :class:`Images`; raises :class:`brainseg.cohort.CohortError`.
    """

    patient: str
    folder: Path
    files: tuple[Path, ...]
    read: Callable[..., Images] = field(repr=False)

    @property
    def name(self) -> str:
        """Of the patient, as files may be called."""
        return re.sub(r"[^\w.-]+", "_", self.patient)


def find_examinations(place: str | Path, wanted: Wanted = AS_NAMED) -> list[Examination]:
    """The examinations in a file, or in a folder and those below it, not yet read.

    Masks beside the slices (``NAME_mask.tif``, ``..._seg.nii.gz``) are their truth, and what an earlier prediction
    wrote (``..._predicted...``, ``..._overlay.png``) is passed over.

    Parameters
    ----------
    place : path
    wanted : Wanted
        For volumes whose names do not say which sequence they are.

    Raises
    ------
    CohortError
        Where there is nothing to read, or it cannot be told who is who or what is what: one report of all problems.
    """
    place = resolved(place)
    files = [place] if place.is_file() else files_below(place) if place.is_dir() else []
    files = [path for path in files if not re.search(r"_(predicted|overlay|contact)$", _stem(path))]
    volumes = [path for path in files if path.name.lower().endswith(NIFTI)]
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    series = [path for path in files if path not in set(volumes + pictures) and is_dicom(path)]
    found: list[Examination] = []
    problems: list[str] = []
    for gather, some in ((_of_pictures, pictures), (_of_nifti, volumes), (_of_dicom, series)):
        try:
            found += gather(some, wanted)
        except CohortError as error:
            problems += error.problems
    named: dict[tuple[Path, str], Examination] = {}
    for each in found:
        if (other := named.setdefault((each.folder, each.name), each)) is not each:
            problems.append(
                f"{each.folder} holds two examinations of {each.patient}, with {other.files[0].name} and with "
                f"{each.files[0].name}. Give each a folder, because their masks would have the same names."
            )
    if problems:
        raise CohortError(problems)
    if not found:
        raise CohortError(
            f"{place} holds no slices. Name a folder or file of TIFF slices, PNG or JPEG pictures, NIfTI volumes "
            "(.nii, .nii.gz) or DICOM series of MR images."
        )
    return sorted(found, key=lambda each: [natural_key(part) for part in (*each.folder.parts, each.patient)])


def _stem(path: Path) -> str:
    return re.sub(r"(\.nii)?\.[^.]*$", "", path.name, flags=re.IGNORECASE)


# ---------------------------------------------------------------- pictures


def _of_pictures(files: Sequence[Path], _: Wanted) -> list[Examination]:
    slices = [path for path in files if not _MASK.search(path.stem)]
    problems, named = [], {}
    for path in slices:
        if (other := named.setdefault(path.with_suffix(""), path)) != path:
            problems.append(f"{path} and {other.name} would give the same files. Rename one or move it away.")
    if problems:
        raise CohortError(problems)
    masks: dict[Path, list[Path]] = {}
    strays: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        if _MASK.search(path.stem):
            beside = path.parent / _MASK.sub("", path.stem)
            masks.setdefault(beside, []).append(path)
            if beside not in named:
                strays.setdefault((path.parent, patient_of(path) or path.parent.name), []).append(path)
    return [
        Examination(key[1], key[0], tuple(paths), functools.partial(_read_pictures, paths, masks, strays.get(key, [])))
        for key, paths in by_patient(slices).items()
    ]


def _read_pictures(
    paths: Sequence[Path], masks: Mapping[Path, Sequence[Path]], strays: Sequence[Path], truth: bool = True
) -> Images:
    """Slices of the data set as they are; grey pictures as FLAIR. `strays` are masks of the patient without a slice."""
    names = tuple(path.name for path in paths)
    of_the_data_set = all(_is_of_the_data_set(path) for path in paths)
    beside = _masks_beside(paths, masks, strays, of_the_data_set) if truth else [None] * len(paths)
    pictures: list[np.ndarray] = []
    planes: list[Plane | None] = []
    problems: list[str] = []
    for path, mask in zip(paths, beside, strict=True):
        for file, kept, read in (
            (path, pictures, read_image if of_the_data_set else read_picture),
            (mask, planes, _read_mask_of_the_data_set if of_the_data_set else read_plane),
        ):
            try:
                kept.append(read(file) if file else None)
            except PixelError as error:
                problems.append(f"{file} {error.by_file}")
            except CohortError as error:
                problems += error.problems
    if problems:
        raise CohortError(problems)
    if of_the_data_set:
        stack = np.stack(pictures)
        copies = [channel for channel in (PRE, POST) if np.array_equal(stack[..., channel], stack[..., FLAIR])]
        return Images(
            stack, names, tuple(SEQUENCES[channel] for channel in copies), float("nan"),
            _truth_of_slices(beside, planes, list(stack[..., FLAIR])), lambda given: given,
            lambda given, out: _write_pictures(given, out, names, ".tif"),
        )  # fmt: skip
    shape = pictures[0].shape
    try:
        levels = _of_pictures_alone(pictures)
    except PixelError as error:
        raise CohortError(f"{paths[0]} {error.by_file}") from None
    return Images(
        _three([None, levels, None], 1.0), names, (SEQUENCES[PRE], SEQUENCES[POST]), float("nan"),
        _truth_of_slices(beside, planes, levels),
        lambda given: np.stack([unframed(mask, shape) for mask in given]),
        lambda given, out: _write_pictures(given, out, names, ".tif" if _all_tiffs(paths) else ".png"),
    )  # fmt: skip


def _of_pictures_alone(planes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """As :func:`brainseg.cohort.pixels.eight_bits`; masks are refused, which nobody has called so."""
    levels = eight_bits(planes)
    low, high = min(plane.min() for plane in planes), max(plane.max() for plane in planes)
    if all(((plane == low) | (plane == high)).all() for plane in planes):
        raise PixelError(
            f"and all slices of its stack hold {low:g} and {high:g} alone, as masks do. Move masks away, or name each "
            "after its slice or volume.",
            "mask",
        )
    return levels


def _masks_beside(
    paths: Sequence[Path], masks: Mapping[Path, Sequence[Path]], strays: Sequence[Path], each: bool
) -> list[Path | None]:
    """The mask of each slice, all None where none has one. Where not `each` needs one, some may be None: no tumour."""
    several = [masks.get(path.with_suffix(""), []) for path in paths]
    problems = [
        f"{path} has several masks: {', '.join(mask.name for mask in found)}. Keep the one that is meant."
        for path, found in zip(paths, several, strict=True)
        if len(found) > 1
    ]
    problems += [f"{mask} has no slice beside it. Name it after its slice, or move it away." for mask in strays]
    if each and any(several):
        problems += [
            f"{path} has no mask beside it, and other slices of the patient have one. Copy it, or leave --truth out."
            for path, found in zip(paths, several, strict=True)
            if not found
        ]
    if problems:
        raise CohortError(problems)
    return [found[0] if found else None for found in several]


def _read_mask_of_the_data_set(path: Path) -> Plane:
    return Plane(read_mask(path), white_is_zero=False)


def _truth_of_slices(
    named: Sequence[Path | None], planes: Sequence[Plane | None], flair: Sequence[np.ndarray]
) -> np.ndarray | None:
    """Masks of slices, an empty one where a slice has none: bool (n, rows, columns); None where no slice has one."""
    found = _truth(
        {
            str(name): (Plane(plane.pixels[None], plane.white_is_zero), grey[None])
            for name, plane, grey in zip(named, planes, flair, strict=True)
            if plane is not None
        }
    )
    empty = np.zeros((1, *flair[0].shape), bool)
    return np.concatenate([found.get(str(name), empty) for name in named]) if found else None


def _truth(masks: Mapping[str, tuple[Plane, np.ndarray]]) -> dict[str, np.ndarray]:
    """The tumour in all masks of a patient, through the gate of :mod:`brainseg.cohort.pixels`.

    Parameters
    ----------
    masks : mapping
        What a message calls a mask -> the mask, and its FLAIR as uint8, both (slices, rows, columns).

    Returns
    -------
    dict
        The same names -> bool (slices, rows, columns).

    Raises
    ------
    CohortError
        Where a mask is refused, and where one holds another level beside 0 than the next.
    """
    found: dict[str, np.ndarray] = {}
    levels: dict[float, str] = {}
    problems = []
    for name, (mask, flair) in masks.items():
        try:
            if mask.pixels.shape != flair.shape:
                raise PixelError("has another size than its slice. Give both the same size.", "size")
            found[name] = tumour_of(mask, None, None)
            for tumour, grey in zip(found[name], flair, strict=True):
                refuse_head(tumour, grey)
        except PixelError as error:
            problems.append(f"{name} {error.by_file}")
        else:
            levels |= {level: name for level in levels_of(mask).tolist() if level and level not in levels}
    if len(levels) > 1:
        said = "; ".join(f"{level:g} in {name}" for level, name in sorted(levels.items()))
        problems.append(f"Masks of one patient hold different levels beside 0: {said}. Save all of them alike.")
    if problems:
        raise CohortError(problems)
    return found


def _all_tiffs(paths: Sequence[Path]) -> bool:
    return all(path.suffix.lower() in (".tif", ".tiff") for path in paths)


def _is_of_the_data_set(path: Path) -> bool:
    """Whether a picture has three sequences as its channels, by its tags; a damaged one is told by who reads it."""
    if not _all_tiffs([path]):
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            return tiff.pages[0].shape[-1:] == (3,)
    except Exception:  # a damaged file may break the reader anywhere
        return True


def _write_pictures(masks: np.ndarray, out: Path, names: Sequence[str], suffix: str) -> None:
    for mask, name in zip(masks, names, strict=True):
        levels = mask.astype(np.uint8) * 255
        with write_atomically(out / f"{Path(name).stem}_predicted{suffix}") as part:
            if suffix == ".tif":
                tifffile.imwrite(part, levels, photometric="minisblack")
            else:
                write_png(part, levels)


def _three(stacks: Sequence[Sequence[np.ndarray] | None], tall: float) -> np.ndarray:
    """Planes of 8 bits by sequence, in the frame: uint8 (n, 256, 256, 3); FLAIR where a sequence is None."""
    put = [None if stack is None else [framed(plane, tall) for plane in stack] for stack in stacks]
    return np.stack([np.stack(put[FLAIR] if stack is None else stack) for stack in put], axis=-1)


# ---------------------------------------------------------------- volumes


def _role(name: str, wanted: Wanted) -> tuple[str | int | None, str]:
    """What a name says that a volume is, and the name without that word."""
    for channel, part in zip((FLAIR, PRE, POST), wanted, strict=True):
        if part and (found := re.search(re.escape(part), name, re.IGNORECASE)):
            return channel, _without(name, found)
    for role, pattern in ROLES.items():
        asked = role in (PRE, FLAIR, POST) and wanted[(FLAIR, PRE, POST).index(role)]
        if not asked and (found := re.search(pattern, name, re.IGNORECASE)):
            return role, _without(name, found)
    return None, name


def _without(name: str, word: re.Match) -> str:
    ends = name[: word.start()].rstrip("_.- "), name[word.end() :].lstrip("_.- ")
    return "_".join(filter(None, ends))


def _of_nifti(files: Sequence[Path], wanted: Wanted) -> list[Examination]:
    patients: dict[tuple[Path, str], dict[str | int | None, Path]] = {}
    problems = []
    for path in files:
        role, rest = _role(_stem(path), wanted)
        roles = patients.setdefault((path.parent, rest), {})
        if role != "unused" and roles.setdefault(role, path) != path:
            problems.append(
                f"{path} and {roles[role].name} are two files for one sequence of one patient. Move one away, or "
                "give each patient a folder."
            )
    found = []
    untold = collections.Counter(folder for (folder, _), roles in patients.items() if None in roles)
    for (folder, rest), roles in patients.items():
        if None in roles and untold[folder] == 1 and not roles.keys() & {FLAIR, PRE, POST}:
            roles[FLAIR] = roles.pop(None)  # the one volume of the folder whose name says nothing
        if None in roles:
            problems.append(
                f"{roles[None]}: its name does not say which sequence it is. Put flair, t1, t1ce or seg into it, "
                "or say it with --flair, --pre and --post."
            )
        elif FLAIR not in roles and roles.keys() - {TRUTH}:  # a mask alone, as of the brain, is passed over
            problems.append(f"{next(iter(roles.values()))}: there is no FLAIR beside it. Say which with --flair.")
        elif FLAIR in roles:
            name = rest or folder.name
            found.append(Examination(name, folder, tuple(roles.values()), functools.partial(_read_nifti, dict(roles))))
    if problems:
        raise CohortError(problems)
    return found


def _read_nifti(roles: Mapping[str | int | None, Path], truth: bool = True) -> Images:
    volumes, problems = {}, []
    roles = {role: path for role, path in roles.items() if truth or role != TRUTH}
    for role, path in roles.items():
        try:
            volumes[role] = read_nifti(path)
        except PixelError as error:
            problems.append(f"{path} {error.by_file}")
    if problems:
        raise CohortError(problems)
    stem = _stem(roles[FLAIR])
    return _from_volumes(
        volumes, {role: str(path) for role, path in roles.items()},
        lambda mask, out: write_nifti(out / f"{stem}_predicted.nii.gz", mask, volumes[FLAIR]),
    )  # fmt: skip


def _of_dicom(files: Sequence[Path], wanted: Wanted) -> list[Examination]:
    """The series of one study are one examination, in whatever folders they lie."""
    try:
        every = dicom_series(files)
    except PixelError as error:
        raise CohortError(str(error)) from None
    studies: dict[tuple[str, str], list[Series]] = {}
    for series in every:
        studies.setdefault((series.patient, series.study), []).append(series)
    found, problems = [], []
    for (patient, _), several in studies.items():
        roles: dict[str | int | None, Series] = {}
        for series in several:  # a localiser and the like are passed over
            role, _ = _role(series.name, wanted)
            if role in (PRE, FLAIR, POST) and roles.setdefault(role, series) is not series:
                problems.append(
                    f"{series.files[0].parent}: the series {roles[role].name!r} and {series.name!r} of one examination "
                    "may both be that sequence. Say which is which with --flair, --pre and --post."
                )
        if len(several) == 1 and _role(several[0].name, wanted)[0] is None:
            roles[FLAIR] = several[0]  # one series whose description says nothing
        if FLAIR not in roles:
            names = ", ".join(repr(series.name) for series in several)
            problems.append(f"{several[0].files[0].parent}: no FLAIR among {names}. Say which it is with --flair.")
            continue
        paths = [path for series in roles.values() for path in series.files]
        folder = Path(os.path.commonpath([path.parent for path in paths]))
        read = functools.partial(_read_dicom, patient or folder.name, roles)
        found.append(Examination(patient or folder.name, folder, tuple(paths), read))
    if problems:
        raise CohortError(problems)
    return found


def _read_dicom(patient: str, used: Mapping[str | int | None, Series], _: bool = True) -> Images:
    volumes, problems = {}, []
    named = {role: f"{series.files[0].parent}: the series {series.name!r}" for role, series in used.items()}
    for role, series in used.items():
        try:
            volumes[role] = read_dicom(series.files)
        except PixelError as error:
            problems.append(f"{named[role]} {error.by_file}")
    if problems:
        raise CohortError(problems)
    return _from_volumes(
        volumes, named, lambda mask, out: write_dicom(out / f"{patient}_predicted.dcm", mask, volumes[FLAIR])
    )


def _from_volumes(
    volumes: Mapping[str | int | None, Volume],
    named: Mapping[str | int | None, str],
    write: Callable[[np.ndarray, Path], None],
) -> Images:
    flair = volumes[FLAIR]
    problems = [
        f"{named[role]} does not lie as the FLAIR does: {volume.shape} voxels there, {flair.shape} here, or another "
        "place. Bring both into one grid first, or give the FLAIR alone."
        for role, volume in volumes.items()
        if not volume.lies_as(flair)
    ]
    stacks: list[list[np.ndarray] | None] = [None, None, None]
    for role, volume in volumes.items():
        if isinstance(role, int):
            try:
                stacks[role] = _of_pictures_alone(list(volume.levels))
            except PixelError as error:
                problems.append(f"{named[role]} {error.by_file}")
    if problems:
        raise CohortError(problems)
    truth = None
    if TRUTH in volumes:
        name = named[TRUTH]
        truth = _truth({name: (Plane(volumes[TRUTH].levels, white_is_zero=False), np.stack(stacks[FLAIR]))})[name]
    slices, rows, columns = flair.levels.shape
    return Images(
        _three(stacks, flair.tall), tuple(f"slice {number}" for number in range(1, slices + 1)),
        tuple(SEQUENCES[channel] for channel in (PRE, POST) if channel not in volumes), flair.voxel_ml, truth,
        lambda given: np.stack([unframed(mask, (rows, columns), flair.tall) for mask in given]), write,
    )  # fmt: skip
