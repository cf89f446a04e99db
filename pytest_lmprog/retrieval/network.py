"""Asking a server: JSON over HTTP, the errors of clients as ours, and asking again where that helps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pytest_lmprog.errors import (
    LMAuthError,
    LMConnectionError,
    LMError,
    LmprogError,
    LMRateLimitError,
    LMRequestError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
)
from pytest_lmprog.lm.retry import RetryPolicy, retry_after_seconds
from pytest_lmprog.lm.scope import current_scope

__all__ = ["attempted", "fetch_json", "had_or_raised", "of_status"]

T = TypeVar("T")
_LONGEST_DETAIL = 300
_LARGEST_ANSWER = 64 * 1024 * 1024


def attempted(attempt: Callable[[], T], retry: RetryPolicy) -> T:
    """Return what ``attempt`` returns, tried again as ``retry`` says. Raises the last LMError."""
    count = 0
    while True:
        try:
            return attempt()
        except LMError as error:
            pause = retry.wait(error, count)
            if pause is None:
                raise _final(error, count) from None
        count += 1
        tally = current_scope().tally
        if tally is not None:
            tally.bump("retries")
        retry.sleep(pause)


def _final(error: LMError, count: int) -> LMError:
    if count and error.retryable:
        error.message = f"{error.message} (after {count + 1} attempts)"
        error.args = (error.message,)
    return error


def fetch_json(
    url: str, who: str, *, body: Mapping[str, Any] | None = None, timeout: float, shown: str = ""
) -> Any:
    """Return the JSON that ``url`` answers: to a GET, or to a POST of ``body``. One attempt.

    ``who`` and ``shown`` (the address without secrets) are for error texts. Raises LMError."""
    import urllib.error
    import urllib.request

    data = None if body is None else json.dumps(body).encode("utf-8")
    headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if data else {})
    who = f"{who} at {shown or url}"
    try:
        request = urllib.request.Request(url, data, headers)
        answer = _read(request, timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise of_status(error.code, _detail(error), who, error.headers) from None
    except (OSError, ValueError, _broken()) as error:
        raise had_or_raised(error, who, timeout=timeout) from None
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        raise LMResponseError(
            f"{who} sent an answer that is not JSON: {_short(repr(answer[:200]))}"
        ) from None


def _broken() -> type[Exception]:
    from http.client import HTTPException

    return HTTPException


def _read(request: Any, timeout: float) -> bytes:
    """Read the answer within ``timeout`` seconds: a server that sends a byte now and then is hanging."""
    import urllib.request

    end = time.monotonic() + timeout
    parts, size = [], 0
    with urllib.request.urlopen(request, timeout=timeout) as response:
        while part := response.read1(65536):
            parts.append(part)
            size += len(part)
            if time.monotonic() > end:
                raise TimeoutError
            if size > _LARGEST_ANSWER:
                raise ValueError(f"it sends more than {_LARGEST_ANSWER >> 20} MiB")
        if response.length:
            raise ConnectionError("the answer was cut off")
    return b"".join(parts)


def _detail(error: Any) -> str:
    try:
        return str(error.read(2000).decode("utf-8", "replace")).strip() or str(error.reason)
    except OSError:
        return str(error.reason)


def of_status(status: int, detail: str, who: str, headers: Any = None, *, hint: str | None = None) -> LMError:
    """Return what an HTTP status other than 2xx means."""
    message = f"{who} answered {status}: {_short(detail)}"
    after = retry_after_seconds(headers.get("Retry-After")) if headers else None
    if status in (401, 403):
        return LMAuthError(message, status=status, hint=hint or "check the key of the retrieval server")
    if status == 429:
        return LMRateLimitError(message, status=status, retry_after=after)
    if status in (408, 504):
        return LMTimeoutError(message, status=status)
    if status >= 500:
        return LMServerError(message, status=status, retry_after=after)
    return LMRequestError(message, status=status, hint=hint)


def had_or_raised(error: BaseException, who: str, *, timeout: float | None = None) -> LmprogError:
    """Return what ``error``, raised by a client of ``who``, means. Its chain of causes decides."""
    chain = tuple(_chain(error))
    ours = next((e for e in chain if isinstance(e, LmprogError)), None)
    if ours is not None:
        return ours
    status = next((s for s in map(_status, chain) if s is not None), None)
    detail = next((str(e) for e in reversed(chain) if str(e).strip()), type(error).__name__)
    lost = any(_named(e, "communication", "timeout") for e in chain)  # Marqo's are 500s of their own
    if status is not None and not lost:
        return of_status(status, str(error) or detail, who)
    if any(_named(e, "timeout", "deadline") for e in chain):
        within = f" within {timeout:g} s" if timeout else ""
        return LMTimeoutError(f"{who} gave no answer{within}", hint="a larger timeout= waits longer")
    if any(isinstance(e, OSError) or _named(e, "connect", "network", "communication") for e in chain):
        return LMConnectionError(f"{who}: no connection: {_short(detail)}", hint="is the server up?")
    unread = (ValueError, TypeError, LookupError, AttributeError)  # clients take an answer as it should be
    if any(isinstance(e, unread) and "keyword argument" not in str(e) for e in chain):
        return LMResponseError(f"{who} sent an answer that cannot be read: {_short(detail)}")
    return LMRequestError(f"{who} cannot be asked this: {_short(detail)}", status=None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        held = (getattr(error, name, None) for name in ("reason", "source"))  # urllib's and qdrant's cause
        following = next((cause for cause in held if isinstance(cause, BaseException)), None)
        error = following or error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _status(error: BaseException) -> int | None:
    for name in ("status_code", "status", "http_status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and 400 <= value < 600:
            return int(value)
    return None


def _named(error: BaseException, *words: str) -> bool:
    names = [base.__name__.lower() for base in type(error).__mro__]
    return any(word in name for word in words for name in names)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + " ..."
