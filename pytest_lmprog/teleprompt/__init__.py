"""Teleprompters: strategies that compile a program, on one protocol and one engine.

A strategy's settings are in the file of its name; how it compiles is under ``plans``, what runs it under
``engine``, and what it makes programs of under ``material``. Names are loaded when they are used (PEP 562).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_lmprog.teleprompt.base import CallBound as CallBound
    from pytest_lmprog.teleprompt.base import Candidate as Candidate
    from pytest_lmprog.teleprompt.base import CompileResult as CompileResult
    from pytest_lmprog.teleprompt.base import CompileRuntime as CompileRuntime
    from pytest_lmprog.teleprompt.base import CompileTask as CompileTask
    from pytest_lmprog.teleprompt.base import ProgressEvent as ProgressEvent
    from pytest_lmprog.teleprompt.base import Teleprompter as Teleprompter
    from pytest_lmprog.teleprompt.better_together import BetterTogether as BetterTogether
    from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot as BootstrapFewShot
    from pytest_lmprog.teleprompt.copro import COPRO as COPRO
    from pytest_lmprog.teleprompt.engine.journal import FileJournal as FileJournal
    from pytest_lmprog.teleprompt.ensemble import Ensemble as Ensemble
    from pytest_lmprog.teleprompt.finetune import BootstrapFinetune as BootstrapFinetune
    from pytest_lmprog.teleprompt.gepa import GEPA as GEPA
    from pytest_lmprog.teleprompt.infer_rules import InferRules as InferRules
    from pytest_lmprog.teleprompt.knn_few_shot import KNNFewShot as KNNFewShot
    from pytest_lmprog.teleprompt.labeled import LabeledFewShot as LabeledFewShot
    from pytest_lmprog.teleprompt.mipro import MIPROv2 as MIPROv2
    from pytest_lmprog.teleprompt.optuna_search import (
        BootstrapFewShotWithOptuna as BootstrapFewShotWithOptuna,
    )
    from pytest_lmprog.teleprompt.random_search import (
        BootstrapFewShotWithRandomSearch as BootstrapFewShotWithRandomSearch,
    )
    from pytest_lmprog.teleprompt.random_search import BootstrapRS as BootstrapRS
    from pytest_lmprog.teleprompt.simba import SIMBA as SIMBA
    from pytest_lmprog.teleprompt.strategy import TeleprompterBase as TeleprompterBase

else:
    _NAMES = {
        "base": (
            "CallBound",
            "Candidate",
            "CompileResult",
            "CompileRuntime",
            "CompileTask",
            "ProgressEvent",
            "Teleprompter",
        ),
        "better_together": ("BetterTogether",),
        "bootstrap": ("BootstrapFewShot",),
        "copro": ("COPRO",),
        "engine.journal": ("FileJournal",),
        "ensemble": ("Ensemble",),
        "finetune": ("BootstrapFinetune",),
        "gepa": ("GEPA",),
        "infer_rules": ("InferRules",),
        "knn_few_shot": ("KNNFewShot",),
        "labeled": ("LabeledFewShot",),
        "mipro": ("MIPROv2",),
        "optuna_search": ("BootstrapFewShotWithOptuna",),
        "random_search": ("BootstrapFewShotWithRandomSearch", "BootstrapRS"),
        "simba": ("SIMBA",),
        "strategy": ("TeleprompterBase",),
    }
    _HOMES = {name: home for home, names in _NAMES.items() for name in names}

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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
    "FileJournal",
    "InferRules",
    "KNNFewShot",
    "LabeledFewShot",
    "MIPROv2",
    "ProgressEvent",
    "Teleprompter",
    "TeleprompterBase",
]
