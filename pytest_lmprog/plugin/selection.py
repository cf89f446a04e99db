"""Selecting a metric as a whole by its id: as an argument, and by ``--lf`` after its gate failed.

pytest selects items. A metric's id without parameters is the function's, which pytest understands; that of
a parameter set or model (``test_short[400]``) is not an item's, and neither is ever one that "failed".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lmprog.plugin.cases import case_of
from pytest_lmprog.records import dataclass

if TYPE_CHECKING:
    from pytest_lmprog.plugin.run import Run

__all__ = [
    "Widened",
    "expect_failed",
    "forget_expected",
    "forget_passed",
    "narrow",
    "selects_failed",
    "widen",
]


@dataclass(frozen=True, slots=True)
class Widened:
    """An argument that names parameters, collected without them; ``narrow`` picks what it means."""

    given: str
    path: Path
    names: tuple[str, ...]
    parameters: str


_WIDENED: pytest.StashKey[list[Widened]] = pytest.StashKey()


def widen(config: pytest.Config) -> None:
    """Collect whole functions where an argument names parameters in a file with units."""
    found: list[Widened] = []
    for index, argument in enumerate(config.args):
        one = _widened(argument, config.invocation_params.dir)
        if one is not None:
            found.append(one)
            config.args[index] = argument.partition("[")[0]
    config.stash[_WIDENED] = found


def _widened(argument: str, folder: Path) -> Widened | None:
    base, bracket, parameters = argument.partition("[")
    file, *names = base.split("::")
    path = folder / file
    if not bracket or not names or not _has_units(path):
        return None
    return Widened(argument, path.resolve(), tuple(names), bracket + parameters)


def _has_units(path: Path) -> bool:
    try:
        return "lm_program" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def narrow(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop what the arguments did not mean. Raises pytest.UsageError for one that means nothing."""
    widened = config.stash.get(_WIDENED, [])
    if not widened:
        return
    meant: set[pytest.Item] = set()
    for one in widened:
        chosen = [item for item in items if _is_function(one, item) and _is_meant(one, item)]
        if not chosen:
            raise pytest.UsageError(f"not found: {one.given}")
        meant.update(chosen)
    dropped = [i for i in items if i not in meant and any(_is_function(one, i) for one in widened)]
    items[:] = [item for item in items if item not in dropped]


def _is_function(one: Widened, item: pytest.Item) -> bool:
    names = tuple(item.nodeid.partition("[")[0].split("::")[1:])
    return names == one.names and item.path.resolve() == one.path


def _is_meant(one: Widened, item: pytest.Item) -> bool:
    if item.name.endswith(one.parameters) and item.name.partition("[")[0] + one.parameters == item.name:
        return True
    case = case_of(item)
    return case is not None and _metric_id(case).endswith(f"{one.names[-1]}{one.parameters}")


def _metric_id(case: Any) -> str:
    node_id: str = case.unit.metrics[case.metric].node_id
    return node_id


# --- --lf ---------------------------------------------------------------------------------------------


def selects_failed(config: pytest.Config) -> bool:
    """Whether the run starts from what failed last."""
    plugin: Any = config.pluginmanager.get_plugin("lfplugin")
    return plugin is not None and bool(plugin.active)


def expect_failed(run: Run, metric_id: str, item_id: str) -> None:
    """Make an item of a metric that failed as a whole count as failed, while items are selected."""
    failed: Any = run.config.pluginmanager.get_plugin("lfplugin").lastfailed  # type: ignore[union-attr]
    metric, item = _key(failed, metric_id), _key(failed, item_id)
    if metric in failed and item not in failed:
        failed[item] = True
        run.expected_failures.append(item)


def _key(failed: Any, node_id: str) -> Any:
    # pytest 9.2 keys by NodeId, older versions by text.
    kind: Any = type(next(iter(failed), ""))
    return node_id if kind is str else kind.parse(node_id)


def forget_expected(run: Run) -> None:
    """Take back, once the items are selected, what ``expect_failed`` said."""
    plugin: Any = run.config.pluginmanager.get_plugin("lfplugin")
    for key in run.expected_failures:
        plugin.lastfailed.pop(key, None)
    run.expected_failures.clear()


def forget_passed(config: pytest.Config, metric_ids: list[str]) -> None:
    """Let ``--lf`` forget metrics that passed as a whole: no report of pytest's says so."""
    plugin: Any = config.pluginmanager.get_plugin("lfplugin")
    if plugin is None:
        return
    passed = set(metric_ids)
    for key in [key for key in plugin.lastfailed if str(key) in passed]:
        del plugin.lastfailed[key]
