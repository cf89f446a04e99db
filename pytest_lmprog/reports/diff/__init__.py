"""A difference of two snapshots as text for a terminal, Markdown, HTML and JSON, in the same words."""
