"""A folder of slices in, masks and overlays out, and what is refused."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS, untrained_run
from scans import FRAMES, dicom, head, nifti

keras = pytest.importorskip("keras")
from brainseg.cohort import CohortError, index_cohort
from brainseg.cohort.volumes import read_nifti
from brainseg.evaluation import predict
from brainseg.evaluation.folder import predict_folder
from brainseg.evaluation.scores import drop_small_pieces
from brainseg.metrics import confusion, dice


def test_a_folder_of_slices_becomes_masks_and_overlays(run, tiny_cohort, tmp_path):
    out = tmp_path / "out"
    table = predict_folder(tiny_cohort, out, [run.folder]).slices
    slices = index_cohort(tiny_cohort)
    assert len(table) == len(slices)
    assert pd.read_csv(out / "predictions.csv")["slice"].tolist() == table["slice"].tolist()
    # The same network on the same slices, once through the cohort and once through the folder.
    through_cohort = predict.predict_masks(run, np.arange(len(slices)))
    assert 0 < through_cohort.mean() < 1
    expected = dict(zip(slices["image_path"], through_cohort, strict=True))
    for name in table["slice"]:
        mask = tifffile.imread(out / name.replace(".tif", "_predicted.tif"))
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(mask > 0, expected[str(tiny_cohort / name)])
        overlay = np.fromfile(out / name.replace(".tif", "_overlay.png"), np.uint8)
        assert cv2.imdecode(overlay, cv2.IMREAD_COLOR).shape == (512, 512, 3)


def test_predict_reports_every_unreadable_slice_and_writes_nothing(run, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    (folder / "a_1.tif").write_bytes(b"not an image")
    tifffile.imwrite(folder / "a_2.tif", np.zeros((10, 10, 3), np.uint8), photometric="rgb")
    with pytest.raises(CohortError) as caught:
        predict_folder(folder, tmp_path / "out", [run.folder])
    assert len(caught.value.problems) == 2
    assert not (tmp_path / "out").exists()
    with pytest.raises(CohortError, match="holds no slices"):
        predict_folder(tmp_path / "nowhere", tmp_path / "out", [run.folder])


def test_two_slices_with_one_output_are_reported(run, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    for name in ("a_1.tif", "a_1.tiff", "a_2.tif"):
        tifffile.imwrite(folder / name, np.zeros((256, 256, 3), np.uint8), photometric="rgb")
    with pytest.raises(CohortError, match=r"a_1\.tiff? and a_1\.tiff? would give the same files") as caught:
        predict_folder(folder, tmp_path / "out", [run.folder])
    assert len(caught.value.problems) == 1


def test_predicting_into_the_folder_of_slices_can_be_repeated(run, tiny_cohort):
    first = predict_folder(tiny_cohort, tiny_cohort, [run.folder]).slices
    pd.testing.assert_frame_equal(predict_folder(tiny_cohort, tiny_cohort, [run.folder]).slices, first)


def test_an_interrupted_prediction_leaves_no_older_table(run, tiny_cohort, tmp_path, monkeypatch):
    out = tmp_path / "out"
    predict_folder(tiny_cohort, out, [run.folder])

    def breaks(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brainseg.cohort.examinations.tifffile.imwrite", breaks)
    with pytest.raises(OSError, match="No space left"):
        predict_folder(tiny_cohort, out, [run.folder])
    assert not (out / "predictions.csv").exists()


def test_patients_that_the_run_has_seen_are_marked(run, tiny_cohort, tmp_path, capsys):
    from brainseg.__main__ import main

    slices = tmp_path / "slices"
    seen, examined = run.record.patients["train"][:2]
    again, new = examined.rpartition("_")[0] + "_20110101", "TEST_CC_0009_20000101"
    for source, name in ((seen, seen), (examined, again), (PATIENTS[2], new)):
        (slices / name).mkdir(parents=True)
        for number in (1, 2):
            shutil.copy(tiny_cohort / source / f"{source}_{number}.tif", slices / name / f"{name}_{number}.tif")
    table = predict_folder(slices, tmp_path / "out", [run.folder]).slices
    marks = table.groupby("patient")["seen_in_training"]
    assert marks.first().to_dict() == marks.last().to_dict() == {seen: True, again: True, new: False}
    # The folder itself may be the patient's.
    assert predict_folder(slices / seen, tmp_path / "one", [run.folder]).slices["seen_in_training"].all()
    main(["predict", str(slices), str(tmp_path / "out"), "--run", str(run.folder)])
    assert "trained or chosen on 2 of these patients" in capsys.readouterr().out
    main(["predict", str(slices / new), str(tmp_path / "new"), "--run", str(run.folder)])
    assert "trained or chosen" not in capsys.readouterr().out


def copied(tiny_cohort, folder, names):
    """Slices of the tiny cohort in one folder, under other names: name -> (patient, number)."""
    folder.mkdir(parents=True)
    for name, (patient, number) in names.items():
        shutil.copy(tiny_cohort / patient / f"{patient}_{number}.tif", folder / name)
    return folder


def masks_of(out, names):
    return {name: tifffile.imread(out / f"{name.rpartition('.')[0]}_predicted.tif") for name in names}


def test_a_flat_folder_keeps_patients_apart_and_knows_whom_the_run_has_met(run, tiny_cohort, tmp_path, capsys):
    """The guard against leaks works where no folder names the patient."""
    from brainseg.__main__ import main

    flat = copied(tiny_cohort, tmp_path / "flat", {f"{p}_{k}.tif": (p, k) for p in PATIENTS for k in range(1, 6)})
    table = predict_folder(flat, tmp_path / "out", [run.folder]).slices
    apart = predict_folder(tiny_cohort, tmp_path / "apart", [run.folder]).slices
    assert table["patient"].tolist() == apart["patient"].tolist()
    assert table["predicted_px"].tolist() == apart["predicted_px"].tolist()
    seen = table[table["seen_in_training"]]["patient"].unique()
    assert set(seen) == run.record.has_met() and 0 < len(seen) < len(PATIENTS)
    main(["predict", str(flat), str(tmp_path / "again"), "--run", str(run.folder)])
    assert f"trained or chosen on {len(seen)} of these patients" in capsys.readouterr().out


@pytest.mark.parametrize("spelt", ["TEST-AA-0001", "test_aa_0001 (copy)", "scans of TEST_AA_0001_20000101"])
def test_a_patient_is_known_by_the_case_in_any_folder_above(run, tiny_cohort, tmp_path, spelt):
    case = sorted(run.record.has_met())[0].rpartition("_")[0]
    name = spelt.replace("TEST_AA_0001", case).replace("TEST-AA-0001", case.replace("_", "-"))
    name = name.replace("test_aa_0001", case.lower())
    folder = copied(tiny_cohort, tmp_path / name / "axial", {"1.tif": (PATIENTS[0], 1)})
    assert predict_folder(folder, tmp_path / "out", [run.folder]).slices["seen_in_training"].tolist() == [True]


def test_a_patient_is_known_by_the_header_of_a_series(run, tiny_cohort, tmp_path):
    case = sorted(run.record.has_met())[0].rpartition("_")[0].replace("_", "-")
    path = tiny_cohort / PATIENTS[0] / f"{PATIENTS[0]}_3.tif"
    dicom(tmp_path / "series", tifffile.imread(path)[None, ..., 1].repeat(2, axis=0), patient=case)
    assert predict_folder(tmp_path / "series", tmp_path / "out", [run.folder]).patients["seen_in_training"].all()


def test_whom_no_name_tells_is_said(run, tiny_cohort, tmp_path, capsys):
    from brainseg.__main__ import main

    folder = copied(tiny_cohort, tmp_path / "anna", {"1.tif": (PATIENTS[0], 1)})
    main(["predict", str(folder), str(tmp_path / "out"), "--run", str(run.folder)])
    said = capsys.readouterr().out
    assert "cannot be told whether the run was trained on them" in said and "trained or chosen on" not in said
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["seen_in_training"].isna().all()


def test_hidden_files_are_passed_over_and_slices_stand_in_the_order_of_their_numbers(run, tiny_cohort, tmp_path):
    numbers = (1, 2, 10, 11)
    places = dict(zip(numbers, (1, 2, 3, 4), strict=True))
    bare = copied(tiny_cohort, tmp_path / "a", {f"{n}.tif": (PATIENTS[2], places[n]) for n in numbers})
    padded = copied(tiny_cohort, tmp_path / "b", {f"x_{n:02d}.tif": (PATIENTS[2], places[n]) for n in numbers})
    (bare / "._1.tif").write_bytes(b"of macOS")
    (bare / ".Trash").mkdir()
    (bare / "__MACOSX").mkdir()
    (bare / "__MACOSX" / "1.tif").write_bytes(b"of macOS")
    table = predict_folder(bare, tmp_path / "out", [run.folder]).slices
    assert table["slice"].tolist() == ["1.tif", "2.tif", "10.tif", "11.tif"]
    assert (
        table["predicted_px"].tolist()
        == predict_folder(padded, tmp_path / "o", [run.folder]).slices["predicted_px"].tolist()
    )


def test_links_in_a_circle_are_walked_once(run, tiny_cohort, tmp_path):
    folder = copied(tiny_cohort, tmp_path / "slices" / "a", {"1.tif": (PATIENTS[0], 1)})
    (folder / "again").symlink_to(tmp_path / "slices")
    (folder / "itself").symlink_to(folder / "itself")
    assert len(predict_folder(tmp_path / "slices", tmp_path / "out", [run.folder]).slices) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("anna_1.tif", "bert_1.tif"),
        ("p1_1.tif", "p1_2.tif", "p2_1.tif"),
        ("axial.tif", "coronal.tif"),
        ("1.tif", f"{PATIENTS[0]}_1.tif"),
        (f"{PATIENTS[0]}/{PATIENTS[1]}_1.tif",),
    ],
)
def test_slices_of_nobody_knows_how_many_patients_are_refused(run, tiny_cohort, tmp_path, names):
    for name in names:
        (tmp_path / "slices" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_cohort / PATIENTS[0] / f"{PATIENTS[0]}_1.tif", tmp_path / "slices" / name)
    with pytest.raises(CohortError, match=r"cannot be told|tells no patient|folder of another patient"):
        predict_folder(tmp_path / "slices", tmp_path / "out", [run.folder])
    assert not (tmp_path / "out").exists()


def test_a_run_that_cannot_be_loaded_says_why(run, tiny_cohort, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(run.folder, damaged)
    (damaged / "run.json").write_text('{"recipe": ')
    with pytest.raises(ValueError, match=r"damaged.run\.json is damaged.*train the run again"):
        predict_folder(tiny_cohort, tmp_path / "out", [damaged])
    bare = tmp_path / "bare"
    shutil.copytree(run.folder, bare)
    (bare / "best.npz").unlink()
    run.record.as_reference("patient", 1).write(bare)
    with pytest.raises(ValueError, match="kept without its weights"):
        predict_folder(tiny_cohort, tmp_path / "out", [bare])
    assert bare.is_dir() and not (tmp_path / "out").exists()


# ---------------------------------------------------------------- several networks, and what people have


@pytest.fixture
def two_runs(run, tiny_cohort_once, tmp_path):
    """Two runs of the tiny cohort, tested on the first fold of three and on the second."""
    return [untrained_run(tiny_cohort_once, tmp_path / "runs", fold=fold) for fold in (0, 1)]


def test_the_mean_of_several_networks_is_cut_and_their_agreement_is_told(two_runs, tiny_cohort, tmp_path):
    place = tiny_cohort / PATIENTS[0]
    found = predict_folder(place, tmp_path / "out", [each.folder for each in two_runs], truth=True)
    mine = np.flatnonzero(two_runs[0].prepared.table["patient"] == PATIENTS[0])
    several = [predict.predict_probabilities(each, mine) for each in two_runs]
    mask = drop_small_pieces(np.mean(several, axis=0) >= 0.5)
    assert found.patients["predicted_px"].item() == mask.sum() > 0
    # Trained on different patients, so each looks at the slices and at their mirror images, and agrees with itself.
    looks = [predict.predict_both_looks(each, mine) >= 0.5 for each in two_runs]
    agreed = [dice(confusion(as_it_is, mirrored), empty=1) for as_it_is, mirrored in looks]
    assert found.patients["agreement"].item() == pytest.approx(np.mean(agreed)) and 0 < agreed[0] < 1
    first, second = (one >= 0.5 for one in several)
    assert found.patients["between_folds"].item() == pytest.approx(dice(confusion(first, second), empty=1))
    assert found.patients["volume_spread"].item() == pytest.approx(
        abs(first.sum() - second.sum()) * 2 / (first.sum() + second.sum())
    )
    truth = two_runs[0].prepared.truth(mine)
    assert found.patients["dice"].item() == pytest.approx(dice(confusion(truth, mask), empty=np.nan))
    assert np.isnan(found.patients["volume_ml"].item()) and found.patients["networks"].item() == 2
    assert pd.read_csv(tmp_path / "out" / "patients.csv")["patient"].tolist() == [PATIENTS[0]]
    sheet = np.fromfile(tmp_path / "out" / f"{PATIENTS[0]}_contact.png", np.uint8)
    assert cv2.imdecode(sheet, cv2.IMREAD_COLOR).shape == (256, 5 * 256, 3)


def test_a_warning_quotes_what_was_measured_at_one_threshold_and_of_the_default_networks(
    two_runs, tiny_cohort, tmp_path, monkeypatch
):
    monkeypatch.setattr("brainseg.evaluation.folder.reference_runs", lambda *_, **__: [r.record for r in two_runs])
    monkeypatch.setattr("brainseg.evaluation.trust.warning", lambda agreed, _: "" if np.isnan(agreed) else "quoted")
    place, default = tiny_cohort / PATIENTS[0], {"threshold": 0.5}
    for number, (runs, options, said) in enumerate(
        [((), {}, "quoted"), ((), default, "quoted"), ((), {"threshold": 0.6}, ""), ([two_runs[0].folder], {}, "")]
    ):
        found = predict_folder(place, tmp_path / str(number), runs, **options)
        assert found.patients["warning"].tolist() == [said]


def test_by_default_the_reference_runs_that_have_not_met_the_patient(two_runs, tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("brainseg.evaluation.folder.reference_runs", lambda *_, **__: [r.record for r in two_runs])
    found = predict_folder(tiny_cohort, tmp_path / "out").patients.set_index("patient")
    for name in PATIENTS:
        apart = [each for each in two_runs if name not in each.record.has_met()]
        assert found.loc[name, "networks"] == (len(apart) or 2)
        assert found.loc[name, "seen_in_training"] == (not apart)
    monkeypatch.setattr("brainseg.evaluation.folder.reference_runs", lambda *_, **__: [])
    with pytest.raises(ValueError, match="no reference U-Net with weights"):
        predict_folder(tiny_cohort, tmp_path / "out")


def test_a_volume_comes_back_in_its_own_place_with_its_millilitres(run, tiny_cohort, tmp_path):
    slices = [tifffile.imread(tiny_cohort / PATIENTS[0] / f"{PATIENTS[0]}_{k}.tif") for k in range(1, 6)]
    volume = np.stack(slices)
    for channel, name in enumerate(("t1", "flair", "t1ce")):
        path = nifti(tmp_path / "in" / "anna" / f"x_{name}.nii.gz", volume[..., channel], FRAMES["sagittal"])
    found = predict_folder(tmp_path / "in", tmp_path / "out", [run.folder])
    written = tmp_path / "out" / "anna" / "x_flair_predicted.nii.gz"
    mask = read_nifti(written)
    assert mask.lies_as(read_nifti(path)) and mask.levels.sum() == found.patients["predicted_px"].item() > 0
    assert found.patients["volume_ml"].item() == pytest.approx(mask.levels.sum() * 0.03)
    assert found.slices["slice"].tolist() == [f"anna/slice {number}" for number in range(1, 6)]
    assert (tmp_path / "out" / "anna" / "x_slice_3_overlay.png").is_file()


@pytest.mark.parametrize("spelt", ["TEST_AA_0002_20000102", "test-aa-0002"])
def test_patients_of_the_locked_test_are_not_scored(run, tiny_cohort, tmp_path, monkeypatch, spelt):
    known = set(PATIENTS) - {PATIENTS[1]}
    monkeypatch.setattr("brainseg.evaluation.folder.reference_patients", lambda: known)
    folder = tmp_path / "in" / spelt
    folder.mkdir(parents=True)
    for part in ("", "_mask"):
        shutil.copy(tiny_cohort / PATIENTS[1] / f"{PATIENTS[1]}_1{part}.tif", folder / f"1{part}.tif")
    with pytest.raises(CohortError, match=r"would score TEST_AA_0002\. .*python -m brainseg locked-test"):
        predict_folder(tmp_path / "in", tmp_path / "out", [run.folder], truth=True)
    assert not (tmp_path / "out").exists()
    predict_folder(tmp_path / "in", tmp_path / "masks", [run.folder])  # a mask tells nothing of its score
    known = set(PATIENTS)
    assert len(predict_folder(tmp_path / "in", tmp_path / "out", [run.folder], truth=True).patients["dice"]) == 1


def test_people_of_other_institutions_are_scored(run, tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("brainseg.evaluation.folder.reference_patients", lambda: {PATIENTS[-1]})
    place = tiny_cohort / PATIENTS[0]
    assert predict_folder(place, tmp_path / "out", [run.folder], truth=True).patients["dice"].notna().all()


def test_truth_that_is_not_there_is_asked_for_in_vain(run, tmp_path):
    nifti(tmp_path / "in" / "x.nii.gz", head())
    with pytest.raises(CohortError, match="no mask of x lies beside the slices"):
        predict_folder(tmp_path / "in", tmp_path / "out", [run.folder], truth=True)
    assert not (tmp_path / "out").exists()
