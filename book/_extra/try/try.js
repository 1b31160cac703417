/* The page "Try the network": the study's network on the book's patients and on the reader's own files, in the page.

   network.js describes the network and lists parts: scripts with pieces of ONNX Runtime Web and of the network. They
   are scripts, and not files to fetch, so that the page works from a folder as well. They are loaded when the reader
   asks for them. From then on the page asks for nothing but the volumes of a patient of the book, when one is chosen:
   what the reader drops is read, prepared and segmented here. */
(function () {
  "use strict";

  const place = document.getElementById("try"), given = window.brainsegTry;
  if (!place || !given) return;
  const { network, parts, bytes } = given;
  const S = window.brainsegSegment, F = window.brainsegFiles;
  const viewer = window.brainsegViewer || { patients: [], volumes: {} };
  const book = viewer.patients.map(({ name, title, sequences }, number) => ({
    name, title, read: async () => {
      if (!viewer.volumes[number]) await script(`viewer/patient-${number}.js`);
      const missing = sequences.flatMap((sequence, i) => (sequence.includes("missing") ? [i] : []));
      return F.readBookPatient(viewer.volumes[number], missing);
    },
  }));
  const COLOURS = { truth: "#56B4E9", prediction: "#E69F00" }; // as in the figures
  const ZOOM = 3; // canvas pixels for a pixel of the frame
  const state = { slice: 0, sequence: F.FLAIR, threshold: network.threshold, prediction: true, truth: true, heat: false };
  let patients = book, session = null, running = null;
  let shown = null, asked = 0; // the patient in the picture, and how often another was asked for

  // ---------------------------------------------------------------- parts of the page

  const element = window.brainsegElement;

  const button = (text, action, id) => element("button", { type: "button", class: "play-button", id, onclick: action }, text);

  function choice(label, name, options, action) {
    const select = element("select", { id: `try-${name}`, onchange: (e) => action(Number(e.target.value)) },
      ...options.map((text, value) => element("option", { value }, text)));
    select.value = state[name];
    return element("div", { class: "view-choice" }, element("label", { for: `try-${name}` }, label), select);
  }

  function box(label, name) {
    const colour = element("span", { class: `view-key try-key-${name}`, "aria-hidden": "true" });
    const input = element("input", { type: "checkbox", id: `try-${name}`, onchange: (e) => change({ [name]: e.target.checked }) });
    input.checked = state[name];
    return element("label", { class: "view-box" }, input, colour, label);
  }

  /** A label, the value beside it, and a slider below both. */
  function slider(label, id, limits, action) {
    const shown = element("output", { for: id }), input = element("input", { type: "range", id, ...limits, oninput: (e) => action(Number(e.target.value)) });
    return { input, shown, row: element("div", { class: "play-slider" }, element("label", { for: id }, label), shown, input) };
  }

  const megabytes = (number) => `${(number / 1e6).toFixed(0)} MB`;
  const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
  const breath = () => new Promise((done) => setTimeout(done));

  // ---------------------------------------------------------------- loading

  const assets = {};
  given.take = (name, piece) => { assets[name] = (assets[name] || "") + piece; };

  function script(source) {
    return new Promise((done, failed) => document.head.append(element("script", {
      src: source, onload: done, onerror: () => failed(new Error(`The file ${source} could not be loaded.`)),
    })));
  }

  const unpacked = (base64) => F.inflated(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), "gzip");
  const address = (content, type) => URL.createObjectURL(new Blob([content], { type }));

  async function load(told) {
    for (const [i, part] of parts.entries()) {
      await script(`try/${part}`);
      told(i + 1);
    }
    const { runtime, module, wasm, network: weights } = assets;
    await script(address(await unpacked(runtime), "text/javascript"));
    const ort = window.ort;
    ort.env.wasm.numThreads = 1; // several would need headers that a plain server does not send
    ort.env.wasm.wasmPaths = { mjs: address(await unpacked(module), "text/javascript") };
    ort.env.wasm.wasmBinary = (await unpacked(wasm)).buffer;
    session = await ort.InferenceSession.create(await unpacked(weights), { executionProviders: ["wasm"] });
    for (const name of Object.keys(assets)) delete assets[name];
  }

  function invite() {
    const { image_size: side } = network.preprocessing, seen = `${network.trained_on} ${network.synthetic ? "simulated " : ""}patients`;
    const size = element("p", {}, `The network is a ${network.network} for ${side} × ${side} pixels, trained on ${seen}${network.synthetic ? ": it has never seen a real head" : ""}. It and the program that runs it are ${megabytes(bytes)}, loaded when you ask for them. Your pictures stay on your computer.`);
    const bar = element("progress", { max: parts.length, value: 0, id: "try-progress", "aria-label": "loading", hidden: true });
    const said = element("p", { role: "status" });
    const start = button(`Load the network (${megabytes(bytes)})`, async () => {
      start.disabled = true;
      bar.hidden = false;
      said.textContent = "Loading.";
      try {
        await load((done) => { bar.value = done; });
        if (book.length) await open(book[0]);
        await build();
      } catch (error) {
        delete assets.network;
        for (const name of Object.keys(assets)) delete assets[name];
        start.disabled = false;
        bar.hidden = true;
        said.textContent = `${error.message} ${location.protocol === "file:"
          ? "This browser may deny it to a page from a folder. In the folder of the book run: python -m http.server, then open the address that it prints."
          : "Try again, or try another browser of the last two years."}`;
      }
    }, "try-load");
    place.replaceChildren(size, element("div", { class: "try-row" }, start, bar), said);
  }

  /** Bring a patient's volumes, where they are not here yet. */
  async function open(one) {
    if (!one.volume) Object.assign(one, await one.read());
  }

  // ---------------------------------------------------------------- the network

  const patient = () => shown;
  const known = (one) => (one.probabilities || []).filter(Boolean).length;
  const whole = (one) => one.volume && known(one) === one.volume.slices;

  /** The probabilities of some slices of a patient, slice by slice, so that the page stays alive. */
  async function segment(one, slices) {
    const mine = (running = {});
    if (!one.prepared) {
      const started = performance.now();
      one.prepared = S.prepare(one.volume, network);
      one.probabilities = new Array(one.volume.slices).fill(null);
      one.took = { prepare: performance.now() - started, slices: 0 };
    }
    const size = network.preprocessing.image_size;
    for (const [done, slice] of slices.entries()) {
      if (running !== mine) return;
      if (!one.probabilities[slice]) {
        const started = performance.now(), input = S.input(one.prepared, slice, network);
        const image = new window.ort.Tensor("float32", input, [input.length / (size * size * S.CHANNELS), size, size, S.CHANNELS]);
        const { probability } = await session.run({ image });
        one.probabilities[slice] = S.restore(probability.data, one.prepared, network);
        one.took.slices += performance.now() - started;
      }
      controls.bar.value = done + 1;
      if (one === patient()) refresh();
      await breath();
    }
    if (running === mine) running = null;
    refresh();
  }

  function ask(slices) {
    controls.bar.max = slices.length;
    controls.bar.value = 0;
    segment(patient(), slices).catch(failed);
    refresh();
  }

  function failed(error) {
    running = null;
    refresh();
    controls.sentence.textContent = `That did not work: ${error.message}`;
    if (!(error instanceof F.FileError)) throw error;
  }

  /** The mask at the threshold: small pieces are dropped where all slices are known. Kept until the threshold moves. */
  function maskOf(one) {
    if (!known(one)) return null;
    const key = `${state.threshold}-${known(one)}`;
    if (one.mask && one.mask.key === key) return one.mask.planes;
    const { height, width, slices } = one.volume, pixels = height * width;
    const all = whole(one) ? S.mask(one.probabilities, one.volume, state.threshold, network) : null;
    const planes = Array.from({ length: slices }, (_, slice) => {
      const plane = one.probabilities[slice];
      if (!plane) return null;
      return all ? all.subarray(slice * pixels, (slice + 1) * pixels) : Uint8Array.from(plane, (p) => (p >= state.threshold ? 1 : 0));
    });
    one.mask = { key, planes, all };
    return planes;
  }

  const area = (plane) => plane.reduce((sum, inside) => sum + inside, 0);
  const truthPlane = (one, slice) => {
    const pixels = one.volume.height * one.volume.width;
    return one.truth && one.truth.subarray(slice * pixels, (slice + 1) * pixels);
  };

  // ---------------------------------------------------------------- the picture

  function levels(one, channel) {
    one.white = one.white || [];
    if (!one.white[channel]) { // the 99.5th percentile of what is not black
      const counts = new Float64Array(256), { data } = one.volume;
      for (let i = channel; i < data.length; i += S.CHANNELS) if (data[i]) counts[data[i]]++;
      const total = counts.reduce((sum, count) => sum + count, 0);
      let level = 0;
      for (let sum = 0; level < 255 && sum < 0.995 * total; ) sum += counts[++level];
      one.white[channel] = Math.max(level, 1);
    }
    return one.white[channel];
  }

  /** Probability as a colour over the picture: none where it is 0, then red to yellow. */
  const heat = (p) => [255, Math.round(230 * p), Math.round(60 * p), 0.25 + 0.35 * p];

  function draw() {
    const one = patient(), { height, width, data } = one.volume, canvas = controls.canvas, pen = canvas.getContext("2d");
    canvas.width = width * ZOOM;
    canvas.height = height * ZOOM;
    const picture = new ImageData(width, height), white = levels(one, state.sequence), pixels = width * height;
    const probability = one.probabilities && one.probabilities[state.slice];
    for (let i = 0; i < pixels; i++) {
      const grey = Math.min(255, (255 * data[(state.slice * pixels + i) * S.CHANNELS + state.sequence]) / white);
      const [red, green, blue, share] = state.heat && probability && probability[i] > 0.02 ? heat(probability[i]) : [0, 0, 0, 0];
      [red, green, blue].forEach((part, c) => { picture.data[4 * i + c] = grey * (1 - share) + part * share; });
      picture.data[4 * i + 3] = 255;
    }
    const small = new OffscreenCanvas(width, height);
    small.getContext("2d").putImageData(picture, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    const masks = maskOf(one), truth = truthPlane(one, state.slice);
    if (state.truth && truth) outline(pen, truth, width, height, COLOURS.truth);
    if (state.prediction && masks && masks[state.slice]) outline(pen, masks[state.slice], width, height, COLOURS.prediction);
  }

  /** The edges between the pixels of a mask and the others. */
  function outline(pen, mask, width, height, colour) {
    const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : mask[y * width + x]);
    pen.strokeStyle = colour;
    pen.lineWidth = ZOOM * 0.8;
    pen.beginPath();
    for (let y = 0; y <= height; y++) {
      for (let x = 0; x <= width; x++) {
        if (at(x, y) !== at(x - 1, y)) { pen.moveTo(x * ZOOM, y * ZOOM); pen.lineTo(x * ZOOM, (y + 1) * ZOOM); }
        if (at(x, y) !== at(x, y - 1)) { pen.moveTo(x * ZOOM, y * ZOOM); pen.lineTo((x + 1) * ZOOM, y * ZOOM); }
      }
    }
    pen.stroke();
  }

  // ---------------------------------------------------------------- what is said

  const written = (value) => (value === null ? "not defined" : value.toFixed(3));

  function describe() {
    const one = patient(), masks = maskOf(one), truth = truthPlane(one, state.slice), { slices } = one.volume;
    controls.canvas.setAttribute("aria-label", `Slice ${state.slice + 1} of ${slices}, ${F.SEQUENCES[state.sequence]}`);
    const said = [];
    if (running) said.push(`Segmenting: ${controls.bar.value} of ${controls.bar.max} slices.`);
    else if (!known(one)) said.push("Nothing is segmented yet.");
    else if (masks[state.slice]) {
      const found = area(masks[state.slice]);
      said.push(found ? `In this slice the network calls ${found} pixels tumour.` : "In this slice the network calls nothing tumour.");
      if (truth) said.push(area(truth) ? `The true mask has ${area(truth)}; Dice of this slice ${written(S.dice(truth, masks[state.slice]))}.` : "The true mask is empty here.");
    } else said.push("This slice is not segmented yet.");
    if (!running && whole(one)) {
      const { all } = one.mask;
      said.push(`Whole patient: ${area(all)} pixels${one.truth ? `; Dice of the volume ${written(S.dice(one.truth, all))}` : ""}. Small pieces are dropped.`);
    } else if (!running && known(one)) said.push("Small pieces are dropped once the whole patient is segmented.");
    controls.sentence.textContent = said.join(" ");
    const notes = [];
    if (!running && known(one)) {
      const each = one.took.slices / known(one), count = known(one) === 1 ? "one slice" : `${known(one)} slices`;
      notes.push(`It took ${seconds(one.took.slices)} for ${count}, ${seconds(each)} each${network.both_ways ? ", as it is and mirrored" : ""}; ${seconds(one.took.prepare)} to find the head and set the grey levels.`);
    }
    if (network.synthetic && one.own) notes.push("This network was trained on simulated patients: what it says of real slices means little.");
    if (one.missing.length) notes.push(`Missing, so FLAIR takes its place: ${one.missing.map((i) => F.SEQUENCES[i]).join(", ")}.`);
    if (network.met.includes(one.name)) notes.push("The network was trained or chosen on this patient, so its Dice says nothing about new ones.");
    controls.notes.textContent = notes.join(" ");
  }

  function strip() {
    const one = patient(), masks = maskOf(one), { slices } = one.volume;
    const areas = Array.from({ length: slices }, (_, i) => [one.truth ? area(truthPlane(one, i)) : 0, masks && masks[i] ? area(masks[i]) : 0]);
    const most = Math.max(1, ...areas.flat());
    controls.strip.replaceChildren(...areas.map((pair, at) => element("span", { class: at === state.slice ? "here" : null },
      ...pair.map((px, kind) => {
        const bar = element("span", { class: kind ? "prediction" : "truth" });
        bar.style.height = `${px ? Math.max(8, (100 * px) / most) : 0}%`;
        return bar;
      }))));
  }

  function refresh() {
    const one = patient();
    if (!one || !one.volume) return;
    const { slices } = one.volume;
    controls.slice.input.max = slices;
    controls.slice.input.value = state.slice + 1;
    controls.slice.shown.textContent = `${state.slice + 1} of ${slices}`;
    controls.threshold.shown.textContent = state.threshold.toFixed(2);
    controls.bar.hidden = !running;
    controls.stop.hidden = !running;
    controls.one.disabled = controls.all.disabled = Boolean(running);
    controls.truthBox.hidden = !one.truth;
    draw();
    describe();
    strip();
    place.dataset.shown = JSON.stringify({ ...state, known: known(one), running: Boolean(running) });
  }

  function change(part) {
    Object.assign(state, part);
    refresh();
  }

  /** Show a patient at its largest true tumour, or in its middle. One that cannot be read is not shown, nor one that
      comes after the reader asked for another. */
  async function show(one) {
    const mine = ++asked;
    let problem = null;
    try {
      await open(one);
    } catch (error) {
      problem = error;
    }
    if (mine !== asked) return;
    running = null;
    if (!problem) shown = one;
    controls.patient.value = patients.indexOf(shown);
    if (problem) throw problem;
    const { slices } = one.volume, areas = Array.from({ length: slices }, (_, i) => (one.truth ? area(truthPlane(one, i)) : 0));
    const largest = areas.indexOf(Math.max(...areas));
    state.slice = one.truth && areas[largest] ? largest : Math.floor(slices / 2);
    refresh();
  }

  const step = (by) => change({ slice: Math.max(0, Math.min(patient().volume.slices - 1, state.slice + by)) });

  // ---------------------------------------------------------------- the reader's files

  async function take(files) {
    controls.fileNote.textContent = files.length ? `Reading ${files.length} file${files.length > 1 ? "s" : ""}.` : "";
    if (!files.length) return;
    await breath();
    try {
      const own = F.patientsIn(files);
      await open(own[0]);
      patients = [...own, ...patients];
      state.sequence = F.FLAIR;
      choices();
      await show(own[0]);
      controls.fileNote.textContent = `${own.length === 1 ? "One patient read." : `${own.length} patients found; each is read when you choose it.`} Nothing was sent anywhere.`;
    } catch (error) {
      controls.fileNote.textContent = error.message;
      if (!(error instanceof F.FileError)) throw error;
    }
  }

  function chooser(text, id, attributes) {
    const input = element("input", { type: "file", id, class: "try-file", multiple: true, ...attributes, onchange: () => {
      take([...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
      input.value = "";
    } });
    return element("label", { class: "play-button", for: id }, input, text);
  }

  /** Files may be dropped anywhere on the tool; `zone` shows that they may. */
  function dropping(target, zone) {
    for (const kind of ["dragenter", "dragover"]) target.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
    for (const kind of ["dragleave", "drop"]) target.addEventListener(kind, () => zone.classList.remove("over"));
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      F.droppedFiles(event.dataTransfer.items).then(take);
    });
  }

  // ---------------------------------------------------------------- the page

  const controls = {};

  function choices() {
    const which = choice("Patient", "patient", patients.map((one) => `${one.name}, ${one.title}`), (number) => show(patients[number]).catch(failed));
    controls.patient = which.querySelector("select");
    controls.patient.value = patients.indexOf(shown);
    controls.choices.replaceChildren(
      which,
      choice("Sequence", "sequence", F.SEQUENCES, (sequence) => change({ sequence })),
      element("div", { class: "view-boxes" }, box("predicted outline", "prediction"), controls.truthBox, box("probability", "heat")),
    );
  }

  async function build() {
    controls.choices = element("div", { class: "view-choices" });
    controls.canvas = element("canvas", { id: "try-canvas", tabindex: 0, role: "img", "aria-describedby": "try-sentence" });
    controls.slice = slider("Slice", "try-slice", { min: 1, max: 1, step: 1 }, (value) => change({ slice: value - 1 }));
    controls.threshold = slider("Threshold: from which probability a pixel counts", "try-threshold", { min: 0.02, max: 0.98, step: 0.01, value: state.threshold }, (threshold) => change({ threshold }));
    controls.strip = element("div", { class: "view-strip", "aria-hidden": "true" });
    controls.truthBox = box("true outline", "truth");
    controls.bar = element("progress", { id: "try-running", "aria-label": "segmenting", hidden: true });
    controls.one = button("Segment this slice", () => ask([state.slice]), "try-one");
    controls.one.disabled = !patients.length;
    controls.all = button("Segment all slices", () => ask([...Array(patient().volume.slices).keys()]), "try-all");
    controls.all.disabled = !patients.length;
    controls.stop = button("Stop", () => { running = null; refresh(); }, "try-stop");
    controls.sentence = element("p", { id: "try-sentence", role: "status" });
    controls.notes = element("p", { class: "try-notes" });
    controls.fileNote = element("p", { id: "try-files", role: "status" });
    const zone = element("div", { class: "try-drop" },
      element("p", {}, element("strong", {}, "Your own slices: "), "drop a TIFF, PNG or JPEG, a NIfTI volume, or a folder of them here."),
      element("div", { class: "try-row" }, chooser("Choose files", "try-choose", { accept: ".tif,.tiff,.png,.jpg,.jpeg,.nii,.gz" }), chooser("Choose a folder", "try-folder", { webkitdirectory: true })),
      controls.fileNote);
    dropping(place, zone);
    place.replaceChildren(
      controls.choices,
      element("div", { class: "try-row" }, controls.one, controls.all, controls.stop, controls.bar),
      element("div", { class: "view-stage" }, controls.canvas, element("p", { class: "try-warning" }, "Not for clinical use")),
      controls.sentence,
      element("div", { class: "try-below" }, controls.slice.row, controls.strip, controls.threshold.row, controls.notes),
      zone,
    );
    controls.canvas.addEventListener("pointerdown", () => controls.canvas.focus());
    controls.canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== controls.canvas) return; // the wheel belongs to the page until the picture is chosen
      event.preventDefault();
      step(-Math.sign(event.deltaY));
    }, { passive: false });
    controls.canvas.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowRight: 1, PageUp: 1, ArrowDown: -1, ArrowLeft: -1, PageDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      step(by);
    });
    choices();
    if (patients.length) return show(patients[0]);
    controls.sentence.textContent = "This edition holds no volumes: drop your own.";
  }

  const missing = S.lacking(network.preprocessing);
  if (missing) place.replaceChildren(element("p", {}, `The network of this edition was trained on slices with a step that this page does not do (${missing}).`));
  else if (!window.WebAssembly || !window.DecompressionStream) place.replaceChildren(element("p", {}, "This browser is too old to run the network. Any of the last two years does."));
  else invite();

  /** For the tests, and for readers who like to try: the masks of the patient that is shown. */
  window.brainsegTry.result = () => {
    const one = patient();
    maskOf(one);
    return { name: one.name, volume: one.volume, truth: one.truth, mask: one.mask && one.mask.all };
  };
})();
