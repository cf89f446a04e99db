"""The pytest plugin ``lmprog``: hooks that load the rest of the package only where it is used.

Installed but unused it costs a handful of modules. Anything heavy lives in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_lmprog.programs import Example, Module, Prediction, Trace

__all__ = ["example", "lm", "lm_compile", "lm_program", "prediction", "record_score", "trace"]

_OWN_FIXTURES = frozenset(("lm", "lm_compile"))


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_lmprog import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_lmprog.plugin import options

    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.getoption("lm_compile", False):
        from pytest_lmprog.plugin import options

        options.leave_xdist(config)


def pytest_configure(config: pytest.Config) -> None:
    from pytest_lmprog.plugin import options

    options.settings(config)
    options.register_markers(config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if isinstance(collector, pytest.Module | pytest.Class):
        from pytest_lmprog.plugin import misuse

        return misuse.checked(collector, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, None, None]:
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
    return not _OWN_FIXTURES.isdisjoint(metafunc.fixturenames)


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    data = getattr(report, "lmprog", None)
    return None if data is None or report.when != "call" else data.get("status")


def pytest_runtest_logreport(report: Any) -> None:
    del report
