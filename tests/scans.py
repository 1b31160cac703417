"""NIfTI files and DICOM series without a patient, for the tests that read them."""

import nibabel
import numpy as np
import pytest

FRAMES = {
    "RAS": np.diag([2.0, 3, 5]),
    "LPS": np.diag([-2.0, -3, 5]),
    "sagittal": np.array([[0, 0, 2.0], [3, 0, 0], [0, -5, 0]]),
}


def head(slices=4, rows=6, columns=8) -> np.ndarray:
    """An upright volume without symmetry."""
    return np.arange(slices * rows * columns, dtype=np.int16).reshape(slices, rows, columns)


def stored(upright: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The array of a file whose axes run as `frame` says."""
    data = upright[:, ::-1, ::-1].transpose(2, 1, 0)  # right, front, up
    data = data.transpose([int(np.flatnonzero(column)[0]) for column in frame.T])
    for axis, column in enumerate(frame.T):
        data = np.flip(data, axis) if column.sum() < 0 else data
    return np.ascontiguousarray(data)


def nifti(path, upright, frame=FRAMES["RAS"], code=1):
    """A file of an upright volume; where it lies is told by `code` alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.eye(4)
    affine[:3, :3] = frame
    affine[:3, 3] = (7, -11, 13)
    image = nibabel.Nifti1Image(stored(upright, frame), affine)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    nibabel.save(image, path)
    return path


def dicom(folder, upright, description="FLAIR", study="1.2.3", multiframe=False, patient="P1"):
    """A series of an upright volume; the last slice comes first."""
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series, reference, spacing = generate_uid(), "1.2.840.1", (5.0, 3.0, 2.0)

    def common(kind):
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
        made.PatientID, made.PatientName, made.PatientBirthDate, made.PatientSex = patient, "", "", ""
        made.StudyInstanceUID, made.StudyID, made.StudyDate, made.StudyTime = study, "1", "20000101", "000000"
        made.ReferringPhysicianName = made.AccessionNumber = ""
        made.SeriesInstanceUID, made.SeriesDescription, made.SeriesNumber = series, description, 1
        made.FrameOfReferenceUID, made.PositionReferenceIndicator = reference, ""
        made.Modality, made.Manufacturer, made.InstanceNumber = "MR", "nobody", 1
        made.Rows, made.Columns = upright.shape[1:]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
        return made

    def place(number):
        return [0.0, 0.0, float(number * spacing[0])]

    if multiframe:
        made = common(EnhancedMRImageStorage)
        made.NumberOfFrames = len(upright)
        shared = Dataset()
        measures, orientation = Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = list(spacing[1:]), 5, spacing[0]
        orientation.ImageOrientationPatient = [1.0, 0, 0, 0, 1, 0]
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
        made.SharedFunctionalGroupsSequence = [shared]
        frames = []
        for number in range(len(upright)):
            frame, position = Dataset(), Dataset()
            position.ImagePositionPatient = place(number)
            frame.PlanePositionSequence = [position]
            frames.append(frame)
        made.PerFrameFunctionalGroupsSequence = frames
        made.PixelData = upright.astype("<u2").tobytes()
        made.save_as(folder / "all.dcm", enforce_file_format=True)
        return folder
    for number in reversed(range(len(upright))):
        made = common(MRImageStorage)
        made.ImagePositionPatient, made.ImageOrientationPatient = place(number), [1.0, 0, 0, 0, 1, 0]
        made.PixelSpacing, made.SliceThickness, made.InstanceNumber = list(spacing[1:]), 5, number + 1
        made.PixelData = upright[number].astype("<u2").tobytes()
        made.save_as(folder / f"{description}-{len(upright) - number}.dcm", enforce_file_format=True)
    assert pydicom
    return folder
