"""Optimizers of this package and of DSPy, side by side: the same LM server, data, metric and settings."""
