"""ScriptedLM: an LM that says what it is told, for tests of programs, without network or key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from types import CodeType, FunctionType
from typing import Any, Self

from pytest_lmprog.canonical import digest, plain
from pytest_lmprog.errors import ConfigurationError, LMRequestError
from pytest_lmprog.lm.limiter import Limiter
from pytest_lmprog.lm.model import PipelineLM
from pytest_lmprog.lm.options import sort_options
from pytest_lmprog.lm.pipeline import Pipeline
from pytest_lmprog.lm.redaction import Scrubber
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse

__all__ = ["Script", "ScriptedAnswer", "ScriptedLM"]

ScriptedAnswer = str | Mapping[str, Any] | LMResponse | BaseException | type[BaseException]
"""A text, a mapping that is rendered as JSON, a whole response, or an exception to raise."""

Script = str | Mapping[str, ScriptedAnswer] | Callable[[LMRequest], ScriptedAnswer] | Iterable[ScriptedAnswer]


class ScriptedLM(PipelineLM):
    """An LM whose answers are a script. It goes through recordings, cache, budget and counts like any LM.

    Parameters
    ----------
    answers: one of

        - a function of the request (``request.messages[-1]["content"]``);
        - a mapping: the longest key that occurs in the last user message has the answer;
        - a list (or any iterable): answers in the order in which requests come;
        - a text: always that.

        An answer is a text, a mapping (sent as JSON), an ``LMResponse``, or an exception to raise. Retryable
        LM errors are retried, without waiting.
    model: the name in keys and reports.
    json_schema: whether it takes part as a model that can constrain answers; False refuses
        ``response_format``, None leaves it to be found out.
    cache: whether equal requests share one answer. By default they do, except under a list, where the order
        of requests decides.
    latency: seconds that each answer takes.
    params: sampling parameters of every request.

    ``requests`` holds the requests that reached the script, in order.

    >>> lm = ScriptedLM({"capital of France": {"answer": "Paris"}})
    >>> lm("What is the capital of France?")
    ['{"answer": "Paris"}']
    """

    __slots__ = ("_script",)

    _script: _Script

    def __init__(
        self,
        answers: Script,
        *,
        model: str = "scripted",
        json_schema: bool | None = True,
        cache: bool | None = None,
        latency: float = 0.0,
        max_concurrency: int = 64,
        **params: Any,
    ) -> None:
        script = _Script(answers, json_schema, latency)
        endpoint = f"scripted:{script.identity}"
        known = {} if json_schema is None else {(model, endpoint): Capabilities(json_schema)}
        pipeline = Pipeline(
            script,
            address=lambda: endpoint,
            store=MemoryStore(),
            limiter=Limiter(max_concurrency),
            retry=RetryPolicy(sleep=lambda _: None),
            scrubber=Scrubber,
            reuse=script.by_request if cache is None else cache,
            learned=known,
        )
        self._set(
            _model=model,
            _params=sort_options(params).params,
            _pipeline=pipeline,
            _secrets=frozenset(),
            _script=script,
        )

    @property
    def requests(self) -> list[LMRequest]:
        """The requests that reached the script so far, in order (a copy)."""
        return self._script.requests

    @property
    def calls(self) -> int:
        """How many requests reached the script."""
        return len(self._script.requests)

    @property
    def in_order(self) -> bool:
        """Whether the order of the requests decides who gets which answer."""
        return not self._script.by_request

    def copy(self, **params: Any) -> Self:
        """Return an LM with some sampling parameters changed (None removes one), on the same script."""
        merged = {**self._params, **params}
        new = object.__new__(type(self))
        new._set(
            _model=self._model,
            _params=sort_options(merged).params,
            _pipeline=self._pipeline,
            _secrets=self._secrets,
            _script=self._script,
        )
        return new

    def __repr__(self) -> str:
        return f"ScriptedLM({self._script.kind}, model={self._model!r})"


class _Script:
    """The transport: from a request to its scripted answer."""

    def __init__(self, answers: Script, json_schema: bool | None, latency: float) -> None:
        self.kind, self._answer = _reader(answers)
        self.by_request = self.kind != "list"
        self.identity = _identity(answers)
        self._json_schema = json_schema
        self._latency = latency
        self._lock = Lock()
        self._requests: list[LMRequest] = []

    @property
    def requests(self) -> list[LMRequest]:
        with self._lock:
            return list(self._requests)

    def ask(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` as the script says."""
        with self._lock:
            self._requests.append(request)
            answer = None if self.by_request else self._answer(request)
        if self._json_schema is False and request.response_format is not None:
            raise LMRequestError(f"{request.model} takes no response_format", status=400)
        if self._latency:
            time.sleep(self._latency)
        return _response(self._answer(request) if self.by_request else answer, self._latency)


def _reader(answers: Any) -> tuple[str, Callable[[LMRequest], Any]]:
    if isinstance(answers, str):
        return "text", lambda _: answers
    if isinstance(answers, Mapping):
        by_key = dict(answers)
        return "mapping", lambda request: _by_key(by_key, request)
    if callable(answers):
        return "function", answers
    if isinstance(answers, Iterable):
        listed = list(answers) if isinstance(answers, Sequence) else answers
        return "list", _InOrder(iter(listed), len(listed) if isinstance(listed, list) else None)
    raise ConfigurationError(
        f"ScriptedLM cannot answer from {type(answers).__name__}",
        hint="give a function of the request, a mapping, a list or a text",
    )


class _InOrder:
    """Answers in the order in which requests come; called under a lock."""

    def __init__(self, answers: Iterator[Any], count: int | None) -> None:
        self._answers = answers
        self._count = count

    def __call__(self, request: LMRequest) -> Any:
        try:
            return next(self._answers)
        except StopIteration:
            number = "" if self._count is None else f" of {self._count} answers"
            raise ConfigurationError(
                f"the script{number} is used up; the request without an answer ends in {_asked(request)}"
            ) from None


def _by_key(answers: Mapping[str, Any], request: LMRequest) -> Any:
    asked = _last_user_text(request)
    found = [key for key in answers if key in asked]
    if found:
        return answers[max(found, key=len)]
    raise ConfigurationError(
        f"no key of the script occurs in the last user message {_asked(request)}",
        hint=f"the keys are: {', '.join(map(repr, list(answers)[:8]))}",
    )


def _last_user_text(request: LMRequest) -> str:
    for message in reversed(request.messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return "".join(str(part.get("text", "")) for part in content or ())
    return ""


def _asked(request: LMRequest) -> str:
    text = _last_user_text(request)
    return repr(text if len(text) <= 200 else f"... {text[-200:]}")


def _response(answer: Any, latency: float) -> LMResponse:
    if isinstance(answer, BaseException):
        raise answer
    if isinstance(answer, type) and issubclass(answer, BaseException):
        raise answer("scripted")
    if isinstance(answer, LMResponse):
        return answer
    if isinstance(answer, Mapping):
        answer = json.dumps(plain(answer), ensure_ascii=False)
    if not isinstance(answer, str):
        raise ConfigurationError(
            f"a scripted answer is {type(answer).__name__}",
            hint="it must be a text, a mapping or an LMResponse",
        )
    return LMResponse(answer, "stop", latency=latency)


def _identity(answers: Any) -> str:
    """Tell scripts apart in caches that outlive them, as well as their source can."""
    if isinstance(answers, str | Mapping):
        return digest(repr(answers))[:16]
    function = getattr(answers, "__func__", answers)
    if isinstance(function, FunctionType):
        return digest(_of_code(function.__code__))[:16]
    return type(answers).__name__


def _of_code(code: CodeType) -> list[Any]:
    return [code.co_code.hex(), list(code.co_names), [_of_constant(c) for c in code.co_consts]]


def _of_constant(value: object) -> Any:
    if isinstance(value, CodeType):
        return _of_code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
