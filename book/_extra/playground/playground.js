/* The metrics playground: two masks on a small grid, and the scores that brainseg.metrics and brainseg.losses give them.

   The formulas are those of the package, and tests/test_book.py compares the two on many states. */
(function () {
  "use strict";

  const SIDE = 64; // pixels
  const SMOOTH = 1; // as in brainseg.losses
  const COLOURS = { tp: "#009E73", fp: "#E69F00", fn: "#56B4E9", tn: "#1c1c22" }; // as in chapter 4

  // ---------------------------------------------------------------- masks

  /** A lobed blob around a centre; `grow` pixels are added to its radius in every direction. */
  function blob(column, row, radius, grow) {
    const mask = new Uint8Array(SIDE * SIDE);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const angle = Math.atan2(y - row, x - column);
        const lobes = 1 + 0.18 * Math.cos(2 * angle + 0.6) + 0.1 * Math.sin(3 * angle);
        if (Math.hypot(x - column, y - row) <= radius * lobes + grow) mask[y * SIDE + x] = 1;
      }
    }
    return mask;
  }

  // ---------------------------------------------------------------- scores

  function confusion(truth, prediction) {
    const counts = { tp: 0, fp: 0, fn: 0, tn: 0 };
    truth.forEach((tumour, i) => counts[tumour ? (prediction[i] ? "tp" : "fn") : prediction[i] ? "fp" : "tn"]++);
    return counts;
  }

  /** Pixels of a mask with a side towards the background or towards the outside of the frame, as [x, y]. */
  function boundary(mask) {
    const inside = (x, y) => x >= 0 && y >= 0 && x < SIDE && y < SIDE && mask[y * SIDE + x];
    const found = [];
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        if (inside(x, y) && !(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1))) found.push([x, y]);
      }
    }
    return found;
  }

  /** The 95th percentile of the distances from each point to the nearest of the others, interpolated as NumPy does. */
  function directed95(points, others) {
    const nearest = points.map(([x, y]) => Math.min(...others.map(([u, v]) => Math.hypot(x - u, y - v)))).sort((a, b) => a - b);
    const place = 0.95 * (nearest.length - 1);
    const low = Math.floor(place), high = Math.min(low + 1, nearest.length - 1);
    return nearest[low] + (nearest[high] - nearest[low]) * (place - low);
  }

  function hd95(truth, prediction) {
    const borders = [boundary(truth), boundary(prediction)];
    if (!borders[0].length) return NaN; // no tumour: the distance says nothing
    if (!borders[1].length) return Math.hypot(SIDE, SIDE); // a missed tumour costs the frame's diagonal
    return Math.max(directed95(...borders), directed95(borders[1], borders[0]));
  }

  function scores(truth, prediction) {
    const { tp, fp, fn, tn } = confusion(truth, prediction);
    const smoothed = (2 * tp + SMOOTH) / (2 * tp + fp + fn + SMOOTH);
    return {
      tp, fp, fn, tn,
      dice: (2 * tp) / (2 * tp + fp + fn), // 0/0 is NaN, and stays so
      iou: tp / (tp + fp + fn),
      hd95: hd95(truth, prediction),
      diceLoss: 1 - smoothed,
      negativeDice: -smoothed,
    };
  }

  // ---------------------------------------------------------------- the page

  const place = document.getElementById("playground");
  const START = { size: 9, right: 3, down: 2, grow: 0, tumour: true, prediction: true };
  const PRESETS = {
    "Nearly right": START,
    "Perfect": { ...START, right: 0, down: 0 },
    "One pixel too large": { ...START, right: 0, down: 0, grow: 1 },
    "One pixel too large, tiny tumour": { ...START, size: 2, right: 0, down: 0, grow: 1 },
    "Beside it": { ...START, right: 22 },
    "Nothing found": { ...START, prediction: false },
    "False alarm": { ...START, tumour: false, right: 0, down: 0 },
    "Both empty": { ...START, tumour: false, prediction: false },
  };
  const SLIDERS = {
    size: ["Size of the tumour", 1, 18, "px radius"],
    right: ["Move the prediction right", -24, 24, "px"],
    down: ["Move the prediction down", -24, 24, "px"],
    grow: ["Grow the prediction", -10, 10, "px all round"],
  };
  const BOXES = { tumour: "There is a tumour", prediction: "The network claims one" };
  const OUTPUTS = {
    dice: ["Dice", "large is good", (v) => v],
    iou: ["IoU", "large is good", (v) => v],
    hd95: ["HD95", "pixels, small is good", (v) => v / Math.hypot(SIDE, SIDE)],
    diceLoss: ["Loss 1 − d", "training makes it small", (v) => v],
    negativeDice: ["Loss −d", "training makes it small", (v) => 1 + v],
  };
  let state = { ...START };

  const element = window.brainsegElement;

  const canvas = element("canvas", {
    width: SIDE * 8, height: SIDE * 8, tabindex: 0, role: "application",
    "aria-label": "The two masks. Arrow keys move the prediction, plus and minus grow and shrink it.",
    "aria-describedby": "playground-sentence",
  });
  const controls = {}, shown = {}, bars = {}, rows = {};

  function build() {
    const sliders = Object.entries(SLIDERS).map(([name, [label, low, high, unit]]) => {
      const id = `playground-${name}`;
      controls[name] = element("input", { type: "range", id, min: low, max: high, step: 1, oninput: (e) => change({ [name]: Number(e.target.value) }) });
      shown[name] = element("output", { for: id });
      controls[name].unit = unit;
      return element("div", { class: "play-slider" }, element("label", { for: id }, label), shown[name], controls[name]);
    });
    const boxes = Object.entries(BOXES).map(([name, label]) => {
      controls[name] = element("input", { type: "checkbox", onchange: (e) => change({ [name]: e.target.checked }) });
      return element("label", { class: "play-box" }, controls[name], " " + label);
    });
    const presets = Object.entries(PRESETS).map(([label, preset]) =>
      element("button", { type: "button", class: "play-button", onclick: () => change(preset) }, label));
    const table = element("dl", { class: "play-scores" }, ...Object.entries(OUTPUTS).map(([name, [label, hint]]) => {
      shown[name] = element("span", { class: "play-number", "data-score": name });
      bars[name] = element("span", { class: "play-bar" });
      return element("div", {}, element("dt", {}, label, element("small", {}, hint)),
        element("dd", {}, shown[name], element("span", { class: "play-track", "aria-hidden": "true" }, bars[name])));
    }));
    const counts = element("p", { class: "play-counts" }, ...["tp", "fp", "fn", "tn"].map((name) => {
      shown[name] = element("strong", { "data-score": name });
      const key = element("span", { class: "play-key", "aria-hidden": "true" });
      key.style.background = COLOURS[name];
      return element("span", {}, key, name.toUpperCase() + " ", shown[name]);
    }));
    rows.sentence = element("p", { id: "playground-sentence", role: "status" });
    place.replaceChildren(
      element("div", { class: "play-picture" }, canvas, counts),
      element("div", { class: "play-side" }, table, rows.sentence),
      element("div", { class: "play-controls" }, ...sliders, element("div", { class: "play-boxes" }, ...boxes)),
      element("div", { class: "play-presets", role: "group", "aria-label": "Cases to try" }, ...presets),
    );
    canvas.addEventListener("keydown", keyed);
    canvas.addEventListener("pointerdown", grabbed);
  }

  const limit = (name, value) => Math.max(SLIDERS[name][1], Math.min(SLIDERS[name][2], value));

  function keyed(event) {
    const step = { ArrowLeft: ["right", -1], ArrowRight: ["right", 1], ArrowUp: ["down", -1], ArrowDown: ["down", 1], "+": ["grow", 1], "-": ["grow", -1] }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    change({ [step[0]]: limit(step[0], state[step[0]] + step[1]) });
  }

  function grabbed(event) {
    const pixel = SIDE / canvas.clientWidth, start = { ...state };
    const moved = (e) => change({
      right: limit("right", start.right + Math.round((e.clientX - event.clientX) * pixel)),
      down: limit("down", start.down + Math.round((e.clientY - event.clientY) * pixel)),
    });
    canvas.setPointerCapture(event.pointerId);
    canvas.addEventListener("pointermove", moved);
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => canvas.removeEventListener("pointermove", moved), { once: true });
    }
  }

  function masks() {
    const middle = (SIDE - 1) / 2, none = () => new Uint8Array(SIDE * SIDE);
    return {
      truth: state.tumour ? blob(middle, middle, state.size, 0) : none(),
      prediction: state.prediction ? blob(middle + state.right, middle + state.down, state.size, state.grow) : none(),
    };
  }

  const written = (value, digits = 3) =>
    Number.isNaN(value) ? "not defined" : value.toFixed(digits).replace("-", "−");

  function sentence(result, truth, prediction) {
    const tumour = truth.includes(1), claimed = prediction.includes(1);
    if (!tumour && !claimed) return "Both masks are empty. Dice and IoU are 0/0: somebody has to decide what that means. The smoothed loss calls it perfect.";
    if (!tumour) return "A false alarm. Any Dice is 0 here, for one pixel as for a thousand; HD95 has nothing to measure from.";
    if (!claimed) return "A missed tumour. HD95 costs the diagonal of the frame, by a rule that somebody chose.";
    if (!result.tp) return "The masks share no pixel. Dice and IoU are 0 however far apart they are. Only HD95 still says how far.";
    if (!result.fp && !result.fn) return "The masks agree in every pixel.";
    return `${result.fp} pixels are claimed too many, ${result.fn} are missed.`;
  }

  function draw(truth, prediction) {
    const pen = canvas.getContext("2d"), cell = canvas.width / SIDE;
    for (let i = 0; i < truth.length; i++) {
      pen.fillStyle = COLOURS[truth[i] ? (prediction[i] ? "tp" : "fn") : prediction[i] ? "fp" : "tn"];
      pen.fillRect((i % SIDE) * cell, Math.floor(i / SIDE) * cell, cell, cell);
    }
    pen.strokeStyle = "#ffffff"; // the true outline, along the edges of the pixels
    pen.lineWidth = 2;
    pen.beginPath();
    const at = (x, y) => (x < 0 || y < 0 || x >= SIDE || y >= SIDE ? 0 : truth[y * SIDE + x]);
    for (let y = 0; y <= SIDE; y++) {
      for (let x = 0; x <= SIDE; x++) {
        if (at(x, y) !== at(x - 1, y)) { pen.moveTo(x * cell, y * cell); pen.lineTo(x * cell, (y + 1) * cell); }
        if (at(x, y) !== at(x, y - 1)) { pen.moveTo(x * cell, y * cell); pen.lineTo((x + 1) * cell, y * cell); }
      }
    }
    pen.stroke();
  }

  function change(part) {
    state = { ...state, ...part };
    const { truth, prediction } = masks(), result = scores(truth, prediction);
    draw(truth, prediction);
    for (const name of Object.keys(SLIDERS)) {
      controls[name].value = state[name];
      shown[name].textContent = `${written(state[name], 0)} ${controls[name].unit}`;
    }
    for (const name of Object.keys(BOXES)) controls[name].checked = state[name];
    for (const name of ["tp", "fp", "fn", "tn"]) shown[name].textContent = result[name];
    for (const [name, [, , share]] of Object.entries(OUTPUTS)) {
      shown[name].textContent = written(result[name], name === "hd95" ? 2 : 3);
      const part = share(result[name]);
      bars[name].style.width = `${100 * (Number.isNaN(part) ? 0 : part)}%`;
    }
    rows.sentence.textContent = sentence(result, truth, prediction);
  }

  build();
  change({});
  // For the tests, and for readers who like to try: the masks as they stand, and a way to set them.
  window.brainsegPlayground = { change, masks, side: SIDE, scores: () => { const m = masks(); return scores(m.truth, m.prediction); } };
})();
