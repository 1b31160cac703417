/* Tables on a narrow screen. One with sentences in it becomes a list: row below row, each cell below the head of its
   column. One of numbers scrolls sideways, and says so. */
(function () {
  "use strict";

  const LONG = 24; // letters; a cell of numbers has fewer

  const said = (cell) => cell?.textContent.trim() ?? "";

  function stack(table) {
    const lines = table.querySelectorAll("thead tr");
    const rows = [...table.querySelectorAll("tbody tr")];
    const wordy = [...(lines[0]?.cells ?? [])].map((_, place) => place > 0 && rows.some((row) => said(row.cells[place]).length > LONG));
    if (lines.length !== 1 || wordy.length < 3 || !wordy.includes(true)) return;
    const heads = [...lines[0].cells].map(said);
    for (const row of [...lines, ...rows]) [...row.cells].forEach((cell, place) => cell.classList.toggle("words", wordy[place]));
    table.classList.add("stacks");
    // What is drawn as a list stays a table for those who listen.
    const roles = { table: [table], rowgroup: [...table.tHead.parentNode.querySelectorAll("thead, tbody")], row: [...lines, ...rows] };
    for (const [role, parts] of Object.entries(roles)) parts.forEach((part) => part.setAttribute("role", role));
    [...lines[0].cells].forEach((head) => head.setAttribute("role", "columnheader"));
    for (const row of rows) {
      [...row.cells].forEach((cell, place) => {
        cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
        if (said(cell)) cell.dataset.head = heads[place];
      });
    }
  }

  // A browser squeezes text to a word a line before it lets a table scroll. Each cell gets as much room as it can use,
  // and a number stays on its line with its interval.
  function give(table) {
    const room = (cell, most) => (cell.style.minWidth = `min(${said(cell).length}ch, ${most})`);
    if (table.matches("div.cell_output *")) {
      table.querySelectorAll("thead th").forEach((head) => room(head, "4em"));
      table.querySelectorAll("tbody th").forEach((head) => room(head, "8em"));
    }
    for (const cell of table.querySelectorAll("td:not(:first-child)")) {
      if (/\d/.test(said(cell)) && said(cell).length <= LONG) cell.classList.add("number");
    }
  }

  function tell(box) {
    const hint = document.createElement("p");
    hint.className = "wider";
    hint.textContent = "The table goes on to the right \u2192";
    box.before(hint);
    const look = () => (hint.hidden = box.scrollWidth <= box.clientWidth + 1);
    new ResizeObserver(look).observe(box);
    look();
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const table of document.querySelectorAll(".bd-article table")) {
      stack(table);
      give(table);
    }
    document
      .querySelectorAll(".bd-article :is(.pst-scrollable-table-container, div.cell_output .text_html:has(table))")
      .forEach(tell);
  });
})();
