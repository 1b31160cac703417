"""Every picture of the book, as functions that return a matplotlib figure; `style` holds the theme and the colours."""
