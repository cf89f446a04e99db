"""The table of options: what a run can be asked for on the command line, in the environment and in the ini
file. Imports nothing heavy: the plugin reads it in every pytest run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass  # not our own: one module less in every pytest run
from typing import Any

from pytest_lmprog.errors import ConfigurationError

__all__ = ["CACHE_FOLDER", "OPTIONS", "REPORT_SUFFIXES", "Option"]

RECORD_MODES = ("none", "new", "all")
REPORT_SUFFIXES = (".html", ".json", ".md")
CACHE_FOLDER = ".lm_cache"
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: ``--lm-NAME`` on the command line, ``lm_NAME`` in the ini file, ``PYTEST_LMPROG_NAME``
    in the environment.

    ``read`` turns text into the value, or raises ValueError with a reason. ``flag``: a switch without a
    value. ``cli``, ``ini``: whether it can be given there (the environment goes with the ini file).
    ``many``: several can be given; in the environment and the ini file with commas or line breaks between.
    """

    name: str
    read: Callable[[str], Any]
    help: str
    metavar: str | None = None
    default: Any = None
    flag: bool = False
    cli: bool = True
    ini: bool = True
    many: bool = False

    @property
    def dest(self) -> str:
        """Name in ``config.option`` and in the ini file."""
        return f"lm_{self.name}"

    @property
    def switch(self) -> str:
        """As typed on the command line."""
        return "--" + self.dest.replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that set it, the documented one first."""
        return (f"PYTEST_LMPROG_{self.name.upper()}", f"PYTEST_LMPROG_LM_{self.name.upper()}")


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("empty")
    return text.strip()


def _record(text: str) -> str:
    if text.strip().lower() not in RECORD_MODES:
        raise ValueError(f"not one of {', '.join(RECORD_MODES)}")
    return text.strip().lower()


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError("not a whole number") from None
        if number < least:
            raise ValueError(f"less than {least}")
        return number

    return read


def _budget(text: str) -> str:
    from pytest_lmprog.lm.budget import Budget

    try:
        Budget.parse(text)
    except ConfigurationError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return text.strip()


def _report(text: str) -> str:
    if not text.lower().endswith(REPORT_SUFFIXES):
        raise ValueError(
            f"a report's name ends in {', '.join(REPORT_SUFFIXES[:-1])} or {REPORT_SUFFIXES[-1]}"
        )
    return text.strip()


def _auto_off(text: str) -> str:
    if text.strip().lower() not in ("auto", "off"):
        raise ValueError("neither auto nor off")
    return text.strip().lower()


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


OPTIONS: tuple[Option, ...] = (
    Option(
        "compile",
        _bool,
        "run the teleprompters of the selected units; write a pending snapshot (NAME.new.yaml) where the "
        "result differs, or NAME.yaml where there was none",
        flag=True,
        ini=False,
        default=False,
    ),
    Option(
        "update",
        _bool,
        "with --lm-compile: accept the results at once. Alone: keep the prompts, score complete units again, "
        "restamp baseline and fingerprint",
        flag=True,
        ini=False,
        default=False,
    ),
    Option(
        "dry_run",
        _bool,
        "with --lm-compile: print the most that it can cost; call nothing",
        flag=True,
        ini=False,
        default=False,
    ),
    Option(
        "cov",
        _bool,
        "report which lines and branches of the programs no example exercises, and which predictors and "
        "demos were never used; works beside pytest-cov",
        flag=True,
        ini=False,
        default=False,
    ),
    Option(
        "changed",
        _bool,
        "run only the cases whose executed code, data or prompt changed since the snapshot",
        flag=True,
        ini=False,
        default=False,
    ),
    Option(
        "record",
        _record,
        "none: replay only, a miss is an error. new: answer from recordings, then the cache, else call and "
        "record. all: ask each request once more and replace. Default: new; none where CI is set",
        metavar="none|new|all",
    ),
    Option(
        "model",
        _text,
        "model to test with: a litellm model string, or local/smollm2-135m for the embedded one",
        metavar="NAME",
    ),
    Option("max_concurrency", _whole(1), "requests in flight at most (default 8)", metavar="N", default=8),
    Option(
        "budget",
        _budget,
        "a unit's compile stops before its live calls exceed this: 200calls, 50000tokens or 1.5usd",
        metavar="N{calls,tokens,usd}",
    ),
    Option("limit", _whole(1), "only the first N examples of each unit", metavar="N"),
    Option("repeat", _whole(1), "rollouts a case; beats the lm_repeat marker", metavar="N"),
    Option("seed", _whole(0), "seed of every random choice while compiling (default 0)", "N", 0),
    Option(
        "cache_dir",
        _text,
        f"folder of the local cache of LM calls (default {CACHE_FOLDER} in the rootdir)",
        metavar="PATH",
    ),
    Option(
        "report",
        _report,
        "write a report of the run; its format goes by the suffix: .html, .json or .md. Can be given several "
        "times",
        metavar="PATH",
        default=(),
        many=True,
    ),
    Option(
        "baseline",
        _text,
        "compare with this instead of the accepted snapshots: a saved run or JSON report, a snapshot, a "
        "folder of snapshots, or a git revision",
        metavar="PATH|REV",
    ),
    Option(
        "rescore",
        _text,
        "apply the metrics, thresholds and baselines as they are now to a saved run, without one call: its "
        "number, the path of a JSON report, or last",
        metavar="RUN",
        ini=False,
    ),
    Option(
        "keep_runs",
        _whole(0),
        "saved runs that are kept (default 20; 0: none is saved)",
        metavar="N",
        default=20,
        cli=False,
    ),
    Option(
        "github",
        _auto_off,
        "auto: on GitHub Actions, annotate what got worse and append the report to the step summary. off: "
        "don't (default auto)",
        metavar="auto|off",
        default="auto",
        cli=False,
    ),
    Option(
        "record_compile", _bool, "record the calls of a compile too (default false)", cli=False, default=False
    ),
    Option(
        "store_messages",
        _bool,
        "false: recordings keep digests of messages, not their text (default true)",
        cli=False,
        default=True,
    ),
)
