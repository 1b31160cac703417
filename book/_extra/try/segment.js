/* What the study does to a patient's slices before and after its network, without a page and without a network.

   The same steps as brainseg.images.crop, brainseg.images.preprocess and brainseg.evaluation.scores; a test compares
   the masks of both. What the steps are set to comes from the description that an exported network carries.

   A volume is {slices, height, width, data}: grey levels of 0 to 255, slice by slice, row by row, with the three
   sequences of a pixel together, as in the package's arrays (slices, height, width, 3). A box is {top, left, side}. */
(function () {
  "use strict";

  const CHANNELS = 3;

  /** Rounds halves to the even neighbour, as NumPy and OpenCV do. */
  function round(value) {
    const whole = Math.floor(value), part = value - whole;
    return part > 0.5 || (part === 0.5 && whole % 2) ? whole + 1 : whole;
  }

  // ---------------------------------------------------------------- where the head is

  /** Sums over windows of 5 along lines of a plane; beyond its border the plane is mirrored, its last line once. */
  function windows(plane, lines, length, line, step) {
    const sums = new Float64Array(plane.length);
    const at = (i) => (length === 1 ? 0 : i < 0 ? -i : i >= length ? 2 * (length - 1) - i : i);
    for (let l = 0; l < lines; l++) {
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let by = -2; by <= 2; by++) sum += plane[l * line + at(i + by) * step];
        sums[l * line + i * step] = sum;
      }
    }
    return sums;
  }

  /** The brightest value of every pixel over slices and channels, after a mean over 5 x 5 pixels. */
  function projection({ slices, height, width, data }) {
    const pixels = height * width, brightest = new Float64Array(pixels), plane = new Float64Array(pixels);
    for (let slice = 0; slice < slices; slice++) {
      for (let channel = 0; channel < CHANNELS; channel++) {
        for (let i = 0; i < pixels; i++) plane[i] = data[(slice * pixels + i) * CHANNELS + channel];
        const sums = windows(windows(plane, height, width, width, 1), width, height, 1, width);
        for (let i = 0; i < pixels; i++) if (sums[i] > brightest[i]) brightest[i] = sums[i];
      }
    }
    return Uint8Array.from(brightest, (sum) => round(sum / 25));
  }

  /** Otsu's threshold (1979): the grey level that parts a plane into two classes as far from each other as can be. */
  function otsu(plane) {
    const counts = new Float64Array(256);
    for (const level of plane) counts[level]++;
    let mean = 0;
    counts.forEach((count, level) => { mean += (level * count) / plane.length; });
    let share = 0, darker = 0, most = 0, threshold = 0;
    for (let level = 0; level < 256; level++) {
      const here = counts[level] / plane.length;
      darker *= share;
      share += here;
      if (Math.min(share, 1 - share) < 1.2e-7 || Math.max(share, 1 - share) > 1 - 1.2e-7) continue;
      darker = (darker + level * here) / share;
      const brighter = (mean - share * darker) / (1 - share);
      const apart = share * (1 - share) * (darker - brighter) ** 2;
      if (apart > most) [most, threshold] = [apart, level];
    }
    return threshold;
  }

  /** The connected regions of a mask: a number for each pixel, 0 outside, and how many pixels each number has.

      `steps` are the neighbours of a voxel as [slice, row, column]. */
  function regions(mask, [slices, height, width], steps) {
    const labels = new Int32Array(mask.length), sizes = [0], stack = [];
    for (let start = 0; start < mask.length; start++) {
      if (!mask[start] || labels[start]) continue;
      const label = sizes.length;
      let size = 0;
      labels[start] = label;
      stack.push(start);
      while (stack.length) {
        const place = stack.pop();
        const x = place % width, y = Math.floor(place / width) % height, z = Math.floor(place / (width * height));
        size++;
        for (const [dz, dy, dx] of steps) {
          const [nz, ny, nx] = [z + dz, y + dy, x + dx];
          if (nz < 0 || ny < 0 || nx < 0 || nz >= slices || ny >= height || nx >= width) continue;
          const next = (nz * height + ny) * width + nx;
          if (mask[next] && !labels[next]) {
            labels[next] = label;
            stack.push(next);
          }
        }
      }
      sizes.push(size);
    }
    return { labels, sizes };
  }

  const AROUND = [-1, 0, 1];
  const BESIDE = [[0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]];
  const CORNERS = AROUND.flatMap((y) => AROUND.map((x) => [0, y, x])).filter(([, y, x]) => y || x);
  const CORNERS_3D = AROUND.flatMap((z) => AROUND.flatMap((y) => AROUND.map((x) => [z, y, x]))).filter(([z, y, x]) => z || y || x);

  /** A region without its holes: all that no path from the frame's outside reaches. */
  function filled(labels, label, height, width) {
    const high = height + 2, wide = width + 2; // with a rim of background, so that the outside is one region
    const background = new Uint8Array(high * wide).fill(1);
    for (let i = 0; i < labels.length; i++) {
      if (labels[i] === label) background[(Math.floor(i / width) + 1) * wide + (i % width) + 1] = 0;
    }
    const outside = regions(background, [1, high, wide], BESIDE).labels;
    const whole = new Uint8Array(labels.length);
    for (let i = 0; i < labels.length; i++) {
      if (outside[(Math.floor(i / width) + 1) * wide + (i % width) + 1] !== 1) whole[i] = 1;
    }
    return whole;
  }

  /** The area inside the line through the centres of a region's outermost pixels, as OpenCV measures a contour. */
  function contourArea(region, height, width) {
    let area = 0;
    for (let y = 0; y < height - 1; y++) {
      for (let x = 0; x < width - 1; x++) {
        const i = y * width + x;
        const corners = region[i] + region[i + 1] + region[i + width] + region[i + width + 1];
        if (corners > 2) area += corners === 4 ? 1 : 0.5;
      }
    }
    return area;
  }

  /** The head's outline seen along the volume, as 0 and 1; empty where no region is large enough to be a head. */
  function headSilhouette(volume, { smallest_head }) {
    const { height, width } = volume, plane = projection(volume), threshold = otsu(plane);
    const { labels, sizes } = regions(plane.map((level) => level > threshold), [1, height, width], CORNERS);
    // Only regions of some size are measured: a speckle cannot be the largest where there is a head.
    const large = Math.max(...sizes) / 16;
    let head = new Uint8Array(plane.length), most = -1;
    sizes.forEach((size, label) => {
      if (!label || size < large) return;
      const region = filled(labels, label, height, width), area = contourArea(region, height, width);
      if (area > most) [most, head] = [area, region];
    });
    return head.reduce((sum, one) => sum + one, 0) >= smallest_head * head.length ? head : new Uint8Array(plane.length);
  }

  /** One square box for all slices of a patient, centred on the head and moved into the frame. */
  function squareBox(head, height, width, margin) {
    let [top, bottom, left, right] = [height, -1, width, -1];
    head.forEach((inside, i) => {
      if (!inside) return;
      const y = Math.floor(i / width), x = i % width;
      [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
    });
    if (bottom < 0) return { top: 0, left: 0, side: Math.min(height, width) };
    const side = Math.min(Math.max(bottom - top, right - left) + 1 + 2 * margin, height, width);
    const first = (from, to, length) => Math.min(Math.max(Math.floor((from + to + 1 - side) / 2), 0), length - side);
    return { top: first(top, bottom, height), left: first(left, right, width), side };
  }

  // ---------------------------------------------------------------- grey levels

  /** How many voxels of one channel have each of the 256 grey levels; those of a region seen along the volume. */
  function levels({ slices, height, width, data }, channel, region) {
    const pixels = height * width, counts = new Float64Array(256);
    for (let i = 0; i < slices * pixels; i++) if (region[i % pixels]) counts[data[i * CHANNELS + channel]]++;
    return counts;
  }

  /** The lowest grey levels up to which the given percentages of the voxels lie. */
  function percentilesOf(counts, percentiles) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    return percentiles.map((percentile) => {
      let sum = 0, level = 0;
      while (level < 255 && (sum += counts[level]) < (percentile / 100) * total) level++;
      return level;
    });
  }

  /** The median between whole grey levels, as NumPy interpolates it. */
  function medianOf(counts) {
    const half = counts.reduce((sum, count) => sum + count, 0) / 2;
    let below = 0; // the voxels up to the level before this one
    for (let level = 0; level < 256; level++) {
      const upTo = below + counts[level];
      if (half < upTo) return level ? level - 0.5 + (half - below) / counts[level] : 0.5;
      below = upTo;
    }
    return 255.5;
  }

  /** Each channel stretched between the two grey levels that `window` gives for its levels in each of `regions`. */
  function windowed(volume, regions, window) {
    const data = new Uint8Array(volume.data.length);
    for (let channel = 0; channel < CHANNELS; channel++) {
      const [low, high] = window(...regions.map((region) => levels(volume, channel, region)));
      const curve = Uint8Array.from({ length: 256 }, (_, level) =>
        high > low ? round(Math.min(Math.max((level - low) / (high - low), 0), 1) * 255) : level);
      for (let i = channel; i < data.length; i += CHANNELS) data[i] = curve[volume.data[i]];
    }
    return { ...volume, data };
  }

  /** A silhouette, or the whole frame where there is none. */
  const orFrame = (head) => (head.includes(1) ? head : new Uint8Array(head.length).fill(1));

  /** Each channel stretched between two percentiles of its grey levels inside the head. */
  function byPercentiles(volume, head, { percentiles }) {
    return windowed(volume, [orFrame(head)], (inside) => percentilesOf(inside, percentiles));
  }

  /** How deep each pixel lies in a region, in 65536ths of a pixel; beyond the frame there is none.

      OpenCV's distance with a mask of 5 x 5 pixels (Borgefors, 1986): steps to a neighbour, to a corner, and a knight's
      move. */
  function depths(region, height, width) {
    const rim = 2, wide = width + 2 * rim, high = height + 2 * rim, depth = new Float64Array(wide * high);
    const steps = [[0, -1, 65536], [-1, 0, 65536], [-1, -1, 91750], [-1, 1, 91750],
      [-1, -2, 143976], [-1, 2, 143976], [-2, -1, 143976], [-2, 1, 143976]];
    for (let i = 0; i < region.length; i++) {
      if (region[i]) depth[(Math.floor(i / width) + rim) * wide + (i % width) + rim] = Infinity;
    }
    for (const way of [1, -1]) { // down, then up: each time from what was passed
      for (let i = way > 0 ? 0 : depth.length - 1; i >= 0 && i < depth.length; i += way) {
        if (depth[i]) for (const [y, x, far] of steps) depth[i] = Math.min(depth[i], depth[i + way * (y * wide + x)] + far);
      }
    }
    return Float64Array.from(region, (_, i) => depth[(Math.floor(i / width) + rim) * wide + (i % width) + rim]);
  }

  /** Each channel scaled so that black stays black and the median of the brain comes to lie at one level. */
  function byBrain(volume, head, { percentiles, brain: { deep, nearly_black, level } }) {
    const inside = orFrame(head), depth = depths(inside, volume.height, volume.width);
    const deepest = depth.reduce((most, here) => Math.max(most, here), 0);
    const core = Uint8Array.from(depth, (here) => (here > deep * deepest ? 1 : 0));
    return windowed(volume, [inside, core], (counts, brain) => {
      const [low, high] = percentilesOf(counts, percentiles);
      brain.fill(0, 0, Math.floor(low + nearly_black * (high - low)) + 1);
      return [low, low + ((brain.some((count) => count) ? medianOf(brain) : high) - low) / level];
    });
  }

  /** What `normalise` may be, by name: a function of the volume, the head's silhouette and the description. */
  const NORMALISATIONS = { none: (volume) => volume, volume: byPercentiles, brain: byBrain };
  const CROPS = ["none", "patient"];

  /** Where the page lacks a step that a network's slices went through, its name; else null. */
  function lacking({ contrast, crop, normalise }) {
    if (contrast !== "none") return `contrast: ${contrast}`;
    if (!CROPS.includes(crop)) return `crop: ${crop}`;
    return normalise in NORMALISATIONS ? null : `normalise: ${normalise}`;
  }

  // ---------------------------------------------------------------- size

  /** From which places, with which weights, each of `to` places is made of `from` places. */
  function weights(from, to) {
    const scale = from / to;
    return Array.from({ length: to }, (_, place) => {
      if (from === to) return [[place, 1]];
      if (to > from) { // linear, with the border's value beyond it
        const at = Math.min(Math.max((place + 0.5) * scale - 0.5, 0), from - 1), low = Math.floor(at);
        return at === low ? [[low, 1]] : [[low, 1 - (at - low)], [low + 1, at - low]];
      }
      const start = place * scale, end = Math.min(start + scale, from), made = []; // the area that is covered
      for (let i = Math.floor(start); i < end - 1e-3; i++) {
        const covered = Math.min(i + 1, end) - Math.max(i, start);
        if (covered > 1e-3) made.push([i, covered / (end - start)]);
      }
      return made;
    });
  }

  /** The square of a plane inside a box, resized: averaged over areas where it shrinks, linear where it grows.

      `read(row, column)` gives a value of the plane. */
  function resize(read, from, to) {
    const along = weights(from, to), rows = new Float64Array(from * to), resized = new Float32Array(to * to);
    for (let y = 0; y < from; y++) {
      for (let x = 0; x < to; x++) {
        let sum = 0;
        for (const [i, weight] of along[x]) sum += weight * read(y, i);
        rows[y * to + x] = sum;
      }
    }
    for (let y = 0; y < to; y++) {
      for (let x = 0; x < to; x++) {
        let sum = 0;
        for (const [i, weight] of along[y]) sum += weight * rows[i * to + x];
        resized[y * to + x] = sum;
      }
    }
    return resized;
  }

  // ---------------------------------------------------------------- before and after the network

  /** The patient's box, and its slices with their grey levels normalised. `volume` is not changed. */
  function prepare(volume, described) {
    const { crop, margin_px, normalise } = described.preprocessing;
    const head = headSilhouette(volume, described);
    const box = crop === "patient"
      ? squareBox(head, volume.height, volume.width, margin_px)
      : { top: 0, left: 0, side: Math.min(volume.height, volume.width) };
    return { box, volume: NORMALISATIONS[normalise](volume, head, described) };
  }

  /** One slice as the network takes it, values of 0 to 1; and after it the mirrored slice, where both count. */
  function input({ box, volume }, slice, described) {
    const size = described.preprocessing.image_size, pixels = size * size * CHANNELS;
    const made = new Float32Array(pixels * (described.both_ways ? 2 : 1));
    for (let channel = 0; channel < CHANNELS; channel++) {
      const read = (y, x) =>
        volume.data[((slice * volume.height + box.top + y) * volume.width + box.left + x) * CHANNELS + channel];
      const plane = resize(read, box.side, size), halves = box.side === 2 * size; // there OpenCV rounds halves up
      for (let i = 0; i < plane.length; i++) {
        const level = (halves ? Math.floor(plane[i] + 0.5) : round(plane[i])) / 255;
        made[i * CHANNELS + channel] = level;
        if (described.both_ways) {
          made[pixels + (i - (i % size) + size - 1 - (i % size)) * CHANNELS + channel] = level;
        }
      }
    }
    return made;
  }

  /** What the network said of one slice, back in the frame: probabilities, 0 outside the box. */
  function restore(output, { box, volume }, described) {
    const size = described.preprocessing.image_size, whole = new Float32Array(volume.height * volume.width);
    const said = (y, x) => {
      const i = y * size + x;
      return described.both_ways ? (output[i] + output[size * size + y * size + size - 1 - x]) / 2 : output[i];
    };
    const plane = resize(said, size, box.side);
    for (let y = 0; y < box.side; y++) {
      whole.set(plane.subarray(y * box.side, (y + 1) * box.side), (box.top + y) * volume.width + box.left);
    }
    return whole;
  }

  /** A volume's mask without its small pieces, those far below the largest one. Voxels that share a corner hold together. */
  function dropSmallPieces(mask, shape, share) {
    const { labels, sizes } = regions(mask, shape, CORNERS_3D), largest = Math.max(...sizes);
    return mask.map((inside, i) => (inside && sizes[labels[i]] >= share * largest ? 1 : 0));
  }

  /** The mask of a patient of whom every slice was predicted: `probabilities` holds a plane a slice. */
  function mask(probabilities, { height, width }, threshold, { smallest_piece }) {
    const whole = new Uint8Array(probabilities.length * height * width);
    probabilities.forEach((plane, slice) => {
      for (let i = 0; i < plane.length; i++) if (plane[i] >= threshold) whole[slice * plane.length + i] = 1;
    });
    return dropSmallPieces(whole, [probabilities.length, height, width], smallest_piece);
  }

  /** Dice of two masks; null where both are empty. */
  function dice(truth, prediction) {
    let both = 0, sum = 0;
    for (let i = 0; i < truth.length; i++) {
      both += truth[i] & prediction[i];
      sum += truth[i] + prediction[i];
    }
    return sum ? (2 * both) / sum : null;
  }

  window.brainsegSegment = { CHANNELS, round, weights, resize, headSilhouette, squareBox, lacking, prepare, input, restore, mask, dice };
})();
