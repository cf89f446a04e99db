"""Programs: examples, modules, predictors, traces and the settings they run under."""

from pytest_lmprog.programs.context import configure, context, settings
from pytest_lmprog.programs.example import Example, Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import ChainOfThought, Predict
from pytest_lmprog.programs.run import ProgramError, Run, forward_inputs, run_program
from pytest_lmprog.programs.trace import PredictorCall, Trace

__all__ = [
    "ChainOfThought",
    "Example",
    "Module",
    "Predict",
    "Prediction",
    "PredictorCall",
    "ProgramError",
    "Run",
    "Trace",
    "configure",
    "context",
    "forward_inputs",
    "run_program",
    "settings",
]
