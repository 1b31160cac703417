"""Preparing a drawn cohort: what lies where, what is lost, and what happens after a crash."""

import json
import shutil
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from brainseg import provenance
from brainseg.cohort import read_image, read_mask
from brainseg.images import prepared, preprocess
from brainseg.images.contrast import enhance
from brainseg.images.crop import MARGIN_PX, Box, crop_and_resize, restore
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import (
    BOX_COLUMNS,
    BRAIN_LEVEL,
    Preprocessing,
    boxes_and_images,
    normalise_brain,
    normalise_volume,
)

PATIENTS = ("PHANTOM_AA_0001_20000101", "PHANTOM_AA_0002_20000101", "PHANTOM_BB_0003_20000101")


def draw_patient(folder, seed, slices=3):
    """A bright head on black, a lesion in it, and in the last slice three lesion pixels in the air."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(1, slices + 1):
        image = random.integers(0, 6, (256, 256, 3)).astype(np.uint8)
        image[50 + seed : 200, 70:180] = random.integers(60, 120, (150 - seed, 110, 3))
        mask = np.zeros((256, 256), np.uint8)
        mask[100:120, 100 : 110 + number] = 255
        image[mask > 0, 1] += 60
        if number == slices:
            mask[1, 1:4] = 255
        tifffile.imwrite(folder / f"{folder.name}_{number}.tif", image, photometric="rgb")
        tifffile.imwrite(folder / f"{folder.name}_{number}_mask.tif", mask, photometric="minisblack")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A cohort of three drawn patients with 3, 4 and 5 slices, and a build folder of its own."""
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    folder = tmp_path / "kaggle_3m"
    for seed, name in enumerate(PATIENTS):
        draw_patient(folder / name, seed, slices=3 + seed)
    cases = [name.rpartition("_")[0] for name in PATIENTS]
    pd.DataFrame({"Patient": cases, "death01": 0}).to_csv(folder / "data.csv", index=False)
    return folder


# ---------------------------------------------------------------- settings


def test_margin_depends_on_the_crop_unless_it_is_given():
    assert Preprocessing().margin_px == MARGIN_PX
    assert Preprocessing(crop="slice").margin_px == 0
    assert Preprocessing(crop="none").margin_px == 0
    assert Preprocessing(crop="slice", margin_px=7).margin_px == 7
    assert Preprocessing() == Preprocessing(margin_px=MARGIN_PX)


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"image_size": 8}, "image_size.*16 to 1024.*8"),
        ({"image_size": 128.0}, "image_size.*128.0"),
        ({"image_size": True}, "image_size.*True"),
        ({"image_size": 4096}, "image_size.*4096"),
        ({"contrast": "CLAHE"}, "contrast.*none, he, clahe.*'CLAHE'"),
        ({"crop": "head"}, "crop.*none, slice, patient.*'head'"),
        ({"normalise": True}, "normalise.*none, volume.*True"),
        ({"margin_px": -1}, "margin_px.*-1"),
        ({"margin_px": "4"}, "margin_px.*'4'"),
        ({"crop": "none", "margin_px": 3}, "margin_px=3.*crop='none'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_known(wrong, named):
    with pytest.raises(ValueError, match=named):
        Preprocessing(**wrong)


def test_every_setting_changes_the_digest():
    others = [
        Preprocessing(image_size=64),
        Preprocessing(contrast="clahe"),
        Preprocessing(crop="none"),
        Preprocessing(margin_px=MARGIN_PX + 1),
        Preprocessing(normalise="none"),
    ]
    digests = [one.digest for one in (Preprocessing(), *others)]
    assert len(set(digests)) == len(digests)
    assert Preprocessing().digest == digests[0]


def test_changed_code_of_a_step_changes_the_digest(tmp_path, monkeypatch):
    for name in ("contrast.py", "crop.py", "preprocess.py", "prepared.py"):
        shutil.copy(Path(preprocess.__file__).with_name(name), tmp_path)

    def find_copy(module):
        return types.SimpleNamespace(origin=str(tmp_path / f"{module.rpartition('.')[2]}.py"))

    monkeypatch.setattr(provenance, "find_spec", find_copy)

    def digest():
        provenance.code_digest.cache_clear()
        preprocess._steps.cache_clear()
        return Preprocessing().digest

    first = digest()
    crop = tmp_path / "crop.py"
    crop.write_text(crop.read_text() + "\n# a remark\n")
    assert digest() == first
    crop.write_text(crop.read_text() + "\nMARGIN_PX = 77\n")
    assert digest() != first
    monkeypatch.undo()
    provenance.code_digest.cache_clear()
    preprocess._steps.cache_clear()


# ---------------------------------------------------------------- the arrays


def test_without_any_step_the_arrays_are_the_files(root):
    prepared = prepare(root, Preprocessing(256, "none", "none", normalise="none"))
    assert prepared.images.shape == (12, 256, 256, 3) and prepared.images.dtype == np.uint8
    assert prepared.masks.shape == (12, 256, 256) and prepared.masks.dtype == np.uint8
    for i, row in prepared.table.iterrows():
        assert np.array_equal(prepared.images[i], read_image(row["image_path"]))
        assert np.array_equal(prepared.masks[i] == 255, read_mask(row["mask_path"]))
    assert (prepared.table["lost_px"] == 0).all()


@pytest.mark.parametrize("crop", ["none", "slice", "patient"])
@pytest.mark.parametrize("contrast", ["none", "he", "clahe"])
def test_each_slice_is_cropped_and_resized_by_its_own_box(root, crop, contrast):
    prepared = prepare(root, Preprocessing(64, contrast, crop))
    for i, row in prepared.table.iterrows():
        mask = read_mask(row["mask_path"])
        assert np.array_equal(prepared.masks[i], crop_and_resize(mask, prepared.box(i), 64))


@pytest.mark.parametrize("contrast", ["he", "clahe"])
def test_contrast_is_applied_before_the_crop(root, contrast):
    prepared = prepare(root, Preprocessing(64, contrast, "slice", normalise="none"))
    for i, row in prepared.table.iterrows():
        enhanced = enhance(read_image(row["image_path"]), contrast)
        assert np.array_equal(prepared.images[i], crop_and_resize(enhanced, prepared.box(i), 64))


@pytest.mark.parametrize("crop", ["slice", "patient"])
def test_the_box_comes_from_the_raw_slices(root, crop):
    plain = prepare(root, Preprocessing(64, "none", crop, normalise="none")).table
    treated = prepare(root, Preprocessing(64, "he", crop, normalise="volume")).table
    assert plain.equals(treated)


def test_masks_are_soft(root):
    prepared = prepare(root, Preprocessing(100, crop="none"))
    values = np.unique(prepared.masks)
    assert len(values) > 2
    # The area of the lesion is kept: the sum of shares times the area of a pixel.
    areas = prepared.masks.sum(axis=(1, 2)) / 255 * (256 / 100) ** 2
    assert np.allclose(areas, prepared.table["tumour_px"], rtol=0.01)


def test_a_patient_has_one_square_box_and_an_article_box_may_differ(root):
    boxes = prepare(root, Preprocessing(64)).table
    assert (boxes.groupby("patient")[BOX_COLUMNS].nunique() == 1).all(axis=None)
    assert (boxes["bottom"] - boxes["top"] == boxes["right"] - boxes["left"]).all()
    slices = prepare(root, Preprocessing(64, crop="slice")).table
    assert (slices["bottom"] - slices["top"] > slices["right"] - slices["left"]).all()


def test_lost_pixels_are_counted(root):
    for crop in ("slice", "patient"):
        table = prepare(root, Preprocessing(64, crop=crop)).table
        last = table.groupby("patient")["slice"].transform("max") == table["slice"]
        assert (table.loc[last, "lost_px"] == 3).all()
        assert (table.loc[~last, "lost_px"] == 0).all()


def test_the_box_does_not_look_at_the_mask(root, tmp_path):
    before = prepare(root, Preprocessing(64)).table
    for path in before["mask_path"]:
        tifffile.imwrite(path, np.zeros((256, 256), np.uint8), photometric="minisblack")
    after = prepare(root, Preprocessing(64)).table
    assert before[BOX_COLUMNS].equals(after[BOX_COLUMNS])
    assert (after["lost_px"] == 0).all()


def test_the_volume_is_stretched_between_its_percentiles():
    volume = np.zeros((2, 10, 10, 3), np.uint8)
    head = np.zeros((10, 10), bool)
    head[2:8, 2:8] = True
    volume[:, head, 0] = 20
    volume[0, 2:4, 2:8, 0] = 10  # 12 of 72 voxels: above half a percent
    volume[0, 6:8, 2:8, 0] = 30
    volume[..., 1] = volume[..., 0]
    volume[:, ~head, 0] = 200  # not in the head: bent, but not asked
    volume[..., 2] = 5
    before = volume.copy()
    stretched = normalise_volume(volume, head)
    assert np.array_equal(volume, before)
    # 20 lies in the middle of 10..30: 127.5, rounded to the even neighbour.
    assert set(np.unique(stretched[:, head, 0])) == {0, 128, 255}
    assert np.array_equal(stretched[:, head, 0], stretched[:, head, 1])
    assert (stretched[:, ~head, 0] == 255).all()
    assert (stretched[..., 2] == 5).all()


def test_the_median_of_the_brain_comes_to_one_level_whatever_the_scalp():
    head = np.zeros((60, 60), bool)
    head[5:55, 5:55] = True
    rng = np.random.default_rng(0)
    volume = np.zeros((4, 60, 60, 3), np.uint8)
    volume[:, head, :] = rng.integers(40, 61, (4, 50 * 50, 1), np.uint8)  # brain, with a median of 50
    volume[:, 28:32, 28:32] = 0  # fluid and air do not count
    bright = volume.copy()
    bright[:, 5:9, 5:55] = 250  # fat
    before = bright.copy()
    plain, fat = normalise_brain(volume, head), normalise_brain(bright, head)
    deep = np.s_[:, 20:28, 20:40]
    assert np.array_equal(bright, before)
    assert np.median(plain[deep]) == pytest.approx(BRAIN_LEVEL * 255, abs=4)
    assert (
        np.abs(plain[deep].astype(int) - fat[deep]).max()
        <= 1
        < np.abs(normalise_volume(volume, head)[deep].astype(int) - normalise_volume(bright, head)[deep]).max()
    )
    assert (fat[:, 5:9, 5:55] == 255).all() and (fat[:, 28:32, 28:32] == 0).all()
    assert np.array_equal(fat[..., 0], fat[..., 2])


@pytest.mark.parametrize("level", [0, 7])
def test_a_channel_of_one_grey_level_has_no_brain_to_go_by(level):
    volume = np.full((2, 20, 20, 3), level, np.uint8)
    assert np.array_equal(normalise_brain(volume, np.zeros((20, 20), bool)), volume)


@pytest.mark.parametrize("normalise", [normalise_volume, normalise_brain])
def test_normalisation_undoes_a_change_of_brightness(root, normalise):
    volume = np.stack([read_image(root / PATIENTS[0] / f"{PATIENTS[0]}_{k}.tif") for k in (1, 2, 3)])
    head = np.zeros((256, 256), bool)
    head[50:200, 70:180] = True
    dark = np.rint(volume / 6.0).astype(np.uint8)
    # 21 grey levels hold what 126 held: a step of 12.75 after stretching, half of it as error.
    difference = normalise(volume, head).astype(int) - normalise(dark, head)
    assert dark.max() < 35
    assert np.abs(difference[:, head]).mean() < 6


# ---------------------------------------------------------------- the way back


def test_restore_and_truth_are_in_the_original_frame(root):
    prepared = prepare(root, Preprocessing(128))
    rows = [7, 0, 11]
    truth = prepared.truth(rows)
    assert truth.shape == (3, 256, 256) and truth.dtype == bool
    for mask, row in zip(truth, rows, strict=True):
        assert np.array_equal(mask, read_mask(prepared.table.loc[row, "mask_path"]))
    back = prepared.restore(prepared.masks[rows] / 255, rows)
    assert back.shape == (3, 256, 256) and back.dtype == np.float32
    for one, row in zip(back, rows, strict=True):
        assert np.array_equal(one, restore(prepared.masks[row] / np.float32(255), prepared.box(row)))
    found = back >= 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95
    assert not found[:, :10].any(), "pixels outside the box count as missed"


def test_restore_takes_bools_and_a_last_axis_of_one(root):
    prepared = prepare(root, Preprocessing(64))
    chosen = (prepared.table["patient"] == PATIENTS[1]).to_numpy()
    probabilities = prepared.masks[chosen] / 255
    by_number = prepared.restore(probabilities, np.flatnonzero(chosen))
    assert np.array_equal(prepared.restore(probabilities[..., None], chosen), by_number)
    assert len(prepared.truth(chosen)) == 4


@pytest.mark.parametrize("shape", [(2, 64, 64), (3, 32, 32), (3, 64, 64, 2)])
def test_restore_names_a_wrong_shape(root, shape):
    prepared = prepare(root, Preprocessing(64))
    with pytest.raises(ValueError, match=r"3 rows need .*\(3, 64, 64\), not"):
        prepared.restore(np.zeros(shape), [0, 1, 2])


# ---------------------------------------------------------------- once, and again


def test_a_second_call_reads_no_slice(root, monkeypatch):
    first = prepare(root, Preprocessing(64))
    monkeypatch.setattr(prepared, "read_patient", lambda *_: pytest.fail("read a patient again"))
    second = prepare(root, Preprocessing(64))
    assert np.array_equal(first.images, second.images)
    assert first.table.equals(second.table)
    assert first.fingerprint == second.fingerprint == second.folder.name
    assert not second.images.flags.writeable


def test_an_interrupted_run_goes_on_where_it_was(root, monkeypatch):
    whole = prepare(root, Preprocessing(64, "clahe"))
    expected = [np.array(whole.images), np.array(whole.masks), whole.table]
    folder = whole.folder
    del whole
    shutil.rmtree(folder)

    # The machine stops while the second patient is written: half of its images, no masks.
    honest = prepared._write_rows

    def stops(path, first, block):
        if first == 3:
            honest(path, first, block[:2])
            raise KeyboardInterrupt
        honest(path, first, block)

    monkeypatch.setattr(prepared, "_write_rows", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, Preprocessing(64, "clahe"), workers=1)
    assert not (folder / "manifest.json").exists()
    done = {path.stem for path in (folder / "patients").glob("*.csv")}
    assert PATIENTS[1] not in done and PATIENTS[0] in done

    monkeypatch.setattr(prepared, "_write_rows", honest)
    read = []
    honest_read = prepared.read_patient
    monkeypatch.setattr(prepared, "read_patient", lambda table, name: read.append(name) or honest_read(table, name))
    again = prepare(root, Preprocessing(64, "clahe"))
    assert set(read) == set(PATIENTS) - done
    assert np.array_equal(again.images, expected[0])
    assert np.array_equal(again.masks, expected[1])
    assert again.table.equals(expected[2])


def test_a_full_disk_leaves_nothing_that_is_taken_for_whole(root, monkeypatch):
    def full(path, first, block):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "_write_rows", full)
        with pytest.raises(OSError, match="No space left"):
            prepare(root, Preprocessing(64))
    assert prepare(root, Preprocessing(64)).images.any()


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "boxes.csv"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_arrays_are_an_error_that_says_what_to_do(root, name, damage):
    path = prepare(root, Preprocessing(32)).folder / name
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"Remove the folder {path.parent} and run again"):
        prepare(root, Preprocessing(32))


def test_an_unfinished_folder_of_another_size_is_an_error_that_says_what_to_do(root):
    folder = prepare(root, Preprocessing(32)).folder
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "patients")
    (folder / "patients").mkdir()
    np.save(folder / "images.npy", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=f"Remove the folder {folder} and run again"):
        prepare(root, Preprocessing(32))


def test_a_changed_cohort_is_noticed(root):
    first = prepare(root, Preprocessing(64))
    path = first.table.loc[0, "image_path"]
    image = read_image(path)
    image[100:110, 100:110] = 255
    tifffile.imwrite(path, image, photometric="rgb")
    second = prepare(root, Preprocessing(64))
    assert second.fingerprint != first.fingerprint
    assert not np.array_equal(second.images[0], first.images[0])
    assert np.array_equal(second.images[1], first.images[1]) or second.table.loc[1, "patient"] == PATIENTS[0]


def test_a_patient_less_is_noticed(root):
    first = prepare(root, Preprocessing(64))
    shutil.rmtree(root / PATIENTS[1])
    patient_table = pd.read_csv(root / "data.csv")
    patient_table.drop(index=1).to_csv(root / "data.csv", index=False)
    second = prepare(root, Preprocessing(64))
    assert second.fingerprint != first.fingerprint
    assert len(second.images) == len(second.table) == 8


def test_the_number_of_threads_does_not_matter(root):
    one = prepare(root, Preprocessing(64, "clahe", "slice"), workers=1)
    arrays = np.array(one.images), np.array(one.masks)
    shutil.rmtree(one.folder)
    many = prepare(root, Preprocessing(64, "clahe", "slice"), workers=5)
    assert np.array_equal(many.images, arrays[0]) and np.array_equal(many.masks, arrays[1])


def test_the_manifest_says_what_was_done(root):
    prepared = prepare(root, Preprocessing(64))
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["slices"] == 12 and manifest["patients"] == 3
    assert manifest["lost_px"] == prepared.table["lost_px"].sum() == 9
    assert Preprocessing(**manifest["preprocessing"]) == prepared.preprocessing


def test_the_same_settings_still_give_the_same_arrays():
    """Where this fails because a step was changed on purpose, renew the numbers."""
    y, x = np.mgrid[:256, :256]
    head = ((y - 130) / 90) ** 2 + ((x - 120) / 70) ** 2 < 1
    grey = np.where(head, 40 + x // 8 + 10 * ((x // 16 + y // 16) % 2), (x * 7 + y * 3) % 5)
    volume = np.stack([grey, grey // 2, grey * 2], axis=-1)[None].repeat(2, axis=0).astype(np.uint8)
    means = {}
    for contrast in ("none", "he", "clahe"):
        boxes, images = boxes_and_images(volume, Preprocessing(64, contrast, normalise="volume"))
        small = crop_and_resize(images[0], boxes[0], 64)
        means[contrast] = small.mean(axis=(0, 1)).round().astype(int).tolist()
    assert boxes[0] == Box(*EXPECTED_BOX)
    for contrast, expected in EXPECTED_MEANS.items():
        assert np.abs(np.array(means[contrast]) - expected).max() <= 1, (contrast, means)


# What the first version of the steps gave on the drawing above; it guards against an unnoticed change.
EXPECTED_BOX = (37, 224, 27, 214)
EXPECTED_MEANS = {"none": [72, 72, 72], "he": [75, 76, 75], "clahe": [78, 77, 78]}


# ---------------------------------------------------------------- the real slices


@pytest.mark.real
def test_no_tumour_pixel_of_a_real_patient_is_lost(real_cohort):
    prepared = prepare(real_cohort, Preprocessing())
    assert prepared.table["tumour_px"].sum() > 0
    lost = prepared.table.groupby("patient")["lost_px"].sum()
    assert lost[lost > 0].empty, lost[lost > 0]
