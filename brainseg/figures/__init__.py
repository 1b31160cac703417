"""Every picture of the book, as functions that return a matplotlib figure. Importing it sets the book's theme."""

from brainseg.figures.style import use_theme

use_theme()
