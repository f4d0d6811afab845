"""Published tables, as Markdown, from the CSVs in docs/results."""
