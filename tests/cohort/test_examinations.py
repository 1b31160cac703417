"""What people have, gathered by patient and read into the frame."""

import shutil

import cv2
import numpy as np
import pytest
import tifffile
from helpers import PATIENTS, ellipse
from PIL import Image
from scans import dicom, head, nifti

from brainseg.cohort import CohortError
from brainseg.cohort.examinations import Wanted, find_examinations
from brainseg.cohort.pixels import write_png


def picture(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, levels)
    return path


def tumour():
    """A mask of a few voxels of `head`."""
    mask = np.zeros(head().shape, np.uint8)
    mask[2, 3:5, 4:6] = 1
    return mask


def test_slices_of_the_data_set_are_read_as_they_are_with_their_truth(tiny_cohort):
    found = find_examinations(tiny_cohort)
    assert [each.patient for each in found] == list(PATIENTS)
    last = found[-1].read()
    path = tiny_cohort / PATIENTS[-1] / f"{PATIENTS[-1]}_3"
    np.testing.assert_array_equal(last.images[2], tifffile.imread(f"{path}.tif"))
    np.testing.assert_array_equal(last.truth[2], tifffile.imread(f"{path}_mask.tif") > 0)
    assert last.missing == ("post-contrast T1",) and np.isnan(last.voxel_ml)
    assert last.own_masks(last.truth) is last.truth


def test_one_file_is_one_slice(tiny_cohort):
    (each,) = find_examinations(tiny_cohort / PATIENTS[0] / f"{PATIENTS[0]}_2.tif")
    assert each.read().images.shape == (1, 256, 256, 3) and each.patient == PATIENTS[0]


@pytest.mark.parametrize("deep", [False, True])
def test_grey_pictures_stand_for_flair_and_get_masks_of_their_own_size(tmp_path, deep):
    shape = np.where(ellipse((120, 130), (40, 25)), 200, ellipse((128, 128), (90, 80)) * 90).astype(np.uint8)
    small = cv2.resize(shape, (180, 300), interpolation=cv2.INTER_AREA)
    for number in (2, 10):
        picture(tmp_path / "anna" / f"{number}.png", small.astype(np.uint16) * 9 if deep else small)
    picture(tmp_path / "anna" / "10_mask.png", (small > 145).astype(np.uint8) * 255)
    (each,) = find_examinations(tmp_path)
    images = each.read()
    assert each.patient == "anna" and images.names == ("2.png", "10.png")
    assert images.images.shape == (2, 256, 256, 3) and (images.images[..., :1] == images.images).all()
    assert images.missing == ("pre-contrast T1", "post-contrast T1")
    own = images.own_masks(images.images[..., 1] > (185 if deep else 145))
    assert own.shape == (2, 300, 180) and np.mean(own[1] != images.truth[1]) < 0.01 and not images.truth[0].any()
    images.write(own, tmp_path / "out")
    written = cv2.imdecode(np.fromfile(tmp_path / "out" / "10_predicted.png", np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written > 0, own[1])


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_picture_in_which_0_is_white_is_refused(tmp_path, compression):
    grey = ellipse((128, 128), (90, 60)).astype(np.uint8) * 200
    # Pillow turns the numbers where it writes this tag, so that the picture looks as before.
    Image.fromarray(grey).save(tmp_path / "1.tif", compression=compression, tiffinfo={262: 0})
    (each,) = find_examinations(tmp_path)
    with pytest.raises(CohortError, match=r"1.tif is a TIFF in which 0 is white.* Save it with 0 as black"):
        each.read()


def test_volumes_of_several_patients_are_told_by_their_names(tmp_path):
    for name in ("P1_flair", "P1_t1", "P1_t1ce", "P1_t2", "P1_seg", "P2-FLAIR"):
        volume = tumour() if name == "P1_seg" else head() * (1 + (name == "P1_t1"))
        nifti(tmp_path / "flat" / f"{name}.nii.gz", volume)
    nifti(tmp_path / "anna" / "scan.nii", head())
    found = find_examinations(tmp_path)
    assert [each.patient for each in found] == [["anna", "scan"][1], "P1", "P2"]
    whole, alone = found[1].read(), found[2].read()
    assert whole.missing == () and (whole.truth == (tumour() > 0)).all() and whole.images.shape == (4, 256, 256, 3)
    assert alone.missing == ("pre-contrast T1", "post-contrast T1") and alone.truth is None
    assert whole.voxel_ml == pytest.approx(0.03)


@pytest.mark.parametrize(
    "names",
    [
        ("x_flair", "x_t1", "x_t1ce"),
        ("x_T2_FLAIR", "x_t1w_pre", "x_T1_Gd"),
        ("x-t2f", "x-t1n", "x-t1c"),
        ("patient1_t2flair", "patient1_t1", "patient1_t1post"),
        ("sub-01_FLAIR", "sub-01_T1w", "sub-01_ce-gadolinium_T1w"),
        ("Postma_flair", "Postma_t1", "Postma_post"),
        ("flair", "t1", "t1_post-contrast"),
    ],
)
def test_the_ways_in_which_people_name_sequences(tmp_path, names):
    for name in (*names, f"{names[0][:-5].rstrip('_')}_t2"):
        nifti(tmp_path / "P1" / f"{name}.nii", head())
    (each,) = find_examinations(tmp_path)
    assert each.read().missing == () and len(each.files) == 3
    assert [path.name for path in each.files if path.name.startswith(names[0])] == [f"{names[0]}.nii"]


def test_a_t1_flair_is_no_flair_and_a_localiser_is_passed_over(tmp_path):
    for name in ("AX T1 FLAIR", "T2 FLAIR FS", "AX T1 +C", "3-plane loc", "SURVEY"):
        dicom(tmp_path, head(), name)
    (each,) = find_examinations(tmp_path)
    assert each.read().missing == () and len(each.files) == 3 * len(head())


def test_a_place_without_a_head_holds_no_slices(tmp_path):
    import pydicom

    nifti(tmp_path / "x_brain_mask.nii", head())
    (path,) = dicom(tmp_path / "ct", head(), multiframe=True).iterdir()
    data = pydicom.dcmread(path)
    data.Modality = "CT"
    data.save_as(path)
    with pytest.raises(CohortError, match="holds no slices.*DICOM series of MR images"):
        find_examinations(tmp_path)
    nifti(tmp_path / "x_flair.nii", head())
    (each,) = find_examinations(tmp_path)
    assert each.patient == "x" and each.read().truth is None


def test_masks_that_would_get_one_name_are_refused(tmp_path):
    for study in ("1.2.3", "1.2.4"):
        dicom(tmp_path / "P1", head(), f"FLAIR {study}", study)
    with pytest.raises(CohortError, match="holds two examinations of P1.*Give each a folder"):
        find_examinations(tmp_path)


def test_a_pixel_that_is_taller_than_wide_keeps_its_shape_in_the_frame(tmp_path):
    volume = np.zeros((2, 60, 90), np.uint8)
    volume[:, 25:35, 40:50] = 20
    volume[:, 20:40, 30:60] += 180  # 20 rows of 3 mm, 30 columns of 2 mm: a square
    (each,) = find_examinations(nifti(tmp_path / "x_flair.nii.gz", volume))
    images = each.read()
    rows, columns = np.nonzero(images.images[0, ..., 1] > 100)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2
    mask = images.own_masks(images.images[..., 1] > 100)
    assert np.mean(mask != (volume > 100)) < 0.01


def test_a_series_for_each_sequence_is_one_examination_in_whatever_folders(tmp_path):
    for name in ("ax FLAIR", "T1 post gad", "T2 tse"):
        dicom(tmp_path / "study" / name.split()[0], head(), name)
    (each,) = find_examinations(tmp_path)
    images = each.read()
    assert each.patient == "P1" and each.folder == tmp_path / "study"
    assert images.missing == ("pre-contrast T1",) and images.voxel_ml == pytest.approx(0.03)
    images.write(np.ones(head().shape, bool), tmp_path / "out")
    assert (tmp_path / "out" / "P1_predicted.dcm").is_file()


def test_sequences_may_be_named(tmp_path):
    for name in ("x_first", "x_second"):
        nifti(tmp_path / f"{name}.nii", head())
    with pytest.raises(CohortError, match="does not say which sequence"):
        find_examinations(tmp_path)
    (each,) = find_examinations(tmp_path, Wanted(flair="second", pre="first"))
    assert each.read().missing == ("post-contrast T1",)


def test_what_cannot_be_told_is_refused_in_one_report(tmp_path):
    nifti(tmp_path / "a" / "x_flair.nii", head())
    nifti(tmp_path / "a" / "x_flair.nii.gz", head())
    nifti(tmp_path / "b" / "y_t1.nii", head())
    picture(tmp_path / "c" / "anna.png", np.zeros((9, 9), np.uint8))
    picture(tmp_path / "c" / "bert.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(CohortError) as caught:
        find_examinations(tmp_path)
    report = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "two files for one sequence" in report and "there is no FLAIR" in report and "cannot be told" in report
    with pytest.raises(CohortError, match="holds no slices"):
        find_examinations(tmp_path / "nowhere")
    dicom(tmp_path / "d", head(), "T1")
    dicom(tmp_path / "d", head(), "T2")
    with pytest.raises(CohortError, match="no FLAIR among 'T1', 'T2'|no FLAIR among 'T2', 'T1'"):
        find_examinations(tmp_path / "d")


def test_masks_are_no_pictures(tmp_path):
    """As they lie beside pictures in a folder of their own, or are called after the brain."""
    picture(tmp_path / "masks" / "1.png", MASK)
    nifti(tmp_path / "anna_flair.nii", head())
    nifti(tmp_path / "anna_brainmask.nii", (head() > 9).astype(np.int16))
    found = {each.patient: each for each in find_examinations(tmp_path)}
    assert found["anna"].read().images.any()
    for patient, levels in (("masks", "0 and 255"), ("anna_brainmask", "0 and 1")):
        with pytest.raises(CohortError, match=f"hold {levels} alone, as masks do. Move masks away"):
            found[patient].read()


def test_the_ending_of_a_volume_may_be_in_capitals(tmp_path):
    nifti(tmp_path / "anna_flair.nii.gz", head()).rename(tmp_path / "anna_flair.NII.GZ")
    nifti(tmp_path / "anna_t1.nii.gz", head())
    (each,) = find_examinations(tmp_path)
    assert each.patient == "anna" and each.read().missing == ("post-contrast T1",)


def test_a_patient_in_two_folders_is_no_two_patients(tiny_cohort):
    shutil.copytree(tiny_cohort, tiny_cohort / "kaggle_3m")  # as archives of the data set hold it
    with pytest.raises(CohortError) as caught:
        find_examinations(tiny_cohort)
    assert len(caught.value.problems) == len(PATIENTS)
    assert f"both hold slices of {PATIENTS[0]}. Put them into one folder" in caught.value.problems[0]
    assert len(find_examinations(tiny_cohort / "kaggle_3m")) == len(PATIENTS)


def test_volumes_in_another_place_are_refused(tmp_path):
    nifti(tmp_path / "x_flair.nii", head())
    nifti(tmp_path / "x_t1.nii", head(rows=7))
    (each,) = find_examinations(tmp_path)
    with pytest.raises(CohortError, match=r"x_t1.nii does not lie as the FLAIR does"):
        each.read()


def test_what_an_earlier_prediction_wrote_is_passed_over(tiny_cohort):
    place = tiny_cohort / PATIENTS[0]
    for name in ("_1_predicted.tif", "_1_overlay.png", "_contact.png"):
        shutil.copy(place / f"{PATIENTS[0]}_1.tif", place / f"{PATIENTS[0]}{name}")
    assert len(find_examinations(place)[0].files) == 5


# ---------------------------------------------------------------- the truth


FLAIR = ellipse((128, 128), (90, 60)).astype(np.uint8) * 90
FLAIR[ellipse((128, 128), (60, 40))] = 100
MASK = ellipse((120, 130), (20, 15)).astype(np.uint8) * 255


def pictures(folder, **masks):
    """Three slices of anna, and masks by what follows the slice's name."""
    for number in (1, 2, 3):
        picture(folder / "anna" / f"p_{number}.png", FLAIR)
    for name, mask in masks.items():
        picture(folder / "anna" / f"p_{name}.png", mask)
    return folder / "anna"


def refusals(place) -> list[str]:
    (each,) = find_examinations(place)
    assert each.read(False).truth is None  # who does not ask for the masks is not troubled by them
    with pytest.raises(CohortError) as caught:
        each.read()
    return caught.value.problems


LABELLED = np.where(MASK > 0, 2, FLAIR // 90).astype(np.uint8)
HEAD_COVERED = (
    "{} calls most of the head tumour. It may be inverted or outline the brain: swap its 0 and 255, or draw it."
)
TRUTHS = {
    "inverted": ({"2_mask": 255 - MASK}, [HEAD_COVERED.format("{}/p_2_mask.png")]),
    "labels": (
        {"1_mask": MASK, "2_mask": LABELLED},
        ["{}/p_2_mask.png holds 3 levels, 0, 1, 2. A mask may hold 0 and one other. Save it with 0 where there is no "
         "tumour and one other level where there is some."],
    ),
    "a label a mask": (
        {"1_mask": MASK // 255, "2_mask": MASK // 255 * 2, "3_seg": MASK // 255 * 3},
        ["Masks of one patient hold different levels beside 0: 1 in {0}/p_1_mask.png; 2 in {0}/p_2_mask.png; 3 in "
         "{0}/p_3_seg.png. Save all of them alike."],
    ),
    "two masks of a slice": (
        {"1_mask": MASK, "1_seg": MASK * 0},
        ["{}/p_1.png has several masks: p_1_mask.png, p_1_seg.png. Keep the one that is meant."],
    ),
    "a mask of no slice": (
        {"1_mask": MASK, "9_mask": MASK},
        ["{}/p_9_mask.png has no slice beside it. Name it after its slice, or move it away."],
    ),
    "another size": (
        {"1_mask": MASK[:200]}, ["{}/p_1_mask.png has another size than its slice. Give both the same size."],
    ),
    "in colours": (
        {"3_mask": np.dstack([MASK, MASK, MASK * 0])},
        ["{}/p_3_mask.png is coloured. Save one grey picture for each sequence, and a mask as a grey picture of 0 and "
         "255."],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TRUTHS)
def test_a_truth_whose_meaning_cannot_be_told_is_refused_and_named(tmp_path, case):
    masks, said = TRUTHS[case]
    place = pictures(tmp_path, **masks)
    assert refusals(place) == [sentence.format(place) for sentence in said]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_truth_in_which_0_is_white_names_a_way_out_that_there_is(tmp_path, compression):
    place = pictures(tmp_path)
    Image.fromarray(MASK).save(place / "p_1_mask.tif", compression=compression, tiffinfo={262: 0})
    (problem,) = refusals(place)
    assert "p_1_mask.tif is a TIFF in which 0 is white" in problem and "invert" not in problem
    tifffile.imwrite(place / "p_1_mask.tif", np.stack([MASK] * 2), photometric="minisblack")
    assert refusals(place) == [f"{place}/p_1_mask.tif holds 2 pages. Save the one that is the slice."]


def test_a_grey_slice_without_a_mask_has_no_tumour(tmp_path):
    (each,) = find_examinations(pictures(tmp_path, **{"2_mask": MASK // 255 * 7}))
    assert each.read().truth.sum(axis=(1, 2)).tolist() == [0, np.count_nonzero(MASK), 0]


def test_masks_of_the_data_set_go_through_the_same_gate(tiny_cohort):
    place = tiny_cohort / PATIENTS[0]
    masks = [place / f"{PATIENTS[0]}_{number}_mask.tif" for number in range(1, 6)]
    kept = masks[1].read_bytes()
    tifffile.imwrite(masks[1], 255 - tifffile.imread(masks[1]), photometric="minisblack")
    assert refusals(place) == [HEAD_COVERED.format(masks[1])]
    masks[1].unlink()
    slice_without = place / f"{PATIENTS[0]}_2.tif"
    assert refusals(place) == [
        f"{slice_without} has no mask beside it, and other slices of the patient have one. Copy it, or leave --truth "
        "out."
    ]
    (place / f"{PATIENTS[0]}_7_mask.tif").write_bytes(kept)
    assert len(refusals(place)) == 2
    for path in place.glob("*_mask.tif"):
        path.unlink()
    assert find_examinations(place)[0].read().truth is None


def test_a_mask_without_a_slice_is_laid_to_its_own_patient_alone(tiny_cohort, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for patient in PATIENTS[:2]:
        for path in (tiny_cohort / patient).iterdir():
            shutil.copy(path, flat)
    (flat / f"{PATIENTS[0]}_2.tif").unlink()
    first, second = find_examinations(flat)
    assert second.read().truth.any()
    with pytest.raises(CohortError, match=f"{PATIENTS[0]}_2_mask.tif has no slice beside it"):
        first.read()


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (head() > 0, "calls most of the head tumour"),
        (np.full(head().shape, 1e-6, np.float32), "calls most of the head tumour"),
        (tumour() + 2 * np.roll(tumour(), 1, axis=0), "holds 3 levels, 0, 1, 2. A mask may hold 0 and one other"),
        (tumour() * np.linspace(0.2, 0.9, 8, dtype=np.float32), "levels, 0, "),
    ],
)
def test_the_truth_of_a_volume_goes_through_the_same_gate(tmp_path, truth, said):
    nifti(tmp_path / "x_flair.nii.gz", head())
    path = nifti(tmp_path / "x_seg.nii.gz", truth.astype(np.float32))
    (problem,) = refusals(tmp_path)
    assert problem.startswith(f"{path} ") and said in problem and "labels=" not in problem and "invert=" not in problem
