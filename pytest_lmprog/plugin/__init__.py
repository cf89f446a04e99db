"""The pytest plugin ``lmprog``: hooks that load the rest of the package only where it is used.

Installed but unused it costs a handful of modules. Anything heavy lives in the files beside this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_lmprog.lm.types import LanguageModel
    from pytest_lmprog.plugin.compile_fixture import LmCompile
    from pytest_lmprog.plugin.conclude import Conclusion
    from pytest_lmprog.plugin.outcome import Recorder
    from pytest_lmprog.programs import Example, Module, Prediction, Trace

__all__ = ["example", "lm", "lm_compile", "lm_program", "prediction", "record_score", "trace"]

_OWN_FIXTURES = frozenset(("lm", "lm_compile", "example", "prediction", "trace"))


# --- set-up -------------------------------------------------------------------------------------------


class _PlainImports:
    """Finds our own modules as Python would. pytest rewrites the asserts of plugins, which makes loading each
    of our modules take half as long again; ours are none of a test's."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith("pytest_lmprog.") else None


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    if _PlainImports not in sys.meta_path:
        sys.meta_path.insert(0, _PlainImports)
    from pytest_lmprog import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_lmprog.plugin import options

    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.getoption("lm_compile", False) or config.getoption("lm_update", False):
        from pytest_lmprog.plugin import options

        options.leave_xdist(config)


def pytest_configure(config: pytest.Config) -> None:
    from pytest_lmprog.plugin import options

    settings = options.settings(config)
    options.register_markers(config)
    config.add_cleanup(lambda: _end(config))
    if settings.rescore is not None:
        from pytest_lmprog.plugin import rescoring

        rescoring.load(config, settings)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Reports(config), "lmprog-reports")
    if settings.cov:
        from pytest_lmprog.plugin import covering

        config.pluginmanager.register(covering.Covering(config), "lmprog-coverage")
    if settings.changed:
        from pytest_lmprog.plugin import leaving

        config.pluginmanager.register(leaving.Leaving(config), "lmprog-changed")


def _end(config: pytest.Config) -> None:
    # After pytest's own last look for garbage, which need not walk over thousands of finished cases.
    run = config.pluginmanager.get_plugin("lmprog-run")
    if run is not None:
        run.thaw()


# --- collection ---------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    if any("[" in argument for argument in session.config.args):
        from pytest_lmprog.plugin import selection

        selection.widen(session.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if isinstance(collector, pytest.Module | pytest.Class):
        from pytest_lmprog.plugin import misuse

        return misuse.checked(collector, report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    if not _is_used(metafunc):
        yield
        return
    from pytest_lmprog.plugin import collect

    generation = collect.begin(metafunc)
    yield
    collect.finish(generation)


def _is_used(metafunc: pytest.Metafunc) -> bool:
    if any(mark.name.startswith("lm_") for mark in metafunc.definition.iter_markers()):
        return True
    used = _OWN_FIXTURES.intersection(metafunc.fixturenames)
    return bool(used) and _is_lmprog_loaded(metafunc, used)


def _is_lmprog_loaded(metafunc: pytest.Metafunc, names: frozenset[str]) -> bool:
    # Other projects have fixtures called ``lm`` or ``example`` too; those are none of ours.
    # An overridden ``lm`` is ours if the project has loaded our LMs to make it, or its module imports us.
    if "lm" in names and "pytest_lmprog.lm.types" in sys.modules:
        return True
    found = {name: last[-1].func for name in names if (last := metafunc._arg2fixturedefs.get(name, ()))}
    if any(getattr(func, "__module__", "") == __name__ for func in found.values()):
        return True
    known = getattr(found.get("lm"), "__globals__", {})
    return any(getattr(value, "__name__", None) == "pytest_lmprog" for value in known.values())


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    if not _uses_run(config):
        return []
    from pytest_lmprog.plugin import header

    return header.lines(config)


# --- fixtures -----------------------------------------------------------------------------------------


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Example:
    """The case's Example (pytest-lmprog); its fields are attributes."""
    from pytest_lmprog.plugin import fixtures

    fixtures.refuse(request)


@pytest.fixture
def prediction(example: Example) -> Prediction:
    """What the program under test put out for the case: each test gets a copy of its own (pytest-lmprog)."""
    case = example.lm_case
    result: Prediction = (case.unit.runner or case.unit.started()).prediction(case)
    return result


@pytest.fixture
def trace(example: Example) -> Trace:
    """Every predictor call of the case's run: inputs, outputs, messages, usage, latency (pytest-lmprog)."""
    case = example.lm_case
    result: Trace = (case.unit.runner or case.unit.started()).trace(case)
    return result


@pytest.fixture
def lm_program(request: pytest.FixtureRequest) -> Module:
    """The unit's program as tested: compiled if there is a snapshot, else as written (pytest-lmprog)."""
    from pytest_lmprog.plugin import fixtures

    return fixtures.program(request)


@pytest.fixture(scope="module")
def lm_compile(request: pytest.FixtureRequest) -> LmCompile:
    """Compiles a program by hand: lm_compile(Triage(), teleprompter=..., trainset=..., metric=..., name=...)
    (pytest-lmprog)."""
    from pytest_lmprog.plugin import fixtures

    return fixtures.compiler(request)


@pytest.fixture(scope="session")
def lm(request: pytest.FixtureRequest) -> LanguageModel:
    """The LM client of the session; override it in conftest.py to test with another (pytest-lmprog)."""
    from pytest_lmprog.plugin import fixtures

    return fixtures.default_lm(request)


@pytest.fixture
def record_score(request: pytest.FixtureRequest) -> Recorder:
    """Records a graded score, once a case: record_score(0.7, feedback="...") (pytest-lmprog)."""
    from pytest_lmprog.plugin import fixtures

    return fixtures.recorder(request)


# --- reports ------------------------------------------------------------------------------------------


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    data = getattr(report, "lmprog", None)
    status = None if data is None or report.when != "call" else data.get("status")
    return None if status is None else tuple(status)


class _Reports:
    """Hears every report in the process that talks to the user, and concludes after the last one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._conclusion: Conclusion | None = None
        self._lost: list[str] = []
        self._collected: list[str] = []
        # Capturing has not begun: later, fd 1 is not the terminal's.
        self.terminal: int | None = None
        with suppress(OSError):
            self.terminal = os.dup(1)

    def pytest_unconfigure(self) -> None:
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if hasattr(report, "lmprog"):
            self._begun().take(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self._lost.append(node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._collected = ids

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            result = yield
        except BaseException as end:
            self._conclude(session, stopped=str(end) or type(end).__name__)
            raise
        self._conclude(session)
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._conclusion is not None:
            from pytest_lmprog.plugin import summary

            summary.write(terminalreporter, self._conclusion)

    def _begun(self) -> Conclusion:
        if self._conclusion is None:
            from pytest_lmprog.plugin.conclude import Conclusion

            self._conclusion = Conclusion(self._config)
        return self._conclusion

    def _conclude(self, session: pytest.Session, *, stopped: str | None = None) -> None:
        from pytest_lmprog.plugin import options

        wanted = self._conclusion is not None or bool(options.settings(self._config).report)
        if not wanted and not _uses_run(self._config):
            return
        from pytest_lmprog.plugin import surroundings

        if wanted or surroundings.existing_session(self._config) is not None:
            self._begun().conclude(session, lost=self._lost, collected=self._collected, stopped=stopped)


def _uses_run(config: pytest.Config) -> bool:
    return bool(config.pluginmanager.has_plugin("lmprog-run"))
