"""The engine: what runs the plans of strategies, and what all of them count, race and tell by."""
