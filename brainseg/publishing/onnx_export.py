"""A network as an ONNX file, for programs that have no Keras: a web page, a viewer, another language.

The file holds the weights in half precision, as the reference runs are kept, and computes in single precision. Its
metadata says all that a program needs to use it as the study does.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from brainseg.cohort.find import SYNTHETIC_PROJECT
from brainseg.evaluation.scores import SMALLEST_PIECE
from brainseg.images.crop import SMALLEST_HEAD
from brainseg.images.preprocess import BRAIN_LEVEL, DEEP, NEARLY_BLACK, PERCENTILES
from brainseg.metrics import THRESHOLD
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.networks.record import RunRecord
from brainseg.paths import write_atomically

METADATA = "brainseg"
"""The key of the file's metadata under which `description` stands, as JSON."""

TOLERANCE = 0.02
"""How far a probability may lie from that of Keras. The export joins normalisations to the convolutions before them.
Rounding what comes out to half precision moves single pixels; unrounded, the two agree. A wrong file is far away."""

SMALL = 64
"""Arrays of fewer numbers stay in single precision: biases weigh nothing in the file."""


def description(record: RunRecord) -> dict:
    """What a program must know to use the network as the study does, as JSON can hold it.

    Returns
    -------
    dict
        ``run`` and ``network``, its names; ``trained_on``, how many patients, and ``synthetic``, whether they are those
        of the phantom; ``preprocessing``, the fields of
        :class:`brainseg.images.preprocess.Preprocessing`, with ``percentiles``, ``brain`` and ``smallest_head``, the
        numbers of its code; ``both_ways``, whether the mean with the mirrored slice counts; ``threshold`` and
        ``smallest_piece``, the rules that make a mask; ``licence`` and ``purpose``.
    """
    return {
        "run": record.name,
        "network": MODEL_NAMES[record.recipe.model],
        "trained_on": len(record.patients["train"]),
        "synthetic": all(name.startswith(SYNTHETIC_PROJECT) for name in record.patients["train"]),
        "preprocessing": asdict(record.preprocessing),
        "percentiles": PERCENTILES,
        "brain": {"deep": DEEP, "nearly_black": NEARLY_BLACK, "level": BRAIN_LEVEL},
        "smallest_head": SMALLEST_HEAD,
        "both_ways": True,
        "threshold": THRESHOLD,
        "smallest_piece": SMALLEST_PIECE,
        # Only a reference run was trained on the real slices for certain; other people's cohorts have their own terms.
        "licence": "CC BY-NC-SA 4.0" if record.split_by else "that of the images it was trained on",
        "purpose": "Research and teaching only. Not for clinical use.",
    }


def export_onnx(record: RunRecord, path: str | Path) -> Path:
    """Write the network of a finished run as an ONNX file, and check it against Keras.

    Its input is ``image``, float32 (slices, size, size, 3) in [0, 1], prepared as the metadata says; its output is
    ``probability``, float32 (slices, size, size, 1).

    Parameters
    ----------
    record : RunRecord
        Of a run with weights.
    path : path
        Written whole or not at all.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        Where the run has no weights; where the file's probabilities differ from those of Keras by more than
        `TOLERANCE`.
    """
    import onnx

    from brainseg.networks.runs import load_network

    network = load_network(record)
    size = record.preprocessing.image_size
    block = -(-size // 8)  # coarse blocks, because fine noise leaves a network cold
    image = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    image = image.repeat(block, axis=1).repeat(block, axis=2)[:, :size, :size]
    # Called as it is, because a compiled call may compute in bfloat16; and the export wants a network that was called.
    wanted = np.asarray(network(image, training=False))
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx asks NumPy for names that it has no more
        raw = Path(place) / "network.onnx"
        network.export(raw, format="onnx", verbose=False)
        model = onnx.load(raw)
    _name_output(model.graph)
    _halve(model.graph)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(description(record))})
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    difference = float(np.abs(probabilities(content, image) - wanted).max())
    if difference > TOLERANCE:
        raise ValueError(
            f"The ONNX file of {record.name} computes other probabilities than Keras, by up to {difference:.3f}. "
            "Install the pinned versions of requirements.txt."
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as part:
        part.write_bytes(content)
    return path


def probabilities(network: bytes | Path, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime computes with an exported network: float32 (n, size, size, 1) of float32 (n, size, size, 3)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(network if isinstance(network, bytes) else str(network))
    return session.run(["probability"], {"image": images})[0]


def read_description(path: str | Path) -> dict:
    """The `description` that stands in an exported file."""
    import onnx

    properties = onnx.load(path, load_external_data=False).metadata_props
    return json.loads(next(entry.value for entry in properties if entry.key == METADATA))


def _name_output(graph) -> None:
    """Call the output ``probability`` and the number of slices ``slices``: tf2onnx numbers them."""
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = ["probability" if name == output.name else name for name in node.output]
    output.name = "probability"
    for place in (*graph.input, output):
        place.type.tensor_type.shape.dim[0].dim_param = "slices"


def _halve(graph) -> None:
    """Keep large arrays in half precision, each with a node that widens it again when the file is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    widened = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= SMALL:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}/half"))
            widened.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*widened, *graph.node]  # a node comes after what it reads
    del graph.node[:]
    graph.node.extend(nodes)
