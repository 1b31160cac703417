"""Volumes from a scanner's world, NIfTI and DICOM: their slices upright, and masks back in the file's own frame.

Upright is as in this study's slices: from the neck to the crown, the forehead at the top, the patient's right on the
left. An axis of the file is turned to the direction of the head that it points to most, so an oblique volume stays as
oblique as it is. DICOM needs the packages of the extra ``volumes``.

A header may claim anything, and a small compressed file may unfold to any size. So what a header claims is held against
`MOST_VOXELS` and against the file before anything is read by it, and no more is unfolded than it then needs.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from brainseg.cohort.errors import CohortError
from brainseg.cohort.pixels import PixelError
from brainseg.paths import write_atomically

NIFTI = (".nii", ".nii.gz")
MOST_VOXELS = 2**27
"""Of one volume: 512 x 512 x 512."""

_MOST_BEFORE = 2**20  # bytes of a NIfTI file before its voxels: the header, and what programs add to it
_HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
_IMAGES = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DIRECTORY = "1.2.840.10008.1.3.10"  # the DICOMDIR of a disc, a list of the files on it
_NAMED_BY_A_MASK = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_UPRIGHT = axcodes2ornt(("L", "P", "S"))  # columns run to the left, rows to the back, slices upwards
_TO_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


@dataclass(frozen=True)
class Volume:
    """The grey levels of a file, and how they lie in the head.

    Attributes
    ----------
    levels : ndarray of a real type (slices, rows, columns)
        Upright, all finite.
    affine : ndarray of float (4, 4)
        From the places of the file's array to millimetres to the right, the front and upwards.
    shape : tuple of int
        Of the file's array.
    spacing_mm : tuple of float, optional
        From slice to slice, row to row, column to column; None where the file does not say.
    source : object
        What a mask of this volume is written beside: a NIfTI header, or DICOM data sets.
    """

    levels: np.ndarray
    affine: np.ndarray
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] | None
    source: Any = field(repr=False)

    @property
    def tall(self) -> float:
        """A pixel's height over its width; 1 where the file does not say."""
        return 1.0 if self.spacing_mm is None else self.spacing_mm[1] / self.spacing_mm[2]

    @property
    def voxel_ml(self) -> float:
        """The millilitres of a voxel; NaN where the file does not say."""
        return float("nan") if self.spacing_mm is None else float(np.prod(self.spacing_mm)) / 1000

    def lies_as(self, other: Volume) -> bool:
        """Whether voxels of two volumes lie in the same places."""
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=1e-2)

    def back(self, mask: np.ndarray) -> np.ndarray:
        """An upright mask (slices, rows, columns) in the order of the file's array."""
        turned = ornt_transform(_UPRIGHT, io_orientation(self.affine))
        return np.ascontiguousarray(apply_orientation(mask.transpose(2, 1, 0), turned))


def _volume(data: np.ndarray, affine: np.ndarray, spacing_is_told: bool, millimetres: float, source: Any) -> Volume:
    """A file's array upright. `millimetres` is the length of the affine's unit."""
    axes = io_orientation(affine) if np.isfinite(affine).all() else np.array(np.nan)
    if np.isnan(axes).any():
        raise PixelError("does not say how it lies in the head. Set its affine.", "affine")
    if data.dtype.kind not in "buif":
        raise PixelError(f"holds numbers of the type {data.dtype}. Save real numbers.", "type")
    if not np.isfinite(data).all():
        count = int(np.count_nonzero(~np.isfinite(data)))
        raise PixelError(
            f"holds {count} voxels that are no number (NaN or infinite). Decide what stands there, such as 0 for air, "
            "and save it again.",
            "NaN",
        )
    turned = ornt_transform(axes, _UPRIGHT)
    levels = apply_orientation(data, turned).transpose(2, 1, 0)
    upright = affine @ inv_ornt_aff(turned, data.shape)
    columns, rows, slices = np.linalg.norm(upright[:3, :3], axis=0) * millimetres
    spacing = (float(slices), float(rows), float(columns)) if spacing_is_told else None
    return Volume(np.ascontiguousarray(levels), affine, data.shape, spacing, source)


# ---------------------------------------------------------------- NIfTI


def read_nifti(path: Path) -> Volume:
    """The volume of a NIfTI file.

    Raises
    ------
    PixelError
        Where the file is missing or damaged, has more than three dimensions, is too large, or holds what is no number;
        where it does not say how it lies in the head.
    """
    try:
        image, shape = _open_nifti(path)
        header, data = image.header, np.asanyarray(image.dataobj).reshape(shape)
        told = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
        millimetres = _TO_MM.get(header.get_xyzt_units()[0], 1.0)
    except PixelError:
        raise
    except FileNotFoundError:
        raise PixelError("is missing. Check the path.", "missing") from None
    except PermissionError as error:
        raise PixelError(f"cannot be read ({error.strerror}). Check its permissions.", "disk") from None
    except Exception as error:  # a damaged file may break the reader anywhere
        raise PixelError(f"is not a whole NIfTI file ({error}). Save it again.", "damaged") from None
    return _volume(data, image.affine, told, millimetres, header)


def _open_nifti(path: Path) -> tuple[Any, tuple[int, int, int]]:
    """The image of a file, its voxels still packed, and its three sides; no more bytes are read than they need."""
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw
        start = file.read(540)
        size = next((size for size in _HEADERS for order in ("little", "big")
                     if int.from_bytes(start[:4], order) == size), None)  # fmt: skip
        if size is None:
            raise PixelError("is no NIfTI file. Save it as .nii or .nii.gz.", "format")
        header = _HEADERS[size](start[:size])
        sides = header.get_data_shape()
        shape = tuple(side for place, side in enumerate(sides) if place < 3 or side != 1)
        if len(shape) != 3:
            raise PixelError(f"has the shape {sides}. Give one file a sequence, of three dimensions.", "shape")
        if min(shape) < 1 or np.prod(shape, dtype=float) > MOST_VOXELS:
            raise PixelError(f"says that it is {shape} voxels large, which is no head. Save it again.", "size")
        if header.get_data_dtype().kind not in "buif" or header.get_data_dtype().itemsize > 8:
            raise PixelError(f"holds numbers of the type {header.get_data_dtype()}. Save real numbers.", "type")
        before = int(header.get_data_offset())
        if not size <= before <= _MOST_BEFORE:
            raise PixelError(f"says that its voxels begin after {before} bytes. Save it again.", "damaged")
        needed = before + int(np.prod(shape, dtype=np.int64)) * header.get_data_dtype().itemsize
        data = start + file.read(max(needed - len(start), 0))
    if len(data) < needed:
        raise PixelError(f"is not a whole NIfTI file: {len(data)} bytes of {needed}. Save it again.", "damaged")
    return _IMAGES[size].from_bytes(data), shape


def write_nifti(path: Path, mask: np.ndarray, volume: Volume) -> None:
    """Write an upright mask (slices, rows, columns) as NIfTI, 0 and 1, in the place of its volume."""
    header = volume.source.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_max"] = header["cal_min"] = 0
    image = _IMAGES[int(header["sizeof_hdr"])](volume.back(mask).astype(np.uint8), volume.affine, header)
    with write_atomically(path) as part:
        nibabel.save(image, part)


# ---------------------------------------------------------------- DICOM


def is_dicom(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


class Series(NamedTuple):
    """The files of one DICOM series, and what they say of themselves."""

    patient: str
    study: str
    name: str
    files: list[Path]


def dicom_series(paths: Sequence[Path]) -> list[Series]:
    """The series of MR images among DICOM files, told by their headers.

    Raises
    ------
    PixelError
        Where a file is damaged; the message names it.
    ValueError
        Without the extra ``volumes``; the message has the command.
    """
    pydicom = _needed("pydicom")
    found: dict[str, Series] = {}
    for path in paths:
        try:
            said = pydicom.filereader.read_file_meta_info(path)
            if said.get("MediaStorageSOPClassUID") == _DIRECTORY:
                continue
            # Such a file is unfolded as a whole before its first word can be read.
            if said.get("TransferSyntaxUID") == _DEFLATED:
                raise PixelError(f"{path} is deflated DICOM. Save it in another transfer syntax.", "codec")
            header = pydicom.dcmread(path, stop_before_pixels=True)
            uid = str(header.SeriesInstanceUID)
            name, study = (str(header.get(key, "")) for key in ("SeriesDescription", "StudyInstanceUID"))
            is_slice = "Rows" in header and header.get("Modality") == "MR"
            patient = re.sub(r"[^\w.-]+", "_", str(header.get("PatientID", "")))  # which goes into files' names
        except PixelError:
            raise
        except Exception as error:  # a damaged file may break the reader anywhere
            raise PixelError(f"{path} is not a whole DICOM file ({error}). Copy it again.", "damaged") from None
        if is_slice:
            found.setdefault(uid, Series(patient, study, name or uid, [])).files.append(path)
    return list(found.values())


def read_dicom(paths: Sequence[Path]) -> Volume:
    """The volume of a series: one multi-frame file, or a file a slice.

    Raises
    ------
    PixelError
        Where the slices make no volume, such as where one is missing, and where they are too large.
    """
    highdicom, pydicom = _needed("highdicom"), _needed("pydicom")
    try:
        _refuse_large(pydicom.dcmread(path, stop_before_pixels=True) for path in paths)
        datasets = [pydicom.dcmread(path) for path in paths]
        for dataset in datasets:
            for name in _NAMED_BY_A_MASK:
                str(dataset[name].value)
            for name in _MAY_BE_EMPTY:  # whoever took a name out may have taken out its place as well
                dataset.setdefault(name, "")
        if len(datasets) == 1 and int(datasets[0].get("NumberOfFrames", 1)) > 1:
            found = highdicom.Image.from_dataset(datasets[0]).get_volume()
        else:
            found = highdicom.get_volume_from_series(datasets)
    except PixelError:
        raise
    except Exception as error:  # as many as there are ways for a series to be irregular
        raise PixelError(f"makes no volume ({error}). Check its slices.", "series") from None
    if found.array.ndim != 3:
        raise PixelError(f"has the shape {found.shape}, which is no head.", "size")
    affine = np.diag([-1.0, -1, 1, 1]) @ found.affine  # DICOM counts to the left and the back
    levels = found.array.astype(np.int32) if np.array_equal(found.array, np.rint(found.array)) else found.array
    return _volume(levels, affine, True, 1.0, (datasets, found))


def _refuse_large(headers: Iterable[Any]) -> None:
    voxels = 0
    for header in headers:
        voxels += int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
        if int(header.get("SamplesPerPixel", 1)) != 1:
            raise PixelError("is coloured. Give the grey series.", "coloured")
        if header.get("PhotometricInterpretation") == "MONOCHROME1":
            raise PixelError("is stored with 0 as white. Save it with 0 as black, as MONOCHROME2.", "white")
    if voxels > MOST_VOXELS:
        raise PixelError(f"says that it is {voxels} voxels large, which is no head.", "size")


def write_dicom(path: Path, mask: np.ndarray, volume: Volume) -> None:
    """Write an upright mask (slices, rows, columns) as a DICOM segmentation that refers to the series.

    Raises
    ------
    CohortError
        Where the series' headers are too poor to be referred to.
    """
    highdicom, pydicom = _needed("highdicom"), _needed("pydicom")
    from pydicom.sr.codedict import codes

    from brainseg import __version__

    datasets, found = volume.source
    software = highdicom.AlgorithmIdentificationSequence(
        name="brainseg", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="FLAIR abnormality",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=software,
    )
    try:
        segmentation = highdicom.seg.Segmentation(
            source_images=datasets,
            pixel_array=found.with_array(volume.back(mask).astype(np.uint8)),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[segment],
            series_instance_uid=pydicom.uid.generate_uid(),
            series_number=999,
            sop_instance_uid=pydicom.uid.generate_uid(),
            instance_number=1,
            manufacturer="brainseg",
            manufacturer_model_name="brainseg",
            software_versions=__version__,
            device_serial_number="0",
            content_description="For research and teaching only. Not for clinical use.",
            content_label="NOT_FOR_CLINIC",
            omit_empty_frames=False,
        )
    except Exception as error:  # a header may be wrong in as many ways as it has lines
        raise CohortError(
            f"{path} cannot be written, because headers of the series are damaged ({error}). Convert it to NIfTI first."
        ) from None
    with write_atomically(path) as part:
        segmentation.save_as(part)


def _needed(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ValueError(
            f"DICOM needs the package {package}. Install it: python -m pip install -e '.[volumes]', or convert the "
            "series to NIfTI."
        ) from None
