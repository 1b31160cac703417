/* Draw it yourself: the reader outlines a tumour on one slice, and sees the line beside the true one and the networks'.

   slice.js describes the slice: its grey levels and masks as text, a character a pixel, and what each network scored
   there. The reader's Dice is computed here; a test holds it against brainseg.metrics. */
(function () {
  "use strict";

  const place = document.getElementById("draw"), given = window.brainsegDraw;
  if (!place || !given) return;
  const { side, models } = given;
  const unpacked = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const flair = unpacked(given.flair), truth = unpacked(given.truth);
  const outlines = models.map((model) => unpacked(model.outline));
  const ZOOM = Math.ceil(720 / side); // canvas pixels for a pixel of the slice
  const COLOURS = { mine: [204, 121, 167], truth: [86, 180, 233], prediction: [230, 159, 0] }; // as in the figures
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  let mine = new Uint8Array(side * side), past = [], line = [], pen = null, compared = false, shown = models.length - 1;

  // ---------------------------------------------------------------- masks

  /** The pixels whose centre lies inside a closed line of [x, y], in pixels; inside is what an odd number of crossings reaches. */
  function inside(corners) {
    const mask = new Uint8Array(side * side);
    for (let y = 0; y < side; y++) {
      const crossings = [];
      corners.forEach(([x, from], i) => {
        const [u, to] = corners[(i + 1) % corners.length], level = y + 0.5;
        if (from <= level !== to <= level) crossings.push(x + ((level - from) / (to - from)) * (u - x));
      });
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const first = Math.max(0, Math.ceil(crossings[i] - 0.5)), last = Math.min(side, Math.ceil(crossings[i + 1] - 0.5));
        if (first < last) mask.fill(1, y * side + first, y * side + last);
      }
    }
    return mask;
  }

  /** 2 |A and B| / (|A| + |B|). The true mask is never empty here. */
  function dice(mask) {
    let both = 0, sum = 0;
    mask.forEach((drawn, i) => { both += drawn & truth[i]; sum += drawn + truth[i]; });
    return (2 * both) / sum;
  }

  const area = (mask) => mask.reduce((sum, drawn) => sum + drawn, 0);

  /** What a closed line adds to the drawing, or takes from it. */
  function take(corners) {
    if (corners.length < 3) return;
    past.push(mine);
    const drawn = inside(corners), away = controls.away.checked;
    mine = mine.map((before, i) => (away ? before & ~drawn[i] & 1 : before | drawn[i]));
  }

  // ---------------------------------------------------------------- the page

  const element = window.brainsegElement;

  const button = (text, id, action) => element("button", { type: "button", class: "play-button", id: `draw-${id}`, onclick: action }, text);
  const controls = {
    canvas: element("canvas", {
      id: "draw-canvas", width: side * ZOOM, height: side * ZOOM, tabindex: 0, role: "application", "aria-describedby": "draw-keys draw-sentence",
      "aria-label": `FLAIR, slice ${given.slice} of ${given.patient}. Draw around the tumour.`,
    }),
    away: element("input", { type: "checkbox", id: "draw-away" }),
    network: element("select", { id: "draw-network", onchange: (e) => { shown = Number(e.target.value); refresh(); } },
      ...models.map(({ name }, value) => element("option", { value }, name))),
    undo: button("Undo", "undo", () => { mine = past.pop(); refresh(); }),
    compare: button("Compare", "compare", () => { compared = true; refresh(); }),
    again: button("Start again", "again", () => { [mine, past, line, pen, compared] = [new Uint8Array(side * side), [], [], null, false]; refresh(); }),
    save: button("Save the picture", "save", () => { element("a", { href: keepsake().toDataURL("image/png"), download: "my-outline.png" }).click(); }),
    sentence: element("p", { id: "draw-sentence", role: "status" }),
    scores: element("dl", { class: "play-scores draw-scores" }),
  };

  function build() {
    controls.network.value = shown;
    controls.choice = element("div", { class: "view-choice" }, element("label", { for: "draw-network" }, "Network"), controls.network);
    place.replaceChildren(
      element("div", { class: "view-stage" }, controls.canvas, element("p", { class: "try-warning" }, "Not for clinical use")),
      element("div", { class: "draw-below" },
        element("div", { class: "try-row" }, controls.compare, controls.undo, element("label", { class: "view-box" }, controls.away, "take away"), controls.again, controls.save),
        controls.sentence, controls.choice, controls.scores,
        element("p", { class: "try-notes", id: "draw-keys" }, "Without a mouse: choose the picture, move the cross with the arrow keys (with Shift by five pixels), set a corner with the space bar, close the line with Enter. Backspace removes the last corner.")),
    );
    const { canvas } = controls;
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.focus();
      canvas.setPointerCapture(event.pointerId);
      [pen, line] = [null, [at(event)]];
      const moved = (e) => { line.push(at(e)); refresh(); };
      const ended = (e) => {
        canvas.removeEventListener("pointermove", moved);
        for (const kind of ["pointerup", "pointercancel"]) canvas.removeEventListener(kind, ended);
        if (e.type === "pointerup") take(line);
        line = [];
        refresh();
      };
      canvas.addEventListener("pointermove", moved);
      for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, ended);
    });
    canvas.addEventListener("keydown", keyed);
  }

  /** Where an event is on the slice, in pixels. */
  function at(event) {
    const place = controls.canvas.getBoundingClientRect(), pixel = side / place.width;
    return [(event.clientX - place.left) * pixel, (event.clientY - place.top) * pixel];
  }

  function keyed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = KEYS[event.key], by = event.shiftKey ? 5 : 1;
    if (step) {
      const [x, y] = pen || [side / 2, side / 2];
      pen = [x + by * step[0], y + by * step[1]].map((value) => Math.min(Math.max(value, 0), side));
    } else if (event.key === " ") {
      pen = pen || [side / 2, side / 2];
      line.push(pen);
    } else if (event.key === "Backspace") line.pop();
    else if (event.key === "Enter") {
      take(line);
      line = [];
    } else return;
    event.preventDefault();
    refresh();
  }

  // ---------------------------------------------------------------- the picture

  const css = (name) => `rgb(${COLOURS[name]})`;

  function paint(canvas) {
    const brush = canvas.getContext("2d"), picture = new ImageData(side, side);
    flair.forEach((grey, i) => {
      const colour = compared && outlines[shown][i] ? COLOURS.prediction : mine[i] ? COLOURS.mine.map((part) => 0.3 * part + 0.7 * grey) : [grey, grey, grey];
      picture.data.set([...colour, 255], 4 * i);
    });
    const small = new OffscreenCanvas(side, side);
    small.getContext("2d").putImageData(picture, 0, 0);
    brush.imageSmoothingEnabled = false;
    brush.drawImage(small, 0, 0, side * ZOOM, side * ZOOM);
    edges(brush, mine, css("mine"));
    if (compared) edges(brush, truth, css("truth"));
    return brush;
  }

  /** The edges between the pixels of a mask and the others. */
  function edges(brush, mask, colour) {
    const value = (x, y) => (x < 0 || y < 0 || x >= side || y >= side ? 0 : mask[y * side + x]);
    brush.strokeStyle = colour;
    brush.lineWidth = 3;
    brush.beginPath();
    for (let y = 0; y <= side; y++) {
      for (let x = 0; x <= side; x++) {
        if (value(x, y) !== value(x - 1, y)) { brush.moveTo(x * ZOOM, y * ZOOM); brush.lineTo(x * ZOOM, (y + 1) * ZOOM); }
        if (value(x, y) !== value(x, y - 1)) { brush.moveTo(x * ZOOM, y * ZOOM); brush.lineTo((x + 1) * ZOOM, y * ZOOM); }
      }
    }
    brush.stroke();
  }

  function draw() {
    const brush = paint(controls.canvas);
    brush.strokeStyle = css("mine");
    brush.beginPath();
    line.forEach(([x, y]) => brush.lineTo(x * ZOOM, y * ZOOM));
    if (pen) {
      brush.lineTo(pen[0] * ZOOM, pen[1] * ZOOM);
      for (const [x, y] of [[10, 0], [0, 10]]) {
        brush.moveTo(pen[0] * ZOOM - x, pen[1] * ZOOM - y);
        brush.lineTo(pen[0] * ZOOM + x, pen[1] * ZOOM + y);
      }
    }
    brush.stroke();
  }

  /** The picture with its scores below it, to keep. */
  function keepsake() {
    const canvas = element("canvas", { width: side * ZOOM, height: side * ZOOM + 84 }), brush = paint(canvas);
    brush.fillStyle = "#fff";
    brush.fillRect(0, side * ZOOM, canvas.width, 84);
    brush.font = "20px sans-serif";
    brush.fillStyle = "#222";
    const said = results().map(({ name, score }) => `${name} ${score.toFixed(2)}`).join("   ");
    brush.fillText(`Dice: ${said}`, 12, side * ZOOM + 32, canvas.width - 24);
    brush.fillText(`${given.patient}, slice ${given.slice}. Not for clinical use.`, 12, side * ZOOM + 64, canvas.width - 24);
    return canvas;
  }

  // ---------------------------------------------------------------- what is said

  /** Whose line has which Dice, the best first. */
  const results = () => [{ name: "You", score: dice(mine), key: "mine" }, ...models.map(({ name, dice: score }) => ({ name, score, key: "prediction" }))]
    .sort((a, b) => b.score - a.score);

  function describe() {
    const drawn = area(mine), corners = line.length && pen ? ` ${line.length} corner${line.length > 1 ? "s" : ""} set.` : "";
    const where = pen ? ` The cross is at column ${Math.round(pen[0])}, row ${Math.round(pen[1])} of ${side}.` : "";
    const missed = truth.reduce((sum, tumour, i) => sum + (tumour & ~mine[i] & 1), 0);
    controls.sentence.textContent = (compared
      ? `Your line has a Dice of ${dice(mine).toFixed(3)}: of ${area(truth)} true pixels it misses ${missed}, and it takes in ${drawn - area(truth) + missed} others.`
      : drawn ? `Your outline holds ${drawn} pixels. Draw on, or compare.` : "Draw around the tumour, with the mouse or a finger.") + corners + where;
    controls.scores.replaceChildren(...(compared ? results() : []).map(({ name, score, key }) => {
      const bar = element("span", { class: "play-bar" });
      [bar.style.width, bar.style.background] = [`${100 * score}%`, css(key)];
      return element("div", {}, element("dt", {}, name), element("dd", {}, element("span", { class: "play-number" }, score.toFixed(3)),
        element("span", { class: "play-track", "aria-hidden": "true" }, bar)));
    }));
  }

  function refresh() {
    controls.undo.disabled = !past.length;
    controls.compare.disabled = compared || !area(mine);
    controls.save.disabled = controls.choice.hidden = !compared;
    draw();
    describe();
  }

  build();
  refresh();
  /** For the tests, and for readers who like to try: the drawing as it stands. */
  window.brainsegDraw.result = () => ({ mine: [...mine], dice: dice(mine) });
})();
