"""Generated Python code, run in a sandbox: a process without files, network, environment or much memory."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

from pytest_lmprog.errors import MissingExtraError, UsageError
from pytest_lmprog.records import dataclass

__all__ = ["CodeRun", "PythonInterpreter"]

_MB = 2**20
_GRACE = 0.3
_MAX_PRINTED = 100_000
_MAX_SHOWN = 10_000
_MAX_SLEPT = 0.2
_slots = BoundedSemaphore(max(1, os.cpu_count() or 1))
"""Runs at the same time, in this process: a run's time limit is by the clock, so each needs a core."""


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What came of a piece of code.

    ``output`` is what it gave by ``final_answer`` (as JSON), else what it printed, else its variables with
    the names asked for (as JSON). ``error`` says in one or a few lines why there is none; ``timed_out``
    whether because its time was up.
    """

    output: str = ""
    error: str | None = None
    timed_out: bool = False


class PythonInterpreter:
    """Runs untrusted Python code in the sandbox of pydantic-monty (the extra ``sandbox``).

    The code is interpreted in a process of its own that is started for it and ended after it. It has no
    files, no network, no environment, no processes and no threads; it can import a few modules of the
    standard library (math, re, json, datetime, itertools, collections, decimal, ...).

    Parameters
    ----------
    timeout: seconds that the code may run.
    memory: bytes that it may use.
    """

    def __init__(self, *, timeout: float = 1.0, memory: int = 100 * _MB) -> None:
        if not timeout > 0 or not memory > 0:
            raise UsageError("the interpreter's timeout and memory must be above 0")
        self.timeout = timeout
        self.memory = memory

    def run(
        self, code: str, variables: Mapping[str, Any] | None = None, results: Sequence[str] = ()
    ) -> CodeRun:
        """Run ``code`` with ``variables`` (plain data); ``results`` are names of variables that count as
        its output. Whatever the code does, this returns, at most 2.6 times ``timeout`` after it began.

        Raises MissingExtraError where the extra is not installed."""
        monty = _monty()
        try:
            with _slots, self._session(monty) as session:
                return self._run(monty, session, code, dict(variables or {}), results)
        except (monty.MontyError, TimeoutError, UnicodeError, RecursionError) as error:
            return self._failed(error)

    def execute(self, code: str, variables: Mapping[str, Any] | None = None) -> str:
        """Run ``code`` and return its output, as ``__call__`` does. Raises RuntimeError with its error."""
        done = self.run(code, variables)
        if done.error is not None:
            raise RuntimeError(done.error)
        return done.output

    __call__ = execute

    @contextmanager
    def _session(self, monty: Any) -> Iterator[Any]:
        pool = monty.Monty(
            binary_path=_launcher(),
            min_processes=0,
            max_processes=1,
            request_timeout=self.timeout + _GRACE,
            checkout_timeout=10,
        )
        limits = {
            "max_feed_duration_secs": self.timeout,
            "max_memory": self.memory,
            "max_recursion_depth": 500,
            "max_suspensions": 100,
            "max_total_sleep_secs": _MAX_SLEPT,
        }
        policy = {"random_start": {"seed": 0}}
        with pool as started, started.checkout(limits=limits, os_policy=policy) as session:
            yield session

    def _run(
        self, monty: Any, session: Any, code: str, variables: dict[str, Any], results: Sequence[str]
    ) -> CodeRun:
        printed = monty.CollectString(max_bytes=_MAX_PRINTED)
        session.feed_run(_PRELUDE, print_callback=printed)
        # The code's last value stays in the sandbox: only texts come out of it.
        session.feed_run(f"{code}\n\nNone", inputs=variables, print_callback=printed)
        given = session.feed_run("lmprog_given()", print_callback=printed)
        output = given or printed.output.strip()
        if not output and results:
            output = session.feed_run(_collected(results), print_callback=printed)
        if not isinstance(output, str) or not output:
            return CodeRun(error="the code gave no result: it must end with a call of final_answer(...)")
        return CodeRun(_cut(output))

    def _failed(self, error: Exception) -> CodeRun:
        text = str(error)
        timed_out = "time limit exceeded" in text or bool(getattr(error, "timed_out", False))
        if timed_out or "sleep limit exceeded" in text or isinstance(error, TimeoutError):
            return CodeRun(error=f"TimeoutError: the code ran longer than {self.timeout:g} s", timed_out=True)
        if "memory limit" in text:
            # How much it was by then is another number each time, and errors enter prompts.
            if text.endswith(f"> {_MAX_PRINTED} bytes"):
                return CodeRun(error=f"MemoryError: the code prints more than {_MAX_PRINTED // 1000} kB")
            return CodeRun(error=f"MemoryError: the code needs more than {self.memory // _MB} MB")
        if isinstance(error, RecursionError):
            return CodeRun(error="RecursionError: the result is nested too deeply")
        return CodeRun(error=_cut(_ADDRESS.sub("0x...", f"{text}{_line_of(error)}")))


_CODE_NAME = "<python-input-1>"  # what a session is given second
_ADDRESS = re.compile(r"0x[0-9a-f]+")

_PRELUDE = """
import json as lmprog_json
from datetime import date as lmprog_date, timedelta as lmprog_delta
from decimal import Decimal as lmprog_decimal
lmprog_answers = []
def lmprog_plain(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): lmprog_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [lmprog_plain(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(lmprog_plain(part) for part in value)
    if isinstance(value, (lmprog_date, lmprog_delta, lmprog_decimal)):
        return str(value)
    raise TypeError('final_answer takes plain data: numbers, texts, lists and dicts')
def final_answer(*values, **named):
    value = named if named else (values[0] if len(values) == 1 else list(values))
    lmprog_answers.append(value if isinstance(value, str) else lmprog_json.dumps(lmprog_plain(value)))
SUBMIT = final_answer
def lmprog_given():
    return lmprog_answers[-1] if lmprog_answers else ''
"""


def _collected(results: Sequence[str]) -> str:
    """Return code that makes one text of the variables ``results``, empty where one is not there."""
    pairs = ", ".join(f"{name!r}: {name}" for name in results)
    return (
        "try:\n"
        f"    lmprog_text = lmprog_json.dumps(lmprog_plain({{{pairs}}}))\n"
        "except NameError:\n"
        "    lmprog_text = ''\n"
        "lmprog_text"
    )


def _line_of(error: Exception) -> str:
    frames = error.traceback() if hasattr(error, "traceback") else []
    own = [frame for frame in frames if frame.filename == _CODE_NAME]
    if not own:
        return ""
    source = (own[-1].source_line or "").strip()[:100]
    return f" (line {own[-1].line}: {source})" if source else f" (line {own[-1].line})"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(text):,} characters)"


def _monty() -> Any:
    try:
        import pydantic_monty
    except ImportError:
        raise MissingExtraError("running generated code", "sandbox") from None
    return pydantic_monty


_SCRIPT = """#!/bin/sh
ulimit -c 0 2>/dev/null
ulimit -f 0 2>/dev/null
ulimit -n 64 2>/dev/null
ulimit -t 30 2>/dev/null
ulimit -v {kilobytes} 2>/dev/null
exec env -i {binary} "$@" 2>/dev/null
"""
_VIRTUAL = 2**21
"""Kilobytes of address space: what the interpreter reserves, and far above what the code may use."""

_making = Lock()


def _launcher() -> str | None:
    """Return the path of a script that starts the interpreter without the environment of this process and
    under limits of the operating system, a second wall behind the interpreter's own; None where the
    system has no shell (Windows) or starts nothing in its folder of temporary files."""
    with _making:
        made = _made_launcher(os.getpid())
        if made is not None and not made.exists():
            _made_launcher.cache_clear()
            made = _made_launcher(os.getpid())
    return None if made is None else str(made)


@lru_cache(maxsize=1)
def _made_launcher(process: int) -> Path | None:
    if os.name != "posix":
        return None
    from pydantic_monty._binary import find_monty_binary

    binary = shlex.quote(find_monty_binary())
    script = _folder(process) / "sandboxed"
    script.write_text(_SCRIPT.format(kilobytes=_VIRTUAL, binary=binary), encoding="utf-8", newline="\n")
    script.chmod(0o700)
    return script if _starts(script) else None


def _folder(process: int) -> Path:
    import atexit
    import shutil

    folder = Path(tempfile.mkdtemp(prefix="lmprog-sandbox-"))

    def remove() -> None:
        if os.getpid() == process:  # not in a fork of this process
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _starts(script: Path) -> bool:
    import subprocess

    try:
        return subprocess.run([script, "--version"], capture_output=True, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
