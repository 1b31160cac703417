/* The reader's own files, read in the page: slices as TIFF, PNG or JPEG, volumes as NIfTI.

   What is read of a patient is {volume, truth, missing}. The volume is as in segment.js; truth is a mask of 0 and 1, or
   null; missing holds the places of the sequences that FLAIR stands in for. What is done to size and grey levels is what
   brainseg.cohort.convert does: a slice is scaled to the frame as a whole and padded with black, 8 bits are kept, and
   deeper grey levels are divided by the brightest of the volume. */
(function () {
  "use strict";

  const { CHANNELS, round, weights } = window.brainsegSegment;
  const SIDE = 256; // of the frame, px
  const SEQUENCES = ["pre-contrast T1", "FLAIR", "post-contrast T1"];
  const [PRE, FLAIR, POST] = [0, 1, 2];
  const PICTURE = /\.(tiff?|png|jpe?g)$/i, NIFTI = /\.nii(\.gz)?$/i, MASK = /[_-](mask|seg|segmentation|label)$/i;
  const TRUTH = "truth", UNUSED = "unused"; // as in brainseg.cohort.examinations

  class FileError extends Error {}

  // ---------------------------------------------------------------- one file

  async function inflated(bytes, format) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** TIFF's variant of LZW: codes of 9 to 12 bits, the highest bit first. */
  function unpackLZW(bytes) {
    const made = [];
    let table, width, last, held = 0, bits = 0;
    const reset = () => {
      table = Array.from({ length: 258 }, (_, i) => [i]);
      width = 9;
      last = null;
    };
    reset();
    for (const byte of bytes) {
      held = ((held << 8) | byte) & 0xfffff;
      bits += 8;
      if (bits < width) continue;
      bits -= width;
      const code = (held >> bits) & ((1 << width) - 1);
      if (code === 257) break;
      if (code === 256) {
        reset();
        continue;
      }
      const entry = code < table.length ? table[code] : last && [...last, last[0]];
      if (!entry) throw new FileError("its compression is damaged");
      for (const value of entry) made.push(value);
      if (last) table.push([...last, entry[0]]);
      last = entry;
      if (table.length + 1 >= 1 << width && width < 12) width++;
    }
    return Uint8Array.from(made);
  }

  /** The one page of a TIFF: {width, height, channels, deep, values}. */
  async function readTIFF(buffer) {
    const view = new DataView(buffer), order = view.getUint16(0);
    const little = order === 0x4949;
    if (buffer.byteLength < 8 || (!little && order !== 0x4d4d) || view.getUint16(2, little) !== 42) throw new FileError("it is no TIFF");
    const pages = [];
    for (let place = view.getUint32(4, little); place; ) {
      const tags = {}, count = view.getUint16(place, little);
      for (let i = 0; i < count; i++) {
        const at = place + 2 + 12 * i, kind = view.getUint16(at + 2, little), number = view.getUint32(at + 4, little);
        const size = { 1: 1, 3: 2, 4: 4 }[kind];
        if (!size) continue;
        const from = size * number > 4 ? view.getUint32(at + 8, little) : at + 8;
        tags[view.getUint16(at, little)] = Array.from({ length: number }, (_, n) =>
          size === 1 ? view.getUint8(from + n) : size === 2 ? view.getUint16(from + 2 * n, little) : view.getUint32(from + 4 * n, little));
      }
      place = view.getUint32(place + 2 + 12 * count, little);
      pages.push(tags);
    }
    if (pages.length !== 1) throw new FileError(`it holds ${pages.length} pages: save each slice as a file of its own`);
    return readPage(pages[0], buffer, little);
  }

  async function readPage(tags, buffer, little) {
    const first = (tag, otherwise) => (tags[tag] || [otherwise])[0];
    const width = first(256), height = first(257), channels = first(277, 1), depth = first(258, 1), kind = first(259, 1);
    const planes = first(284, 1) === 2 && channels > 1 ? channels : 1, predictor = first(317, 1);
    if (!tags[273] || ![8, 16].includes(depth) || first(339, 1) !== 1 || ![0, 1, 2].includes(first(262)) || ![1, 2].includes(predictor)) {
      throw new FileError("it is a TIFF of a kind that this page does not read: save it with 8 or 16 bits, in strips");
    }
    const unpack = { 1: (part) => part, 5: unpackLZW, 8: (part) => inflated(part, "deflate"), 32946: (part) => inflated(part, "deflate") }[kind];
    if (!unpack) throw new FileError("its compression is unknown to this page: save it uncompressed");
    const values = new Float32Array(width * height * channels), within = channels / planes;
    const rows = Math.min(first(278, height), height), strips = Math.ceil(height / rows), step = depth / 8;
    for (let strip = 0; strip < strips * planes; strip++) {
      const packed = new Uint8Array(buffer, tags[273][strip], tags[279][strip]);
      const bytes = await unpack(packed), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const plane = Math.floor(strip / strips), top = (strip % strips) * rows, line = width * within;
      const high = Math.min(rows, height - top);
      if (bytes.length < high * line * step) throw new FileError("it is cut off");
      for (let y = 0; y < high; y++) {
        const before = new Array(within).fill(0);
        for (let i = 0; i < line; i++) {
          const at = (y * line + i) * step, channel = i % within;
          let value = step === 1 ? view.getUint8(at) : view.getUint16(at, little);
          if (predictor === 2) before[channel] = value = (value + before[channel]) & (step === 1 ? 0xff : 0xffff);
          values[((top + y) * width + Math.floor(i / within)) * channels + channel + plane] = value;
        }
      }
    }
    if (first(262) === 0) for (let i = 0; i < values.length; i++) values[i] = 2 ** depth - 1 - values[i];
    return { width, height, channels, deep: depth > 8, values };
  }

  /** A PNG or JPEG, as the browser decodes it: 8 bits. */
  async function readPicture(file) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    } catch {
      throw new FileError("the browser cannot read it as a picture");
    }
    const { width, height } = bitmap;
    const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", { willReadFrequently: true });
    pen.drawImage(bitmap, 0, 0);
    const shown = pen.getImageData(0, 0, width, height).data, values = new Float32Array(width * height * 3);
    for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) values[3 * i + c] = shown[4 * i + c];
    return { width, height, channels: 3, deep: false, values };
  }

  const NUMBERS = { 2: "Uint8", 4: "Int16", 8: "Int32", 16: "Float32", 64: "Float64", 256: "Int8", 512: "Uint16", 768: "Uint32" };

  /** A NIfTI volume: slices from the feet to the head as seen in Kaggle's layout, the forehead at the top and the
      patient's right on the left. {slices, height, width, tall, deep, values, shape, affine}: `tall` is a pixel's height over its width; shape
      and affine are those of the file's own array. */
  async function readNIfTI(bytes) {
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = await inflated(bytes, "gzip");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const little = view.byteLength > 352 && view.getInt32(0, true) === 348;
    if (!little && !(view.byteLength > 352 && view.getInt32(0) === 348)) throw new FileError("it is no NIfTI-1 file");
    const short = (at) => view.getInt16(at, little), real = (at) => view.getFloat32(at, little);
    const shape = [1, 2, 3].map((i) => Math.max(short(40 + 2 * i), 1));
    if (short(40) > 3 && short(48) > 1) throw new FileError("it has more than three dimensions: give one file a sequence");
    const type = NUMBERS[short(70)], offset = real(108);
    if (!type) throw new FileError("its numbers are of a kind that this page does not read");
    const size = short(72) / 8, count = shape[0] * shape[1] * shape[2];
    if (view.byteLength < offset + count * size) throw new FileError("it is cut off");
    const slope = real(112) || 1, start = real(112) ? real(116) : 0;
    // Which axis of the file runs to the right, to the front, upwards: the one that points there most.
    const affine = affineOf(short, real, shape), axes = orientation(affine);
    const order = [0, 1, 2].map((world) => axes.findIndex((axis) => axis.world === world));
    const [width, height, slices] = order.map((axis) => shape[axis]), steps = [1, shape[0], shape[0] * shape[1]];
    const values = new Float32Array(count), get = `get${type}`;
    const [right, front, up] = order.map((axis) => (axes[axis].up ? steps[axis] : -steps[axis]));
    const corner = axes.reduce((sum, axis, i) => sum + (axis.up ? 0 : (shape[i] - 1) * steps[i]), 0); // left, back, lowest
    let i = 0;
    for (let z = 0; z < slices; z++) {
      for (let y = height - 1; y >= 0; y--) {
        for (let x = width - 1; x >= 0; x--) {
          values[i++] = view[get](offset + (corner + x * right + y * front + z * up) * size, little) * slope + start;
        }
      }
    }
    const odd = values.reduce((sum, value) => sum + !Number.isFinite(value), 0); // as air in many files; no grey level follows from it
    if (odd) throw new FileError(`it holds ${odd} voxels that are no number (NaN or infinite): decide what stands there, such as 0 for air, and save it again`);
    const [across, down] = order.map((axis) => Math.hypot(...affine.columns[axis])), tall = affine.told ? down / across : 1;
    return { slices, height, width, tall, deep: type !== "Uint8" || slope !== 1, values, shape, affine };
  }

  /** Where the axes of the file run, in millimetres to the right, the front and upwards, and where its first voxel lies:
      three columns and the origin, as nibabel has them. `told` is false where the file does not say. */
  function affineOf(short, real, shape) {
    const spacing = [1, 2, 3].map((i) => Math.abs(real(76 + 4 * i)) || 1);
    const scaled = (columns) => columns.map((column, axis) => column.map((part) => part * spacing[axis]));
    if (short(254) > 0) {
      const [x, y, z, origin] = [0, 1, 2, 3].map((axis) => [0, 1, 2].map((row) => real(280 + 16 * row + 4 * axis)));
      return { columns: [x, y, z], origin, told: true };
    }
    if (short(252) > 0) {
      const [b, c, d] = [256, 260, 264].map(real), a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d)), flip = real(76) < 0 ? -1 : 1;
      const columns = scaled([
        [a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)],
        [2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)],
        [2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - b * b - c * c].map((part) => part * flip),
      ]);
      return { columns, origin: [268, 272, 276].map(real), told: true };
    }
    const columns = scaled([[-1, 0, 0], [0, 1, 0], [0, 0, 1]]); // the first axis runs to the left, as in Analyze
    return { columns, origin: columns.map((column, axis) => (-column[axis] * (shape[axis] - 1)) / 2), told: false };
  }

  /** For each axis of the file the nearest axis of the world (0 to the right, 1 to the front, 2 up), and its direction. */
  function orientation({ columns, origin }) {
    const axes = [], free = [0, 1, 2];
    const pairs = columns.flatMap((column, axis) => column.map((part, world) => ({ axis, world, along: part / Math.hypot(...column) })));
    if (![...pairs.map(({ along }) => along), ...origin].every(Number.isFinite)) throw new FileError("it does not say how it lies in the head: set its affine");
    for (const { axis, world, along } of pairs.sort((a, b) => Math.abs(b.along) - Math.abs(a.along))) {
      if (axes[axis] || !free.includes(world)) continue;
      free.splice(free.indexOf(world), 1);
      axes[axis] = { world, up: along >= 0 };
    }
    return axes;
  }

  // ---------------------------------------------------------------- into the frame

  /** A plane scaled to the frame as a whole, in its middle, on black: Float32Array of the frame. */
  function framed(read, height, width, tall) {
    const frame = new Float32Array(SIDE * SIDE), scale = SIDE / Math.max(height * tall, width);
    const [high, wide] = [height * tall * scale, width * scale].map((side) => Math.min(Math.max(Math.round(side), 1), SIDE));
    const [top, left] = [high, wide].map((side) => Math.floor((SIDE - side) / 2));
    const down = weights(height, high), along = weights(width, wide);
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        let sum = 0;
        for (const [j, share] of down[y]) for (const [i, part] of along[x]) sum += share * part * read(j, i);
        frame[(top + y) * SIDE + left + x] = sum;
      }
    }
    return frame;
  }

  /** Stacks of planes by sequence as one volume. A stack is {planes: [{read, height, width, tall}], deep}, and of deep ones {lowest, brightest}. */
  function volumeOf(stacks) {
    const slices = stacks[FLAIR].planes.length, pixels = SIDE * SIDE, data = new Uint8Array(slices * pixels * CHANNELS);
    [PRE, FLAIR, POST].forEach((channel) => {
      const stack = stacks[channel] || stacks[FLAIR], low = stack.deep ? stack.lowest : 0;
      const scale = stack.deep ? 255 / Math.max(stack.brightest - low, 1e-9) : 1;
      stack.planes.forEach(({ read, height, width, tall }, slice) => {
        // As the package does it: to 8 bits first, then to the frame.
        const level = (y, x) => round(Math.min(Math.max((read(y, x) - low) * scale, 0), 255));
        const plane = framed(level, height, width, tall);
        for (let i = 0; i < pixels; i++) data[(slice * pixels + i) * CHANNELS + channel] = round(plane[i]);
      });
    });
    return { slices, height: SIDE, width: SIDE, data };
  }

  function truthOf(planes) {
    const truth = new Uint8Array(planes.length * SIDE * SIDE);
    planes.forEach((plane, slice) => {
      if (!plane) return;
      const { read, height, width, tall } = plane;
      framed((y, x) => (read(y, x) > 0 ? 1 : 0), height, width, tall).forEach((share, i) => {
        truth[slice * SIDE * SIDE + i] = share >= 0.5 ? 1 : 0;
      });
    });
    return truth;
  }

  /** Black and white of deep pictures, as brainseg.cohort.pixels.eight_bits: a pixel in a thousand lies beyond them. */
  function extremes(arrays) {
    const OUTLIERS = 1e-3, values = new Float64Array(arrays.reduce((sum, array) => sum + array.length, 0));
    arrays.reduce((start, array) => (values.set(array, start), start + array.length), 0);
    values.sort();
    const passed = (count) => Math.min(Math.max(1, Math.round(OUTLIERS * count)), count - 1);
    const black = Math.min(0, values[passed(values.length)]), floor = Math.max(black, values[0]);
    let first = 0; // of those that are brighter than black
    for (let end = values.length; first < end; ) {
      const middle = (first + end) >> 1;
      if (values[middle] > floor) end = middle;
      else first = middle + 1;
    }
    const count = values.length - first;
    const white = count ? values[values.length - 1 - passed(count)] : floor;
    return { lowest: black, brightest: white > black ? white : values[values.length - 1] };
  }

  // ---------------------------------------------------------------- files by patient

  const base = (path) => path.split("/").pop();
  const folder = (path) => path.split("/").slice(0, -1).join("/");
  const stem = (path) => path.replace(/(\.nii)?\.[^./]*$/i, "");
  const naturally = new Intl.Collator("en", { numeric: true }).compare;

  function grouped(entries, key) {
    const groups = new Map();
    for (const entry of entries) groups.set(key(entry), [...(groups.get(key(entry)) || []), entry]);
    return groups;
  }

  /** Runs a reader; what goes wrong names the file. */
  async function attempt(path, work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FileError) && !(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
      throw new FileError(`${base(path)}: ${error instanceof FileError ? error.message : "the file is damaged"}.`);
    }
  }

  /** A mask that is not its slice's would make a truth that nobody drew, and a Dice beside it. */
  function refuseForeign(masks, pages) {
    for (const [key, { path, width, height }] of masks) {
      const slice = pages.find((page) => page.key === key);
      if (!slice) throw new FileError(`${base(path)}: it has no slice beside it. Name it after its slice, or leave it out.`);
      if (slice.width !== width || slice.height !== height) throw new FileError(`${base(path)}: it has another size than its slice. Give both the same size.`);
    }
  }

  async function fromPictures(name, entries) {
    const pages = [], masks = new Map();
    for (const { path, file } of entries.sort((a, b) => naturally(a.path, b.path))) {
      const page = await attempt(path, async () => (/\.tiff?$/i.test(path) ? readTIFF(await file.arrayBuffer()) : readPicture(file)));
      const key = stem(path).replace(MASK, "");
      if (key === stem(path)) pages.push({ ...page, key });
      else if (masks.has(key)) throw new FileError(`${base(path)}: its slice has another mask, ${base(masks.get(key).path)}. Keep the one that is meant.`);
      else masks.set(key, { ...page, path });
    }
    if (!pages.length) throw new FileError(`${name}: there are masks and no slices. Add the slices.`);
    refuseForeign(masks, pages);
    const plane = (page, channel) => ({
      read: (y, x) => page.values[(y * page.width + x) * page.channels + channel], height: page.height, width: page.width, tall: 1,
    });
    // In Kaggle's layout the channels are three sequences. A grey picture is FLAIR alone.
    const three = pages.every(({ channels }) => channels >= 3) && pages.some(({ values, channels }) =>
      values.some((value, i) => i % channels < 3 && value !== values[i - (i % channels)]));
    const deep = pages.some((page) => page.deep), range = deep ? extremes(pages.map((page) => page.values)) : null;
    const stack = (channel) => ({ planes: pages.map((page) => plane(page, channel)), deep, ...range });
    const stacks = three ? [stack(0), stack(1), stack(2)] : [null, stack(0), null];
    return {
      volume: volumeOf(stacks),
      truth: masks.size ? truthOf(pages.map(({ key }) => (masks.has(key) ? plane(masks.get(key), 0) : null))) : null,
      missing: three ? [] : [PRE, POST],
    };
  }

  /** What a volume's file is, by the package's patterns, which network.js brings: a channel, TRUTH, UNUSED, or null. */
  function roleOf(path) {
    const [role] = window.brainsegTry.roles.find(([, pattern]) => new RegExp(pattern, "i").test(stem(base(path)))) || [null];
    return role;
  }

  /** Whether voxels of two volumes lie in the same places, as Volume.lies_as of the package: to a hundredth of a millimetre. */
  function liesAs(one, other) {
    const numbers = ({ shape, affine }) => [...affine.columns.flat(), ...affine.origin, ...shape];
    const wanted = numbers(other);
    return numbers(one).every((number, i) => Math.abs(number - wanted[i]) <= 1e-2 + 1e-5 * Math.abs(wanted[i]));
  }

  async function fromNIfTI(name, entries) {
    const found = new Map(), roles = entries.map(({ path }) => roleOf(path));
    const lone = roles.filter((role) => ![TRUTH, UNUSED].includes(role)).length === 1; // a name that says nothing is FLAIR's then
    for (const [i, { path, file }] of entries.entries()) {
      const role = roles[i] === null && lone ? FLAIR : roles[i];
      if (role === null) throw new FileError(`${base(path)}: its name does not say which sequence it is. Put flair, t1, t1ce or seg into it.`);
      if (role === UNUSED) continue;
      if (found.has(role)) throw new FileError(`${base(path)}: there are two files for one sequence of ${name}. Drop one patient's files at a time, or a folder each.`);
      found.set(role, { path, ...(await attempt(path, async () => readNIfTI(new Uint8Array(await file.arrayBuffer())))) });
    }
    const flair = found.get(FLAIR);
    if (!flair) throw new FileError(`${name}: there is no FLAIR among its files. The network needs it: put flair into its name.`);
    for (const volume of found.values()) {
      if (!liesAs(volume, flair)) {
        throw new FileError(`${base(volume.path)}: it does not lie as the FLAIR does: ${volume.shape.join(" × ")} voxels there, ${flair.shape.join(" × ")} here, or another place. Bring both into one grid first, or give the FLAIR alone.`);
      }
    }
    const planes = ({ slices, height, width, tall, values }) => Array.from({ length: slices }, (_, slice) => ({
      read: (y, x) => values[(slice * height + y) * width + x], height, width, tall,
    }));
    const stacks = [PRE, FLAIR, POST].map((channel) => {
      const read = found.get(channel);
      return read ? { planes: planes(read), deep: read.deep, ...(read.deep ? extremes([read.values]) : null) } : null;
    });
    const truth = found.get(TRUTH);
    return {
      volume: volumeOf(stacks), truth: truth ? truthOf(planes(truth)) : null,
      missing: [PRE, POST].filter((channel) => !found.has(channel)),
    };
  }

  /** Patients in files as {path, file}: the pictures of a folder are one, and so are the volumes of a folder.

      Each has a name and a function that reads it, because a folder may hold more than fits into memory. Files of other
      kinds are passed over. What goes wrong is a FileError that names the file and the way out. */
  function patientsIn(entries) {
    const shown = entries.filter(({ path }) => !base(path).startsWith("."));
    const patients = [];
    const kinds = [[PICTURE, fromPictures], [NIFTI, fromNIfTI]];
    for (const [pattern, read] of kinds) {
      const groups = grouped(shown.filter(({ path }) => pattern.test(path)), ({ path }) => folder(path));
      for (const [place, group] of groups) {
        const name = base(place) || (group.length === 1 ? base(group[0].path) : `${group.length} files`);
        patients.push({ name, title: "your own", own: true, read: () => read(name, group) });
      }
    }
    if (!patients.length) throw new FileError("There is no TIFF, PNG, JPEG or NIfTI file among these.");
    return patients.sort((a, b) => naturally(a.name, b.name));
  }

  /** All files below what was dropped, with their paths. The entries must be taken while the event lasts. */
  async function droppedFiles(items) {
    const entries = [...items].map((item) => (item.webkitGetAsEntry && item.webkitGetAsEntry()) || item.getAsFile()).filter(Boolean);
    const files = [];
    async function walk(entry) {
      if (entry instanceof File) files.push({ path: entry.name, file: entry });
      else if (entry.isFile) files.push({ path: entry.fullPath.slice(1), file: await new Promise((done, failed) => entry.file(done, failed)) });
      else {
        const reader = entry.createReader();
        for (let some; (some = await new Promise((done, failed) => reader.readEntries(done, failed))).length; ) for (const one of some) await walk(one);
      }
    }
    for (const entry of entries) await walk(entry);
    return files;
  }

  /** A patient of the book's viewer, from volumes that the package wrote: row 0 of a slice lies last in the file. */
  async function readBookPatient({ sequences, mask }, missing) {
    const planes = async (base64) => {
      const bytes = await inflated(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), "gzip");
      const view = new DataView(bytes.buffer), [width, height, slices] = [42, 44, 46].map((at) => view.getInt16(at, true));
      const from = view.getFloat32(108, true), values = new Uint8Array(slices * height * width);
      for (let row = 0; row < slices * height; row++) {
        const slice = Math.floor(row / height), start = from + (slice * height + height - 1 - (row % height)) * width;
        values.set(bytes.subarray(start, start + width), row * width);
      }
      return { slices, height, width, values };
    };
    const channels = await Promise.all(sequences.map(planes)), { slices, height, width } = channels[0];
    const data = new Uint8Array(slices * height * width * CHANNELS);
    channels.forEach(({ values }, channel) => values.forEach((level, i) => { data[i * CHANNELS + channel] = level; }));
    return { volume: { slices, height, width, data }, truth: (await planes(mask)).values, missing };
  }

  window.brainsegFiles = { SEQUENCES, FLAIR, FileError, roleOf, patientsIn, droppedFiles, readBookPatient, inflated };
})();
