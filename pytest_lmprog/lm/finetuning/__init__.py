"""Finetuning: training data, the providers that train on it, and where their models are kept."""

from pytest_lmprog.lm.finetuning.data import Chat, TrainingData
from pytest_lmprog.lm.finetuning.provider import FinetuneJob, FinetuneProvider, provider_for

__all__ = ["Chat", "FinetuneJob", "FinetuneProvider", "TrainingData", "provider_for"]
