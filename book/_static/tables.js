/* Tables on a narrow screen. A table of the text with sentences in it becomes a list: row below row, each cell below the
   head of its column. A table of numbers scrolls sideways, and says so. */
(function () {
  "use strict";

  const LONG = 24; // letters; a cell of numbers has fewer

  function stack(table) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    const rows = [...table.querySelectorAll("tbody tr")];
    const long = rows.some((row) => [...row.cells].slice(1).some((cell) => cell.textContent.trim().length > LONG));
    if (heads.length < 3 || !long) return;
    table.classList.add("stacks");
    // What is drawn as a list stays a table for those who listen.
    table.setAttribute("role", "table");
    table.querySelectorAll("thead, tbody").forEach((part) => part.setAttribute("role", "rowgroup"));
    table.querySelectorAll("tr").forEach((row) => row.setAttribute("role", "row"));
    table.querySelectorAll("th").forEach((head) => head.setAttribute("role", "columnheader"));
    for (const row of rows) {
      [...row.cells].forEach((cell, place) => {
        cell.setAttribute("role", "cell");
        if (cell.textContent.trim()) cell.dataset.head = heads[place];
      });
    }
  }

  // A browser squeezes text to a word a line before it lets a table scroll. Each cell gets as much room as it can use.
  function give(cell, most) {
    cell.style.minWidth = `min(${cell.textContent.trim().length}ch, ${most})`;
  }

  function tell(box) {
    if (box.matches("div.cell_output *")) {
      box.querySelectorAll("tbody :is(th, td)").forEach((cell) => give(cell, "8em"));
      box.querySelectorAll("thead th").forEach((head) => give(head, "4em"));
    }
    const hint = document.createElement("p");
    hint.className = "wider";
    hint.textContent = "The table goes on to the right \u2192";
    box.before(hint);
    const look = () => {
      hint.hidden = box.scrollWidth <= box.clientWidth + 1;
      if (hint.hidden) box.removeAttribute("tabindex");
      else box.tabIndex = 0; // the arrow keys move it
    };
    new ResizeObserver(look).observe(box);
    look();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".bd-article table:not(div.cell_output *)").forEach(stack);
    document
      .querySelectorAll(".bd-article :is(.pst-scrollable-table-container, div.cell_output .text_html:has(table))")
      .forEach(tell);
  });
})();
