"""``lmprog check``: may this be committed? Judged by files alone: no LM, no import of the project."""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pytest_lmprog.cli.context import Context
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.records import dataclass
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.finding import Found, find
from pytest_lmprog.snapshots.fingerprint import describe
from pytest_lmprog.snapshots.judging import Judge, Judgement, source_path

__all__ = ["Finding", "check"]

Kind = Literal["pending", "stale", "edited", "damaged", "conflict"]

ALWAYS = (
    "the models",
    "the teleprompters' settings",
    "values that only running code has",
    "scores and baselines",
)
"""What files can tell of no snapshot."""

_SHOWN = 3
_MARKERS = (b"<<<<<<< ", b">>>>>>> ")


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason not to commit. ``path`` is seen from the rootdir; ``line`` where it is known."""

    path: str
    kind: Kind
    message: str
    line: int | None = None

    def text(self) -> str:
        """Return the finding as one line."""
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Checked:
    """One accepted snapshot: what is wrong with it, and what only a pytest run can judge of it."""

    path: Path
    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...] = ()


def check(context: Context, args: argparse.Namespace) -> int:
    """Judge snapshots, pending ones and recordings; exit with 1 where there is a finding."""
    with _uncollected():
        return _run(context, args)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking over syntax trees again and again: all live to the end."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _run(context: Context, args: argparse.Namespace) -> int:
    if not args.staged:
        return _check(context, args, ())
    from pytest_lmprog.cli.staged import staged

    # What awaits review need not be staged to be forgotten.
    pending = [_pending(context, path) for path in find([context.root]).pending]
    with staged(context) as index:
        return _check(index, args, pending)


def _check(context: Context, args: argparse.Namespace, pending: Sequence[Finding]) -> int:
    found, related = _targets(context, args.paths)
    judge = Judge(context.shown)
    checked = [c for path in found.accepted if (c := _checked(context, judge, path, related)) is not None]
    findings = [finding for c in checked for finding in c.findings]
    findings += [_pending(context, path) for path in found.pending]
    findings += [finding for finding in pending if finding not in findings]
    findings += [f for path in found.recordings for f in _conflicts(context, path)]
    findings.sort(key=lambda f: (f.path, f.line or 0))
    if args.json:
        context.out.line(json.dumps(_plain(context, findings, checked), ensure_ascii=True, indent=2))
    else:
        for finding in findings:
            context.out.line(finding.text(), "removed")
        context.out.lines(_text(context, findings, checked))
    return 1 if findings else 0


# --- what is looked at --------------------------------------------------------------------------------


def _targets(context: Context, names: Sequence[str]) -> tuple[Found, frozenset[Path] | None]:
    """Return the files to look at, and those that a snapshot must depend on to be judged (None: any).

    A snapshot, folder or test's name means itself; another file (code, data) means what depends on it."""
    paths = [context.cwd / name for name in names]
    if not paths:
        return find([context.root]), None
    for name, path in zip(names, paths, strict=True):
        if not path.exists() and not path.suffix:
            raise UsageError(f"{name}: there is no such file or folder")
    own = find(path for path in paths if path.exists())
    others = [path for path in paths if not path.is_dir() and path not in _all(own)]
    if not others:
        return own, None
    project = find([context.root])
    accepted = tuple(sorted({*own.accepted, *project.accepted}))
    related = frozenset(path.resolve() for path in [*others, *own.accepted])
    return Found(accepted, own.pending, own.recordings), related


def _all(found: Found) -> set[Path]:
    return {*found.accepted, *found.pending, *found.recordings}


def _depends(snapshot: Snapshot, path: Path, related: frozenset[Path]) -> bool:
    sources = snapshot.sources
    if path.resolve() in related:
        return True
    if sources is None:
        return False
    folder = path.parent.resolve()
    noted = [
        *sources.modules.values(),
        *sources.texts.values(),
        *(data.path for data in sources.data.values()),
    ]
    return any(source_path(folder, relative) in related for relative in noted)


# --- findings -----------------------------------------------------------------------------------------


def _checked(context: Context, judge: Judge, path: Path, related: frozenset[Path] | None) -> _Checked | None:
    try:
        head = store.read_head_as_written(path)
        snapshot = store.read(path) if head is None else head
    except SnapshotError as error:
        return _Checked(path, (_damaged(context, path, error),))
    if related is not None and not _depends(snapshot, path, related):
        return None
    judgement = judge.judge(snapshot, path.parent.resolve(), as_written=head is not None)
    shown = context.shown(path)
    return _Checked(path, tuple(_judged(shown, snapshot, judgement)), judgement.unjudged)


def _judged(shown: str, snapshot: Snapshot, judgement: Judgement) -> Iterable[Finding]:
    if snapshot.base is not None:
        yield Finding(shown, "damaged", "it has the key 'base', which only a pending snapshot has")
    for problem in judgement.problems:
        yield Finding(shown, "stale", problem)
    for line in describe(judgement.changes, most=_SHOWN):
        yield Finding(shown, "stale", line)
    for name in judgement.edited:
        yield Finding(shown, "edited", f"the prompt of {name} was edited by hand")


def _damaged(context: Context, path: Path, error: SnapshotError) -> Finding:
    where = f"{error.path}:{error.line}: " if error.line else f"{error.path}: "
    problem = " ".join(error.message.removeprefix(where).split())
    kind: Kind = "conflict" if "conflict markers" in problem else "damaged"
    return Finding(context.shown(path), kind, problem, error.line)


def _pending(context: Context, path: Path) -> Finding:
    shown = context.shown(path)
    try:
        store.read(path)
    except SnapshotError as error:
        return _damaged(context, path, error)
    return Finding(shown, "pending", "a compiled prompt awaits review")


def _conflicts(context: Context, path: Path) -> Iterable[Finding]:
    try:
        data = path.read_bytes()
    except OSError as error:
        yield Finding(context.shown(path), "damaged", f"cannot be read: {error.strerror}")
        return
    starts = [_line_starts(data, marker) for marker in _MARKERS]
    at = min((start for start in starts if start >= 0), default=-1)
    if at >= 0:
        line = data.count(b"\n", 0, at) + 1
        yield Finding(context.shown(path), "conflict", "there are git conflict markers in the file", line)


def _line_starts(data: bytes, marker: bytes) -> int:
    if data.startswith(marker):
        return 0
    at = data.find(b"\n" + marker)
    return at if at < 0 else at + 1


# --- words --------------------------------------------------------------------------------------------


def _text(context: Context, findings: Sequence[Finding], checked: Sequence[_Checked]) -> Iterable[str]:
    yield _summary(findings, checked)
    yield from _remedies({finding.kind for finding in findings})
    if checked:
        yield from _left_to_pytest(context, checked)


def _summary(findings: Sequence[Finding], checked: Sequence[_Checked]) -> str:
    snapshots = f"{len(checked)} snapshot{'' if len(checked) == 1 else 's'}"
    if not findings:
        return f"{snapshots} checked: nothing pending, stale, edited or damaged"
    noun = "finding" if len(findings) == 1 else "findings"
    return f"{len(findings)} {noun}; {snapshots} checked"


_REMEDIES: tuple[tuple[frozenset[Kind], str], ...] = (
    (frozenset({"pending"}), "pending: `lmprog review` shows and decides it"),
    (frozenset({"stale"}), "stale: pytest --lm-compile compiles anew, pytest --lm-update keeps the prompts"),
    (frozenset({"edited"}), "edited: pytest --lm-update scores what was edited, and accepts it"),
    (frozenset({"conflict"}), "conflict: take one side, then pytest --lm-update or --lm-compile"),
    (frozenset({"damaged"}), "damaged: restore the file (git checkout), or compile again"),
)


def _remedies(kinds: set[Kind]) -> Iterable[str]:
    return (f"  {text}" for of, text in _REMEDIES if of & kinds)


def _left_to_pytest(context: Context, checked: Sequence[_Checked]) -> Iterable[str]:
    yield f"only a pytest run can judge {', '.join(ALWAYS[:-1])}, {ALWAYS[-1]}"
    partly = [c for c in checked if c.unjudged]
    for one in partly[:_SHOWN]:
        named = ", ".join(one.unjudged[:_SHOWN])
        rest = len(one.unjudged) - _SHOWN
        yield f"  and of {context.shown(one.path)}: {named}{f' and {rest} more' if rest > 0 else ''}"
    if len(partly) > _SHOWN:
        yield f"  and parts of {len(partly) - _SHOWN} more snapshots (--json lists them)"


def _plain(context: Context, findings: Sequence[Finding], checked: Sequence[_Checked]) -> object:
    partly = {context.shown(c.path): list(c.unjudged) for c in checked if c.unjudged}
    return {
        "findings": [asdict(finding) for finding in findings],
        "checked": [context.shown(c.path) for c in checked],
        "pytest_only": {"always": list(ALWAYS), "snapshots": partly},
    }
