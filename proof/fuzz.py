"""Pictures that were damaged byte by byte: each is read as what it says, or refused in one sentence."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import tifffile
from tqdm import tqdm

from brainseg.cohort import CohortError, read_image, read_mask
from brainseg.cohort.pixels import PixelError, eight_bits, read_plane, tumour_of


def originals() -> dict[str, bytes]:
    """Sound files of each kind that is read, by name."""
    rng = np.random.default_rng(0)
    grey = np.kron(rng.integers(0, 255, (8, 8), np.uint8), np.ones((8, 8), np.uint8))
    frame = np.kron(rng.integers(0, 255, (32, 32, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    mask = np.where(frame[..., 0] > 128, np.uint8(255), np.uint8(0))
    found = {
        "slice.tif": _tiff(frame, photometric="rgb"),
        "mask.tif": _tiff(mask, photometric="minisblack"),
        "grey.tif": _tiff(grey.astype(np.uint16) * 9, photometric="minisblack", compression="zlib"),
        "float.tif": _tiff(grey.astype(np.float32) / 7, photometric="minisblack"),
    }
    for suffix in (".png", ".jpg", ".bmp", ".pgm"):
        found[f"grey{suffix}"] = cv2.imencode(suffix, grey)[1].tobytes()
    found["deep.png"] = cv2.imencode(".png", grey.astype(np.uint16) * 200)[1].tobytes()
    return found


def _tiff(pixels: np.ndarray, **options) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with a few bytes changed, a part cut out, doubled or set to zero, or its end missing."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(changed))) if rng.random() < 0.5 else int(rng.integers(min(len(changed), 400)))
        length = int(rng.integers(1, 1 + min(len(changed) - start, 2 ** int(rng.integers(1, 9)))))
        kind = rng.integers(6)
        if kind == 0:
            changed[start : start + 4] = rng.bytes(min(4, len(changed) - start))
        elif kind == 1:
            changed[start] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del changed[start : start + length]
        elif kind == 3:
            changed[start:start] = changed[start : start + length]
        elif kind == 4:
            changed[start : start + length] = bytes(len(changed[start : start + length]))
        else:
            del changed[start:]
        if not changed:
            break
    return bytes(changed)


def outcome(path: Path) -> str:
    """What becomes of a file: "read", "refused", or what went wrong.

    Raises
    ------
    AssertionError
        Where pixels come out that a picture cannot hold.
    """
    readers = {"slice.tif": read_image, "mask.tif": read_mask}
    try:
        if path.name in readers:
            pixels = readers[path.name](path)
            assert pixels.shape[:2] == (256, 256) and pixels.dtype in (np.uint8, bool)
        else:
            plane = read_plane(path)
            assert plane.pixels.ndim == 2 and np.isfinite(plane.pixels).all()
            (levels,) = eight_bits([plane.pixels])
            assert levels.dtype == np.uint8
            tumour_of(plane, labels=range(1, 300), invert=False)
    except (CohortError, PixelError) as error:
        said = str(error)
        assert said.strip() and "Traceback" not in said and len(said) < 2000
        return "refused"
    return "read"


def fuzz(number: int, folder: Path, seed: int = 0) -> Counter:
    """Damage files and read them; how often which outcome came, by original: (name, outcome) -> count.

    What no reader should do comes out of here as it is: an exception of a library, or a crash.
    """
    rng, found = np.random.default_rng(seed), Counter()
    sound = originals()
    for place in tqdm(range(number), desc="damaging files", unit="file", leave=False):
        name = list(sound)[place % len(sound)]
        path = folder / name
        path.write_bytes(damaged(sound[name], rng))
        found[name, outcome(path)] += 1
    return found
