"""What an observer notes is what coverage.py notes, and coverage.py beside it notes what it does alone."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage
import pytest

from pytest_lmprog.harness.coverage.observer import Arcs, Observer, make_observer
from pytest_lmprog.harness.coverage.tracing import TracingObserver

SOURCE = '''
import contextlib
import functools


def branches(n):
    if n > 2:
        word = "many"
    elif n == 2:
        word = "two"
    else:
        word = "few"
    return word if n else None


def loops(n):
    found = []
    for i in range(n):
        if i == 3:
            break
        found.append(i)
    else:
        found.append(-1)
    while found:
        found.pop()
    return [x for x in range(n) if x]


def generator(n):
    """Doc."""
    for i in range(n):
        got = yield i
        if got:
            return


def generators(n):
    it = generator(n)
    for i in it:
        if i == 1:
            break
    it.close()
    yield_from = list(chained(n))
    return yield_from


def chained(n):
    yield from generator(n)
    yield n


def raises(n):
    try:
        if n > 1:
            raise ValueError(n)
        return branches(
            n,
        )
    except ValueError:
        n = 0
    finally:
        n += 1
    with contextlib.suppress(KeyError):
        {}[n]
    return n


def escapes(n):
    if inner(n):
        raise KeyError


def inner(n):
    raise IndexError


def matches(n):
    match n:
        case 0:
            return "zero"
        case [a, b]:
            return a
        case {"x": x} if x:
            return x
        case _:
            pass


class Thing:
    @property
    def size(self):
        return 1

    @functools.cache
    def cached(self, n):
        def local():
            return n

        return (lambda: local())()

    async def wait(self, n):
        async for i in self.each(n):
            if i:
                return i

    async def each(self, n):
        for i in range(n):
            yield i


def threaded(n):
    import threading

    def work():
        branches(n)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
'''

DRIVER = """
def drive(module, n):
    import asyncio
    from contextlib import suppress

    module.branches(n)
    module.loops(n)
    module.generators(n)
    module.raises(n)
    with suppress(IndexError):
        module.escapes(n)
    module.matches([n, n] if n else n)
    thing = module.Thing()
    thing.size, thing.cached(n)
    asyncio.run(thing.wait(n))
    module.threaded(n)
"""


def load(path: Path, text: str) -> ModuleType:
    path.write_text(text, encoding="utf-8")
    module = ModuleType(path.stem)
    exec(compile(text, str(path), "exec"), vars(module))
    return module


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    return load(tmp_path / "watched.py", SOURCE)


@pytest.fixture
def drive(tmp_path: Path) -> Callable[[ModuleType, int], None]:
    return vars(load(tmp_path / "driver.py", DRIVER))["drive"]


@pytest.fixture(params=["own", "trace function"])
def observer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Observer]:
    made = make_observer(tmp_path) if request.param == "own" else TracingObserver(tmp_path)
    yield made
    made.close()


@contextmanager
def measuring(folder: Path, *, branch: bool = True, include: str = "watched.py") -> Iterator[Any]:
    """coverage.py, whatever already measures this process (it is paused meanwhile)."""
    measured = coverage.Coverage(
        data_file=None, branch=branch, config_file=False, include=[str(folder / include)]
    )
    measured.start()
    try:
        yield measured
    finally:
        measured.stop()


def arcs_of(measured: coverage.Coverage, path: Path) -> set[tuple[int, int]]:
    return set(measured.get_data().arcs(str(path)) or ())


def line_of(text: str) -> int:
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


# An exception that leaves a function is no return to an observer; coverage.py's tracers take it for one.
ESCAPES = {(line_of(f"def {name}(") + 1, -line_of(f"def {name}(")) for name in ("escapes", "inner")}


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_notes_what_coverage_notes(observer, module, drive, tmp_path, n):
    with observer.watching() as arcs:
        drive(module, n)
    module.Thing.cached.cache_clear()
    with measuring(tmp_path) as measured:
        drive(module, n)
    expected = arcs_of(measured, tmp_path / "watched.py")
    assert expected
    assert arcs["watched.py"] - expected == set()
    assert {(a, b) for a, b in expected - arcs["watched.py"] if a != b} == ESCAPES


@pytest.mark.parametrize("branch", [True, False])
@pytest.mark.parametrize("include", ["watched.py", "driver.py", "*"])
def test_coverage_beside_it_notes_what_it_does_alone(observer, module, drive, tmp_path, branch, include):
    with measuring(tmp_path, branch=branch, include=include) as alone:
        drive(module, 2)
    module.Thing.cached.cache_clear()
    with measuring(tmp_path, branch=branch, include=include) as both, observer.watching() as arcs:
        drive(module, 2)
    for name in ("watched.py", "driver.py"):
        path = str(tmp_path / name)
        assert set(both.get_data().arcs(path) or ()) == set(alone.get_data().arcs(path) or ())
        assert sorted(both.get_data().lines(path) or ()) == sorted(alone.get_data().lines(path) or ())
    assert (1, 2) not in arcs["watched.py"]
    assert len(arcs["watched.py"]) > 60


def test_coverage_goes_on_after_it(observer, module, tmp_path):
    with measuring(tmp_path) as measured:
        with observer.watching():
            module.branches(1)
        module.branches(5)
    with measuring(tmp_path) as alone:
        module.branches(1)
        module.branches(5)
    path = tmp_path / "watched.py"
    assert arcs_of(measured, path) == arcs_of(alone, path)


def test_keeps_the_contexts_of_coverage(observer, module, tmp_path):
    with measuring(tmp_path) as measured:
        measured.switch_context("one")
        with observer.watching():
            module.branches(1)
        measured.switch_context("two")
        with observer.watching():
            module.branches(5)
    data = measured.get_data()
    path = str(tmp_path / "watched.py")
    by_line = data.contexts_by_lineno(path)
    assert by_line[8] == ["two"]
    assert by_line[12] == ["one"]
    assert sorted(by_line[7]) == ["one", "two"]


def test_notes_each_block_afresh_and_nothing_outside(observer, module):
    with observer.watching() as first:
        module.branches(5)
    module.branches(2)
    with observer.watching() as second:
        module.branches(1)
    assert {line for arc in first["watched.py"] for line in arc} == {-6, 7, 8, 13}
    assert {line for arc in second["watched.py"] for line in arc} == {-6, 7, 9, 12, 13}


def test_a_block_within_a_block_notes_its_own(observer, module):
    with observer.watching() as outer:
        module.branches(5)
        with observer.watching() as inner:
            module.branches(1)
        module.branches(2)
    assert {line for arc in inner["watched.py"] for line in arc} == {-6, 7, 9, 12, 13}
    assert {line for arc in outer["watched.py"] for line in arc} == {-6, 7, 8, 9, 10, 13}


def test_notes_nothing_of_what_lies_elsewhere(observer, module, drive):
    with observer.watching() as arcs:
        drive(module, 1)
    assert set(arcs) == {"watched.py", "driver.py"}


def test_notes_threads_and_coroutines(observer, module):
    with observer.watching() as arcs:
        module.threaded(5)
        asyncio.run(module.Thing().wait(2))
    lines = {line for arc in arcs["watched.py"] for line in arc}
    assert 8 in lines
    assert line_of("if i:\n                return i") in lines


def test_leaves_nothing_behind(observer, module):
    before = sys.gettrace(), threading.gettrace()
    with suppress(IndexError), observer.watching():
        module.inner(1)
    observer.close()
    assert (sys.gettrace(), threading.gettrace()) == before
    if sys.version_info >= (3, 12):
        assert sys.monitoring.get_tool(4) is None


def test_files_elsewhere_are_noted_once_they_are_added(tmp_path):
    module = load(tmp_path / "watched.py", SOURCE)
    observer = make_observer(tmp_path / "elsewhere")
    try:
        with observer.watching() as none:
            module.branches(1)
        observer.add([str(tmp_path / "watched.py")])
        with observer.watching() as some:
            module.branches(1)
    finally:
        observer.close()
    assert none == {}
    assert isinstance(some, dict)
    assert (-6, 7) in some[(tmp_path / "watched.py").as_posix()]


def test_arcs_are_by_name(observer: Observer) -> None:
    with observer.watching() as arcs:
        pass
    typed: Arcs = arcs
    assert typed == {}
