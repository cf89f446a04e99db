"""The parts of a fingerprint that are code: the program's and the metrics'."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from pytest_lmprog.programs import Module, Predict
from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.code_walk import SETUP, node_digest, without_marks
from pytest_lmprog.snapshots.fingerprint import UNCHECKED, short
from pytest_lmprog.snapshots.module_facts import is_ours, settings_of
from pytest_lmprog.snapshots.source import Sources

__all__ = [
    "SETUP",
    "compiler_part",
    "metric_parts",
    "program_closure",
    "program_part",
    "project_sources",
    "without_marks",
]


def project_sources(root: Path | None, *anchors: Any) -> Sources:
    """Return the sources that count: those under ``root`` and of the packages that ``anchors`` (classes,
    functions, instances) belong to. Without ``root``, those under the anchors' own folders."""
    modules = [_module_of(anchor) for anchor in anchors]
    own = tuple(sorted({name.partition(".")[0] for name in modules if name not in ("__main__", "builtins")}))
    return Sources(root if root is not None else _home(modules), own)


def _module_of(anchor: Any) -> str:
    return str(getattr(anchor, "__module__", None) or type(anchor).__module__)


def _home(modules: list[str]) -> Path | None:
    for name in modules:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path:
            return _outside_packages(Path(path).resolve().parent)
    return None


def _outside_packages(folder: Path) -> Path:
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def program_part(
    program: Module, *, root: Path | None = None, factory: Any = None, sources: Sources | None = None
) -> dict[str, str]:
    """Return the part of the program's code, as written (not compiled).

    Each function, class and module constant of the project that the program reaches, by qualified name;
    each predictor's kind and settings; and what the program's attributes hold.

    Parameters
    ----------
    root: the project's folder (pytest's rootdir).
    factory: the function that made the program, where one did.
    sources: to share parsed files between parts.
    """
    closure = program_closure(program, root=root, factory=factory, sources=sources)
    return dict(sorted(closure.items.items()))


def program_closure(
    program: Module, *, root: Path | None = None, factory: Any = None, sources: Sources | None = None
) -> Closure:
    """Return what ``program_part`` is made of, with the places of the functions."""
    closure = Closure(sources or project_sources(root, type(program)))
    if isinstance(factory, FunctionType):
        closure.add_function(factory)
    modules = program.named_sub_modules()
    for _, module in modules:
        if is_ours(module):
            closure.pass_over(module)
    for path, module in modules:
        closure.add_class(type(module))
        label = path or "self"
        if is_ours(module):
            closure.items[f"{type(module).__name__} {label}"] = short(settings_of(module))
            closure.add_data(label, module)
            if not isinstance(module, Predict):
                closure.add_held(label, module)
        else:
            closure.add_attributes(label, module)
    return closure


def metric_parts(
    metrics: Mapping[str, Any],
    *,
    owner: type | None = None,
    fixtures: Iterable[Callable[..., Any]] = (),
    root: Path | None = None,
    sources: Sources | None = None,
) -> dict[str, dict[str, str]]:
    """Return the parts ``metrics`` (each test function by the metric's name) and ``metric_helpers`` (the
    project code that they use).

    Marks that do not change what a metric says (gates, ids) don't count.

    Parameters
    ----------
    metrics: name -> function, or any callable.
    owner: the test class, for helpers reached through ``self`` and ``setup_method``.
    fixtures: functions of the fixtures that the metrics use.
    """
    functions = list(metrics.values())
    closure = Closure(sources or project_sources(root, *functions))
    digests = {name: _metric(closure, function, owner) for name, function in metrics.items()}
    if owner is not None:
        for name in SETUP:
            closure.add_member(owner, name)
    for fixture in fixtures:
        closure.add(getattr(fixture, "__name__", "fixture"), fixture)
    return {"metrics": digests, "metric_helpers": dict(sorted(closure.items.items()))}


def compiler_part(code: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """Return a digest of each setting of a teleprompter that is code of the project, with what it uses."""
    found = {}
    for name, value in code.items():
        closure = Closure(sources)
        closure.add(name, value)
        if closure.items:
            found[f"code.{name}"] = short(dict(sorted(closure.items.items())))
    return found


def _metric(closure: Closure, function: Any, owner: type | None) -> str:
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        closure.add(str(getattr(function, "__name__", type(function).__qualname__)), function)
        return short(f"{type(function).__module__}.{type(function).__qualname__}")
    while isinstance(wrapped := getattr(function, "__wrapped__", None), FunctionType):
        function = wrapped
    node = closure.node_of(function)
    module = sys.modules.get(function.__module__)
    if node is None or module is None:
        return UNCHECKED
    node = without_marks(node)
    closure.follow(module, node, but=frozenset(function.__code__.co_freevars))
    closure.add_cells(function)
    if owner is not None:
        closure.follow_self(owner, node)
    return node_digest(node)
