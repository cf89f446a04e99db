"""Compiling units from within a test run: what must hold before, and what is shown meanwhile."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.plugin import surroundings
from pytest_lmprog.plugin.cases import case_of
from pytest_lmprog.plugin.outcome import steady_assertions
from pytest_lmprog.plugin.progress import CompileProgress, say
from pytest_lmprog.reports.terminal import bound_lines, compile_text

if TYPE_CHECKING:
    from pytest_lmprog.plugin.run import Run
    from pytest_lmprog.plugin.runner import UnitRunner
    from pytest_lmprog.plugin.units import UnitPlan

__all__ = ["compile_unit", "dry_run", "fill_shared", "require_asserts"]


def compile_unit(runner: UnitRunner) -> None:
    """Compile the unit of ``runner``; its cases then test the new program. Raises LmprogError."""
    run, plan = runner.run, runner.plan
    if plan.teleprompter is None and any(m.needs.refused for m in plan.metrics.values()):
        return  # nothing is optimized, so nothing has to be called outside of its items
    for metric in plan.metrics.values():
        metric.require_compilable()
    require_asserts(run.config)
    if run.item is not None:
        surroundings.suppress_timeout(run.item)
    fill_shared(run, plan)
    session = surroundings.session_of(run.config)
    progress = CompileProgress(run.config, plan.name, session.tally_of(plan.id).count)
    with steady_assertions():
        outcome = session.compile(plan.unit, progress, fixture_lm=runner.fixture_lm())
    progress.end(f"{plan.name}: {compile_text(outcome)}", run.item)


def require_asserts(config: pytest.Config) -> None:
    """Raise ConfigurationError where assertions say nothing (``--assert=plain``) or do nothing (``-O``)."""
    if sys.flags.optimize:
        raise ConfigurationError(
            "compiling needs assertions, and python -O (PYTHONOPTIMIZE) removes them",
            hint="run pytest --lm-compile without it",
        )
    if config.getoption("assertmode", "rewrite") == "plain":
        raise ConfigurationError(
            "compiling needs the words of failing assertions, and --assert=plain leaves them empty",
            hint="run pytest --lm-compile without it",
        )


def fill_shared(run: Run, plan: UnitPlan) -> None:
    """Resolve the fixtures that the unit's metrics share, from the case that is being set up."""
    from pytest_lmprog.plugin.runner import fixture_value

    wanted = dict.fromkeys(name for m in plan.metrics.values() for name in m.needs.wide)
    values = {name: fixture_value(run.item, name) for name in wanted}
    plan.shared.fill({**values, "lm_program": plan.program})


def dry_run(run: Run, items: list[pytest.Item]) -> bool:
    """Print the most that compiling the selected units can cost. Returns whether all could be told."""
    session = surroundings.session_of(run.config)
    bounds, problems = [], []
    first = {case.unit.id: item for item in reversed(items) if (case := case_of(item)) is not None}
    for plan in run.units.values():
        if plan.id not in first:
            continue
        run.item = first[plan.id]
        try:
            with _set_up(run.item):
                bounds.append(session.bound(plan.unit, fixture_lm=plan.started().fixture_lm()))
        except LmprogError as error:
            problems.append(f"{plan.id}: {error}")
        except Exception as error:  # noqa: BLE001 - a fixture of the user's; told, and the run fails
            problems.append(f"{plan.id}: {type(error).__name__}: {error}")
    say(run.config, ["", *bound_lines(bounds), *problems])
    return not problems


@contextmanager
def _set_up(item: Any) -> Iterator[None]:
    """Set up the item's class, module and session, but not the item: enough for a wider ``lm`` fixture."""
    state = item.session._setupstate
    state.setup(item.parent)
    try:
        with warnings.catch_warnings():
            # pytest takes a fixture that is asked for between items to be asked for at a teardown.
            warnings.simplefilter("ignore")
            yield
    finally:
        state.teardown_exact(None)
