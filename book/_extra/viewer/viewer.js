/* The viewer: one patient's slices with the outlines of truth and predictions, drawn by NiiVue.

   patients.js describes the patients, patient-N.js holds the volumes of one. Both are scripts and not files to fetch,
   so that the page also works from a folder. Without WebGL the pictures that the page came with stay. */
(function () {
  "use strict";

  const place = document.getElementById("viewer");
  const { patients, volumes } = window.brainsegViewer || { patients: [] };
  if (!place || !patients.length) return;
  if (!document.createElement("canvas").getContext("webgl2")) {
    const note = document.createElement("p");
    note.setAttribute("role", "status");
    note.textContent = "This browser draws no WebGL, so here are pictures of some slices instead of the viewer.";
    place.prepend(note);
    return;
  }

  // As in the figures: truth sky blue, prediction orange.
  const COLOURS = { truth: [86, 180, 233], prediction: [230, 159, 0] };
  const models = Object.keys(patients[0].models);
  // The patients were picked by ResUNet's score, so the first outline is its own, where it is there.
  const first = models.includes("resunet") ? "resunet" : models.at(-1);
  const state = { patient: 0, slice: 0, sequence: 1, model: first, truth: true, prediction: true };
  const loaded = {}; // by patient: NiiVue's volumes by what they show
  let niivue, showing = null, noting = null;

  const element = window.brainsegElement;

  function choice(label, name, options) {
    const select = element("select", { id: `viewer-${name}`, onchange: (e) => change({ [name]: e.target.value }) },
      ...options.map(([value, text]) => element("option", { value }, text)));
    select.value = state[name];
    return element("div", { class: "view-choice" }, element("label", { for: `viewer-${name}` }, label), select);
  }

  function box(label, name) {
    const colour = element("span", { class: "view-key", "aria-hidden": "true" });
    colour.style.background = `rgb(${COLOURS[name]})`;
    const input = element("input", { type: "checkbox", id: `viewer-${name}`, onchange: (e) => change({ [name]: e.target.checked }) });
    input.checked = state[name];
    return element("label", { class: "view-box" }, input, colour, label);
  }

  const canvas = element("canvas", { id: "viewer-canvas", tabindex: 0, role: "img", "aria-describedby": "viewer-sentence" });
  const slider = element("input", { type: "range", id: "viewer-slice", min: 1, step: 1, oninput: (e) => change({ slice: e.target.value - 1 }) });
  const number = element("output", { for: "viewer-slice" });
  const strip = element("div", { class: "view-strip", "aria-hidden": "true" });
  const sentence = element("p", { id: "viewer-sentence", role: "status" });
  const choices = element("div", { class: "view-choices" });

  const patient = () => patients[state.patient];
  const slices = () => patient().truth.length;
  const largest = () => patient().truth.indexOf(Math.max(...patient().truth));

  /** The tumour slice with the lowest Dice of the chosen network; of equal ones that with the largest tumour. */
  function worst() {
    const { truth, models } = patient(), { slices: scores } = models[state.model];
    const places = truth.map((px, i) => i).filter((i) => truth[i]);
    return places.length ? places.reduce((best, i) => (scores[i] < scores[best] || (scores[i] === scores[best] && truth[i] > truth[best]) ? i : best)) : 0;
  }

  /** Where a patient opens: the worst one, as its title says, at its worst slice. */
  const opening = () => (/\bworst\b/.test(patient().title) ? worst() : largest());

  /** What the address asks for, such as viewer.html#patient=NAME&slice=12&network=unet; slices are counted from 1. */
  function asked() {
    const wanted = new URLSearchParams(location.hash.slice(1)), part = {};
    const named = patients.findIndex((one) => one.name === wanted.get("patient"));
    if (named >= 0) part.patient = named;
    if (models.includes(wanted.get("network"))) part.model = wanted.get("network");
    const slice = Number(wanted.get("slice")) - 1;
    if (Number.isInteger(slice) && slice >= 0 && slice < patients[named >= 0 ? named : state.patient].truth.length) part.slice = slice;
    return part;
  }

  function controls() {
    choices.replaceChildren(
      choice("Patient", "patient", patients.map((one, i) => [i, `${one.name}, ${one.title}`])),
      choice("Sequence", "sequence", patient().sequences.map((name, i) => [i, name])),
      choice("Network", "model", Object.entries(patient().models).map(([value, model]) => [value, model.name])),
      element("div", { class: "view-boxes" }, box("true outline", "truth"), box("predicted outline", "prediction")),
    );
    slider.max = slices();
  }

  /** Two bars a slice: how much tumour it holds, and how much the network claims. */
  function bars() {
    const { truth, models } = patient(), { px } = models[state.model], most = Math.max(1, ...truth, ...px);
    strip.replaceChildren(...truth.map((area, i) => element("span", {}, ...[area, px[i]].map((count, kind) => {
      const bar = element("span", { class: kind ? "prediction" : "truth" });
      bar.style.height = `${count ? Math.max(8, (100 * count) / most) : 0}%`;
      return bar;
    }))));
  }

  function build() {
    const jump = element("button", { type: "button", class: "play-button", onclick: () => change({ slice: largest() }) }, "Largest tumour slice");
    const lowest = element("button", { type: "button", class: "play-button", id: "viewer-worst", onclick: () => change({ slice: worst() }) }, "Worst slice");
    place.replaceChildren(
      choices,
      element("div", { class: "view-stage" }, canvas),
      element("div", { class: "view-slice" }, element("label", { for: "viewer-slice" }, "Slice"), number, element("span", { class: "view-jumps" }, jump, lowest), slider, strip),
      sentence,
    );
    // The wheel belongs to the page until the reader has chosen the picture; NiiVue's own keys and drags change views
    // that mean nothing without a spacing.
    for (const kind of ["wheel", "keydown", "keyup", "mousedown", "mousemove", "mouseup", "dblclick", "contextmenu", "touchstart", "touchmove", "touchend"]) {
      canvas.addEventListener(kind, (event) => event.stopImmediatePropagation(), { capture: true });
    }
    canvas.addEventListener("pointerdown", () => canvas.focus());
    place.addEventListener("wheel", (event) => {
      if (event.target !== canvas || document.activeElement !== canvas) return;
      event.preventDefault();
      step(Math.sign(event.deltaY));
    }, { capture: true, passive: false });
    place.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowRight: 1, PageUp: 1, ArrowDown: -1, ArrowLeft: -1, PageDown: -1 }[event.key];
      if (event.target !== canvas || !by) return;
      event.preventDefault();
      step(by);
    }, { capture: true });
  }

  const step = (by) => change({ slice: Math.max(0, Math.min(slices() - 1, state.slice + by)) });

  // ---------------------------------------------------------------- volumes

  function script(source) {
    return new Promise((done, failed) => document.head.append(element("script", { src: source, onload: done, onerror: failed })));
  }

  async function load(which) {
    if (loaded[which]) return loaded[which];
    if (!volumes[which]) await script(`viewer/patient-${which}.js`);
    const { sequences, truth, models } = volumes[which];
    const add = async (name, base64, colormap) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      niivue.volumes = [];
      await niivue.loadFromArrayBuffer(bytes.buffer, `${name}.nii.gz`);
      const volume = niivue.volumes[0];
      volume.colormap = colormap;
      // White is the 99.5th percentile of what is not black: a few bright pixels would leave the brain in the dark.
      const levels = colormap === "gray" ? volume.img.filter((level) => level > 0).sort() : [1];
      [volume.cal_min, volume.cal_max] = [0, levels[Math.floor(0.995 * levels.length)] || 255];
      return volume;
    };
    const found = { sequences: [], models: {} };
    for (const [i, one] of sequences.entries()) found.sequences.push(await add(`sequence-${i}`, one, "gray"));
    found.truth = await add("truth", truth, "truth");
    for (const [name, one] of Object.entries(models)) found.models[name] = await add(name, one, "prediction");
    delete volumes[which];
    return (loaded[which] = found);
  }

  async function start() {
    niivue = new window.Niivue({
      backColor: [0, 0, 0, 1], crosshairWidth: 0, isOrientationTextVisible: false, isColorbar: false, isRuler: false,
      show3Dcrosshair: false, isNearestInterpolation: true, dragAndDropEnabled: false, isResizeCanvas: true,
      isOrientCube: false, loadingText: "", logLevel: "error",
    });
    await niivue.attachToCanvas(canvas);
    for (const [name, [r, g, b]] of Object.entries(COLOURS)) niivue.addColormap(name, { R: [0, r], G: [0, g], B: [0, b], A: [0, 255], I: [0, 255] });
    niivue.setSliceType(niivue.sliceTypeAxial);
    niivue.setInterpolation(true); // a pixel is shown as a pixel
  }

  // ---------------------------------------------------------------- what is shown

  function describe() {
    const { truth, models } = patient(), model = models[state.model], i = state.slice;
    const dice = (value) => (value === null ? "not defined" : value.toFixed(2));
    const here = truth[i]
      ? `Tumour of ${truth[i]} pixels; ${model.name} claims ${model.px[i]}. Dice of this slice ${dice(model.slices[i])}`
      : `No tumour in this slice; ${model.name} claims ${model.px[i]} pixels`;
    sentence.textContent = `${here}. Dice of the whole patient ${dice(model.dice)}.`;
    number.textContent = `${i + 1} of ${slices()}`;
    slider.value = i + 1;
    canvas.setAttribute("aria-label", `Slice ${i + 1} of ${slices()}, ${patient().sequences[state.sequence]}`);
    [...strip.children].forEach((one, at) => one.classList.toggle("here", at === i));
  }

  async function draw() {
    const volumesOf = await load(state.patient);
    const layers = [volumesOf.sequences[state.sequence]];
    if (state.truth) layers.push(volumesOf.truth);
    if (state.prediction) layers.push(volumesOf.models[state.model]);
    if (layers.length !== niivue.volumes.length || layers.some((layer, i) => layer !== niivue.volumes[i])) {
      niivue.volumes = layers;
      niivue.setVolume(layers[0], 0); // the others become its overlays
    }
    niivue.scene.crosshairPos = [0.5, 0.5, (state.slice + 0.5) / slices()];
    niivue.drawScene();
    place.dataset.drawn = JSON.stringify(state);
  }

  /** A link to what is shown, in the address; not at every step of a slider, which browsers refuse. */
  function note() {
    clearTimeout(noting);
    noting = setTimeout(() => {
      const here = new URLSearchParams({ patient: patient().name, slice: state.slice + 1, network: state.model });
      history.replaceState(null, "", `#${here}`);
    }, 300);
  }

  function change(part) {
    if (showing) note(); // as it opens, the address is the reader's
    if ("patient" in part || "sequence" in part) for (const name of ["patient", "sequence"]) if (name in part) part[name] = Number(part[name]);
    Object.assign(state, part);
    if ("patient" in part) {
      if (!("slice" in part)) state.slice = opening();
      state.sequence = Math.min(state.sequence, patient().sequences.length - 1);
      controls();
    }
    if ("patient" in part || "model" in part) bars();
    describe();
    // One drawing at a time; what changes meanwhile is drawn after it.
    showing = (showing || start()).then(draw).catch((error) => {
      sentence.textContent = `The viewer could not draw: ${error.message || error.type}`;
      throw error;
    });
  }

  build();
  window.addEventListener("hashchange", () => {
    const part = asked();
    if (Object.keys(part).length) change({ patient: state.patient, ...part });
  });
  change({ patient: 0, ...asked() });
})();
