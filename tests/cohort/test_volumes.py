"""Volumes: upright whatever their axes, masks back in the same place, and what is refused."""

import nibabel
import numpy as np
import pytest
from scans import FRAMES, dicom, head, nifti, stored

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
    flat = bytearray(whole)
    flat[280:328] = bytes(48)  # the rows of its affine
    (tmp_path / "flat.nii").write_bytes(flat)
    said = {
        "text": "not a whole NIfTI", "cut": "not a whole NIfTI", "time": "three dimensions", "nan": "NaN",
        "huge": "no head", "gone": "is missing", "flat": "how it lies",
    }  # fmt: skip
    for name, message in said.items():
        with pytest.raises(PixelError, match=message):
            read_nifti(tmp_path / f"{name}.nii")


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
