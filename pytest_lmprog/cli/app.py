"""The command line: arguments, dispatch, and errors as one message instead of a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_lmprog import __version__
from pytest_lmprog.errors import LmprogError, UsageError

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["DONE", "FAULT", "MISUSE", "build_parser", "run"]

DONE, FAULT, MISUSE = 0, 1, 2

_ABOUT = """\
Review the compiled prompts of pytest-lmprog and look after its cache and recordings.

A snapshot is named by its path, or by the name of its unit (TestTriage) where that is unique.
pytest's rootdir and ini file apply, as they do for pytest started in the same folder.
"""
_RUN = "its number, the path of a JSON report, or last (also where it is left out)"
_EXITS = "Exit codes: 0 done, 1 refused or something is at fault, 2 misused."


def run(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv`` and run the command; return the exit code."""
    _make_output_safe()
    try:
        return _dispatch(build_parser().parse_args(argv))
    except SystemExit as stop:  # argparse: --help, --version and misuse
        return stop.code if isinstance(stop.code, int) else MISUSE
    except LmprogError as error:
        return _told(str(error), MISUSE if isinstance(error, UsageError) else FAULT)
    except KeyboardInterrupt:
        return _told("interrupted", 130)
    except BrokenPipeError:  # `lmprog show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT


def _make_output_safe() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _told(message: str, code: int) -> int:
    from pytest_lmprog.cli.output import Output

    Output().error(message)
    return code


def _dispatch(args: argparse.Namespace) -> int:
    if getattr(args, "command", None) is None:
        build_parser().print_help()
        return MISUSE
    from pytest_lmprog.cli.context import Context
    from pytest_lmprog.cli.output import Output
    from pytest_lmprog.cli.project import find_project

    cwd = Path(args.directory).resolve()
    if not cwd.is_dir():
        raise UsageError(f"-C {args.directory}: there is no such folder")
    command: Callable[[Context, argparse.Namespace], int] = _loaded(args.command)
    code = command(Context(cwd, find_project(cwd), Output(args.color)), args)
    sys.stdout.flush()
    return code


def _loaded(name: str) -> Callable[..., int]:
    from importlib import import_module

    module, _, function = name.partition(":")
    loaded: Callable[..., int] = getattr(import_module(f"pytest_lmprog.cli.{module}"), function)
    return loaded


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="lmprog",
        description=_ABOUT,
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pytest-lmprog {__version__}")
    parser.add_argument("-C", dest="directory", default=".", metavar="DIR", help="run as if started in DIR")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colour the output (auto)"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_reading(commands)
    _add_deciding(commands)
    _add_runs(commands)
    _add_cov(commands)
    _add_cache(commands)
    return parser


def _add(commands: _Commands, name: str, target: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=_EXITS)
    parser.set_defaults(command=target)
    return parser


def _add_reading(commands: _Commands) -> None:
    show = _add(commands, "show", "show:show", "show a snapshot as the exact messages that are sent")
    show.add_argument("snapshot", help="path, or name of a unit")
    show.add_argument("--predictor", metavar="NAME", help="only this predictor")
    how = show.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="as JSON: messages by predictor")
    how.add_argument("--for-diff", action="store_true", help="as the text that git compares (textconv)")
    diff = _add(commands, "diff", "diffing:diff", "compare snapshots by meaning")
    diff.add_argument(
        "old",
        nargs="?",
        help="path, unit, REV:PATH or REV:UNIT; or a folder or a git revision, for all snapshots in it",
    )
    diff.add_argument(
        "new",
        nargs="?",
        help="the same; left out: what is pending for OLD, or for a revision the files as they are",
    )
    _add_formats(diff)
    diff.add_argument("--full", action="store_true", help="leave out nothing of long texts")
    diff.add_argument("--exit-code", action="store_true", help="exit with 1 where they differ")
    check = _add(
        commands,
        "check",
        "check:check",
        "refuse pending, stale, edited and damaged snapshots, judged by files alone (for pre-commit)",
    )
    check.add_argument(
        "paths", nargs="*", metavar="PATH", help="folders, snapshots, or files that snapshots depend on (all)"
    )
    check.add_argument(
        "--staged", action="store_true", help="judge what git is about to commit, not the working tree"
    )
    check.add_argument("--json", action="store_true", help="as JSON")


def _add_formats(parser: argparse.ArgumentParser) -> None:
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--format",
        choices=("text", "markdown", "html", "json"),
        help="what to write (by -o's suffix, or text)",
    )
    for name in ("markdown", "html", "json"):
        forms.add_argument(
            f"--{name}", dest="format", action="store_const", const=name, help=f"the same as --format {name}"
        )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")


def _add_deciding(commands: _Commands) -> None:
    pending = _add(commands, "pending", "decide:pending", "list the snapshots that await review")
    pending.add_argument("paths", nargs="*", metavar="PATH", help="folder, test module, path or unit")
    pending.add_argument("--json", action="store_true", help="as JSON")
    pending.add_argument("--exit-code", action="store_true", help="exit with 1 where there are any")
    for name, text in (
        ("accept", "make pending snapshots the accepted ones"),
        ("reject", "remove pending snapshots; the accepted ones stay"),
    ):
        decide = _add(commands, name, f"decide:{name}", text)
        decide.add_argument("paths", nargs="*", metavar="PATH", help="folder, test module, path or unit")
        decide.add_argument("--all", action="store_true", help=f"{name} all that are pending")
    review = _add(commands, "review", "review:review", "go through pending snapshots one by one and decide")
    review.add_argument("paths", nargs="*", metavar="PATH", help="folder, test module, path or unit")
    review.add_argument("--json", action="store_true", help="ask nothing; all figures and words as JSON")


def _add_runs(commands: _Commands) -> None:
    runs = commands.add_parser("runs", help="look at saved runs and compare them")
    actions = runs.add_subparsers(title="actions", metavar="ACTION", required=True)
    listed = _add(actions, "list", "runs:listed", "list the saved runs: when, result, scores, calls")
    show = _add(actions, "show", "runs:show", "show the summary of a run, or what went on in a case")
    show.add_argument("run", nargs="?", metavar="RUN", help=_RUN)
    show.add_argument("--case", metavar="ID", help="inputs, prediction, and each call's messages and answer")
    show.add_argument("-o", "--output", metavar="FILE", help="write it as a report: .html, .json or .md")
    compare = _add(actions, "compare", "runs:compare", "compare two runs case by case")
    compare.add_argument("old", metavar="A", help=_RUN)
    compare.add_argument("new", metavar="B", help="the later one")
    compare.add_argument("--exit-code", action="store_true", help="exit with 1 where B is worse than A")
    for parser in (listed, show, compare):
        parser.add_argument("--json", action="store_true", help="as JSON")
    text = "apply metrics, thresholds and baselines as they are now to a saved run, without a call"
    # All that follows is pytest's, options too: none is taken for one of ours.
    rescore = commands.add_parser("rescore", help=text, prefix_chars="\0", add_help=False)
    rescore.set_defaults(command="rescore:rescore")
    rescore.add_argument("arguments", nargs=argparse.REMAINDER)


def _add_cov(commands: _Commands) -> None:
    cov = _add(commands, "cov", "cov:cov", "tell what no example exercised in the last run with --lm-cov")
    cov.add_argument(
        "target",
        nargs="?",
        metavar="PATH[:LINE]",
        help="a file of a program; with a line: the examples that reach it",
    )
    cov.add_argument("--json", action="store_true", help="as JSON")


def _add_cache(commands: _Commands) -> None:
    cache = commands.add_parser("cache", help="look after the cache of LM calls and the recordings")
    actions = cache.add_subparsers(title="actions", metavar="ACTION", required=True)
    stats = _add(actions, "stats", "cache:stats", "say what the cache holds")
    stats.add_argument("--json", action="store_true", help="as JSON")
    export = _add(actions, "export", "cache:export", "write all answers of the cache to a file")
    export.add_argument("file", help="JSON Lines file to write")
    load = _add(actions, "import", "cache:load", "add the answers of an exported file to the cache")
    load.add_argument("file", help="file that `lmprog cache export` wrote")
    _add(actions, "verify", "cache:verify", "check every row of the cache and every line of the recordings")
    prune = _add(
        actions,
        "prune",
        "cache:prune",
        "remove recorded answers that the last complete, passing run did not use; other models' stay",
    )
    prune.add_argument("paths", nargs="*", metavar="PATH", help="recordings, or folders of them (all)")
