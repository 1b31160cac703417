/* Below each page, folded: how to cite it, as text and as BibTeX. Who wrote it comes from CITATION.cff: the staging
   writes citation.js beside this file. */
(function () {
  "use strict";

  const made = (tag, kind, text) => {
    const element = document.createElement(tag);
    element.className = kind;
    element.textContent = text;
    return element;
  };

  document.addEventListener("DOMContentLoaded", () => {
    const study = window.brainsegCitation, name = DOCUMENTATION_OPTIONS.pagename;
    const heading = document.querySelector("article.bd-article > section > h1");
    if (!study || !name || !heading) return; // the index and the search are no content
    const title = [...heading.childNodes].filter((node) => !node.classList?.contains("headerlink") && !node.classList?.contains("section-number"))
      .map((node) => node.textContent).join("").trim();
    const address = study.address && `${study.address}${name}.html`;
    const authors = study.authors.join(", ");
    const text = `${authors[0].toUpperCase()}${authors.slice(1)} (${study.year}). ${title}${/[.?!]$/.test(title) ? "" : "."} `
      + `In: ${study.title}, version ${study.version}.${address ? ` ${address}` : ""}`;
    const escaped = (words) => words.replace(/[&%$#_{}]/g, "\\$&");
    const fields = {
      author: study.bibtex,
      title: escaped(title),
      booktitle: escaped(study.title),
      year: study.year,
      note: `Version ${study.version}`,
      ...(address && { url: address }),
    };
    const bibtex = `@incollection{brainseg${study.year}-${name.replace(/[^a-zA-Z0-9]+/g, "-")},\n`
      + Object.entries(fields).map(([field, value]) => `  ${field.padEnd(9)} = {${value}},\n`).join("") + "}";

    const folded = made("details", "cite-page d-print-none", ""), said = made("p", "cite-said", "");
    said.setAttribute("role", "status");
    folded.append(made("summary", "", "Cite this page"));
    for (const [words, shown] of [["text", made("p", "cite-text", text)], ["BibTeX", made("pre", "cite-text", bibtex)]]) {
      const copy = made("button", "play-button", `Copy the ${words}`);
      copy.type = "button";
      copy.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(shown.textContent);
          said.textContent = `The ${words} is copied.`;
        } catch { // an insecure address, or a browser that refuses: then the reader copies what is selected
          getSelection().selectAllChildren(shown);
          said.textContent = `This browser does not let the page copy. The ${words} is selected: press Ctrl and C.`;
        }
      });
      folded.append(shown, copy);
    }
    folded.append(said);
    heading.closest("article").append(folded);
  });
})();
