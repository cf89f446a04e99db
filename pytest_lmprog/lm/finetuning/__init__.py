"""Finetuning: training data, the providers that train on it, and where their models are kept."""
