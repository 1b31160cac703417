"""The gate for pixels: what a picture from outside may hold, and what is done with it.

A picture is one grey plane. Three equal channels count as one. It is refused where its meaning cannot be told:

- **File.** PNG, TIFF, JPEG, BMP or PGM, of one page unless a page is named, upright, and within `MOST_PIXELS`. A second
  picture behind the first is a page. A TIFF whose data lack a part, or unfold to more than the picture, is damaged; the
  preview of another picture is not taken for it.
- **Colour.** Channels that differ are colours, and so is a palette, even one of greys, because it may show two labels
  alike. A BMP has no other way to be grey, so there one counts as grey that rises from black to white in equal steps. A
  transparency that varies may be where a shape is drawn, so it is refused; one that is the same everywhere is left out.
- **Polarity.** A TIFF whose tag says that 0 is white shows the opposite of its numbers. Whoever wrote it knows which of
  the two is meant, so it is refused, unless it is a mask and `invert` is given. Numbers are those of the file, however
  it is compressed.
- **Numbers.** NaN and infinities are refused.
- **Mask.** 0 is background and one other level is tumour, the same one in all masks. More levels are labels or the
  traces of smoothing and lossy compression: they are refused, unless `labels` says which of them are tumour.
- **Coverage.** A mask that holds more than half of the head is inverted, or outlines the brain: it is refused.
- **Depth.** Eight bits are kept. Deeper ones become eight by :func:`eight_bits`: black is 0, white the level that one
  pixel in a thousand exceeds, so that no single pixel sets the scale.
"""

from __future__ import annotations

import io
import lzma
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

MOST_PIXELS = 2**24
"""Of one picture: 4096 x 4096. A damaged file may claim any size, so the claim is read first."""

MOST_OF_STACK = 2**28
"""Of a stack that can only be read as a whole."""

OUTLIERS = 1e-3
"""Share of a volume's pixels that may lie beyond white, and beyond black where levels are negative."""

AIR = 0.1
"""The border of pictures with negative levels lies in this lowest part of the scale, because air is dark."""

COVERED = 0.5
"""The share of the head from which a mask is no tumour; in the cohort of this study the largest is 0.29."""

SMALL = 0.05
"""Of the picture: no mask below it is too large, because at the crown a tumour may fill a small section."""

WHITE_IS_ZERO = (
    "is a TIFF in which 0 is white, so it shows the opposite of its numbers. Save it with 0 as black, as in "
    'tifffile.imwrite(..., photometric="minisblack").'
)
"""Why a picture is refused of which nobody can say what its numbers mean."""

PALETTE = "numbers the colours of a palette. Save it grey."

_UNFOLDS = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}
"""The compressions of which tifffile unfolds all that is there, however much it is."""

_MARKER = re.compile(rb"\xff([^\0\x01\xd0-\xd8\xff])", re.DOTALL)  # of a JPEG, those that have a length, or its end
_FRAME = re.compile(rb"[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]")  # the marker that tells a JPEG's size
_PGM = re.compile(rb"P([25])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 3 + rb"\s")  # width, height, and white
_MAGIC = {b"\x89PNG": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF"}
_MAGIC |= {b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"P5": "PGM", b"P2": "PGM"}


class PixelError(ValueError):
    """Why a picture is refused.

    Parameters
    ----------
    reason : str
        What follows the file's name in a sentence, and the way out.
    kind : str
        The same for all files that are refused alike.
    by_file : str, optional
        As `reason`, with a way out by the file alone, for who takes no options. Without it `reason` has none either.
    """

    def __init__(self, reason: str, kind: str, by_file: str | None = None):
        super().__init__(reason)
        self.kind = kind
        self.by_file = by_file or reason


@dataclass(frozen=True)
class Plane:
    """One grey picture.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns)
        Of any real type, all of them finite.
    white_is_zero : bool
        Whether the file's tag says that 0 is white.
    """

    pixels: np.ndarray
    white_is_zero: bool


# ---------------------------------------------------------------- one file


def read_plane(path: str | Path, page: int | None = None) -> Plane:
    """The grey picture of a file.

    Parameters
    ----------
    path : path
    page : int, optional
        Which page of a TIFF with several, from 0.

    Raises
    ------
    PixelError
        By the rules of this module.
    """
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise PixelError("is missing. Check the path.", "missing") from None
    except (OSError, ValueError) as error:  # a ValueError is a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise PixelError(f"cannot be read ({reason}). Check its permissions and the disk.", "disk") from None
    form = next((form for magic, form in _MAGIC.items() if data.startswith(magic)), None)
    if form is None:
        raise PixelError("is no PNG, TIFF, JPEG, BMP or PGM picture. Save it as PNG.", "format")
    if form == "TIFF":
        pixels, white_is_zero = _read_tiff(data, page)
    else:
        if page not in (None, 0):
            raise PixelError(f"has one page, so page {page} is none. Leave `page` out.", "page")
        if _behind(data, form).strip(b"\0\t\n\r "):
            raise PixelError("holds something behind its first picture. Save the one picture that is meant.", "page")
        if form == "BMP" and not _is_grey_bmp(data):
            raise PixelError(PALETTE, "palette")
        pixels, white_is_zero = _decode(data), False
    return Plane(_grey(pixels), white_is_zero)


def read_picture(path: str | Path, page: int | None = None) -> np.ndarray:
    """The grey levels of a file of which 0 is black, as :func:`read_plane` takes and refuses them.

    Returns
    -------
    ndarray, shape (rows, columns)
        Of any real type, all of them finite.

    Raises
    ------
    PixelError
        By the rules of this module; also where 0 is white.
    """
    plane = read_plane(path, page)
    if plane.white_is_zero:
        raise PixelError(WHITE_IS_ZERO, "white")
    return plane.pixels


def _decode(data: bytes) -> np.ndarray:
    """Pixels of bytes that are no TIFF. OpenCV opens no file itself: it does not know every name, disk and error."""
    damaged = PixelError("is damaged, or of a kind that OpenCV does not read. Save it again as PNG.", "damaged")
    chunks = _chunks(data) if data.startswith(b"\x89PNG") else {}
    if chunks is None:
        raise damaged
    if b"acTL" in chunks:
        raise PixelError("is an animation. Save the one picture that is meant.", "page")
    head = chunks.get(b"IHDR", b"")
    _refuse_large(int.from_bytes(head[:4]), int.from_bytes(head[4:8]))
    if head[9:10] == b"\3":
        raise PixelError(PALETTE, "palette")
    try:
        found, pictures = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(0, 1))
        if data.startswith(b"\xff\xd8") or b"eXIf" in chunks:
            upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
            if found and upright is not None and pictures[0].ndim == upright.ndim:
                _refuse_turned(not np.array_equal(pictures[0], upright))
    except cv2.error:
        raise damaged from None
    if not found or not pictures:
        raise damaged
    return pictures[0]


def _chunks(data: bytes) -> dict[bytes, bytes] | None:
    """The first chunk of each kind of a PNG; None where one claims to be longer than the file."""
    chunks: dict[bytes, bytes] = {}
    place = 8  # after the signature; a chunk has a length, a kind, its content and a checksum
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if place + 12 + length > len(data):
            return None
        chunks.setdefault(kind, data[place + 8 : place + 8 + length])
        if kind == b"IEND":
            break
        place += 12 + length
    return chunks


def _behind(data: bytes, form: str) -> bytes:
    """What lies behind the first picture of a JPEG or PGM, forms in which several may follow one another.

    OpenCV reads the first and says nothing of the others. A file that does not say where its picture ends has nothing
    behind it.
    """
    if form == "JPEG":
        place = 2
        while found := _MARKER.search(data, place):
            if found[1] == b"\xd9":
                return data[found.end() :]
            place = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
            if _FRAME.match(found[1]):  # a length, the depth, then height and width
                height, width = (int.from_bytes(data[found.end() + at :][:2]) for at in (3, 5))
                _refuse_large(width, height)
    elif form == "PGM" and (head := _PGM.match(data)):
        kind, width, height, white = map(int, head.groups())
        _refuse_large(width, height)
        raster = data[head.end() :]
        if kind == 5:
            return raster[width * height * (2 if white > 255 else 1) :]
        return b" ".join(re.sub(rb"#[^\n]*", b"", raster).split()[width * height :])
    return b""


def _is_grey_bmp(data: bytes) -> bool:
    """Whether a BMP has no palette, or the one that stands for grey."""
    header = int.from_bytes(data[14:18], "little")
    place, colour = (24, 3) if header == 12 else (28, 4)  # the oldest header is short, and its colours too
    bits = int.from_bytes(data[place : place + 2], "little")
    if bits not in (1, 4, 8):
        return True
    grey = np.linspace(0, 255, 2**bits).astype(np.uint8)
    palette = np.frombuffer(data[14 + header :][: colour * len(grey)], np.uint8)
    return palette.size == colour * len(grey) and bool((palette.reshape(-1, colour)[:, :3] == grey[:, None]).all())


def _refuse_large(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise PixelError(f"says that it is {width} x {height} pixels large, which is no slice. Save it again.", "size")


def _refuse_turned(turned: bool) -> None:
    if turned:
        raise PixelError("is turned by a tag, which programs heed or not. Save it upright.", "turned")


def _read_tiff(data: bytes, page: int | None) -> tuple[np.ndarray, bool]:
    """The pixels of one page, channels last, and whether 0 is white."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return _page_of(tiff, data, page)
    except PixelError:
        raise
    except Exception as error:  # a damaged file may break the decoder anywhere
        raise PixelError(f"is not a whole TIFF file ({error}). Save it again.", "damaged") from None


def _page_of(tiff: tifffile.TiffFile, data: bytes, page: int | None) -> tuple[np.ndarray, bool]:
    first = tiff.pages[0]
    stacked = tiff.series[0].shape[: tiff.series[0].ndim - first.ndim] if len(tiff.pages) == 1 else ()
    pages = int(np.prod(stacked)) if stacked else len(tiff.pages)
    if page is None and pages > 1:
        raise PixelError(
            f"holds {pages} pages. Say which one is the slice: page=0 is the first, and a list gives one for each row.",
            "pages",
            f"holds {pages} pages. Save the one that is the slice.",
        )
    if page is not None and not 0 <= page < pages:
        raise PixelError(f"has no page {page}: it holds {pages}, counted from 0.", "page")
    chosen = first if stacked else tiff.pages[page or 0].aspage()
    largest = tiff.series[0].size if stacked else 0
    if chosen.size > MOST_PIXELS * 4 or chosen.size == 0 or largest > MOST_OF_STACK:
        raise PixelError(f"says that it is {chosen.shape} pixels large, which is no slice. Save it again.", "size")
    if reason := tags_problem(chosen) or data_problem(chosen):
        raise PixelError(*reason)
    if stacked:
        pixels = tiff.asarray().reshape(pages, *first.shape)[page or 0]
    else:
        try:
            pixels = chosen.asarray()
        except (ValueError, NotImplementedError, ImportError) as error:
            if not (isinstance(error, ImportError) or "imagecodecs" in str(error)):
                raise
            pixels = _by_pillow(data, chosen, page or 0)
    if chosen.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels, chosen.photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _by_pillow(data: bytes, chosen: tifffile.TiffPage, page: int) -> np.ndarray:
    """The numbers of a page that is compressed in a way that tifffile leaves to others, such as LZW.

    Not by OpenCV, which fills what it cannot read of a damaged page of 8 bits, and says nothing.
    """
    if chosen.extrasamples:  # they might be dropped without a word
        raise PixelError("is compressed and has channels beside the picture. Save it uncompressed.", "codec")
    black = io.BytesIO(_with_0_as_black(data, chosen))
    try:
        with Image.open(black, formats=["TIFF"]) as picture:
            picture.seek(page)
            return np.asarray(picture)
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        raise PixelError(
            f"is damaged, or compressed in a way that nothing here reads ({error}). Save it uncompressed.", "codec"
        ) from None


def _with_0_as_black(data: bytes, page: tifffile.TiffPage) -> bytes:
    """A TIFF's bytes with a page that calls 0 black. Pillow turns the numbers of some that call it white."""
    if page.photometric != tifffile.PHOTOMETRIC.MINISWHITE:
        return data
    tag = page.tags.get("PhotometricInterpretation")
    if tag is None or tag.dtype != tifffile.DATATYPE.SHORT:
        raise PixelError("is compressed and does not say whether 0 is black. Save it uncompressed.", "codec")
    black = int(tifffile.PHOTOMETRIC.MINISBLACK).to_bytes(2, "little" if data.startswith(b"II") else "big")
    return data[: tag.valueoffset] + black + data[tag.valueoffset + 2 :]


def tags_problem(page: tifffile.TiffPage) -> tuple[str, str] | None:
    """Why the tags of a TIFF give its numbers another meaning: a reason and its kind; None where they do not."""
    if (tag := page.tags.get("Orientation")) is not None and tag.value != 1:
        return "is turned by a tag, which programs heed or not. Save it upright.", "turned"
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return PALETTE, "palette"
    if int(page.photometric) not in (0, 1, 2, 6):  # white or black is 0, RGB, YCbCr
        return f"has colours of the kind {page.photometric!r}. Save it grey.", "photometric"
    if (tag := page.tags.get("NewSubfileType")) is not None and tag.value & 1:
        return "is the preview of another picture in its file. Save that picture alone.", "preview"
    return None


def data_problem(page: tifffile.TiffPage) -> tuple[str, str] | None:
    """Why the data of a TIFF's page are not those of its picture: a reason and its kind; None where they may be.

    tifffile fills strips and tiles that a file lacks with 0, and unfolds others as far as they go.
    """
    parts = len(page.dataoffsets)
    if parts < np.prod(page.chunked) or not all(page.dataoffsets) or not all(page.databytecounts):
        return "lacks a part of its picture: it was not written to its end. Save it again.", "damaged"
    most = int(np.prod(page.chunks)) * page.dtype.itemsize
    if start := _UNFOLDS.get(page.compression):
        segments = page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts)
        if any(len(start().decompress(data, most + 1)) > most for data, _ in segments):
            return "unfolds to more than the picture that it says it is. Save it again.", "damaged"
    return None


def _grey(pixels: np.ndarray) -> np.ndarray:
    """One plane of finite numbers."""
    if pixels.ndim == 3:
        pixels = _one_channel(pixels)
    if pixels.ndim != 2 or pixels.size > MOST_PIXELS or 0 in pixels.shape:
        raise PixelError(f"is no plane, but {pixels.shape}. Save one grey picture for each slice.", "shape")
    if pixels.dtype.kind not in "buif":
        raise PixelError(f"holds numbers of the type {pixels.dtype}. Save real numbers.", "type")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        count = int(np.count_nonzero(~np.isfinite(pixels)))
        raise PixelError(
            f"holds {count} pixels that are no number (NaN or infinite). Decide what stands there, such as 0 for air, "
            "and save it again.",
            "NaN",
        )
    return pixels


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    channels = pixels.shape[2]
    if channels in (2, 4):
        alpha, pixels = pixels[..., -1], pixels[..., :-1]
        if alpha.min() != alpha.max():
            raise PixelError(
                "is transparent in places: its shape may stand in the alpha channel. Save it grey, without "
                "transparency.",
                "alpha",
            )
    elif channels not in (1, 3):
        raise PixelError(f"has {channels} channels. Save one grey picture for each slice.", "shape")
    if not (pixels == pixels[..., :1]).all():
        raise PixelError(
            "is coloured. Save one grey picture for each sequence, and a mask as a grey picture of 0 and 255.",
            "coloured",
        )
    return pixels[..., 0]


# ---------------------------------------------------------------- masks


def tumour_of(plane: Plane, labels: Iterable[int] | None, invert: bool | None) -> np.ndarray:
    """A mask, True on tumour.

    Parameters
    ----------
    plane : Plane
    labels : iterable of int, optional
        The levels that are tumour; without it, every level but 0, of which there may be one.
    invert : bool, optional
        Whether tumour is where the mask would say background.

    Raises
    ------
    PixelError
        Where the file says that 0 is white and `invert` does not say what to make of it; where there are more levels
        than two, or no 0 among two, and `labels` does not say what they are.
    """
    if plane.white_is_zero and invert is None:
        raise PixelError(
            "is a TIFF in which 0 is white. Say invert=True where white is tumour, and invert=False where the numbers "
            "count, or save it with 0 as black.",
            "polarity",
            WHITE_IS_ZERO,
        )
    if labels is None:
        levels = levels_of(plane)
        if len(levels) > 2 or (len(levels) == 2 and levels[0] != 0):
            raise PixelError(*_too_many(levels))
        tumour = plane.pixels != 0
    else:
        tumour = np.isin(plane.pixels, list(labels))
    return ~tumour if invert else tumour


def levels_of(plane: Plane) -> np.ndarray:
    """The levels that a mask holds, rising."""
    return np.unique(plane.pixels)


def _too_many(levels: np.ndarray) -> tuple[str, str, str]:
    shown = ", ".join(f"{level:g}" for level in levels[:6].tolist()) + (", ..." if len(levels) > 6 else "")
    top = levels[np.abs(levels.astype(float)).argmax()]
    cut = ""
    if top > 1 and (levels == np.rint(levels)).all():  # a range of whole numbers would cut no probabilities
        cut = f", or cut it half-way, as in labels=range({int(top) // 2 + 1}, {int(top) + 1})"
    wrong = f"holds {len(levels)} levels, {shown}. A mask may hold 0 and one other."
    return (
        f"{wrong} If these are labels, say which are tumour, as in labels=[{top:g}]. If smoothing, resizing or lossy "
        f"compression made them, take the mask from before that{cut}.",
        "levels",
        f"{wrong} Save it with 0 where there is no tumour and one other level where there is some.",
    )


def covers_head(tumour: np.ndarray, flair: np.ndarray) -> bool:
    """Whether a mask holds more than `COVERED` of the head, or of the picture; none does that covers less than `SMALL`.

    The head is what is brighter than the picture's mean.

    Parameters
    ----------
    tumour : ndarray of bool, shape (rows, columns)
    flair : ndarray of uint8, shape (rows, columns)
    """
    area = np.count_nonzero(tumour)
    if area <= SMALL * tumour.size:  # which is nearly always so
        return False
    head = flair > flair.mean()
    return area > COVERED * tumour.size or np.count_nonzero(tumour & head) > COVERED * np.count_nonzero(head)


def refuse_head(tumour: np.ndarray, flair: np.ndarray) -> None:
    """Refuse a mask that :func:`covers_head`.

    Raises
    ------
    PixelError
    """
    if covers_head(tumour, flair):
        wrong = "calls most of the head tumour."
        raise PixelError(
            f"{wrong} It may be inverted (say invert=True) or outline the brain.",
            "coverage",
            f"{wrong} It may be inverted or outline the brain: swap its 0 and 255, or draw it.",
        )


# ---------------------------------------------------------------- volumes


def eight_bits(planes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The planes of one volume as uint8, all on one scale; planes of uint8 stay as they are.

    Black is 0. Where more than `OUTLIERS` of the pixels are negative, black is the level that so many lie below. White
    is the level that `OUTLIERS` of the pixels lie above, of those that are not black.

    Parameters
    ----------
    planes : sequence of ndarray, shape (rows, columns)
        Of one size and type, all finite.

    Raises
    ------
    PixelError
        Where sizes or types differ, where all pixels are equal or none is above black, and where levels are negative
        and the border of the pictures is not dark, so that it cannot be told which level is air.
    """
    if len(sizes := {plane.shape for plane in planes}) > 1:
        raise PixelError(
            f"is one of a stack of several sizes, {sorted(sizes)}. Give all slices the same size.", "sizes"
        )
    if len(types := {str(plane.dtype) for plane in planes}) > 1:
        raise PixelError(
            f"is one of a stack of several types, {', '.join(sorted(types))}. Save all slices alike.", "types"
        )
    volume = np.stack(planes)
    if volume.min() == volume.max():
        raise PixelError(f"and all slices of its stack hold {volume.min():g} everywhere: there is no picture.", "flat")
    if volume.dtype == np.uint8:
        return list(volume)
    volume = volume.astype(np.float64)
    black = min(0.0, _robust(volume, lowest=True))
    above = volume[volume > max(black, volume.min())]
    if not above.size:  # some pixels are below black, and all others are black
        raise PixelError(f"and all slices of its stack hold nothing above {black:g}: there is no picture.", "flat")
    white = _robust(above, lowest=False)
    # Differences and quotients of levels near 1e308 or 1e-308 would overflow. A power of two brings black and white to
    # about 1, and rounds nothing.
    exponent = int(np.frexp(max(-black, white))[1])
    dark, bright = np.ldexp([black, white], -exponent)
    scaled = np.ldexp(np.clip(volume, black, white), -exponent)
    border = np.median(np.concatenate([scaled[:, [0, -1]].ravel(), scaled[:, :, [0, -1]].ravel()]))
    if black < 0 and border > dark + AIR * (bright - dark):
        raise PixelError(
            f"and its stack hold levels from {black:g} to {white:g}, and {np.ldexp(border, exponent):g} along the "
            "border: it cannot be told which is air. Save them so that air is the darkest, as 0.",
            "negative",
        )
    return list(np.rint((scaled - dark) * (255 / (bright - dark))).astype(np.uint8))


def _robust(values: np.ndarray, lowest: bool) -> float:
    """The lowest or highest value when `OUTLIERS` of them, one at least, are passed over."""
    values = values.ravel()
    passed = min(max(1, round(OUTLIERS * values.size)), values.size - 1)
    place = passed if lowest else values.size - 1 - passed
    return float(np.partition(values, place)[place])


# ---------------------------------------------------------------- writing


def write_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    path : path
    pixels : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
        Channels in OpenCV's order: blue, green, red.

    Raises
    ------
    OSError
        Where the disk refuses.
    """
    _, data = cv2.imencode(".png", pixels)  # fails by an exception alone, where the array is no picture
    Path(path).write_bytes(data)
