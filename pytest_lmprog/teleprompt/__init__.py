"""Teleprompters: strategies that compile a program, on one protocol and one driver."""

from pytest_lmprog.teleprompt.base import (
    CallBound,
    Candidate,
    CompileResult,
    CompileRuntime,
    CompileTask,
    ProgressEvent,
    Teleprompter,
)
from pytest_lmprog.teleprompt.better_together import BetterTogether
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.copro import COPRO
from pytest_lmprog.teleprompt.ensemble import Ensemble
from pytest_lmprog.teleprompt.finetune import BootstrapFinetune
from pytest_lmprog.teleprompt.gepa import GEPA
from pytest_lmprog.teleprompt.infer_rules import InferRules
from pytest_lmprog.teleprompt.knn_few_shot import KNNFewShot
from pytest_lmprog.teleprompt.labeled import LabeledFewShot
from pytest_lmprog.teleprompt.mipro import MIPROv2
from pytest_lmprog.teleprompt.optuna_search import BootstrapFewShotWithOptuna
from pytest_lmprog.teleprompt.random_search import BootstrapFewShotWithRandomSearch, BootstrapRS
from pytest_lmprog.teleprompt.simba import SIMBA
from pytest_lmprog.teleprompt.strategy import TeleprompterBase

__all__ = [
    "COPRO",
    "GEPA",
    "SIMBA",
    "BetterTogether",
    "BootstrapFewShot",
    "BootstrapFewShotWithOptuna",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapFinetune",
    "BootstrapRS",
    "CallBound",
    "Candidate",
    "CompileResult",
    "CompileRuntime",
    "CompileTask",
    "Ensemble",
    "InferRules",
    "KNNFewShot",
    "LabeledFewShot",
    "MIPROv2",
    "ProgressEvent",
    "Teleprompter",
    "TeleprompterBase",
]
