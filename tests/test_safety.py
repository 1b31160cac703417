"""What a file from outside may do, which is nothing, and what never goes into the history: real images."""

from __future__ import annotations

import ast
import pickle
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from brainseg.cohort.pixels import PixelError, read_plane
from brainseg.paths import project_root

ROOT = project_root()
SOURCES = sorted(
    path for folder in ("brainseg", "notebooks", "benchmarks", "proof") for path in (ROOT / folder).rglob("*.py")
)

UNSAFE = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "pandas.read_pickle", "joblib.load", "dill.load", "shelve.open",
    "marshal.load", "marshal.loads", "torch.load", "keras.models.load_model", "keras.saving.load_model",
    "keras.config.enable_unsafe_deserialization", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system",
    "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "eval", "exec", "shutil.unpack_archive",
}  # fmt: skip
"""Calls that run what a file or a name says, or unpack it anywhere."""

ALLOWED = {
    # Both ends are one process and its child, on a file in a new folder of theirs: nothing comes from outside.
    ("brainseg/experiments/cluster.py", "pickle.loads"),
}


def calls(source: str) -> list[tuple[str, ast.Call]]:
    """Every call of a module, under the full name of what it calls."""
    tree = ast.parse(source)
    full = {}
    for node in ast.walk(tree):
        for name in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if isinstance(node, ast.ImportFrom):
                full[name.asname or name.name] = f"{node.module}.{name.name}"
            elif name.asname:
                full[name.asname] = name.name
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            found.append((f"{full.get(first, first)}{dot}{rest}", node))
    return found


def faults(source: str) -> list[str]:
    """What a module calls that runs or unpacks what comes from outside."""
    found = []
    for name, node in calls(source):
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if name in UNSAFE:
            found.append(name)
        if options.get("allow_pickle", "False") != "False" or options.get("shell", "False") != "False":
            found.append(f"{name} with pickle or a shell")
        if options.get("safe_mode", "True") != "True":
            found.append(f"{name} without safe mode")
        if name.endswith(".extractall") and options.get("filter") != "'data'":
            found.append(f"{name} without a filter")
    return found


def test_nothing_runs_what_a_file_says():
    found = {path.relative_to(ROOT).as_posix(): faults(path.read_text(encoding="utf-8")) for path in SOURCES}
    found = {(name, fault) for name, some in found.items() for fault in some}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(open('x', 'rb'))",
        "from pandas import read_pickle as read\nread('x')",
        "import keras.models as m\nm.load_model('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import subprocess\nsubprocess.run(f'ls {name}', shell=True)",
        "import tarfile\ntarfile.open('x').extractall('y')",
        "eval(text)",
        "load(x, safe_mode=False)",
    ],
)
def test_what_would_be_unsafe_is_seen(source):
    assert len(faults(source)) == 1


class _Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_weights_that_hold_code_are_refused_and_run_nothing(tmp_path):
    keras = pytest.importorskip("keras")
    from brainseg.networks.weights import load_weights

    trace = tmp_path / "ran"
    np.savez(tmp_path / "best.npz", np.array([_Evil(trace)], object))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"best\.npz are missing or damaged"):
        load_weights(model, tmp_path / "best.npz")
    assert not trace.exists()
    pickle.loads(pickle.dumps(_Evil(trace)))
    assert trace.exists()  # it would have run


def test_arrays_that_hold_code_are_refused_and_run_nothing(tiny_cohort, tmp_path, monkeypatch):
    from brainseg.images.prepared import prepare
    from brainseg.images.preprocess import Preprocessing

    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path / "build"))
    folder = prepare(tiny_cohort, Preprocessing(image_size=32)).folder
    np.save(folder / "masks.npy", np.array([_Evil(tmp_path / "ran")], object))
    with pytest.raises(ValueError, match="damaged"):
        prepare(tiny_cohort, Preprocessing(image_size=32))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["$(touch ran).png", "`touch ran`.png", "; touch ran;.png", "-rf.png", "'\".png"])
def test_a_name_is_no_command(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Path(name).write_bytes(cv2.imencode(".png", levels)[1].tobytes())
    assert np.array_equal(read_plane(name).pixels, levels)
    with pytest.raises(PixelError):
        read_plane(f"missing {name}")
    assert not Path("ran").exists()


# ---------------------------------------------------------------- the history

PICTURES = {"book/images/headline.png", "book/images/book.png"}
"""The pictures of the history: charts of results, and a page of the book that was built on phantoms."""

ARRAYS = {"best.npz", "masks.npz"}
"""Weights, and masks that networks drew, in the folder of a reference run."""

MASKS = {"results/reference/masks", "results/synthetic/masks"}
"""Where masks have the names of the networks that drew them."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"\x93NUMPY", b"\x89HDF",
          b"\x1f\x8b", b"PK\3\4", b"\0\0\0\x0cjP")  # fmt: skip
"""How files begin that hold pictures, arrays or archives; and two more, at other places: DICOM and NIfTI."""


def _is_binary(content: bytes) -> bool:
    return content.startswith(_MAGIC) or content[128:132] == b"DICM" or content[344:348] in (b"n+1\0", b"ni1\0")


def git(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(["git", "-C", ROOT, *words], input=given, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def blobs() -> dict[str, bytes]:
    """Name in the history -> the first bytes of each file that begins as pictures, arrays or archives do."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    listed = [line.partition(" ") for line in git("rev-list", "--objects", "HEAD").decode().splitlines()]
    named = {key: name for key, _, name in listed if name}
    content = git("cat-file", "--batch", given="\n".join(named).encode() + b"\n")
    found, place = {}, 0
    while place < len(content):
        end = content.index(b"\n", place)
        key, kind, size = content[place:end].decode().split()
        start = end + 1
        if kind == "blob" and _is_binary(content[start : start + 400]):
            found[f"{named[key]}:{key[:8]}"] = content[start : start + int(size)]
        place = start + int(size) + 1
    return found


def test_the_history_holds_no_picture_but_charts(blobs):
    others = {}
    for name, content in blobs.items():
        path = Path(name.partition(":")[0])
        of_run = path.name in ARRAYS and path.is_relative_to("results/reference")
        masks = path.suffix == ".npz" and str(path.parent) in MASKS
        if not (str(path) in PICTURES or of_run or masks):
            others[name] = len(content)
    assert others == {}
    assert len(blobs) > 1  # the search finds what is there


def test_the_arrays_of_the_history_are_weights_and_masks(blobs, tmp_path):
    """Slices are arrays of eight bits with many levels; weights are in half or single precision, masks are bits."""
    for name, content in blobs.items():
        if name.partition(":")[0].endswith(".npz"):
            path = tmp_path / "one.npz"
            path.write_bytes(content)
            with np.load(path) as arrays:
                for key in arrays:
                    array = arrays[key]
                    weights = array.dtype in (np.float16, np.float32) and array.ndim <= 4
                    assert weights or array.dtype.kind in "biuU", (name, key, array.dtype)
                    if array.ndim > 1 and array.dtype == np.uint8:  # packed bits of masks: mostly nothing
                        assert np.mean(array == 0) > 0.8, (name, key)
