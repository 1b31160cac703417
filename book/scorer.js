/* How the search weighs what it finds: a heading that holds the reader's words comes first, and the names of functions
   get no more than what they match. The other numbers are Sphinx's own. */
var Scorer = {
  // Of a heading, or of a word in the index, there is a place within the page.
  score: ([page, title, place, described, score]) => (place && described === null ? score + 60 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 0, 1: -5, 2: -10 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
