"""What a failing case shows: its inputs, the prediction, what the LM was asked. Text only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from pytest_lmprog.programs import Example, Run, Trace

__all__ = ["case_text", "clean_longrepr"]

_WIDEST = 400
_CALLS = 6


def clean_longrepr(text: str, path: str, line: int) -> Any:
    """Return ``text`` as the representation of a failure, without a traceback.

    The first line goes into pytest's short summary; it survives xdist and JUnit."""
    headline = text.splitlines()[0] if text else "failed"
    body = "\n".join(f"E   {row}".rstrip() for row in text.splitlines())
    crash = ReprFileLocation(path, line, headline)
    entry = ReprEntryNative([f"{body}\n\n", f"{path}:{line}\n"])
    return ReprExceptionInfo(ReprTraceback([entry], None, style="native"), crash)


def case_text(example: Example, run: Run | None, *, verbose: bool) -> str:
    """Return a case in words: inputs, prediction, then each predictor call (messages too if ``verbose``)."""
    lines = [f"example {example.id}", *_fields(dict(example.inputs()), verbose)]
    if run is not None and run.prediction is not None:
        lines += ["prediction", *_fields(dict(run.prediction), verbose)]
    if run is not None and (verbose or run.prediction is None):
        lines += _calls(run.trace, verbose)
    return "\n".join(lines)


def _fields(values: Mapping[str, Any], verbose: bool) -> Iterator[str]:
    for name, value in values.items():
        yield f"  {name}: {_cut(repr(value), verbose)}"


def _calls(trace: Trace, verbose: bool) -> Iterator[str]:
    calls = list(trace)
    skipped = 0 if verbose else max(0, len(calls) - _CALLS)
    if skipped:
        yield f"({skipped} earlier calls; -v shows them)"
    for call in calls[skipped:]:
        yield f"call of {call.name}" + (f" (answer refused: {call.error})" if call.error else "")
        if verbose:
            for message in call.messages:
                yield f"  [{message.get('role')}]"
                yield from _indented(str(message.get("content")))
        yield "  [answer]" if verbose else "  answer:"
        yield from _indented(_cut(call.answer, verbose))


def _indented(text: str) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        yield f"    {line}".rstrip()


def _cut(text: str, verbose: bool) -> str:
    if verbose or len(text) <= _WIDEST:
        return text
    return f"{text[: _WIDEST - 60]} ... {text[-40:]} ({len(text):,} characters; -v shows all)"
