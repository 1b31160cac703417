/* What the pages that answer the reader make their parts with. It is loaded on every page, before their own scripts. */
(function () {
  "use strict";

  /** An element with attributes and children. An attribute that is null or false is left out, one that is true has no
      value, and one whose name begins with "on" is a listener. */
  window.brainsegElement = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== null && value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };
})();
