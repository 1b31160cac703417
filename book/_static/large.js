/* A figure opens large on a tap or a press of Enter, and closes in the same way. */
(function () {
  "use strict";

  document.addEventListener("DOMContentLoaded", () => {
    const pictures = [...document.querySelectorAll(".bd-article :is(div.cell_output img, figure img)")].filter((one) => !one.closest("a, #viewer, #try"));
    if (!pictures.length) return;
    const dialog = document.createElement("dialog"), large = document.createElement("img"), close = document.createElement("button");
    dialog.className = "large";
    dialog.setAttribute("aria-label", "The figure, large");
    close.type = "button";
    close.textContent = "Close";
    dialog.append(close, large);
    document.body.append(dialog);
    dialog.addEventListener("click", () => dialog.close()); // wherever: it only shows
    for (const picture of pictures) {
      const open = () => {
        [large.src, large.alt] = [picture.currentSrc || picture.src, picture.alt];
        dialog.showModal();
      };
      picture.classList.add("opens");
      picture.tabIndex = 0;
      picture.setAttribute("role", "button");
      picture.setAttribute("aria-haspopup", "dialog");
      picture.addEventListener("click", open);
      picture.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open();
      });
    }
  });
})();
