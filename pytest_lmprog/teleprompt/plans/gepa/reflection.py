"""Reflection: what an LM is shown of a predictor's runs, to write a better instruction for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.programs import Module, Predict, Prediction, PredictorCall
from pytest_lmprog.programs.describing import as_text
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import InputField, OutputField, Signature

__all__ = [
    "CustomProposer",
    "Observation",
    "Record",
    "RewriteInstruction",
    "observed",
    "proposed",
    "proposer",
    "rendered",
]

Record = Mapping[str, Any]
"""DSPy's form of an observation: ``Inputs``, ``Generated Outputs`` and ``Feedback``."""


class RewriteInstruction(Signature):
    """An assistant does a task by the instruction below. You see what it was given in some cases, what it put
    out, and how that was judged. Write a better instruction, which takes the place of the current one.

    The assistant will see nothing but your instruction and its inputs. So say what the inputs are and what to
    put out, in which form. From the judgements, take over every fact and every rule of the task that the
    assistant could not know by itself, and keep what already works. Give general rules, not these cases."""

    current_instruction: str = InputField(desc="what the assistant is told now")
    cases: str = InputField(desc="inputs, outputs and judgement of each case")
    new_instruction: str = OutputField(desc="the better instruction, and nothing else")


@dataclass(frozen=True)
class Observation:
    """One call of a predictor, in a run whose ``result`` was judged."""

    name: str
    call: PredictorCall
    result: CaseResult

    @property
    def unreadable(self) -> bool:
        """Whether the answer did not fit the signature."""
        return self.call.outputs is None

    def record(self, score: float, feedback: str) -> Record:
        """Return DSPy's form of it, all values as text."""
        words = f"Score: {score:.3g}"
        return {
            "Inputs": {name: _shown(value) for name, value in self.call.inputs.items()},
            "Generated Outputs": self._outputs(),
            "Feedback": f"{words}\n{feedback}" if feedback else words,
        }

    def _outputs(self) -> dict[str, str] | str:
        if self.call.outputs is None:
            return f"an answer that could not be read:\n{self.call.answer}"
        return {name: _shown(value) for name, value in self.call.outputs.items()}


def observed(name: str, result: CaseResult, *, unreadable: bool, rng: Random) -> Observation | None:
    """Return the call of the predictor ``name`` to reflect on, drawn from those of one run; None where
    there is none.

    As in DSPy's GEPA, a run that ended in an unreadable answer is passed over, unless with ``unreadable``
    the answer is this predictor's: then it is the one to reflect on. A run in which the program raised
    something is shown, with what it raised as feedback."""
    calls = result.trace.of(name)
    if result.error is not None and result.error.kind == "ParseError":
        last = result.trace.calls[-1:] if unreadable else ()
        return next(
            (Observation(name, c, result) for c in last if c.name == name and c.outputs is None), None
        )
    readable = [call for call in calls if call.outputs is not None]
    return Observation(name, rng.choice(readable), result) if readable else None


def rendered(records: Sequence[Record]) -> str:
    """Return the observations as plain text."""
    return "\n\n".join(_rendered(number, record) for number, record in enumerate(records, 1))


def _rendered(number: int, record: Record) -> str:
    outputs = record["Generated Outputs"]
    parts = [
        f"Case {number}",
        f"Inputs:\n{_fields(record['Inputs'])}",
        f"Outputs:\n{outputs if isinstance(outputs, str) else _fields(outputs)}",
        f"Judgement:\n{record['Feedback']}",
    ]
    return "\n".join(parts)


def _fields(values: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return as_text(plain(value))
    except CanonicalError:
        return f"<{type(value).__name__}>"  # its repr may hold addresses


class CustomProposer(Module):
    """An ``instruction_proposer`` of the user's, run like any program.

    A Module tells its own ``max_calls``; a function may make one LM call for each of its ``components``."""

    def __init__(self, function: Callable[..., Any], components: int) -> None:
        self.function = function
        self.components = components

    def forward(
        self, candidate: dict[str, str], reflective_dataset: dict[str, Any], components_to_update: list[str]
    ) -> Prediction:
        """Return the new instructions by predictor, as the field ``texts``."""
        texts = self.function(
            candidate=candidate,
            reflective_dataset=reflective_dataset,
            components_to_update=components_to_update,
        )
        return Prediction(texts=dict(texts))

    def max_calls(self) -> int:
        """The most LM calls of one proposal."""
        return self.function.max_calls() if isinstance(self.function, Module) else self.components


def proposer() -> Predict:
    """Return the program that reflects."""
    return Predict(RewriteInstruction)


_FENCED = re.compile(r"\A```[^\n`]*\n(.*?)\n?```\Z", re.DOTALL)


def proposed(text: Any) -> str:
    """Return the instruction in what an LM answered: no white space or code fence around it."""
    stripped = str(text).strip()
    fenced = _FENCED.match(stripped)
    return fenced[1].strip() if fenced else stripped
