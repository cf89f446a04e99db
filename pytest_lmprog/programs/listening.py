"""Listening: what predictors that run tell of their output fields, while the answers arrive.

A text field is told in pieces that follow from its text alone (a word, or sixteen characters of a long
one), so that a live call, a cached and a replayed one give the same pieces. Other fields come whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from threading import Event
from typing import TYPE_CHECKING, Any

from pytest_lmprog.adapters.partial import partial_texts, streams
from pytest_lmprog.adapters.text import json_text
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.lm.streaming import StreamCancelledError, streaming_to
from pytest_lmprog.programs.context import current, stand_ins
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel, LMRequest, LMResponse
    from pytest_lmprog.programs.example import Prediction
    from pytest_lmprog.programs.module import Module
    from pytest_lmprog.programs.predict import Predict

__all__ = ["FieldChunk", "Listener", "StreamListener", "wanted_field"]


@dataclass(frozen=True)
class FieldChunk:
    """A piece of an output field. ``name, text = chunk`` unpacks its field and its text.

    Parameters
    ----------
    field: the output field.
    chunk: the next piece of its text.
    predictor: the path of the predictor whose field it is.
    is_last_chunk: whether the field ends with it.
    restarted: whether the field begins anew with it: what came before is void, because the call broke and was
        put again, or its answer did not fit and was asked for once more.
    """

    field: str
    chunk: str
    predictor: str
    is_last_chunk: bool = False
    restarted: bool = False

    def __iter__(self) -> Iterator[str]:
        return iter((self.field, self.chunk))

    @property
    def signature_field_name(self) -> str:
        """The output field, by DSPy's name."""
        return self.field

    @property
    def predict_name(self) -> str:
        """The predictor's path, by DSPy's name."""
        return self.predictor


_PIECE = re.compile(r"\s*\S{1,16}")


class _Told:
    """What has been told of one field of one call."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._sent = ""
        self._ended = False
        self._restarted = False

    def so_far(self, text: str, *, ended: bool) -> None:
        """Tell the pieces of ``text`` that will not change, whatever follows; all where it has ended."""
        if self._ended and text == self._sent:
            return
        if not ended and self._sent.startswith(text):
            return
        if self._ended or not text.startswith(self._sent):
            self._sent, self._ended, self._restarted = "", False, True
        pieces = _pieces(text, len(self._sent), final=ended)
        for number, piece in enumerate(pieces, 1):
            self._send(piece, last=ended and number == len(pieces))

    def _send(self, piece: str, *, last: bool) -> None:
        self._sent += piece
        self._ended = last
        restarted, self._restarted = self._restarted, False
        self._tell(chunk=piece, is_last_chunk=last, restarted=restarted)


def _pieces(text: str, start: int, *, final: bool) -> list[str]:
    matches = list(_PIECE.finditer(text, start))
    pieces = [match.group() for match in matches]
    if not final:
        return pieces[:-1] if matches and matches[-1].end() == len(text) else pieces
    end = matches[-1].end() if matches else start
    return [*pieces, text[end:]] if text[end:] or not pieces else pieces


class _Call:
    """One call of one predictor, listened to."""

    def __init__(self, listener: Listener, predictor: Predict, name: str, fields: Sequence[str]) -> None:
        self._listener = listener
        self._signature = predictor.signature
        self._first = current().rollout * predictor.n
        self._seen = 0
        self._told = {n: _Told(listener.teller(n, name)) for n in fields}

    def complete(self, lm: LanguageModel, request: LMRequest) -> LMResponse:
        """Have ``lm`` answer, its text told while it arrives."""
        self._listener.check()
        if not self._listens(request):
            return lm.complete(request)
        self._seen = 0
        with streaming_to(self._arriving):
            response = lm.complete(request)
        self._arrived(response.text)
        return response

    async def acomplete(self, lm: LanguageModel, request: LMRequest) -> LMResponse:
        """The same, awaiting."""
        self._listener.check()
        if not self._listens(request):
            return await lm.acomplete(request)
        self._seen = 0
        with streaming_to(self._arriving):
            response = await lm.acomplete(request)
        self._arrived(response.text)
        return response

    def _listens(self, request: LMRequest) -> bool:
        wanted = any(streams(self._signature, name) for name in self._told)
        return wanted and request.rollout == self._first

    def _arriving(self, text: str) -> None:
        self._listener.check()
        if current_scope().rewrites_answers:
            return  # what arrives is not what will be said
        if 0 <= len(text) - self._seen < len(text) // 200:
            return  # a huge answer is read anew at intervals that grow with it
        self._seen = len(text)
        self._arrived(text)

    def _arrived(self, text: str) -> None:
        for name, (so_far, ended) in partial_texts(self._signature, text).items():
            if name in self._told:
                self._told[name].so_far(so_far, ended=ended)

    def finish(self, prediction: Prediction) -> None:
        """Tell what has not been told yet of the prediction."""
        for name in sorted(self._told, key=lambda name: not streams(self._signature, name)):
            told = self._told[name]
            told.so_far(_as_text(self._signature.output_fields[name], prediction[name]), ended=True)


def _as_text(output: Any, value: Any) -> str:
    plain = output.to_plain(value)
    return plain if isinstance(plain, str) else json_text(plain)


@dataclass(frozen=True)
class StreamListener:
    """Which field to listen to, for ``streamify``.

    Parameters
    ----------
    signature_field_name: an output field.
    predict: the predictor, where several have a field of that name.
    predict_name: its path, instead.
    allow_reuse: taken for DSPy's sake; a listener can always be used again.
    """

    signature_field_name: str
    predict: Any = None
    predict_name: str | None = None
    allow_reuse: bool = field(default=False, repr=False)


class Listener:
    """Whom predictors tell what they put out."""

    def __init__(self, program: Module, fields: Sequence[str] | None, put: Callable[[Any], None]) -> None:
        self._names = {id(p): name for name, p in program.named_predictors()}
        self._fields = None if fields is None else [wanted_field(item) for item in fields]
        self._put = put
        self.cancelled = Event()

    def check(self) -> None:
        """Raise StreamCancelledError where nobody listens any more."""
        if self.cancelled.is_set():
            raise StreamCancelledError

    def teller(self, field: str, predictor: str) -> Callable[..., None]:
        """Return what is told the pieces of a field."""
        return lambda **said: self._put(FieldChunk(field, predictor=predictor, **said))

    def begin(self, predictor: Predict) -> _Call | None:
        """Return what listens to a call of ``predictor``, or None where none of its fields is wanted."""
        name = self._name_of(predictor)
        outputs = predictor.signature.output_fields
        fields = [n for n in outputs if self._wants(n, name)]
        return _Call(self, predictor, name, fields) if fields else None

    def _name_of(self, predictor: Predict) -> str:
        """Return the path of a predictor, or of the one that it stands in for."""
        known = self._names.get(id(predictor))
        if known is not None:
            return known
        origins = [origin for origin, by in (stand_ins.get() or {}).items() if by is predictor]
        return self._names.get(origins[0], "") if origins else ""

    def _wants(self, field: str, predictor: str) -> bool:
        if self._fields is None:
            return True
        return any(field == f and predictor in (p, p or predictor) for p, f in self._fields)


def wanted_field(item: Any) -> tuple[str, str]:
    """Return predictor (empty for any) and output field of what is asked for, a name or a StreamListener."""
    if isinstance(item, StreamListener):
        return item.predict_name or "", item.signature_field_name
    predictor, dot, field = str(item).rpartition(".")
    return (predictor, field) if dot else ("", str(item))
