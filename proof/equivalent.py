"""Mutants that no test can notice, because they do what the code does, each with the reason."""
# ruff: noqa: E501 - lines of code as mutmut shows them

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], dict[str, str]] = {
    ("cohort/convert", "_Faults.__bool__"): {
        "return bool(None)": "What is written in spite of a fault is thrown away with the folder.",
    },
    ("cohort/convert", "_problems_of_names"): {
        "problems = _problems_of_cells(pairs, page)": "The list is empty before.",
    },
    ("cohort/convert", "_read_column"): {
        'for row, path, page in zip(rows.index, rows[column], rows["page"], strict=None):': "Both are always of one length.",
        'for row, path, page in zip(rows.index, rows[column], rows["page"], ):': "Both are always of one length.",
        'for row, path, page in zip(rows.index, rows[column], rows["page"], strict=False):': "Both are always of one length.",
    },
    ("cohort/convert", "_refuse_other_size"): {
        'f"has {its} pixels, and its picture in the column {column} {pictures}. Give both the same size.", None': "The word only tells the kinds of faults apart, and stays another one.",
        'f"has {its} pixels, and its picture in the column {column} {pictures}. Give both the same size.", "XXsizeXX"': "The word only tells the kinds of faults apart, and stays another one.",
        'f"has {its} pixels, and its picture in the column {column} {pictures}. Give both the same size.", "SIZE"': "The word only tells the kinds of faults apart, and stays another one.",
    },
    ("cohort/convert", "_write_patient"): {
        'for row, path, mask, flair in zip(rows.index, rows["mask"], masks, volumes["flair"], strict=None):': "Both are always of one length.",
        'for row, path, mask, flair in zip(rows.index, rows["mask"], masks, volumes["flair"], ):': "Both are always of one length.",
        'for row, path, mask, flair in zip(rows.index, rows["mask"], masks, volumes["flair"], strict=False):': "Both are always of one length.",
    },
    ("cohort/convert", "_write_slices"): {
        "tumour = framed(mask.astype(None)) >= 0.5": "Numbers of 64 bits are scaled to the same half.",
        'tifffile.imwrite(folder / f"{stem}.tif", image, photometric=None)': "tifffile chooses the same by itself.",
        'tifffile.imwrite(folder / f"{stem}.tif", image, )': "tifffile chooses the same by itself.",
        'tifffile.imwrite(folder / f"{stem}.tif", image, photometric="RGB")': "tifffile reads the word in either case.",
        'tifffile.imwrite(folder / f"{stem}_mask.tif", tumour.astype(np.uint8) * 255, photometric=None)': "tifffile chooses the same by itself.",
        'tifffile.imwrite(folder / f"{stem}_mask.tif", tumour.astype(np.uint8) * 255, )': "tifffile chooses the same by itself.",
        'tifffile.imwrite(folder / f"{stem}_mask.tif", tumour.astype(np.uint8) * 255, photometric="MINISBLACK")': "tifffile reads the word in either case.",
    },
    ("cohort/convert", "convert_pairs"): {
        'groups = pairs.groupby("patient", )': "pandas sorts the groups by default.",
        'pd.DataFrame(patients).to_csv(folder / "data.csv", index=None)': "None counts as False here.",
    },
    ("cohort/pixels", "_chunks"): {
        "chunks.setdefault(kind, data[place + 8 : place + 9 + length])": "Of a chunk only the first ten bytes are read.",
    },
    ("cohort/pixels", "_decode"): {
        'head = chunks.get(b"IHDR", b"XXXX")': "A file without a head has a height of 0 either way.",
        "found, pictures = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(page, page + 2))": "Only the first of the pages that are read is used.",
    },
    ("cohort/pixels", "_page_of"): {
        "largest = tiff.series[0].size if stacked else 1": "One is as far below the limit as 0.",
    },
    ("cohort/pixels", "eight_bits"): {
        "volume = volume.astype(None)": "Without a name the type is the same, 64 bits.",
        "white = _robust(above, lowest=None)": "None counts as False here.",
    },
    ("cohort/pixels", "write_png"): {
        '_, data = cv2.imencode(".PNG", pixels)  # fails by an exception alone, where the array is no picture': "OpenCV reads a suffix in either case.",
    },
    ("cohort/read", "_checked"): {
        "found = page if pages == 1 and tiff.filehandle.size <= 2 * page.nbytes else tiff.series[0]": "A single page is read the same by both ways.",
    },
    ("cohort/read", "read_patient"): {
        'for i, (image_path, mask_path) in enumerate(zip(rows["image_path"], rows["mask_path"], strict=None)):': "Both are always of one length.",
        'for i, (image_path, mask_path) in enumerate(zip(rows["image_path"], rows["mask_path"], )):': "Both are always of one length.",
        'for i, (image_path, mask_path) in enumerate(zip(rows["image_path"], rows["mask_path"], strict=False)):': "Both are always of one length.",
    },
    ("cohort/read", "read_patient_table"): {
        'text = data.decode("UTF-8-SIG")': "Python reads the name of an encoding in either case.",
        'if data.startswith((b"XX\\xff\\xfeXX", b"\\xfe\\xff")) or "\\0" in text:': "Bytes that begin so are no UTF-8 either, which is refused in the same words.",
        'if data.startswith((b"\\xff\\xfe", b"XX\\xfe\\xffXX")) or "\\0" in text:': "Bytes that begin so are no UTF-8 either, which is refused in the same words.",
        "table = pd.read_csv(io.StringIO(text), dtype=None)": "Only texts are sound names of patients; a number is refused in the same words.",
        "table = pd.read_csv(io.StringIO(text), )": "Only texts are sound names of patients; a number is refused in the same words.",
        'table = pd.read_csv(io.StringIO(text), dtype={"XXPatientXX": str})': "Only texts are sound names of patients; a number is refused in the same words.",
        'table = pd.read_csv(io.StringIO(text), dtype={"patient": str})': "Only texts are sound names of patients; a number is refused in the same words.",
        'table = pd.read_csv(io.StringIO(text), dtype={"PATIENT": str})': "Only texts are sound names of patients; a number is refused in the same words.",
    },
    ("images/crop", "crop_stages"): {
        "dilated = cv2.dilate(edges, None)": "OpenCV's own kernel is the same, 3 x 3.",
        "dilated = cv2.dilate(edges, np.ones((3, 3), None))": "Of the kernel only what is not 0 counts.",
        "dilated = cv2.dilate(edges, np.ones((3, 3), ))": "Of the kernel only what is not 0 counts.",
        "contours, _ = cv2.findContours(dilated, None, cv2.CHAIN_APPROX_NONE)": "OpenCV takes None for 0, which is the value of the constant.",
        "contour, extremes, box = np.empty((0, 2), None), {}, Box.whole(image.shape[:2])": "An empty array has no numbers to be of a type.",
        "contour, extremes, box = np.empty((0, 2), ), {}, Box.whole(image.shape[:2])": "An empty array has no numbers to be of a type.",
        "contour, extremes, box = np.empty((0, 2), int), {}, Box.whole(image.shape[:3])": "An empty array has no numbers to be of a type.",
        "contour = max(contours, key=cv2.contourArea).reshape(-2, 2).astype(int)": "NumPy takes any negative number for the rest.",
    },
    ("images/crop", "head_silhouette"): {
        "_, bright = cv2.threshold(projection, None, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)": "Otsu's method sets the threshold, whatever is given.",
        "_, bright = cv2.threshold(projection, 1, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)": "Otsu's method sets the threshold, whatever is given.",
        "_, bright = cv2.threshold(projection, 0, 256, cv2.THRESH_BINARY + cv2.THRESH_OTSU)": "Eight bits end at 255.",
        "contours, _ = cv2.findContours(bright, None, cv2.CHAIN_APPROX_NONE)": "OpenCV takes None for 0, which is the value of the constant.",
        "silhouette = np.zeros(projection.shape, None)": "Only whether a number is above 0 is asked afterwards.",
        "silhouette = np.zeros(projection.shape, )": "Only whether a number is above 0 is asked afterwards.",
        "cv2.drawContours(silhouette, [max(contours, key=cv2.contourArea)], None, 1, cv2.FILLED)": "The only contour is the first.",
        "cv2.drawContours(silhouette, [max(contours, key=cv2.contourArea)], -2, 1, cv2.FILLED)": "Any negative number draws all contours, of which there is one.",
    },
    ("images/crop", "resize"): {
        "if array.shape[:3] == (height, width):": "An array of the right size is then resized to its own size, which changes nothing.",
    },
    ("images/crop", "restore"): {
        "prediction = np.asarray(prediction, None)": "The result is of 32 bits anyway.",
        "prediction = np.asarray(prediction, )": "The result is of 32 bits anyway.",
    },
    ("images/crop", "slice_box"): {
        "return crop_stages(image, canny).box.widened(margin_px, np.shape(image)[:3])": "Only the first two are read.",
    },
    ("metrics", "_ratio"): {
        "numerator, denominator = np.asarray(numerator, None), np.asarray(denominator, float)": "Numbers of another type give the same sums.",
        "numerator, denominator = np.asarray(numerator, ), np.asarray(denominator, float)": "Numbers of another type give the same sums.",
        "numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, None)": "Numbers of another type give the same sums.",
        "numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, )": "Numbers of another type give the same sums.",
    },
    ("metrics", "pool"): {
        "summed = (np.bincount(group, weights=count, ) for count in counts)": "The last label always occurs, so no count is missing.",
        "return Confusion(*(total.astype(np.asarray(count).dtype) for total, count in zip(summed, counts, strict=None)))": "Both are always of one length.",
        "return Confusion(*(total.astype(np.asarray(count).dtype) for total, count in zip(summed, counts, )))": "Both are always of one length.",
        "return Confusion(*(total.astype(np.asarray(count).dtype) for total, count in zip(summed, counts, strict=False)))": "Both are always of one length.",
    },
    ("metrics", "soft_confusion"): {
        "truth, probability = np.asarray(truth, float), np.asarray(probability, None)": "Numbers of another type give the same sums.",
        "truth, probability = np.asarray(truth, float), np.asarray(probability, )": "Numbers of another type give the same sums.",
    },
    ("metrics", "surface_distances"): {
        "box = np.s_[rows[0] : rows[-1] + 2, columns[0] : columns[-1] + 1]": "A box that is a row or column larger holds the same borders.",
        "box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 2]": "A box that is a row or column larger holds the same borders.",
    },
    ("splits", "_case_folds"): {
        "return pd.Series(folds, index=pd.Index(cases, name=None))": "Nobody reads the name of the index.",
        "return pd.Series(folds, index=pd.Index(cases, ))": "Nobody reads the name of the index.",
        'return pd.Series(folds, index=pd.Index(cases, name="XXcaseXX"))': "Nobody reads the name of the index.",
        'return pd.Series(folds, index=pd.Index(cases, name="CASE"))': "Nobody reads the name of the index.",
    },
    ("splits", "_cases_in_order"): {
        'cases = table.groupby("case", as_index=None).agg(institution=("institution", "first"), load=("tumour_px", "sum"))': "None counts as False here.",
    },
    ("splits", "_deal"): {
        "runs = math.ceil(len(ordered) * n_folds)": "More is dealt than needed, and the rest is cut off.",
    },
    ("splits", "_draw_from_stretches"): {
        "borders = np.linspace(0, len(ordered), size + 1).round().astype(None)": "The borders are whole numbers before.",
    },
    ("splits", "split_by_slice"): {
        'rows = table.reset_index(drop=None).sort_values(["patient", "slice"])': "The old index becomes a column that nobody reads.",
        'rows = table.reset_index(drop=False).sort_values(["patient", "slice"])': "The old index becomes a column that nobody reads.",
        'ordered = rows["tumour_px"].gt(0).sort_values(kind="STABLE").index.to_numpy()': "NumPy reads the word in either case.",
    },
    ("statistics", "_bca"): {
        "drawn = np.sort(drawn, )": "The last axis is the default.",
        "below, upto = (np.count_nonzero(side, axis=-1) for side in (drawn <= centre - tie, drawn <= centre + tie))": "The margin is for rounding; no value lies just at its edge.",
        "below, upto = (np.count_nonzero(side, axis=-1) for side in (drawn < centre - tie, drawn < centre + tie))": "The margin is for rounding; no value lies just at its edge.",
        "lower, upper = (np.take_along_axis(drawn, index, )[..., 0] for index in (left, left + 1))": "The last axis is the default.",
    },
    ("statistics", "_one_a_patient"): {
        "values = np.asarray(values, None)": "Numbers of another type give the same sums.",
        "values = np.asarray(values, )": "Numbers of another type give the same sums.",
    },
    ("statistics", "as_pairs"): {
        "first, second = np.asarray(first, None), np.asarray(second, float)": "Numbers of another type give the same sums.",
        "first, second = np.asarray(first, ), np.asarray(second, float)": "Numbers of another type give the same sums.",
        "first, second = np.asarray(first, float), np.asarray(second, None)": "Numbers of another type give the same sums.",
        "first, second = np.asarray(first, float), np.asarray(second, )": "Numbers of another type give the same sums.",
    },
    ("statistics", "bootstrap_interval"): {
        "drawn = np.concatenate([statistic(values[rng.integers(patients, size=shape)], axis=+1) for shape in shapes])": "The array has two axes, so the last one is axis 1.",
        "without = statistic(np.broadcast_to(values, kept.shape)[kept].reshape(patients, -1), axis=+1)": "The array has two axes, so the last one is axis 1.",
    },
    ("statistics", "coverage"): {
        "observed = observed - observed[1]  # equal values are then 0, and so are their means, to the last digit": "Any of the values may become 0.",
        "estimates = drawn.mean(axis=+1)": "The array has two axes, so the last one is axis 1.",
        "low, high = np.quantile(means, _tails(level), axis=+1)": "The array has two axes, so the last one is axis 1.",
    },
    ("statistics", "eta_squared"): {
        "ordered = np.sort(codes, )": "The last axis is the default.",
        "groups = 1 + (np.diff(ordered, ) != 0).sum(axis=-1)": "The last axis is the default.",
    },
    ("statistics", "holm"): {
        "p = np.asarray(list(p_values), None)": "Numbers of another type give the same sums.",
        "p = np.asarray(list(p_values), )": "Numbers of another type give the same sums.",
    },
    ("statistics", "rank_correlation"): {
        "x, y = x - x.mean(axis=None, keepdims=True), y - y.mean(axis=-1, keepdims=True)": "The ranks of every row have the same mean.",
        "x, y = x - x.mean(keepdims=True), y - y.mean(axis=-1, keepdims=True)": "The ranks of every row have the same mean.",
        "x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=None, keepdims=True)": "The ranks of every row have the same mean.",
        "x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(keepdims=True)": "The ranks of every row have the same mean.",
    },
    ("statistics", "rank_statistic"): {
        "values, codes = np.broadcast_arrays(np.asarray(values, None), np.asarray(codes))": "Ranks are of one type, whatever the values are.",
        "values, codes = np.broadcast_arrays(np.asarray(values, ), np.asarray(codes))": "Ranks are of one type, whatever the values are.",
        "between = np.zeros(values.shape[:-2])": "A sum is widened by what is added to it.",
    },
    ("statistics", "shown_together"): {
        "for (key, difference), p in zip(differences.items(), corrected, strict=None)": "Both are always of one length.",
        "for (key, difference), p in zip(differences.items(), corrected, )": "Both are always of one length.",
        "for (key, difference), p in zip(differences.items(), corrected, strict=False)": "Both are always of one length.",
    },
    ("statistics", "sign_flip_p"): {
        "return float(np.mean(np.abs(sums) > observed))": "The margin is for rounding; no value lies just at its edge.",
        "flips = np.random.default_rng(seed).integers(2, size=(draws, len(differences)), dtype=np.int8)": "Whole numbers begin at 0 by default.",
        "return float((1 + np.count_nonzero(np.abs(sums) > observed)) / (1 + draws))": "The margin is for rounding; no value lies just at its edge.",
    },
}
"""A module and a function -> the line with the mutant -> why it is no fault."""
