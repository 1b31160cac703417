"""The gate for pixels from outside: each kind of foreign picture is read right, or refused in one clear sentence."""

from __future__ import annotations

import contextlib
import lzma
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import ellipse
from PIL import Image

from brainseg.cohort import CohortError, index_cohort, read_image, read_mask
from brainseg.cohort import pixels as gate
from brainseg.cohort.convert import convert_pairs
from brainseg.cohort.pixels import (
    PixelError,
    Plane,
    covers_head,
    eight_bits,
    levels_of,
    read_picture,
    read_plane,
    tags_problem,
    tumour_of,
    write_png,
)

HEAD = ellipse((128, 128), (100, 80))
TUMOUR = ellipse((110, 140), (22, 18))
MASK = TUMOUR.astype(np.uint8) * 255
FLAIR = np.where(TUMOUR, 200, np.where(HEAD, 90, 0)).astype(np.uint8)


def tiff(pixels, **options):
    options.setdefault("photometric", "minisblack")
    return lambda path: tifffile.imwrite(path, pixels, **options)


def pillow(picture, form="PNG", **options):
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    return lambda path: picture.save(path, form, **options)


def opencv(pixels, suffix=".png", *options):
    return lambda path: path.write_bytes(cv2.imencode(suffix, pixels, options)[1].tobytes())


def twice(pixels, suffix, *options):
    """Two pictures one behind the other, as the form allows."""
    data = cv2.imencode(suffix, pixels, options)[1].tobytes()
    return lambda path: path.write_bytes(data + data)


def called_white(write):
    """A TIFF whose numbers stay, and of which each page says that 0 is white."""

    def change(path):
        write(path)
        data = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            for page in file.pages:
                data[page.tags["PhotometricInterpretation"].valueoffset] = 0
        path.write_bytes(data)

    return change


def damaged(write):
    """A TIFF whose last bytes of pixels are zeros, as a cut download leaves them."""

    def change(path):
        write(path)
        data = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            start, count = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
        data[start + count // 2 : start + count] = bytes(count - count // 2)
        path.write_bytes(data)

    return change


def tagged(write, **tags):
    """A TIFF with another value of some tags; of a tag with several, of the one in the middle."""

    def change(path):
        write(path)
        data = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            for name, value in tags.items():
                tag = file.pages[0].tags[name]
                size = {3: 2, 4: 4}[tag.dtype]
                first = tag.valueoffset + size * (tag.count // 2)
                data[first : first + size] = value.to_bytes(size, "little")
        path.write_bytes(data)

    return change


def unfolds(pixels, compress, code, size):
    """A TIFF of one compressed strip that unfolds to so many bytes."""

    def change(path):
        tiff(pixels, metadata=None, rowsperstrip=len(pixels))(path)
        strip = compress(pixels.tobytes().ljust(size, b"\0"))
        end = path.stat().st_size
        tagged(tiff(pixels, metadata=None), StripOffsets=end, StripByteCounts=len(strip), Compression=code)(path)
        path.write_bytes(path.read_bytes() + strip)

    return change


def four_bits(pixels):
    """A TIFF of 16 levels, two pixels a byte."""
    levels = pixels >> 4
    halves = levels[:, ::2] << 4 | levels[:, 1::2]
    return tagged(tiff(halves, metadata=None), ImageWidth=levels.shape[1], BitsPerSample=4)


def with_preview_first(path):
    """A picture that hangs below its thumbnail, as cameras and slide scanners write them."""
    with tifffile.TiffWriter(path) as file:
        file.write(MASK[::2, ::2], photometric="minisblack", subifds=1, subfiletype=1)
        file.write(MASK, photometric="minisblack")


def lzw(picture, **options):
    """A TIFF that tifffile leaves to others, as do most that people have."""
    return pillow(picture, "TIFF", compression="tiff_lzw", **options)


SOUND_MASK, SOUND_FLAIR = opencv(MASK), opencv(FLAIR)


def convert(tmp_path, mask=SOUND_MASK, flair=SOUND_FLAIR, **options):
    """One slice through the gate: its image and its mask."""
    mask(tmp_path / "mask"), flair(tmp_path / "flair")
    pairs = pd.DataFrame([{"patient": "anna", "flair": tmp_path / "flair", "mask": tmp_path / "mask"}])
    (row,) = index_cohort(convert_pairs(pairs, tmp_path / "out", **options), progress=False).itertuples()
    return read_image(row.image_path)[..., 1], read_mask(row.mask_path)


def refusal(tmp_path, *arguments, **options):
    with pytest.raises(CohortError) as caught:
        convert(tmp_path, *arguments, **options)
    assert not (tmp_path / "out").exists()
    (problem,) = caught.value.problems
    return problem


palette = Image.fromarray(TUMOUR.astype(np.uint8)).convert("P")
palette.putpalette([0, 0, 0, 128, 0, 0])
two_alike = Image.fromarray(np.where(TUMOUR, 2, HEAD).astype(np.uint8)).convert("P")
two_alike.putpalette([0, 0, 0, 255, 255, 255, 255, 255, 255])
SHAPE_IN_ALPHA = np.dstack([np.full_like(MASK, 255)] * 3 + [MASK])
EXIF = Image.Exif()
EXIF[0x0112] = 6  # the first row is the right side
UPRIGHT = Image.Exif()
UPRIGHT[0x0112] = 1
LABELS = np.where(TUMOUR, 3, HEAD.astype(np.uint8)).astype(np.uint8)

REFUSED_MASKS = {
    "jpeg": (opencv(MASK, ".jpg"), r"holds \d+ levels.*lossy compression.*labels=range\(128, 256\)"),
    "smoothed": (opencv(cv2.GaussianBlur(MASK, (0, 0), 2)), r"holds \d+ levels.*smoothing"),
    "resized softly": (opencv(cv2.resize(cv2.resize(MASK, (61, 61)), (256, 256))), "resizing"),
    "probabilities": (tiff(cv2.GaussianBlur(MASK / 255, (0, 0), 2)), "levels, 0"),
    "alpha of PNG": (opencv(SHAPE_IN_ALPHA), "transparent in places"),
    "alpha of grey PNG": (pillow(Image.merge("LA", [Image.new("L", (256, 256), 255), Image.fromarray(MASK)])), "alpha"),
    "alpha on black": (opencv(SHAPE_IN_ALPHA * np.array([0, 0, 0, 1], np.uint8)), "alpha"),
    "alpha in 16 bits": (opencv(SHAPE_IN_ALPHA.astype(np.uint16) * 257), "alpha"),
    "alpha of TIFF": (
        tiff(np.dstack([MASK * 0, MASK]), extrasamples=["unassalpha"], planarconfig="contig"),
        "alpha",
    ),
    "labels 1 and 3": (opencv(LABELS), r"holds 3 levels, 0, 1, 3\. .*labels=\[3\]"),
    "no background": (opencv(LABELS + 1), "levels, 1, 2, 4"),
    "1 and 3, no 0": (opencv(np.where(TUMOUR, 3, 1).astype(np.uint8)), "levels, 1, 3"),
    "minus one": (tiff(np.where(TUMOUR, 0, -1).astype(np.int16)), "levels, -1, 0"),
    "coloured": (opencv(np.dstack([MASK * 0, MASK * 0, MASK])), "is coloured.*mask as a grey picture of 0 and 255"),
    "palette of PNG": (pillow(palette), "palette"),
    "palette of TIFF": (pillow(palette, "TIFF"), "palette"),
    "palette of BMP": (pillow(palette, "BMP"), "palette"),
    "palette of greys": (pillow(Image.fromarray(MASK).convert("P")), "palette"),
    "two labels shown alike": (pillow(two_alike), "palette"),
    "two labels shown alike, BMP": (pillow(two_alike, "BMP"), "palette"),
    "two labels shown alike, two bits": (pillow(two_alike, bits=2), "palette"),
    "two pictures in a PGM": (twice(MASK, ".pgm"), "behind its first picture.*Save the one"),
    "two pictures in a PGM of text": (twice(MASK, ".pgm", cv2.IMWRITE_PXM_BINARY, 0), "behind its first picture"),
    "inverted": (opencv(255 - MASK), "calls most of the head tumour.*invert=True"),
    "all tumour": (opencv(MASK | 255), "calls most of the head tumour"),
    "the brain": (opencv(ellipse((128, 128), (88, 70)).astype(np.uint8)), "most of the head"),
    "0 is white": (tiff(255 - MASK, photometric="miniswhite"), "0 is white.*invert=True"),
    "0 is white, right numbers": (tiff(MASK, photometric="miniswhite"), "0 is white"),
    "0 is white, one bit": (tiff(TUMOUR, photometric="miniswhite"), "0 is white"),
    "0 is white, LZW": (called_white(lzw(MASK)), "0 is white.*invert=True"),
    "seven pages": (tiff(np.stack([MASK] * 7)), "holds 7 pages.*page=0"),
    "seven pages, one entry": (tiff(np.stack([MASK] * 7), truncate=True), "holds 7 pages"),
    "seven pages of ImageJ": (tiff(np.stack([MASK] * 7), imagej=True, photometric=None), "holds 7 pages"),
    "animated PNG": (pillow(MASK, save_all=True, append_images=[Image.fromarray(MASK.T)]), "animation"),
    "GIF": (pillow(MASK, "GIF"), "is no PNG"),
    "turned": (tiff(MASK, extratags=[(274, 3, 1, 6, True)]), "turned by a tag"),
    "turned by EXIF": (pillow(MASK, exif=EXIF), "turned by a tag"),
    "NaN": (tiff(np.where(TUMOUR, 1, np.nan).astype(np.float32)), "no number"),
    "complex": (tiff(MASK.astype(np.complex64)), "complex64"),
    "a volume of NIfTI": (lambda path: path.write_bytes(b"\x5c\x01\0\0" + bytes(400)), "is no PNG"),
    "empty file": (lambda path: path.write_bytes(b""), "is no PNG"),
    "cut PNG": (lambda path: path.write_bytes(cv2.imencode(".png", MASK)[1].tobytes()[:60]), "damaged"),
    "cut TIFF": (lambda path: (tiff(MASK)(path), path.write_bytes(path.read_bytes()[:900])), "whole TIFF|damaged"),
    "a folder": (lambda path: path.mkdir(), "is missing"),
    "a damaged end, LZW": (damaged(lzw(MASK)), "is damaged.*Save it uncompressed"),
    "a damaged end, LZW, one bit": (damaged(lzw(Image.fromarray(MASK).convert("1"))), "is damaged"),
    "a damaged end, LZW, 16 bits": (damaged(lzw(MASK.astype(np.uint16))), "is damaged"),
    "a tile that is not there": (tagged(tiff(MASK, tile=(64, 64)), TileOffsets=0, TileByteCounts=0), "lacks a part"),
    "a strip that is not there": (tagged(tiff(MASK, rowsperstrip=32), StripOffsets=0), "lacks a part"),
    "a strip of no bytes": (tagged(tiff(MASK, rowsperstrip=32), StripByteCounts=0), "lacks a part"),
    "deflated, and larger than it says": (unfolds(MASK, zlib.compress, 8, MASK.size + 1), "unfolds to more"),
    "LZMA, and larger than it says": (unfolds(MASK, lzma.compress, 34925, MASK.size + 1), "unfolds to more"),
    "a preview": (with_preview_first, "preview of another picture"),
    "another size": (opencv(MASK[:200]), "has 200 x 256 pixels, and its picture in the column flair 256 x 256"),
    "five channels": (tiff(np.dstack([MASK] * 5), planarconfig="contig"), "5 channels|transparent"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_MASKS)
def test_a_mask_whose_meaning_cannot_be_told_is_refused(tmp_path, case):
    mask, said = REFUSED_MASKS[case]
    problem = refusal(tmp_path, mask)
    assert problem.startswith(f"{tmp_path / 'mask'} (row 0, column mask) ")
    assert pd.Series(problem).str.contains(said).all(), problem


READ_MASKS = {
    "0 and 255": opencv(MASK),
    "0 and 1": opencv(TUMOUR.astype(np.uint8)),
    "16 bits": opencv(TUMOUR.astype(np.uint16) * 65535),
    "one bit": pillow(Image.fromarray(MASK).convert("1")),
    "float": tiff(TUMOUR.astype(np.float64)),
    "three equal channels": opencv(np.dstack([MASK] * 3)),
    "opaque alpha": opencv(np.dstack([MASK] * 3 + [MASK | 255])),
    "LZW": pillow(MASK, "TIFF", compression="tiff_lzw"),
    "LZW, 32 bits": lzw(MASK.astype(np.int32)),
    "four bits": four_bits(MASK),
    "deflated, and as large as it says": unfolds(MASK, zlib.compress, 8, MASK.size),
    "fax": pillow(Image.fromarray(MASK).convert("1"), "TIFF", compression="group4"),
    "planes apart": tiff(np.stack([MASK] * 3), photometric="rgb", planarconfig="separate"),
    "BMP": opencv(MASK, ".bmp"),
    "BMP of one bit": pillow(Image.fromarray(MASK).convert("1"), "BMP"),
    "BMP in colours": opencv(np.dstack([MASK] * 3), ".bmp"),
    "PGM": opencv(MASK, ".pgm"),
    "PGM of text": opencv(MASK, ".pgm", cv2.IMWRITE_PXM_BINARY, 0),
    "PGM of 16 bits": opencv(TUMOUR.astype(np.uint16) * 999, ".pgm"),
    "PGM with remarks": lambda path: path.write_bytes(b"P5 # a remark\n256 256\n# P5 1 1\n255\n" + MASK.tobytes()),
    "PGM and a line end": lambda path: path.write_bytes(b"P5 256 256 255\n" + MASK.tobytes() + b"\r\n"),
    "big TIFF": tiff(MASK, bigtiff=True),
    "big end first": tiff(MASK.astype(np.uint16), byteorder=">"),
}


@pytest.mark.parametrize("case", READ_MASKS)
def test_a_mask_of_two_levels_is_read_right_whatever_its_file(tmp_path, case):
    _, mask = convert(tmp_path, READ_MASKS[case])
    np.testing.assert_array_equal(mask, TUMOUR)


@pytest.mark.parametrize(
    ("mask", "options"),
    [
        (opencv(LABELS), {"labels": [3]}),
        (opencv(LABELS), {"labels": 3}),
        (opencv(LABELS), {"labels": {0, 1}, "invert": True}),
        (opencv(255 - MASK), {"invert": True}),
        (tiff(255 - MASK, photometric="miniswhite"), {"invert": True}),
        (tiff(MASK, photometric="miniswhite"), {"invert": False}),
        (tiff(np.stack([MASK.T, MASK, MASK.T])), {"page": 1}),
        (tiff(np.stack([MASK.T, MASK, MASK.T]), truncate=True), {"page": [1]}),
    ],
)
def test_who_knows_better_says_so(tmp_path, mask, options):
    flair = tiff(np.stack([FLAIR] * 3)) if "page" in options else opencv(FLAIR)
    _, found = convert(tmp_path, mask, flair, **options)
    np.testing.assert_array_equal(found, TUMOUR)


def test_a_lossy_mask_may_be_cut_half_way(tmp_path):
    _, mask = convert(tmp_path, opencv(MASK, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 60), labels=range(128, 256))
    assert np.count_nonzero(mask != TUMOUR) < 0.02 * TUMOUR.sum()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": []}, "labels is empty"),
        ({"labels": [7]}, r"No mask holds a level of labels=\[7\]. The masks hold 0, 255"),
        ({"page": 2}, "has one page"),
        ({"page": [0, 0]}, "page has 2 numbers for 1 rows"),
        ({"invert": True}, "most of the head"),
    ],
)
def test_an_option_that_fits_nothing_is_refused(tmp_path, options, said):
    with pytest.raises(CohortError, match=said):
        convert(tmp_path, **options)


def test_one_label_in_one_mask_and_another_in_the_next_is_refused(tmp_path):
    rows = []
    for number, level in enumerate((1, 1, 3)):
        opencv(TUMOUR.astype(np.uint8) * level)(tmp_path / f"mask{number}")
        opencv(FLAIR)(tmp_path / f"flair{number}")
        rows.append(("anna", tmp_path / f"flair{number}", tmp_path / f"mask{number}"))
    pairs = pd.DataFrame(rows, columns=["patient", "flair", "mask"])
    with pytest.raises(CohortError, match=r"different levels beside 0: 1 in .*mask0 \(row 0\); 3 in .*mask2 \(row 2\)"):
        convert_pairs(pairs, tmp_path / "out")
    table = index_cohort(convert_pairs(pairs, tmp_path / "out", labels=[3]), progress=False)
    assert table["tumour_px"].tolist() == [0, 0, TUMOUR.sum()]


# ---------------------------------------------------------------- pictures

RNG = np.random.default_rng(0)
DEEP = np.where(HEAD, RNG.integers(200, 1400, HEAD.shape), 0)
SCORED = ((DEEP - DEEP.mean()) / DEEP.std()).astype(np.float32)


def test_one_hot_pixel_does_not_set_the_scale(tmp_path):
    calm, _ = convert(tmp_path, flair=opencv(DEEP.astype(np.uint16)))
    hot = DEEP.copy()
    hot[5, 5] = 65535
    (tmp_path / "hot").mkdir()
    found, _ = convert(tmp_path / "hot", flair=opencv(hot.astype(np.uint16)))
    assert found[5, 5] == 255
    assert abs(found.mean() - calm.mean()) < 0.1 and calm[HEAD].max() == 255 and calm[~HEAD].max() == 0


@pytest.mark.parametrize("shift", [0, -10, 100])
def test_scores_with_dark_air_are_read_on_their_own_scale(tmp_path, shift):
    plain, _ = convert(tmp_path, flair=opencv(DEEP.astype(np.uint16)))
    (tmp_path / "scored").mkdir()
    found, _ = convert(tmp_path / "scored", flair=tiff(np.where(HEAD, SCORED, SCORED.min()) + min(shift, 0)))
    assert np.abs(found.astype(int) - plain).max() <= 2


def test_a_few_negative_levels_of_an_interpolation_are_black(tmp_path):
    levels = DEEP.astype(np.int16)
    levels[3, 3:30] = -7
    found, _ = convert(tmp_path, flair=tiff(levels))
    assert found[3, 3:30].max() == 0 and found[HEAD].mean() == pytest.approx(255 * 800 / 1400, rel=0.02)


WHITE = r"is a TIFF in which 0 is white, so it shows the opposite of its numbers\. Save it with 0 as black"
REFUSED_PICTURES = {
    "0 is white": (tiff(255 - FLAIR, photometric="miniswhite"), WHITE),
    "0 is white, LZW": (called_white(lzw(255 - FLAIR)), WHITE),
    "air in the middle of the scale": (tiff(np.where(HEAD, SCORED - SCORED[HEAD].mean(), 0)), "which is air"),
    "NaN": (tiff(np.where(HEAD, DEEP, np.nan).astype(np.float32)), r"holds \d+ pixels that are no number"),
    "infinite": (tiff(np.where(TUMOUR, np.inf, DEEP).astype(np.float32)), "no number"),
    "nothing": (opencv(FLAIR * 0), "hold 0 everywhere"),
    "a colour map": (opencv(cv2.applyColorMap(FLAIR, cv2.COLORMAP_JET)), "is coloured"),
    "pages": (tiff(np.stack([FLAIR] * 7)), "holds 7 pages"),
    "two pictures in a JPEG": (twice(FLAIR, ".jpg"), "behind its first picture"),
    "two pictures of a camera": (
        pillow(FLAIR, "MPO", save_all=True, append_images=[Image.fromarray(255 - FLAIR)]),
        "behind its first picture",
    ),
    "two progressive pictures": (twice(FLAIR, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), "behind its first picture"),
    "palette": (pillow(Image.fromarray(FLAIR).convert("P")), "palette"),
    "transparent": (opencv(np.dstack([FLAIR] * 3 + [HEAD * np.uint8(255)])), "transparent"),
}


@pytest.mark.parametrize("case", REFUSED_PICTURES)
def test_a_picture_that_cannot_be_read_right_is_refused(tmp_path, case):
    flair, said = REFUSED_PICTURES[case]
    problem = refusal(tmp_path, flair=flair)
    assert "(row 0, column flair)" in problem and pd.Series(problem).str.contains(said).all(), problem


def test_pixels_of_eight_bits_are_kept(tmp_path):
    found, _ = convert(tmp_path, flair=opencv(FLAIR // 4))
    np.testing.assert_array_equal(found, FLAIR // 4)


def test_a_volume_has_one_scale():
    dark, bright = eight_bits([DEEP.astype(np.uint16), (DEEP * 2).astype(np.uint16)])
    assert bright.mean() == pytest.approx(2 * dark.mean(), rel=0.02)


@pytest.mark.parametrize(
    ("other", "said"), [(DEEP[:100].astype(np.uint16), "several sizes"), (FLAIR, "types, uint16, uint8")]
)
def test_slices_of_one_volume_are_alike(other, said):
    with pytest.raises(PixelError, match=said):
        eight_bits([DEEP.astype(np.uint16), other])


# ---------------------------------------------------------------- the table


def table_of(tmp_path, masks):
    rows = []
    for number, mask in enumerate(masks):
        opencv(np.where(FLAIR, FLAIR + number, 0).astype(np.uint8))(tmp_path / f"flair{number}")
        mask(tmp_path / f"mask{number}")
        rows.append(("anna" if number < 3 else "bert", tmp_path / f"flair{number}", tmp_path / f"mask{number}"))
    return pd.DataFrame(rows, columns=["patient", "flair", "mask"])


def test_every_row_is_named_in_one_report(tmp_path):
    jpeg, sound, inverted = opencv(MASK, ".jpg"), opencv(MASK), opencv(255 - MASK)
    pairs = table_of(tmp_path, [jpeg, jpeg, sound, inverted, jpeg, sound])
    with pytest.raises(CohortError) as caught:
        convert_pairs(pairs, tmp_path / "out")
    (levels,) = caught.value.problems
    assert levels.endswith("The same holds for 3 rows in all: 0 to 1, 4.")
    with pytest.raises(CohortError, match=r"row 3, column mask\) calls most"):
        convert_pairs(pairs.iloc[[2, 3, 5]], tmp_path / "out")


def test_empty_cells_are_named(tmp_path):
    pairs = table_of(tmp_path, [opencv(MASK)] * 6).assign(pre=None)
    pairs.loc[[1, 2], "mask"] = [np.nan, " "]
    pairs.loc[4, "patient"] = None
    pairs.loc[[0, 5], "pre"] = [pairs["flair"][0], pairs["flair"][5]]
    with pytest.raises(CohortError) as caught:
        convert_pairs(pairs, tmp_path / "out")
    said = "\n".join(caught.value.problems)
    assert "No patient is named in row 4." in said
    assert "column mask has no path in row 1 to 2." in said
    assert "column pre has no path in row 1 to 3." in said


def test_a_patient_may_lack_a_sequence_that_others_have(tmp_path):
    pairs = table_of(tmp_path, [opencv(MASK)] * 6).assign(pre=None)
    for row in range(3):
        opencv(FLAIR // 2)(tmp_path / f"pre{row}")
        pairs.loc[row, "pre"] = tmp_path / f"pre{row}"
    table = index_cohort(convert_pairs(pairs, tmp_path / "out"), progress=False)
    assert table.groupby("patient")["missing_pre"].first().tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pairs: pairs.assign(mask=pairs["flair"]), "are one file in row 0 to 5"),
        (lambda pairs: pairs.assign(institution=["AB", "CD"] * 3), "'anna' has several institutions"),
        (lambda pairs: pairs.assign(institution=None), "institution None must be two capitals"),
        (lambda pairs: pairs.set_index(pd.Index([0] * 6)), "share a name"),
        (lambda pairs: pairs.drop(columns="flair"), "no column 'flair'"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, change, said):
    pairs = change(table_of(tmp_path, [opencv(MASK)] * 6))
    with pytest.raises(CohortError, match=said):
        convert_pairs(pairs, tmp_path / "out")


# ---------------------------------------------------------------- names and disks


@pytest.mark.parametrize("name", ["größe.png", "スライス.png", b"caf\xe9.png"])
def test_any_name_of_a_file_will_do(tmp_path, name):
    path = tmp_path / (name.decode(errors="surrogateescape") if isinstance(name, bytes) else name)
    write_png(path, FLAIR)
    np.testing.assert_array_equal(read_plane(path).pixels, FLAIR)


def test_a_tall_claim_is_refused_before_memory_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "tall.tif"
    tiff(MASK)(path)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for name in ("ImageWidth", "ImageLength"):
            tag = file.pages[0].tags[name]
            data[tag.valueoffset : tag.valueoffset + 2] = b"\xff\xff"
    path.write_bytes(data)

    def allocates(*_, **__):
        raise AssertionError("memory is asked for")

    monkeypatch.setattr(tifffile.TiffFile, "asarray", allocates)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", allocates)
    monkeypatch.setattr(cv2, "imdecodemulti", allocates)
    with pytest.raises(PixelError, match="65535, 65535.*no slice"):
        read_plane(path)
    with pytest.raises(CohortError, match="65535 x 65535 of uint8, expected 256 x 256"):
        read_mask(path)
    path.write_bytes(b"P2\n65535 65535\n255\n0")
    with pytest.raises(PixelError, match="65535 x 65535 pixels large"):
        read_plane(path)
    jpeg = bytearray(cv2.imencode(".jpg", MASK)[1].tobytes())
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = b"\xff\xff\xff\xfe"
    path.write_bytes(jpeg)
    with pytest.raises(PixelError, match="65534 x 65535 pixels large"):
        read_plane(path)
    png = bytearray(cv2.imencode(".png", MASK)[1].tobytes())
    png[16:24] = b"\0\0\xff\xff" * 2
    path.write_bytes(png)
    with pytest.raises(PixelError, match="65535 x 65535 pixels large"):
        read_plane(path)


def test_a_chunk_that_is_longer_than_its_file_is_refused(tmp_path, monkeypatch):
    def decodes(*_, **__):
        raise AssertionError("OpenCV asks for two gigabytes here")

    data = bytearray(cv2.imencode(".png", MASK)[1].tobytes())
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = b"\x7f\xff\xff\xff"
    (tmp_path / "long.png").write_bytes(data)
    monkeypatch.setattr(cv2, "imdecodemulti", decodes)
    with pytest.raises(PixelError, match="damaged"):
        read_plane(tmp_path / "long.png")


@pytest.mark.parametrize("form", ["png", "tif", "jpg"])
def test_mutated_files_are_read_or_refused_and_nothing_else(tmp_path, form):
    """A short walk; the long one is not for every day."""
    rng, path = np.random.default_rng(7), tmp_path / "mutated"
    if form == "tif":
        tiff(MASK)(path)
    else:
        opencv(FLAIR, f".{form}")(path)
    sound = path.read_bytes()
    for turn in range(150):
        data = bytearray(sound)
        for _ in range(rng.integers(1, 8)):
            data[rng.integers(len(data) if turn % 2 else min(len(data), 400))] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data))] if turn % 7 == 0 else data)
        for read, refuses in ((read_plane, PixelError), (read_mask, CohortError)):
            with contextlib.suppress(refuses):
                read(path)


def test_the_head_is_what_is_brighter_than_the_mean():
    assert not covers_head(TUMOUR, FLAIR)
    assert covers_head(ellipse((128, 128), (80, 70)), FLAIR)
    assert not covers_head(TUMOUR, MASK)  # a section at the crown that the tumour fills


# ---------------------------------------------------------------- word by word, and at the borders of the rules


def said_of(call, *arguments, **options) -> tuple[str, str]:
    """What a refusal says, and its kind."""
    with pytest.raises(PixelError) as caught:
        call(*arguments, **options)
    return str(caught.value), caught.value.kind


TURNED = "is turned by a tag, which programs heed or not. Save it upright."
DAMAGED = "is damaged, or of a kind that OpenCV does not read. Save it again as PNG."
TRANSPARENT = "is transparent in places: its shape may stand in the alpha channel. Save it grey, without transparency."
COLOURED = "is coloured. Save one grey picture for each sequence, and a mask as a grey picture of 0 and 255."
FORMAT = "is no PNG, TIFF, JPEG, BMP or PGM picture. Save it as PNG."
NO_NUMBER = (
    "pixels that are no number (NaN or infinite). Decide what stands there, such as 0 for air, and save it again."
)
PAGES = "Say which one is the slice: page=0 is the first, and a list gives one for each row."
LARGE = np.zeros((30, 50), np.uint8)
LZW_WITH_ALPHA = Image.merge("LA", [Image.fromarray(MASK), Image.new("L", (256, 256), 255)])

SENTENCES = {
    "GIF": (pillow(MASK, "GIF"), None, FORMAT, "format"),
    "a page of a PNG": (opencv(MASK), 2, "has one page, so page 2 is none. Leave `page` out.", "page"),
    "animation": (
        pillow(MASK, save_all=True, append_images=[Image.fromarray(MASK.T)]),
        None,
        "is an animation. Save the one picture that is meant.",
        "page",
    ),
    "cut PNG": (lambda path: path.write_bytes(cv2.imencode(".png", MASK)[1].tobytes()[:60]), None, DAMAGED, "damaged"),
    "no PNG": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), None, DAMAGED, "damaged"),
    "a JPEG of nothing": (lambda path: path.write_bytes(b"\xff\xd8\xff"), None, DAMAGED, "damaged"),
    "turned PNG": (pillow(MASK, exif=EXIF), None, TURNED, "turned"),
    "turned JPEG": (pillow(FLAIR, "JPEG", exif=EXIF), None, TURNED, "turned"),
    "turned TIFF": (tiff(MASK, extratags=[(274, 3, 1, 6, True)]), None, TURNED, "turned"),
    "pages": (tiff(np.stack([MASK] * 3)), None, f"holds 3 pages. {PAGES}", "pages"),
    "pages of one entry": (tiff(np.stack([MASK] * 2), truncate=True), None, f"holds 2 pages. {PAGES}", "pages"),
    "a page too far": (tiff(np.stack([MASK] * 3)), 3, "has no page 3: it holds 3, counted from 0.", "page"),
    "a page before the first": (tiff(MASK), -1, "has no page -1: it holds 1, counted from 0.", "page"),
    "palette": (pillow(palette, "TIFF"), None, "numbers the colours of a palette. Save it grey.", "palette"),
    "transparent and compressed": (
        pillow(LZW_WITH_ALPHA, "TIFF", compression="tiff_lzw"),
        None,
        "is compressed and has channels beside the picture. Save it uncompressed.",
        "codec",
    ),
    "five channels": (
        tiff(np.dstack([MASK] * 5), planarconfig="contig"),
        None,
        "has 5 channels. Save one grey picture for each slice.",
        "shape",
    ),
    "a volume": (
        tiff(np.zeros((16, 16, 16, 3), np.uint8), volumetric=True, tile=(16, 16, 16), photometric="rgb"),
        None,
        "is no plane, but (16, 16, 16, 3). Save one grey picture for each slice.",
        "shape",
    ),
    "complex": (
        tiff(MASK.astype(np.complex64)),
        None,
        "holds numbers of the type complex64. Save real numbers.",
        "type",
    ),
    "NaN": (tiff(np.where(MASK[:8, :9], 1, np.nan).astype(np.float32)), None, f"holds 72 {NO_NUMBER}", "NaN"),
    "one infinite": (tiff(np.float64([[1, -np.inf], [2, 3]])), None, f"holds 1 {NO_NUMBER}", "NaN"),
    "alpha": (opencv(SHAPE_IN_ALPHA), None, TRANSPARENT, "alpha"),
    "one colour": (opencv(np.dstack([MASK, MASK, MASK * 0])), None, COLOURED, "coloured"),
    "coloured and opaque": (opencv(np.dstack([MASK, MASK * 0, MASK, MASK | 255])), None, COLOURED, "coloured"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_refusal_says_what_is_wrong_and_the_way_out(tmp_path, case):
    write, page, *expected = SENTENCES[case]
    write(tmp_path / "file")
    assert [*said_of(read_plane, tmp_path / "file", page)] == expected


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    missing = ("is missing. Check the path.", "missing")
    assert said_of(read_plane, tmp_path / "none.png") == said_of(read_plane, tmp_path) == missing
    rest = "Check its permissions and the disk."
    assert said_of(read_plane, "a\0b") == (f"cannot be read (embedded null byte). {rest}", "disk")

    def refuses(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "read_bytes", refuses)
    assert said_of(read_plane, tmp_path / "none.png") == (f"cannot be read (Permission denied). {rest}", "disk")


def test_a_broken_tiff_says_what_its_reader_said(tmp_path):
    (tmp_path / "file").write_bytes(b"II*\0" + bytes(20))
    said, kind = said_of(read_plane, tmp_path / "file")
    assert said.startswith("is not a whole TIFF file (") and said.endswith("). Save it again.") and kind == "damaged"


@pytest.mark.parametrize("photometric", [0, 1, 2, 3, 4, 5, 6, 8])
def test_tags_that_give_numbers_another_meaning(photometric):
    kind = tifffile.PHOTOMETRIC(photometric)
    found = tags_problem(SimpleNamespace(tags={"Orientation": SimpleNamespace(value=1)}, photometric=kind))
    if photometric == 3:
        assert found == ("numbers the colours of a palette. Save it grey.", "palette")
    elif photometric in (4, 5, 8):
        assert found == (f"has colours of the kind {kind!r}. Save it grey.", "photometric")
    else:  # 0 or 1 is black, RGB, YCbCr
        assert found is None


@pytest.mark.parametrize(
    "write",
    [
        opencv(FLAIR),
        opencv(FLAIR, ".bmp"),
        opencv(FLAIR, ".pgm"),
        opencv(FLAIR, ".pgm", cv2.IMWRITE_PXM_BINARY, 0),
        pillow(FLAIR, exif=UPRIGHT),
        lambda path: path.write_bytes(cv2.imencode(".png", FLAIR)[1].tobytes() + b"a note of somebody"),
        tiff(FLAIR),
        tiff(FLAIR.astype(np.uint16)),
        tiff(np.dstack([FLAIR, FLAIR | 255]), extrasamples=["unassalpha"], planarconfig="contig"),
        tiff(np.dstack([FLAIR] * 3 + [FLAIR | 255]), photometric="rgb", planarconfig="contig"),
        pillow(FLAIR, "TIFF", compression="tiff_lzw"),
    ],
)
@pytest.mark.parametrize("page", [None, 0])
def test_a_picture_is_what_was_drawn(tmp_path, write, page):
    write(tmp_path / "file")
    found = read_plane(tmp_path / "file", page)
    np.testing.assert_array_equal(found.pixels, FLAIR)
    assert found.pixels.ndim == 2 and not found.white_is_zero


@pytest.mark.parametrize(
    "options",
    [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)],
    ids=["plain", "progressive", "RST"],
)
def test_a_jpeg_ends_where_its_picture_ends(tmp_path, options):
    write = opencv(FLAIR, ".jpg", *options)
    write(tmp_path / "file")
    expected = cv2.imdecode(np.fromfile(tmp_path / "file", np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read_plane(tmp_path / "file").pixels, expected)
    data = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(data + b"\0\0\r\n")
    np.testing.assert_array_equal(read_plane(tmp_path / "file").pixels, expected)
    preview = Image.Exif()
    preview[0x010E] = "a remark that holds \xff\xd9, and \xff\xd8\xff"
    Image.fromarray(FLAIR).save(tmp_path / "file", "JPEG", exif=preview, comment=data[:300])
    assert read_plane(tmp_path / "file").pixels.shape == FLAIR.shape


def test_an_old_bmp_has_short_colours(tmp_path):
    head = b"BM" + (26 + 768 + 16).to_bytes(4, "little") + bytes(4) + (26 + 768).to_bytes(4, "little")
    head += b"\x0c\0\0\0\x04\0\x04\0\x01\0\x08\0"
    grey, turned = (b"".join(bytes([level] * 3) for level in levels) for levels in (range(256), range(255, -1, -1)))
    (tmp_path / "file").write_bytes(head + grey + bytes(range(16)))
    assert read_plane(tmp_path / "file").pixels[::-1].tolist() == np.arange(16).reshape(4, 4).tolist()
    for palette in (turned, grey[:500]):
        (tmp_path / "file").write_bytes(head + palette)
        assert said_of(read_plane, tmp_path / "file") == ("numbers the colours of a palette. Save it grey.", "palette")


@pytest.mark.parametrize("page", [0, 1, 2])
@pytest.mark.parametrize("form", ["pages", "truncated", "LZW"])
def test_the_page_that_is_named_is_read(tmp_path, form, page):
    stack = np.stack([FLAIR, FLAIR.T, MASK])
    if form == "LZW":
        first, *others = map(Image.fromarray, stack)
        first.save(tmp_path / "file", "TIFF", compression="tiff_lzw", save_all=True, append_images=others)
    else:
        tiff(stack, truncate=form == "truncated")(tmp_path / "file")
    np.testing.assert_array_equal(read_plane(tmp_path / "file", page).pixels, stack[page])


DEEP_MASK = MASK.astype(np.uint16) * 257
WHITE_IS_ZERO = {
    "plain": tiff(MASK, photometric="miniswhite"),
    "deflated": tiff(MASK, photometric="miniswhite", compression="zlib"),
    "LZW": called_white(lzw(MASK)),
    "PackBits": called_white(pillow(MASK, "TIFF", compression="packbits")),
    "16 bits, LZW": called_white(lzw(DEEP_MASK)),
    "fax": called_white(pillow(Image.fromarray(MASK).convert("1"), "TIFF", compression="group4")),
    "one bit, LZW": called_white(lzw(Image.fromarray(MASK).convert("1"))),
}


@pytest.mark.parametrize("case", WHITE_IS_ZERO)
def test_numbers_are_those_of_the_file_however_it_is_compressed(tmp_path, case):
    """A library that turns the numbers as it unpacks them, and one that does not, must give one answer."""
    WHITE_IS_ZERO[case](tmp_path / "file")
    found = read_plane(tmp_path / "file")
    assert found.white_is_zero
    np.testing.assert_array_equal(tumour_of(found, None, False), TUMOUR)
    np.testing.assert_array_equal(tumour_of(found, None, True), ~TUMOUR)
    assert said_of(read_picture, tmp_path / "file") == (gate.WHITE_IS_ZERO, "white")


@pytest.mark.parametrize("tag", [b"\x07\x01\x03\0", b"\x06\x01\x04\0"])
def test_a_compressed_file_that_tells_no_polarity_is_refused(tmp_path, tag):
    """The tag has another number or another type: then readers differ in what they assume."""
    called_white(lzw(MASK))(tmp_path / "file")
    data = bytearray((tmp_path / "file").read_bytes())
    place = data.index(b"\x06\x01\x03\0\x01\0\0\0\0\0")
    data[place : place + 4] = tag
    (tmp_path / "file").write_bytes(data)
    assert said_of(read_plane, tmp_path / "file") == (
        "is compressed and does not say whether 0 is black. Save it uncompressed.",
        "codec",
    )


def test_the_white_page_of_several_is_the_one_that_is_turned_back(tmp_path):
    called_white(lzw(MASK.T, save_all=True, append_images=[Image.fromarray(MASK)]))(tmp_path / "file")
    for page, expected in ((0, TUMOUR.T), (1, TUMOUR)):
        np.testing.assert_array_equal(tumour_of(read_plane(tmp_path / "file", page), None, False), expected)


@pytest.mark.parametrize("write", [opencv(LARGE), tiff(LARGE)])
def test_a_picture_may_be_as_large_as_the_limit(tmp_path, monkeypatch, write):
    write(tmp_path / "file")
    monkeypatch.setattr(gate, "MOST_PIXELS", LARGE.size)
    assert read_plane(tmp_path / "file").pixels.shape == LARGE.shape
    monkeypatch.setattr(gate, "MOST_PIXELS", LARGE.size - 1)
    said, kind = said_of(read_plane, tmp_path / "file")
    if kind == "size":  # a PNG says so in its head
        assert said == "says that it is 50 x 30 pixels large, which is no slice. Save it again."
    else:
        assert (said, kind) == ("is no plane, but (30, 50). Save one grey picture for each slice.", "shape")


def test_a_tiff_may_claim_four_channels_of_the_limit(tmp_path, monkeypatch):
    tiff(np.dstack([LARGE] * 4), photometric="rgb", planarconfig="contig")(tmp_path / "file")
    monkeypatch.setattr(gate, "MOST_PIXELS", LARGE.size)
    assert not read_plane(tmp_path / "file").pixels.any()
    monkeypatch.setattr(gate, "MOST_PIXELS", LARGE.size - 1)
    assert said_of(read_plane, tmp_path / "file") == (
        "says that it is (30, 50, 4) pixels large, which is no slice. Save it again.",
        "size",
    )


def test_a_stack_that_is_read_as_a_whole_has_a_limit_of_its_own(tmp_path, monkeypatch):
    tiff(np.stack([LARGE] * 3), truncate=True)(tmp_path / "file")
    monkeypatch.setattr(gate, "MOST_OF_STACK", 3 * LARGE.size)
    assert read_plane(tmp_path / "file", 2).pixels.shape == LARGE.shape
    monkeypatch.setattr(gate, "MOST_OF_STACK", 3 * LARGE.size - 1)
    assert said_of(read_plane, tmp_path / "file", 2)[1] == "size"


def plane(*rows, white_is_zero=False):
    return Plane(np.array(rows), white_is_zero)


def test_a_mask_of_labels_is_told_what_to_say():
    assert said_of(tumour_of, plane([0, 1, 3]), None, None) == (
        "holds 3 levels, 0, 1, 3. A mask may hold 0 and one other. If these are labels, say which are tumour, as in "
        "labels=[3]. If smoothing, resizing or lossy compression made them, take the mask from before that, or cut it "
        "half-way, as in labels=range(2, 4).",
        "levels",
    )
    for levels, shown in (
        (range(6), "6 levels, 0, 1, 2, 3, 4, 5. A"),
        (range(7), "7 levels, 0, 1, 2, 3, 4, 5, .... A"),
        (range(8), "8 levels, 0, 1, 2, 3, 4, 5, .... A"),
    ):
        said, _ = said_of(tumour_of, plane([*levels]), None, None)
        assert said.startswith(f"holds {shown} mask") and f"labels=[{levels[-1]}]" in said
    assert said_of(tumour_of, plane([1, 2]), None, None)[1] == "levels"
    for levels, tumour in (([0, 0.2, 0.9], 0.9), ([0, 0.5, 2.5], 2.5), ([-1, 0], -1)):  # no range of labels cuts these
        said, _ = said_of(tumour_of, plane(levels), None, None)
        assert f"labels=[{tumour}]." in said and said.endswith("take the mask from before that.")


def test_a_mask_in_which_0_is_white_asks_for_invert():
    white = plane([0, 0, 1], white_is_zero=True)
    assert said_of(tumour_of, white, [1], None) == (
        "is a TIFF in which 0 is white. Say invert=True where white is tumour, and invert=False where the numbers "
        "count, or save it with 0 as black.",
        "polarity",
    )
    assert tumour_of(white, None, True).tolist() == [[True, True, False]]
    assert tumour_of(white, None, False).tolist() == [[False, False, True]]


def test_levels_that_are_tumour():
    labelled = plane([0, 1, 3, 4])
    assert tumour_of(labelled, [3, 4], None).tolist() == [[False, False, True, True]]
    assert tumour_of(labelled, [0], True).tolist() == [[False, True, True, True]]
    assert tumour_of(plane([7, 7]), None, None).all() and not tumour_of(plane([0, 0]), None, None).any()
    assert levels_of(plane([3, 1], [1, 0])).tolist() == [0, 1, 3]


def test_who_takes_no_options_is_told_what_to_do_with_the_file(tmp_path):
    tiff(np.stack([MASK] * 3))(tmp_path / "file")
    white = plane([0, 1], white_is_zero=True)
    for call, arguments, said in (
        (read_plane, [tmp_path / "file"], "holds 3 pages. Save the one that is the slice."),
        (tumour_of, [white, None, None], gate.WHITE_IS_ZERO),
        (
            tumour_of,
            [plane([1, 2]), None, None],
            "holds 2 levels, 1, 2. A mask may hold 0 and one other. Save it with 0 where there is no tumour and one "
            "other level where there is some.",
        ),
        (
            gate.refuse_head,
            [HEAD, FLAIR],
            "calls most of the head tumour. It may be inverted or outline the brain: swap its 0 and 255, or draw it.",
        ),
        (read_plane, [tmp_path / "none"], "is missing. Check the path."),
    ):
        with pytest.raises(PixelError) as caught:
            call(*arguments)
        assert caught.value.by_file == said
    gate.refuse_head(TUMOUR, FLAIR)
    assert said_of(gate.refuse_head, HEAD, FLAIR)[1] == "coverage"


def first(count, size=100):
    return (np.arange(size) < count).reshape(10, -1)


def test_a_mask_covers_the_head_from_half_of_it_on():
    flair = first(20).astype(np.uint8) * 90
    assert not covers_head(first(10), flair) and covers_head(first(11), flair)
    # A slice of one level has no head that is brighter; then half of the picture counts.
    assert not covers_head(first(50), flair * 0) and covers_head(first(51), flair * 0)
    # What is as bright as the mean is no head: 40 pixels are brighter here.
    levels = np.repeat([200, 100, 0], [40, 20, 40]).reshape(10, 10).astype(np.uint8)
    assert not covers_head(first(20), levels) and covers_head(first(21), levels)


def test_a_small_mask_covers_no_head():
    assert not covers_head(first(5), first(5).astype(np.uint8) * 90)
    assert covers_head(first(6), first(6).astype(np.uint8) * 90)


def levels(*rows, kind=np.int16):
    (found,) = eight_bits([np.array(rows, kind)])
    assert found.dtype == np.uint8
    return found.tolist()


def test_deep_levels_by_hand():
    # One pixel is passed over at each end: white is 30, and black is 0 where nothing is negative.
    assert levels([0, 0, 10, 20, 30, 40]) == [[0, 0, 85, 170, 255, 255]]
    assert levels([10, 20, 30, 40], kind=np.uint16) == [[85, 170, 255, 255]]
    assert levels([0, 0, 0, 0.5], kind=np.float32) == [[0, 0, 0, 255]]
    # A single negative pixel is passed over, of two the higher is black.
    assert levels([-9, 0, 0, 15, 30, 40]) == [[0, 0, 0, 128, 255, 255]]
    assert levels([-9, -9, -9, -9, -9, 1, 6, 90]) == [[0, 0, 0, 0, 0, 170, 255, 255]]
    assert levels([-9, -5, -5, -5, -5, -5, 15, 15, 90]) == [[0, 0, 0, 0, 0, 0, 255, 255, 255]]


def test_a_thousandth_is_passed_over():
    ramp = np.arange(3000, dtype=np.uint16).reshape(30, 100)
    (found,) = eight_bits([ramp])
    white = 2999 - 3  # of 2999 pixels that are not black, three are passed over
    np.testing.assert_array_equal(found, np.rint(np.clip(ramp * (255 / white), 0, 255)))


def test_eight_bits_and_no_picture():
    assert levels([3, 3, 4], kind=np.uint8) == [[3, 3, 4]]
    flat = "and all slices of its stack hold {} everywhere: there is no picture."
    assert said_of(eight_bits, [np.full((2, 2), 7)] * 2) == (flat.format(7), "flat")
    assert said_of(eight_bits, [np.full((2, 2), 0.25)]) == (flat.format(0.25), "flat")
    assert said_of(eight_bits, [np.array([[-9, 0, 0, 0, 0, 0]])]) == (
        "and all slices of its stack hold nothing above 0: there is no picture.",
        "flat",
    )


def test_a_border_that_is_not_dark_hides_which_level_is_air():
    inside = np.array([-10, -10, 0, 80, 90, 90]).reshape(2, 3)  # from -10 to 90, of which a tenth is air

    def framed_by(border):
        return [np.pad(inside, 1, constant_values=border)]

    assert eight_bits(framed_by(0))[0][0, 0] == 26
    said, kind = said_of(eight_bits, framed_by(1))
    assert kind == "negative"
    assert said == (
        "and its stack hold levels from -10 to 90, and 1 along the border: it cannot be told which is air. Save them "
        "so that air is the darkest, as 0."
    )
    assert eight_bits([np.pad(np.abs(inside), 1, constant_values=70)])[0][0, 0] > 150  # nothing is negative


@pytest.mark.parametrize("largest", [np.finfo(np.float64).max, 1e308, 1e-320, 1e-307])
def test_levels_at_the_ends_of_their_type_are_scaled_as_any_others(largest):
    half, quarter = largest / 2, largest / 4
    assert levels([0, 0, quarter, half, half, largest], kind=np.float64) == [[0, 0, 128, 255, 255, 255]]
    dark = [-largest] * 5
    assert levels([*dark, 0, largest, largest], kind=np.float64) == [[0, 0, 0, 0, 0, 128, 255, 255]]
    said, kind = said_of(eight_bits, [np.pad([[-largest, -largest]], 1, constant_values=largest)])
    assert kind == "negative"
    assert f"from {-largest:g} to {largest:g}, and {largest:g} along the border" in said


def test_a_pixel_far_beyond_the_others_takes_nothing_from_them():
    assert levels([0, 1e-3, 2e-3, 2e-3, np.finfo(np.float64).max], kind=np.float64) == [[0, 128, 255, 255, 255]]


def test_slices_of_one_volume_are_alike_word_by_word():
    small, wide = np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)
    sizes = "is one of a stack of several sizes, [(2, 2), (2, 3)]. Give all slices the same size."
    assert said_of(eight_bits, [wide, small]) == (sizes, "sizes")
    types = "is one of a stack of several types, int16, uint8. Save all slices alike."
    assert said_of(eight_bits, [small, small.astype(np.int16)]) == (types, "types")


def test_a_picture_is_written_in_the_order_of_opencv(tmp_path):
    colours = np.dstack([FLAIR, MASK, FLAIR // 2])
    write_png(tmp_path / "file.png", colours)
    assert np.asarray(Image.open(tmp_path / "file.png"))[..., ::-1].tolist() == colours.tolist()
