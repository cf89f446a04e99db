"""Every error that pytest-lmprog raises, as one tree.

LmprogError
├── UsageError                  the user's code, data or settings need mending
│   ├── SignatureError          a signature that cannot be built or edited as asked
│   ├── ConfigurationError      no LM, unknown model, bad option or marker argument
│   │   └── MissingExtraError   an optional dependency is not installed
│   ├── DataError               a dataset file or row (carries file and line)
│   └── LeakageError            an example is in train and test data
├── AnswerError                 the program failed although the LM answered: scored as a failure
│   ├── ParseError              the answer does not fit the signature (carries the answer)
│   └── InputError              a predictor was given a value that does not fit its input field
├── LMError                     no answer was had: never scored
│   ├── LMConnectionError       unreachable, or the connection broke
│   ├── LMTimeoutError          no answer in time
│   ├── LMRateLimitError        429 (carries retry_after seconds, when told)
│   ├── LMServerError           5xx
│   ├── LMAuthError             no key, or a refused one
│   ├── LMRequestError          4xx: the endpoint refuses this request
│   └── LMResponseError         an answer that is not the protocol's
├── ReplayMissError             --lm-record=none and no recorded answer
├── BudgetExceededError         the next live call would exceed the budget
├── CallLimitError              a program made more calls in one run than its declared maximum
├── MetricError                 a metric raised something that is not an assertion
│   └── JudgeError              an LM judge gave no verdict (an AnswerError too, where it is the program)
├── CompileError                a compile could not be finished; it can be resumed
├── StoreError                  a file of ours is damaged or cannot be written
│   ├── CacheError
│   ├── RecordingError          (file and line)
│   └── SnapshotError           (file and line)
└── CanonicalError              a value has no canonical JSON form

LmprogWarning (a UserWarning)   something is damaged or doubtful, and the run goes on

Messages say what, where and how to mend it; ``hint`` holds the last part and is
printed on a line of its own.
"""

from __future__ import annotations

__all__ = [
    "AnswerError",
    "BudgetExceededError",
    "CacheError",
    "CallLimitError",
    "CanonicalError",
    "CompileError",
    "ConfigurationError",
    "DataError",
    "InputError",
    "JudgeError",
    "LMAuthError",
    "LMConnectionError",
    "LMError",
    "LMRateLimitError",
    "LMRequestError",
    "LMResponseError",
    "LMServerError",
    "LMTimeoutError",
    "LeakageError",
    "LmprogError",
    "LmprogWarning",
    "MetricError",
    "MissingExtraError",
    "ParseError",
    "RecordingError",
    "ReplayMissError",
    "SignatureError",
    "SnapshotError",
    "StoreError",
    "UsageError",
]


class LmprogError(Exception):
    """Base of all errors of this package.

    Parameters: ``message`` (what and where) and ``hint`` (how to mend it, or None).
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class LmprogWarning(UserWarning):
    """Something is damaged or doubtful, and the run goes on without it."""


class UsageError(LmprogError):
    """The user's code, data or settings need mending."""


class SignatureError(UsageError, ValueError):
    """A signature that cannot be built or edited as asked."""


class ConfigurationError(UsageError):
    """No LM, an unknown model, a bad option or marker argument."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra {extra!r}, which is not installed",
            hint=f"pip install 'pytest-lmprog[{extra}]'",
        )
        self.extra = extra


class LocatedError(LmprogError):
    """An error in a file: ``path`` and ``line`` (1-based, or None) lead the message."""

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, hint: str | None = None
    ) -> None:
        where = "" if path is None else (f"{path}:{line}: " if line else f"{path}: ")
        super().__init__(where + message, hint=hint)
        self.path = path
        self.line = line


class DataError(LocatedError, UsageError):
    """A dataset file or row that cannot be used."""


class LeakageError(UsageError):
    """The same example is in data to learn from and data to test on."""


class AnswerError(LmprogError):
    """The program failed although the LM answered: scored as a failure."""


class ParseError(AnswerError):
    """The answer does not fit the signature. ``answer`` is the text as the LM gave it."""

    def __init__(self, message: str, *, answer: str, hint: str | None = None) -> None:
        super().__init__(f"{message}\n  the answer was: {_excerpt(answer)}", hint=hint)
        self.reason = message
        self.answer = answer


class InputError(AnswerError, ValueError):
    """A predictor was given a value that does not fit its input field."""


def _excerpt(text: str, limit: int = 600) -> str:
    shown = text if len(text) <= limit else f"{text[: limit - 100]} ... {text[-80:]}"
    return repr(shown) if len(text) <= limit else f"{shown!r} ({len(text):,} characters)"


class LMError(LmprogError):
    """No answer was had. Never scored; ``retryable`` says whether asking again may help."""

    retryable = False

    def __init__(self, message: str, *, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class LMConnectionError(LMError):
    """The endpoint is unreachable, or the connection broke."""

    retryable = True


class LMTimeoutError(LMError):
    """No answer came in time."""

    retryable = True


class LMRateLimitError(LMError):
    """429. ``retry_after`` is in seconds, or None when the endpoint did not say."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = 429,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after = retry_after


class LMServerError(LMRateLimitError):
    """5xx (a Retry-After header counts here too)."""


class LMAuthError(LMError):
    """No key, or one that was refused."""


class LMRequestError(LMError):
    """The endpoint refuses this request (4xx). ``context_window``: because it is too long."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = 400,
        context_window: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.context_window = context_window


class LMResponseError(LMError):
    """The endpoint's answer is not the protocol's."""

    retryable = True


class ReplayMissError(LmprogError):
    """``--lm-record=none`` and no recorded answer to this request."""


class BudgetExceededError(LmprogError):
    """The next live call would exceed the budget."""


class CallLimitError(LmprogError):
    """A program made more calls in one run than its declared maximum (``max_calls``)."""


class MetricError(LmprogError):
    """A metric raised something that is not an assertion; it is never scored."""


class JudgeError(AnswerError, MetricError):
    """An LM judge gave no verdict that can be read. ``answer`` is the text as the LM gave it, ``reason`` why
    it cannot be read.

    In a metric it is the metric's own failure and never scored; where the judge is the program under test
    (a calibration) it is the program's, and counts as failed."""

    def __init__(self, message: str, *, answer: str = "", reason: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.answer = answer
        self.reason = reason or message


class CompileError(LmprogError):
    """A compile could not be finished. Answers had so far are stored: running it again resumes."""


class StoreError(LocatedError):
    """A file of ours is damaged or cannot be written."""


class CacheError(StoreError):
    """The cache cannot be used."""


class RecordingError(StoreError):
    """A recording file is damaged."""


class SnapshotError(StoreError):
    """A snapshot cannot be read, written or restored."""


class CanonicalError(LmprogError, TypeError):
    """A value has no canonical JSON form. ``path`` says where in the value."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path or 'value'}: {message}")
        self.path = path
