"""Volumes: upright whatever their axes, masks back in the same place, and what is refused."""

import contextlib
import importlib
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest
from scans import FRAMES, dicom, head, nifti, stored

from brainseg.cohort.errors import CohortError
from brainseg.cohort.pixels import PixelError
from brainseg.cohort.volumes import dicom_series, read_dicom, read_nifti, write_dicom, write_nifti


@pytest.mark.parametrize("frame", FRAMES)
def test_a_volume_is_upright_and_its_mask_lies_in_the_same_place(tmp_path, frame):
    path = nifti(tmp_path / "x.nii.gz", head(), FRAMES[frame])
    volume = read_nifti(path)
    np.testing.assert_array_equal(volume.levels, head())
    assert volume.spacing_mm == (5, 3, 2) and volume.tall == 1.5 and volume.voxel_ml == pytest.approx(0.03)
    mask = head() % 7 == 3
    write_nifti(tmp_path / "mask.nii.gz", mask, volume)
    again = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(again.affine, nibabel.load(path).affine)
    np.testing.assert_array_equal(np.asarray(again.dataobj), stored(mask, FRAMES[frame]))
    assert again.get_data_dtype() == np.uint8 and read_nifti(tmp_path / "mask.nii.gz").lies_as(volume)
    assert not read_nifti(nifti(tmp_path / "moved.nii", head(rows=7), FRAMES[frame])).lies_as(volume)


def test_a_file_that_tells_no_spacing_has_no_millilitres(tmp_path):
    volume = read_nifti(nifti(tmp_path / "x.nii", head(), code=0))
    assert volume.spacing_mm is None and np.isnan(volume.voxel_ml) and volume.tall == 1


def test_what_is_no_volume_is_refused(tmp_path):
    (tmp_path / "text.nii").write_text("no volume")
    whole = nifti(tmp_path / "whole.nii", head()).read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:-40])
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2)), np.eye(4)), tmp_path / "time.nii")
    strange = np.zeros((4, 4, 4), np.float32)
    strange[1, 1, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(strange, np.eye(4)), tmp_path / "nan.nii")
    huge = bytearray(whole)
    huge[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], np.int16).tobytes()
    (tmp_path / "huge.nii").write_bytes(huge)
    (tmp_path / "units.nii").write_bytes(claiming(whole, 123, np.array([7], np.uint8)))
    (tmp_path / "endless.nii").write_bytes(claiming(whole, 280, np.array([np.inf, np.nan], np.float32)))
    flat = bytearray(whole)
    flat[280:328] = bytes(48)  # the rows of its affine
    (tmp_path / "flat.nii").write_bytes(flat)
    said = {
        "text": "no NIfTI file", "cut": "not a whole NIfTI", "time": "three dimensions", "nan": "NaN",
        "huge": "no head", "gone": "is missing", "flat": "how it lies", "endless": "how it lies",
        "units": "not a whole NIfTI",
    }  # fmt: skip
    for name, message in said.items():
        with pytest.raises(PixelError, match=message):
            read_nifti(tmp_path / f"{name}.nii")


def claiming(whole, place, value):
    """A file whose header claims something else at a place."""
    return whole[:place] + value.tobytes() + whole[place + value.nbytes :]


def test_no_claim_of_a_header_is_believed(tmp_path):
    """Few bytes that claim to be many, voxels that begin beyond any file, an endless extension."""
    whole = nifti(tmp_path / "whole.nii", head()).read_bytes()
    zeros = zlib.compressobj(wbits=31)
    many = b"".join([zeros.compress(claiming(whole, 42, np.array([500, 500, 500], np.int16))),
                     *(zeros.compress(bytes(2**20)) for _ in range(8)), zeros.flush()])  # fmt: skip
    (tmp_path / "short.nii.gz").write_bytes(many)
    (tmp_path / "late.nii").write_bytes(claiming(whole, 108, np.array([1e9], np.float32)))
    (tmp_path / "early.nii").write_bytes(claiming(whole, 108, np.array([-8], np.float32)))
    extended = claiming(whole, 108, np.array([1024], np.float32))
    extended = claiming(extended + bytes(1024), 348, np.array([1, 2**30, 6], np.int32))
    (tmp_path / "extension.nii").write_bytes(extended)
    (tmp_path / "negative.nii").write_bytes(claiming(whole, 42, np.array([-4, 6, 8], np.int16)))
    (tmp_path / "complex.nii").write_bytes(claiming(whole, 70, np.array([1792, 128], np.int16)))
    (tmp_path / "cut.nii.gz").write_bytes(many[:5000])
    (tmp_path / "no.nii.gz").write_bytes(b"\x1f\x8b" + bytes(40))
    said = {
        "short.nii.gz": "not a whole NIfTI", "late.nii": "begin after", "early.nii": "not a whole NIfTI",
        "negative.nii": "no head|not a whole NIfTI", "complex.nii": "type complex128",
        "cut.nii.gz": "not a whole NIfTI", "no.nii.gz": "no NIfTI|not a whole NIfTI",
    }  # fmt: skip
    for name, message in said.items():
        with pytest.raises(PixelError, match=message):
            read_nifti(tmp_path / name)
    with contextlib.suppress(PixelError):  # refused, or read without the extension
        assert read_nifti(tmp_path / "extension.nii").shape == (8, 6, 4)


def test_no_more_of_a_compressed_file_is_unfolded_than_its_voxels_need(tmp_path):
    whole = nifti(tmp_path / "whole.nii", head()).read_bytes()
    packed = zlib.compressobj(wbits=31)
    longer = packed.compress(whole) + packed.compress(bytes(2**26)) + packed.flush()
    (tmp_path / "longer.nii.gz").write_bytes(longer)
    tracemalloc.start()
    np.testing.assert_array_equal(read_nifti(tmp_path / "longer.nii.gz").levels, head())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**23


def test_the_second_version_of_nifti_is_read_and_written(tmp_path):
    affine = np.diag([2.0, 3, 5, 1])
    nibabel.save(nibabel.Nifti2Image(stored(head(), FRAMES["RAS"]), affine), tmp_path / "x.nii")
    volume = read_nifti(tmp_path / "x.nii")
    np.testing.assert_array_equal(volume.levels, head())
    write_nifti(tmp_path / "mask.nii.gz", head() > 5, volume)
    assert isinstance(nibabel.load(tmp_path / "mask.nii.gz"), nibabel.Nifti2Image)
    assert read_nifti(tmp_path / "mask.nii.gz").levels.sum() == np.count_nonzero(head() > 5)


# ---------------------------------------------------------------- DICOM


@pytest.mark.parametrize("multiframe", [False, True])
def test_a_series_is_upright_and_its_segmentation_refers_to_it(tmp_path, multiframe):
    folder = dicom(tmp_path / "series", head(), multiframe=multiframe)
    (series,) = dicom_series(sorted(folder.iterdir()))
    assert (series.patient, series.name) == ("P1", "FLAIR")
    volume = read_dicom(series.files)
    np.testing.assert_array_equal(volume.levels, head())
    assert volume.spacing_mm == (5, 3, 2)
    mask = head() % 7 == 3
    write_dicom(tmp_path / "mask.dcm", mask, volume)
    import highdicom

    written = highdicom.seg.segread(tmp_path / "mask.dcm")
    assert written.StudyInstanceUID == series.study and "Not for clinical use" in written.ContentDescription
    back = written.get_volume(combine_segments=True)
    np.testing.assert_allclose(back.affine, volume.source[1].affine)
    np.testing.assert_array_equal(back.array.astype(bool), volume.back(mask))


def test_a_series_with_a_gap_and_a_damaged_file_are_refused(tmp_path):
    folder = dicom(tmp_path / "gap", head())
    files = sorted(folder.iterdir())
    files[1].unlink()
    with pytest.raises(PixelError, match="makes no volume"):
        read_dicom(sorted(folder.iterdir()))
    (folder / "broken.dcm").write_bytes(files[0].read_bytes()[:300])
    with pytest.raises(PixelError, match="broken.dcm is not a whole DICOM file"):
        dicom_series(sorted(folder.iterdir()))


def test_what_a_dicom_header_claims_is_weighed_before_its_pixels_are_read(tmp_path):
    import pydicom

    folder = dicom(tmp_path / "series", head(), multiframe=True)
    (path,) = folder.iterdir()
    for claim in ({"Rows": 60000, "Columns": 60000}, {"NumberOfFrames": 10**9}):
        data = pydicom.dcmread(path)
        for name, value in claim.items():
            setattr(data, name, value)
        data.save_as(tmp_path / "large.dcm")
        with pytest.raises(PixelError, match="no head"):
            read_dicom([tmp_path / "large.dcm"])
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    data.save_as(tmp_path / "deflated.dcm")
    with pytest.raises(PixelError, match=r"deflated\.dcm is deflated"):
        dicom_series([tmp_path / "deflated.dcm"])


def test_a_header_names_no_place_on_the_disk_and_other_kinds_of_pictures_are_passed_over(tmp_path):
    import pydicom

    (path,) = dicom(tmp_path / "series", head(), multiframe=True).iterdir()
    data = pydicom.dcmread(path)
    data.PatientID = "../../=cmd|x"
    data.save_as(path)
    (series,) = dicom_series([path])
    assert series.patient == ".._.._cmd_x"
    data.Modality = "CT"
    data.save_as(path)
    assert dicom_series([path]) == []


def test_the_list_of_files_on_a_disc_is_passed_over(tmp_path):
    dicom(tmp_path / "files", head())
    pydicom = pytest.importorskip("pydicom")
    listed = pydicom.Dataset()
    listed.file_meta = pydicom.dataset.FileMetaDataset()
    listed.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    listed.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    listed.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    listed.FileSetID, listed.DirectoryRecordSequence = "DISC", []
    listed.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    files = [*(tmp_path / "files").iterdir()]
    (series,) = dicom_series([tmp_path / "DICOMDIR", *files])
    assert series.files == files


def test_a_series_in_which_0_is_white_is_refused(tmp_path):
    dicom(tmp_path, head())
    pydicom = pytest.importorskip("pydicom")
    for path in tmp_path.iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.PhotometricInterpretation = "MONOCHROME1"
        slice_.save_as(path)
    with pytest.raises(PixelError, match="0 as white.*MONOCHROME2"):
        read_dicom([*tmp_path.iterdir()])


def test_a_series_whose_names_were_taken_out_is_read_and_written(tmp_path):
    import highdicom
    import pydicom

    folder = dicom(tmp_path / "series", head())
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        for name in ("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "StudyID", "AccessionNumber"):
            delattr(data, name)
        data.save_as(path)
    (series,) = dicom_series(sorted(folder.iterdir()))
    volume = read_dicom(series.files)
    write_dicom(tmp_path / "mask.dcm", head() > 5, volume)
    assert highdicom.seg.segread(tmp_path / "mask.dcm").PatientID == ""
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        del data.SOPInstanceUID
        data.save_as(path, enforce_file_format=False)
    with pytest.raises(PixelError, match="makes no volume"):
        read_dicom(series.files)


def test_a_series_that_nothing_can_refer_to_is_named(tmp_path):
    folder = dicom(tmp_path / "series", head())
    volume = read_dicom(sorted(folder.iterdir()))
    for data in volume.source[0]:
        del data.StudyDate
    with pytest.raises(CohortError, match=r"mask\.dcm cannot be written.*Convert it to NIfTI"):
        write_dicom(tmp_path / "mask.dcm", head() > 5, volume)
    assert not (tmp_path / "mask.dcm").exists()


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    from brainseg.__main__ import main

    whole = importlib.import_module

    def without(name, package=None):
        if name == "pydicom":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return whole(name, package)

    folder = dicom(tmp_path / "series", head())
    monkeypatch.setattr(importlib, "import_module", without)
    monkeypatch.setattr("brainseg.evaluation.folder.RunRecord.read", lambda folder: folder)
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(folder), str(tmp_path / "out"), "--run", str(tmp_path)])
    assert str(stopped.value) == (
        "error: DICOM needs the package pydicom. Install it: python -m pip install -e '.[volumes]', or convert the "
        "series to NIfTI."
    )
