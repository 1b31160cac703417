"""An exported network computes what Keras computes, and says how it wants to be used."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip("keras")
onnx = pytest.importorskip("onnx")

from brainseg.__main__ import main
from brainseg.images.preprocess import Preprocessing, boxes_and_images, crop_and_resize_all
from brainseg.networks.batches import as_input
from brainseg.networks.record import RunRecord, reference_runs
from brainseg.networks.runs import load_network
from brainseg.publishing import onnx_export
from brainseg.publishing.onnx_export import export_onnx, probabilities, read_description

KEPT = reference_runs(with_weights=True)
FIRST = {record.recipe.model: record for record in reversed(KEPT)}.values()
REST = [record for record in KEPT if record not in FIRST]


@pytest.fixture(scope="module")
def slices(phantom) -> np.ndarray:
    """Slices of a phantom patient, prepared as the kept networks want them: float32 (n, 128, 128, 3)."""
    from brainseg.cohort import index_cohort, read_patient

    table = index_cohort(phantom)
    images, _ = read_patient(table, table["patient"].iloc[0])
    preprocessing = KEPT[0].preprocessing
    boxes, images = boxes_and_images(images, preprocessing)
    return as_input(crop_and_resize_all(images, boxes, preprocessing.image_size)[::3])


@pytest.mark.slow
@pytest.mark.parametrize(
    "record", [*FIRST, *(pytest.param(each, marks=pytest.mark.rest) for each in REST)], ids=lambda record: record.name
)
def test_a_kept_network_gives_the_probabilities_of_keras(record, slices, tmp_path):
    path = export_onnx(record, tmp_path / "network.onnx")
    wanted = np.asarray(load_network(record)(slices, training=False))
    given = probabilities(path, slices)
    assert given.shape == wanted.shape and given.dtype == np.float32
    assert np.abs(given - wanted).max() < onnx_export.TOLERANCE
    differing = ((given >= 0.5) != (wanted >= 0.5)).mean()
    assert differing < 1e-4 and 1e-4 < (wanted >= 0.5).mean() < 0.5  # it sees something, not everything
    assert path.stat().st_size < 1.2 * 2 * record.parameters  # two bytes a number: half precision


def test_the_file_says_how_it_wants_to_be_used(run, tmp_path):
    path = export_onnx(run.record, tmp_path / "below" / "network.onnx")
    said = read_description(path)
    assert Preprocessing(**said["preprocessing"]) == run.record.preprocessing
    assert said["network"] == "U-Net" and said["threshold"] == 0.5 and "Not for clinical use" in said["purpose"]
    assert said["trained_on"] == 3 and not said["synthetic"]
    assert said["licence"] != "CC BY-NC-SA 4.0"  # no reference run
    graph = onnx.load(path).graph
    shape = [place.dim_param or place.dim_value for place in graph.input[0].type.tensor_type.shape.dim]
    assert [graph.input[0].name, graph.output[0].name, *shape] == ["image", "probability", "slices", 32, 32, 3]
    assert probabilities(path, np.zeros((3, 32, 32, 3), np.float32)).shape == (3, 32, 32, 1)


def test_a_file_that_computes_otherwise_is_not_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "probabilities", lambda content, images: np.ones((2, 32, 32, 1)))
    with pytest.raises(ValueError, match="other probabilities than Keras"):
        export_onnx(run.record, tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights_is_refused(run, tmp_path):
    bare = replace(run.record, folder=tmp_path / "bare", split_by="patient", fold=3)
    with pytest.raises(ValueError, match="kept without its weights"):
        export_onnx(bare, tmp_path / "network.onnx")


def test_the_command_writes_a_file_a_run(run, tmp_path, capsys):
    main(["export-onnx", str(tmp_path), "--run", str(run.folder)])
    (path,) = tmp_path.glob("*.onnx")
    assert path.stem == run.record.name and str(path) in capsys.readouterr().out
    assert read_description(path)["preprocessing"] == asdict(RunRecord.read(run.folder).preprocessing)
