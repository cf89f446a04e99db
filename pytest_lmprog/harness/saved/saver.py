"""From a program's run to the data that is saved of it: values as plain JSON, texts without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.evaluation.runner import error_info
from pytest_lmprog.harness.saved.cases import SavedCall, SavedCase, SavedError, SavedExample, message_text
from pytest_lmprog.harness.state import example_digest
from pytest_lmprog.lm.shortening import shortened
from pytest_lmprog.lm.types import Message
from pytest_lmprog.programs import Example, Prediction, Run
from pytest_lmprog.programs.trace import PredictorCall
from pytest_lmprog.signatures.fields import Field
from pytest_lmprog.steady import steady

__all__ = ["REPR", "Saver", "pointer", "stored"]

REPR = "$repr"
"""Key of what stands for a value without a JSON form."""

_LONGEST_REPR = 4000
_EXACT = (str, int, float, bool, type(None))


def stored(value: Any) -> Any:
    """Return ``value`` as plain JSON data; parts without such a form as ``{"$repr": "..."}``."""
    if type(value) in _EXACT:
        return _scalar(value)
    if isinstance(value, list | tuple):
        return [stored(part) for part in value]
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {str(_scalar(key)): stored(part) for key, part in value.items()}
    try:
        return plain(value)
    except (CanonicalError, RecursionError):
        return _shown(value)


def _scalar(value: Any) -> Any:
    if type(value) is str and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates
    return _shown(value) if value != value or value in (float("inf"), float("-inf")) else value


def _shown(value: Any) -> dict[str, str]:
    text = steady(repr(value))
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return {REPR: text if len(text) <= _LONGEST_REPR else f"{text[:_LONGEST_REPR]}..."}


def pointer(*steps: str | int) -> str:
    """Return the JSON pointer (RFC 6901) to a part of a value."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass
class Saver:
    """Makes saved data of what ran.

    Parameters
    ----------
    clean: takes secrets out of a text, and what the project's hook does not want stored.
    keep_messages: False (``lm_store_messages``): digests stand in place of messages and inputs.
    """

    clean: Callable[[str], str]
    keep_messages: bool = True
    _shared: dict[int, tuple[Any, tuple[dict[str, Any], ...]]] = field(default_factory=dict)

    def example(self, example: Example) -> SavedExample:
        """Return a data row as it is saved."""
        inputs = example.input_names or frozenset()
        fields = {
            name: self.value(value) if name not in inputs else self._input(value)
            for name, value in example.items()
        }
        return SavedExample(
            example.id,
            fields,
            tuple(name for name in example if name in inputs),
            example.split,
            example.tags,
            example.weight,
            example_digest(example),
        )

    def case(self, example: Example, rollout: int, run: Run) -> SavedCase:
        """Return a run as it is saved."""
        calls = list(run.trace)
        error = None
        if run.error is not None:
            info = error_info(run.error)
            error = SavedError(info.kind, self._text(info.message))
        prediction = run.prediction
        return SavedCase(
            example.id,
            rollout,
            None if prediction is None else self._outputs(prediction, _fields_of_maker(prediction, calls)),
            error,
            tuple(map(self._call, calls)),
            {} if prediction is None else dict(_origins(prediction, calls)),
            None if prediction is None else _maker(prediction, calls),
            () if prediction is None else tuple(self._samples(prediction, calls)),
        )

    def _samples(self, prediction: Prediction, calls: list[PredictorCall]) -> Iterator[dict[str, Any]]:
        if len(prediction.completions) > 1:
            fields = _fields_of_maker(prediction, calls)
            for sample in prediction.completions:
                yield self._outputs(sample, fields)

    def _call(self, call: PredictorCall) -> SavedCall:
        signature, response = call.predictor.signature, call.response
        usage = call.usage
        return SavedCall(
            call.name,
            {
                name: self._input(value, signature.input_fields.get(name))
                for name, value in call.inputs.items()
            },
            None if call.outputs is None else self._outputs(call.outputs, signature.output_fields),
            self._messages(call.messages),
            self._text(call.answer),
            call.adapter,
            call.rollout,
            None if usage is None else (usage.prompt_tokens, usage.completion_tokens),
            call.latency,
            call.cost,
            response.source,
            None if call.error is None else self._text(call.error),
            response.finish_reason,
            None if response.reasoning is None else self._text(response.reasoning),
        )

    def _outputs(self, outputs: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
        return {name: self.value(value, fields.get(name)) for name, value in outputs.items()}

    def value(self, value: Any, field: Field | None = None) -> Any:
        """Return a value as it is saved; ``field`` knows its type where it came from a predictor."""
        if field is not None and type(value) not in _EXACT:
            try:
                return self._cleaned(field.to_plain(value))
            except (ValueError, TypeError):
                pass
        return self._cleaned(stored(value))

    def _input(self, value: Any, field: Field | None = None) -> Any:
        saved = self.value(value, field)
        return saved if self.keep_messages else _digest(saved)

    def _messages(self, messages: tuple[Message, ...]) -> tuple[dict[str, Any], ...]:
        """Return messages as they are saved; what many calls begin with is worked on once."""
        shared = getattr(messages, "shared", None)
        if shared is None:
            return tuple(map(self._saved_message, messages))
        known = self._shared.get(id(shared))
        if known is None:
            opening = tuple(map(self._saved_message, shared.messages))
            known = self._shared[id(shared)] = (shared, opening)
        return (*known[1], *map(self._saved_message, messages[len(known[1]) :]))

    def _saved_message(self, message: Message) -> dict[str, Any]:
        saved: dict[str, Any] = self._cleaned(stored(message))
        if self.keep_messages:
            return saved
        return {"role": saved.get("role"), "content": _digest(saved)}

    def _cleaned(self, value: Any) -> Any:
        if type(value) is str:
            return self.clean(shortened(value))
        if type(value) is dict:
            return {name: self._cleaned(part) for name, part in value.items()}
        return [self._cleaned(part) for part in value] if type(value) is list else value

    def _text(self, text: str) -> str:
        return self.clean(str(_scalar(text)))


def _digest(value: Any) -> str:
    return f"sha256:{hashlib.sha256(message_text(value).encode('utf-8')).hexdigest()[:16]}"


# --- where values came from -----------------------------------------------------------------------------


def _maker(prediction: Prediction, calls: list[PredictorCall]) -> int | None:
    """Return the number of the last call that was given the inputs which the prediction falls back on."""
    inputs = prediction._inputs
    if not inputs:
        return None
    numbered = reversed(list(enumerate(calls)))
    return next((n for n, call in numbered if call.inputs is inputs or _same(call.inputs, inputs)), None)


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    if left.keys() != right.keys():
        return False
    return bool(all(left[name] is right[name] or stored(left[name]) == stored(right[name]) for name in left))


def _fields_of_maker(prediction: Prediction, calls: list[PredictorCall]) -> Mapping[str, Field]:
    """Return the output fields of the predictor that made the prediction, if one did."""
    maker = _maker(prediction, calls)
    return {} if maker is None else calls[maker].predictor.signature.output_fields


def _origins(prediction: Prediction, calls: list[PredictorCall]) -> Iterator[tuple[str, tuple[int, str]]]:
    """Yield what in a prediction is an output of a call, the very object, and is not plain JSON anyway."""
    known: dict[int, tuple[int, str]] = {}
    for number, call in enumerate(calls):
        if call.outputs is not None:
            known[id(call.outputs)] = (number, "")
            known.update({id(v): (number, n) for n, v in call.outputs.items() if type(v) not in _EXACT})
    if known:
        yield from _known_parts(dict(prediction), (), known)


def _known_parts(
    value: Any, path: tuple[str | int, ...], known: Mapping[int, tuple[int, str]]
) -> Iterator[tuple[str, tuple[int, str]]]:
    if id(value) in known:
        yield pointer(*path), known[id(value)]
    elif len(path) > 20 or type(value) in _EXACT:
        return
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _known_parts(part, (*path, str(name)), known)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _known_parts(part, (*path, index), known)
