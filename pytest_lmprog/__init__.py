"""pytest-lmprog: compile, test, review and replay language model programs.

Everything public is here, imported on first use:

>>> import pytest_lmprog as lmp
>>> lmp.Predict("question -> answer")  # doctest: +SKIP
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pytest_lmprog.adapters.chat import ChatAdapter as ChatAdapter
    from pytest_lmprog.adapters.json import JSONAdapter as JSONAdapter
    from pytest_lmprog.evaluation.comparison import compare as compare
    from pytest_lmprog.evaluation.evaluate import Evaluate as Evaluate
    from pytest_lmprog.evaluation.judge import Judge as Judge
    from pytest_lmprog.evaluation.judgement import Judgement as Judgement
    from pytest_lmprog.evaluation.scores import Score as Score
    from pytest_lmprog.lm.client import LM as LM
    from pytest_lmprog.lm.scripted import ScriptedLM as ScriptedLM
    from pytest_lmprog.programs.context import configure as configure
    from pytest_lmprog.programs.context import context as context
    from pytest_lmprog.programs.context import settings as settings
    from pytest_lmprog.programs.example import Example as Example
    from pytest_lmprog.programs.example import Prediction as Prediction
    from pytest_lmprog.programs.module import Module as Module
    from pytest_lmprog.programs.predict import ChainOfThought as ChainOfThought
    from pytest_lmprog.programs.predict import Predict as Predict
    from pytest_lmprog.signatures import InputField as InputField
    from pytest_lmprog.signatures import OutputField as OutputField
    from pytest_lmprog.signatures import Signature as Signature
    from pytest_lmprog.snapshots.restore import load as load
    from pytest_lmprog.teleprompt import BootstrapFewShot as BootstrapFewShot
    from pytest_lmprog.teleprompt import (
        BootstrapFewShotWithRandomSearch as BootstrapFewShotWithRandomSearch,
    )
    from pytest_lmprog.teleprompt import BootstrapRS as BootstrapRS
    from pytest_lmprog.teleprompt import LabeledFewShot as LabeledFewShot

else:
    _HOMES = {
        "LM": "lm.client",
        "BootstrapFewShot": "teleprompt",
        "BootstrapFewShotWithRandomSearch": "teleprompt",
        "BootstrapRS": "teleprompt",
        "ChainOfThought": "programs.predict",
        "ChatAdapter": "adapters.chat",
        "Evaluate": "evaluation.evaluate",
        "Example": "programs.example",
        "InputField": "signatures",
        "JSONAdapter": "adapters.json",
        "Judge": "evaluation.judge",
        "Judgement": "evaluation.judgement",
        "LabeledFewShot": "teleprompt",
        "Module": "programs.module",
        "OutputField": "signatures",
        "Predict": "programs.predict",
        "Prediction": "programs.example",
        "Score": "evaluation.scores",
        "ScriptedLM": "lm.scripted",
        "Signature": "signatures",
        "compare": "evaluation.comparison",
        "configure": "programs.context",
        "context": "programs.context",
        "load": "snapshots.restore",
        "settings": "programs.context",
    }

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


__version__ = "0.1.0"

__all__ = [
    "LM",
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapRS",
    "ChainOfThought",
    "ChatAdapter",
    "Evaluate",
    "Example",
    "InputField",
    "JSONAdapter",
    "Judge",
    "Judgement",
    "LabeledFewShot",
    "Module",
    "OutputField",
    "Predict",
    "Prediction",
    "Score",
    "ScriptedLM",
    "Signature",
    "compare",
    "configure",
    "context",
    "load",
    "settings",
]
