"""``lmprog journal``: what a compile tried, as a tree."""

from __future__ import annotations

import argparse
import json
from difflib import get_close_matches
from pathlib import Path

from pytest_lmprog.cli.app import DONE
from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import UsageError
from pytest_lmprog.harness.journals import Journal, list_journals, read_journal
from pytest_lmprog.reports.journal import journal_lines
from pytest_lmprog.teleprompt.engine.journal import unfinished_path

__all__ = ["journal"]

_NONE = "no compile journal: pytest --lm-compile writes one for each unit with a teleprompter"


def journal(context: Context, args: argparse.Namespace) -> int:
    """Show the journal of a unit, or of all units."""
    known = list_journals(context.project.settings.cache_dir)
    paths = known if args.unit is None else [_found(context, known, args.unit)]
    if not paths:
        context.out.line("[]" if args.json else _NONE)
        return DONE
    paths = [path for path in paths if _asked(path, args)]
    journals = [read_journal(path, unfinished=args.unfinished) for path in paths]
    if args.json:
        plain = [one.to_plain() for one in journals]
        data = plain if args.unit is None else plain[0]
        context.out.line(json.dumps(data, ensure_ascii=True, indent=2))
        return DONE
    for number, (path, one) in enumerate(zip(paths, journals, strict=True)):
        if number:
            context.out.line()
        _show(context, path, one)
    return DONE


def _asked(path: Path, args: argparse.Namespace) -> bool:
    """With ``--unfinished``, journals of units without an unfinished compile are left out, unless named."""
    return not args.unfinished or args.unit is not None or unfinished_path(path).exists()


def _show(context: Context, path: Path, found: Journal) -> None:
    context.out.lines(journal_lines(found, width=context.out.width or 100))
    if found.end is not None and unfinished_path(path).exists():
        context.out.line(
            "a later compile of it is not finished (--unfinished shows what is known of it)", "warning"
        )


def _found(context: Context, known: list[Path], name: str) -> Path:
    """Return the journal that ``name`` means: a unit's name, node id or snapshot, or the file's path."""
    path = context.cwd / name
    if path.suffix == ".jsonl" and path.is_file():
        return path
    matches = [one for one in known if _means(name, one)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = "".join(f"\n  {context.shown(one)}" for one in matches)
        raise UsageError(f"{name!r} means more than one compile journal:{listed}", hint="give the path")
    if not known:
        raise UsageError(_NONE)
    raise UsageError(f"there is no compile journal of {name!r}", hint=_near(name, known))


def _means(name: str, path: Path) -> bool:
    """``TestTriage``, ``test_support/TestTriage``, ``tests/test_support.py::TestTriage``, its snapshot."""
    head, _, unit = name.replace("\\", "/").replace("::", "/").rpartition("/")
    if unit.removesuffix(".yaml").replace("[", "@").rstrip("]") != path.stem:
        return False
    module = head.rpartition("/")[2].removesuffix(".py")
    return not head or path.parent.name == module


def _near(name: str, known: list[Path]) -> str:
    units = sorted({path.stem for path in known})
    found = get_close_matches(name, units, 3)
    if found:
        return f"did you mean {' or '.join(found)}?"
    return "there are: " + ", ".join(units[:8]) + (f" and {len(units) - 8} more" if len(units) > 8 else "")
