/* Paper is white: a page that is shown dark is printed light. */
(function () {
  "use strict";
  const root = document.documentElement;
  let shown = "";
  window.addEventListener("beforeprint", () => {
    shown = root.dataset.theme;
    root.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    root.dataset.theme = shown;
  });
})();
