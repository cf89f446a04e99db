"""pytest-lmprog: compile, test, review and replay language model programs.

Everything public is here, imported on first use:

>>> import pytest_lmprog as lmp
>>> lmp.Predict("question -> answer")  # doctest: +SKIP
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pytest_lmprog.evaluate as evaluate  # noqa: F401
    import pytest_lmprog.streaming as streaming  # noqa: F401
    import pytest_lmprog.teleprompt as teleprompt  # noqa: F401
    from pytest_lmprog.adapters.chat import ChatAdapter as ChatAdapter
    from pytest_lmprog.adapters.json import JSONAdapter as JSONAdapter
    from pytest_lmprog.adapters.two_step import TwoStepAdapter as TwoStepAdapter
    from pytest_lmprog.adapters.xml import XMLAdapter as XMLAdapter
    from pytest_lmprog.errors import AssertionFailed as AssertionFailed
    from pytest_lmprog.evaluation.callables import ScoreWithFeedback as ScoreWithFeedback
    from pytest_lmprog.evaluation.comparison import compare as compare
    from pytest_lmprog.evaluation.evaluate import Evaluate as Evaluate
    from pytest_lmprog.evaluation.judge import Judge as Judge
    from pytest_lmprog.evaluation.judgement import Judgement as Judgement
    from pytest_lmprog.evaluation.scores import Score as Score
    from pytest_lmprog.lm.client import LM as LM
    from pytest_lmprog.lm.scripted import ScriptedLM as ScriptedLM
    from pytest_lmprog.programs.assertions import Assert as Assert
    from pytest_lmprog.programs.assertions import Suggest as Suggest
    from pytest_lmprog.programs.best_of_n import BestOfN as BestOfN
    from pytest_lmprog.programs.context import configure as configure
    from pytest_lmprog.programs.context import context as context
    from pytest_lmprog.programs.context import settings as settings
    from pytest_lmprog.programs.example import Example as Example
    from pytest_lmprog.programs.example import Prediction as Prediction
    from pytest_lmprog.programs.function import program as program
    from pytest_lmprog.programs.intercept import intercept as intercept
    from pytest_lmprog.programs.interpreter import PythonInterpreter as PythonInterpreter
    from pytest_lmprog.programs.knn import KNN as KNN
    from pytest_lmprog.programs.listening import FieldChunk as FieldChunk
    from pytest_lmprog.programs.listening import StreamListener as StreamListener
    from pytest_lmprog.programs.majority import majority as majority
    from pytest_lmprog.programs.module import Module as Module
    from pytest_lmprog.programs.multi_chain import MultiChainComparison as MultiChainComparison
    from pytest_lmprog.programs.parallel import Parallel as Parallel
    from pytest_lmprog.programs.predict import ChainOfThought as ChainOfThought
    from pytest_lmprog.programs.predict import Predict as Predict
    from pytest_lmprog.programs.program_of_thought import ProgramOfThought as ProgramOfThought
    from pytest_lmprog.programs.react import ReAct as ReAct
    from pytest_lmprog.programs.recorded import recorded as recorded
    from pytest_lmprog.programs.refine import Refine as Refine
    from pytest_lmprog.programs.retrieve import Retrieve as Retrieve
    from pytest_lmprog.programs.streaming import stream as stream
    from pytest_lmprog.programs.streaming import streamify as streamify
    from pytest_lmprog.retrieval import BM25 as BM25
    from pytest_lmprog.retrieval import ChromadbRM as ChromadbRM
    from pytest_lmprog.retrieval import ColBERTv2 as ColBERTv2
    from pytest_lmprog.retrieval import Embedder as Embedder
    from pytest_lmprog.retrieval import Embeddings as Embeddings
    from pytest_lmprog.retrieval import MarqoRM as MarqoRM
    from pytest_lmprog.retrieval import PineconeRM as PineconeRM
    from pytest_lmprog.retrieval import QdrantRM as QdrantRM
    from pytest_lmprog.signatures import InputField as InputField
    from pytest_lmprog.signatures import OutputField as OutputField
    from pytest_lmprog.signatures import Signature as Signature
    from pytest_lmprog.signatures.values.history import History as History
    from pytest_lmprog.signatures.values.media import Audio as Audio
    from pytest_lmprog.signatures.values.media import File as File
    from pytest_lmprog.signatures.values.media import Image as Image
    from pytest_lmprog.signatures.values.tool import Tool as Tool
    from pytest_lmprog.signatures.values.tool_calls import ToolCalls as ToolCalls
    from pytest_lmprog.snapshots.restore import load as load
    from pytest_lmprog.teleprompt import COPRO as COPRO
    from pytest_lmprog.teleprompt import GEPA as GEPA
    from pytest_lmprog.teleprompt import SIMBA as SIMBA
    from pytest_lmprog.teleprompt import BetterTogether as BetterTogether
    from pytest_lmprog.teleprompt import BootstrapFewShot as BootstrapFewShot
    from pytest_lmprog.teleprompt import BootstrapFewShotWithOptuna as BootstrapFewShotWithOptuna
    from pytest_lmprog.teleprompt import (
        BootstrapFewShotWithRandomSearch as BootstrapFewShotWithRandomSearch,
    )
    from pytest_lmprog.teleprompt import BootstrapFinetune as BootstrapFinetune
    from pytest_lmprog.teleprompt import BootstrapRS as BootstrapRS
    from pytest_lmprog.teleprompt import Ensemble as Ensemble
    from pytest_lmprog.teleprompt import InferRules as InferRules
    from pytest_lmprog.teleprompt import KNNFewShot as KNNFewShot
    from pytest_lmprog.teleprompt import LabeledFewShot as LabeledFewShot
    from pytest_lmprog.teleprompt import MIPROv2 as MIPROv2

else:
    _HOMES = {
        "BM25": "retrieval",
        "COPRO": "teleprompt",
        "GEPA": "teleprompt",
        "LM": "lm.client",
        "Assert": "programs.assertions",
        "AssertionFailed": "errors",
        "BetterTogether": "teleprompt",
        "BootstrapFewShot": "teleprompt",
        "BootstrapFewShotWithOptuna": "teleprompt",
        "BootstrapFewShotWithRandomSearch": "teleprompt",
        "BootstrapFinetune": "teleprompt",
        "BootstrapRS": "teleprompt",
        "ChainOfThought": "programs.predict",
        "ChatAdapter": "adapters.chat",
        "Ensemble": "teleprompt",
        "Evaluate": "evaluation.evaluate",
        "Example": "programs.example",
        "InferRules": "teleprompt",
        "InputField": "signatures",
        "JSONAdapter": "adapters.json",
        "Judge": "evaluation.judge",
        "Judgement": "evaluation.judgement",
        "LabeledFewShot": "teleprompt",
        "MIPROv2": "teleprompt",
        "Module": "programs.module",
        "OutputField": "signatures",
        "Predict": "programs.predict",
        "Prediction": "programs.example",
        "ProgramOfThought": "programs.program_of_thought",
        "PythonInterpreter": "programs.interpreter",
        "ReAct": "programs.react",
        "Retrieve": "programs.retrieve",
        "SIMBA": "teleprompt",
        "Score": "evaluation.scores",
        "ScoreWithFeedback": "evaluation.callables",
        "ScriptedLM": "lm.scripted",
        "Signature": "signatures",
        "Suggest": "programs.assertions",
        "Tool": "signatures.values.tool",
        "FieldChunk": "programs.listening",
        "StreamListener": "programs.listening",
        "stream": "programs.streaming",
        "streamify": "programs.streaming",
        "Audio": "signatures.values.media",
        "File": "signatures.values.media",
        "Image": "signatures.values.media",
        "History": "signatures.values.history",
        "ToolCalls": "signatures.values.tool_calls",
        "TwoStepAdapter": "adapters.two_step",
        "XMLAdapter": "adapters.xml",
        "MultiChainComparison": "programs.multi_chain",
        "BestOfN": "programs.best_of_n",
        "Refine": "programs.refine",
        "Parallel": "programs.parallel",
        "KNN": "programs.knn",
        "KNNFewShot": "teleprompt",
        "majority": "programs.majority",
        "compare": "evaluation.comparison",
        "configure": "programs.context",
        "context": "programs.context",
        "intercept": "programs.intercept",
        "load": "snapshots.restore",
        "program": "programs.function",
        "recorded": "programs.recorded",
        "settings": "programs.context",
        "MarqoRM": "retrieval",
        "Embeddings": "retrieval",
        "PineconeRM": "retrieval",
        "ColBERTv2": "retrieval",
        "QdrantRM": "retrieval",
        "Embedder": "retrieval",
        "ChromadbRM": "retrieval",
    }

    _PARTS = ("evaluate", "streaming", "teleprompt")  # modules that DSPy's users reach as attributes

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _PARTS:
            return import_module(f"{__name__}.{name}")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = "0.1.0"

__all__ = [
    "BM25",
    "COPRO",
    "GEPA",
    "KNN",
    "LM",
    "SIMBA",
    "Assert",
    "AssertionFailed",
    "Audio",
    "BestOfN",
    "BetterTogether",
    "BootstrapFewShot",
    "BootstrapFewShotWithOptuna",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapFinetune",
    "BootstrapRS",
    "ChainOfThought",
    "ChatAdapter",
    "ChromadbRM",
    "ColBERTv2",
    "Embedder",
    "Embeddings",
    "Ensemble",
    "Evaluate",
    "Example",
    "FieldChunk",
    "File",
    "History",
    "Image",
    "InferRules",
    "InputField",
    "JSONAdapter",
    "Judge",
    "Judgement",
    "KNNFewShot",
    "LabeledFewShot",
    "MIPROv2",
    "MarqoRM",
    "Module",
    "MultiChainComparison",
    "OutputField",
    "Parallel",
    "PineconeRM",
    "Predict",
    "Prediction",
    "ProgramOfThought",
    "PythonInterpreter",
    "QdrantRM",
    "ReAct",
    "Refine",
    "Retrieve",
    "Score",
    "ScoreWithFeedback",
    "ScriptedLM",
    "Signature",
    "StreamListener",
    "Suggest",
    "Tool",
    "ToolCalls",
    "TwoStepAdapter",
    "XMLAdapter",
    "compare",
    "configure",
    "context",
    "intercept",
    "load",
    "majority",
    "program",
    "recorded",
    "settings",
    "stream",
    "streamify",
]
