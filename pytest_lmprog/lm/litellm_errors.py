"""What litellm raises, as our errors.

Its classes do not tell enough (a missing key, a refused connection and an answer that is no JSON are all
``InternalServerError`` 500), so the chain of causes decides: what the endpoint answered, else what the
network did, else what litellm says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmprog.errors import (
    ConfigurationError,
    LMAuthError,
    LMConnectionError,
    LmprogError,
    LMRateLimitError,
    LMRequestError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
)
from pytest_lmprog.lm.redaction import Scrubber
from pytest_lmprog.lm.retry import retry_after_seconds
from pytest_lmprog.records import dataclass

__all__ = ["Asked", "translated"]

_LONGEST_DETAIL = 400
_NO_KEY = re.compile(
    r"missing credentials|(missing|no|without|provide|set)\b.{0,40}\b(api[ _-]?key|credentials)"
    r"|api[ _-]?key.{0,40}\b(missing|must be set|not (set|found|provided))|unable to locate credentials",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceeds? the (available|maximum|model)|input.{0,20}too long|reduce the length",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^(litellm\.)?(\w+(Error|Exception|Timeout)(\s\w+Error)?\s*[:\-]\s*)+")


@dataclass(frozen=True)
class Asked:
    """Who was asked, for error texts. ``where`` is the address without secrets, or ``""``."""

    model: str
    where: str
    timeout: float
    scrub: Scrubber

    @property
    def who(self) -> str:
        """Model and address in words."""
        return f"{self.model} at {self.where}" if self.where else self.model


def translated(error: Exception, asked: Asked, handled: BaseException | None = None) -> LmprogError:
    """Return what ``error``, raised by litellm, means. Its text holds no secret and no traceback.

    ``handled`` is what the caller was handling when it asked: Python chains it too, and it is no cause."""
    chain = tuple(_chain(error, handled))
    answer = next((r for r in map(_answer, chain) if r is not None), None)
    if answer is not None:
        return _by_status(answer, asked, chain)
    return _by_network(chain, asked) or _by_litellm(error, chain, asked)


def _chain(error: BaseException | None, end: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and error is not end and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    detail: str


def _answer(error: BaseException) -> _Answer | None:
    """Return what the endpoint answered, where ``error`` is httpx' report of a status other than 2xx."""
    if type(error).__name__ != "HTTPStatusError":
        return None
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if not isinstance(status, int) or response is None:
        return None
    return _Answer(status, response.headers, _body(response))


def _body(response: Any) -> str:
    try:
        text = str(response.text)
    except Exception:  # noqa: BLE001 - a body that was not read (httpx.ResponseNotRead) or cannot be decoded
        return ""
    try:
        return _message_in(json.loads(text)) or text
    except ValueError:
        return text


def _message_in(body: Any) -> str:
    """Find the error's text in the forms that endpoints use."""
    if isinstance(body, list) and body:
        body = body[0]
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and name in body:
            found = body[name]
            return found if isinstance(found, str) else _message_in(found) or json.dumps(found)
    return ""


def _by_status(answer: _Answer, asked: Asked, chain: tuple[BaseException, ...]) -> LmprogError:
    detail = _short(asked.scrub(answer.detail) or asked.scrub(str(chain[0])))
    message = f"{asked.who} answered {answer.status}: {detail}"
    status = answer.status
    if status in (401, 403):
        return LMAuthError(message, status=status, hint=_key_hint(asked))
    if status == 429:
        after = _retry_after(answer)
        asks = f" (it asks to wait {after:.0f} s)" if after else ""
        return LMRateLimitError(message + asks, status=status, retry_after=after)
    if status in (408, 504):
        return LMTimeoutError(message, status=status)
    if status >= 500:
        return LMServerError(message, status=status, retry_after=_retry_after(answer))
    if status == 404:
        hint = "check the model's name, and api_base (an OpenAI-compatible address often ends in /v1)"
        return LMRequestError(message, status=status, hint=hint)
    too_long = _TOO_LONG.search(answer.detail) is not None or _is(chain, "ContextWindowExceededError")
    return LMRequestError(message, status=status, context_window=too_long)


def _retry_after(answer: _Answer) -> float | None:
    milliseconds = answer.headers.get("retry-after-ms")
    if milliseconds is not None and milliseconds.replace(".", "", 1).isdigit():
        return float(milliseconds) / 1000
    return retry_after_seconds(answer.headers.get("retry-after"))


def _by_network(chain: tuple[BaseException, ...], asked: Asked) -> LmprogError | None:
    if _is(chain, "TimeoutException", "Timeout") or any(isinstance(e, TimeoutError) for e in chain):
        return LMTimeoutError(
            f"{asked.who} gave no answer within {asked.timeout:g} s",
            hint="LM(..., timeout=SECONDS) waits longer",
        )
    if _is(chain, "TransportError") or any(isinstance(e, ConnectionError) for e in chain):
        detail = asked.scrub(_short(str(_deepest(chain))))
        where = asked.where or "its provider"
        return LMConnectionError(
            f"{asked.model}: no connection to {where}: {detail}",
            hint="is the endpoint up and api_base right?",
        )
    return None


def _deepest(chain: tuple[BaseException, ...]) -> BaseException:
    return next((e for e in reversed(chain) if str(e)), chain[-1])


def _by_litellm(error: Exception, chain: tuple[BaseException, ...], asked: Asked) -> LmprogError:
    detail = _short(asked.scrub(_PREFIX.sub("", str(error).partition("Traceback (most recent")[0])))
    if isinstance(error, ImportError) or any(isinstance(e, ImportError) for e in chain):
        return ConfigurationError(f"{asked.model} needs a package that is not installed: {detail}")
    if _is(chain, "AuthenticationError", "PermissionDeniedError") or _NO_KEY.search(detail):
        return LMAuthError(f"no key for {asked.who}: {detail}", hint=_key_hint(asked))
    if _is(chain, "JSONDecodeError"):
        return LMResponseError(f"{asked.who} sent an answer that is not JSON: {detail}")
    if _is(chain, "UnsupportedParamsError"):
        detail = detail.partition(" To drop these")[0]
        return LMRequestError(f"{asked.model} does not take a parameter of this request: {detail}")
    if _is(chain, "ContextWindowExceededError"):
        return LMRequestError(f"the request is too long for {asked.who}: {detail}", context_window=True)
    status = getattr(error, "status_code", None)
    if status in (500, 422):  # what litellm calls an answer that it cannot read
        return LMResponseError(f"{asked.who} sent an answer that is not a chat completion: {detail}")
    return LMRequestError(f"{asked.who} cannot be asked this: {detail}", status=None)


def _is(chain: tuple[BaseException, ...], *names: str) -> bool:
    return any(base.__name__ in names for error in chain for base in type(error).__mro__)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + " ..."


def _key_hint(asked: Asked) -> str:
    provider = asked.model.partition("/")[0] if "/" in asked.model else "openai"
    variable = re.sub(r"\W", "_", provider).upper() + "_API_KEY"
    note = '; a server without keys takes api_key="none"' if asked.where else ""
    return f"set {variable} in the environment, or give LM(..., api_key=...){note}"
