"""The gate for pixels from outside: each kind of foreign picture is read right, or refused in one clear sentence."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import ellipse
from PIL import Image

from brainseg.cohort import CohortError, index_cohort, read_image, read_mask
from brainseg.cohort.convert import convert_pairs
from brainseg.cohort.pixels import PixelError, covers_head, eight_bits, read_plane, write_png

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
SHAPE_IN_ALPHA = np.dstack([np.full_like(MASK, 255)] * 3 + [MASK])
EXIF = Image.Exif()
EXIF[0x0112] = 6  # the first row is the right side
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
    "palette of PNG": (pillow(palette), "is coloured"),
    "palette of TIFF": (pillow(palette, "TIFF"), "palette"),
    "inverted": (opencv(255 - MASK), "calls most of the head tumour.*invert=True"),
    "all tumour": (opencv(MASK | 255), "calls most of the head tumour"),
    "the brain": (opencv(ellipse((128, 128), (88, 70)).astype(np.uint8)), "most of the head"),
    "0 is white": (tiff(255 - MASK, photometric="miniswhite"), "0 is white.*invert=True"),
    "0 is white, right numbers": (tiff(MASK, photometric="miniswhite"), "0 is white"),
    "0 is white, one bit": (tiff(TUMOUR, photometric="miniswhite"), "0 is white"),
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
    "black and white palette": pillow(Image.fromarray(MASK).convert("P")),
    "LZW": pillow(MASK, "TIFF", compression="tiff_lzw"),
    "fax": pillow(Image.fromarray(MASK).convert("1"), "TIFF", compression="group4"),
    "planes apart": tiff(np.stack([MASK] * 3), photometric="rgb", planarconfig="separate"),
    "BMP": opencv(MASK, ".bmp"),
    "PGM": opencv(MASK, ".pgm"),
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


REFUSED_PICTURES = {
    "air in the middle of the scale": (tiff(np.where(HEAD, SCORED - SCORED[HEAD].mean(), 0)), "which is air"),
    "NaN": (tiff(np.where(HEAD, DEEP, np.nan).astype(np.float32)), r"holds \d+ pixels that are no number"),
    "infinite": (tiff(np.where(TUMOUR, np.inf, DEEP).astype(np.float32)), "no number"),
    "nothing": (opencv(FLAIR * 0), "hold 0 everywhere"),
    "a colour map": (opencv(cv2.applyColorMap(FLAIR, cv2.COLORMAP_JET)), "is coloured"),
    "pages": (tiff(np.stack([FLAIR] * 7)), "holds 7 pages"),
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
        opencv(FLAIR)(tmp_path / f"flair{number}"), mask(tmp_path / f"mask{number}")
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
