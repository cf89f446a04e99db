"""The fingerprint of code from its files alone: nothing of the project is imported or run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.code_walk import SETUP, node_digest, without_marks
from pytest_lmprog.snapshots.source import UNBOUND, Sources, SourceTree, absolute_name, parse

__all__ = ["StaticSources", "TreeCache", "metric_items", "module_of", "program_items"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CASE_ARGUMENTS = frozenset({"example", "prediction", "trace"})
_THING = object()
"""Stands for whatever is bound to a name, where that is no module of the project."""


class TreeCache:
    """Parsed files, for several ``StaticSources``: each is read once."""

    def __init__(self) -> None:
        self._trees: dict[str, SourceTree | None] = {}

    def of(self, path: str) -> SourceTree | None:
        """Return the tree of the file at ``path``, or None where it cannot be read."""
        if path not in self._trees:
            self._trees[path] = parse(path)
        return self._trees[path]


class StaticSources(Sources):
    """Project modules that are found as files and never imported.

    Parameters
    ----------
    modules: name -> file of the modules that are known. Others are looked for where these lie: in the
        folders that the known names start from.
    """

    def __init__(self, modules: Mapping[str, Path], cache: TreeCache) -> None:
        super().__init__(None)
        self._paths = {name: str(path) for name, path in modules.items()}
        self._cache = cache
        self._roots = tuple(dict.fromkeys(_root(name, path) for name, path in modules.items()))
        self._modules: dict[str, ModuleType | None] = {}
        self._values: dict[tuple[str, str], Any] = {}

    def of_file(self, path: str) -> SourceTree | None:
        """Return the tree of a source file, or None where it cannot be read."""
        return self._cache.of(path)

    def is_project(self, module: ModuleType) -> bool:
        """Whether the module is one of the project: all that are found here are, but for namespaces."""
        return bool(getattr(module, "__file__", None))

    def module(self, name: str) -> ModuleType | None:
        """Return a stand-in for the project module ``name``, or None where there is no file of it."""
        if name not in self._modules:
            self._modules[name] = self._made(name)
        return self._modules[name]

    def _made(self, name: str) -> ModuleType | None:
        path = self._paths.get(name) or self._found(name)
        if path is None:
            return None
        made = ModuleType(name)
        is_package = os.path.basename(path) == "__init__.py"
        made.__package__ = name if is_package else name.rpartition(".")[0]
        made.__file__ = path
        return made

    def _found(self, name: str) -> str | None:
        inner = name.replace(".", "/")
        for root in self._roots:
            if root is None or not name:
                continue
            for path in (root / f"{inner}.py", root / inner / "__init__.py"):
                if path.is_file():
                    return str(path)
        return None

    def value(self, module: ModuleType, name: str) -> Any:
        """Return the module that ``name`` is in ``module``, a stand-in for anything else, or ``UNBOUND``."""
        key = module.__name__, name
        if key not in self._values:
            self._values[key] = UNBOUND  # modules may import from each other in circles
            self._values[key] = self._looked_up(module, name)
        return self._values[key]

    def _looked_up(self, module: ModuleType, name: str) -> Any:
        tree = self.of_module(module)
        if tree is None:
            return UNBOUND
        statements = tree.bindings.get(name)
        if statements is None:
            return self._starred(module, tree, name)
        for statement in statements:
            imported = self._imported(module, statement, name)
            if imported is not None:
                return imported
        return _THING

    def _starred(self, module: ModuleType, tree: SourceTree, name: str) -> Any:
        for statement in tree.stars:
            target = self.module(absolute_name(statement, module))
            if target is not None and target is not module and not name.startswith("_"):
                value = self.value(target, name)
                if value is not UNBOUND:
                    return value
        return self.module(f"{module.__name__}.{name}") or UNBOUND

    def _imported(self, module: ModuleType, statement: ast.stmt, name: str) -> ModuleType | None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.asname == name:
                    return self.module(alias.name)
                if alias.asname is None and alias.name.partition(".")[0] == name:
                    return self.module(name)
        if isinstance(statement, ast.ImportFrom):
            return self._imported_from(module, statement, name)
        return None

    def _imported_from(self, module: ModuleType, statement: ast.ImportFrom, name: str) -> ModuleType | None:
        original = next((a.name for a in statement.names if (a.asname or a.name) == name), None)
        source = absolute_name(statement, module)
        target = self.module(source)
        if original is None:
            return None
        if target is not None and target is not module:
            value = self.value(target, original)
            return value if isinstance(value, ModuleType) else None
        return self.module(f"{source}.{original}")


def _root(name: str, path: Path) -> Path | None:
    """Return the folder that the import of ``name`` starts from, or None where the file lies elsewhere."""
    parts = name.split(".")
    inner = path.parent if path.name == "__init__.py" else path.with_suffix("")
    if tuple(parts) != inner.parts[-len(parts) :]:
        return None
    return inner.parents[len(parts) - 1]


def module_of(item: str, modules: Iterable[str]) -> str | None:
    """Return the one of ``modules`` that a fingerprint's item stands in (``support.program`` of
    ``support.program.Triage.forward``), or None where the item is no name within one of them."""
    found = [name for name in modules if item.startswith(f"{name}.") and " " not in item]
    return max(found, key=len, default=None)


def program_items(roots: Iterable[str], sources: StaticSources, modules: Iterable[str]) -> dict[str, str]:
    """Return, as the files tell it now, what the module-level names of ``roots`` are and refer to."""
    closure = Closure(sources)
    for name, rest in _placed(roots, modules):
        module = sources.module(name)
        if module is not None:
            closure.add_top_level(module, rest.partition(".")[0])
    return closure.items


def _placed(items: Iterable[str], modules: Iterable[str]) -> list[tuple[str, str]]:
    known = tuple(modules)
    placed = [(module_of(item, known), item) for item in items]
    return [(name, item[len(name) + 1 :]) for name, item in placed if name is not None and "<" not in item]


def metric_items(
    places: Mapping[str, str], roots: Iterable[str], sources: StaticSources, modules: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of the metrics, by name, and of the code that they use.

    Parameters
    ----------
    places: metric -> ``module:qualname`` of its test function.
    roots: items of the metrics' code that no metric refers to by name (fixtures). A member of a test class
        stands for itself, any other for all that its module-level name refers to.
    """
    closure = Closure(sources)
    found: dict[str, str] = {}
    owners: set[tuple[str, str]] = set()
    for metric, place in places.items():
        module_name, _, qualname = place.partition(":")
        owners.add((module_name, qualname.rpartition(".")[0]))
        digest = _metric(closure, sources, sources.module(module_name), qualname)
        if digest is not None:
            found[metric] = digest
    _add_helpers(closure, sources, _placed(roots, modules), owners)
    for module_name, owner in sorted(owners):
        found.update(_unnoted(sources, module_name, owner, places))
    return found, closure.items


def _metric(closure: Closure, sources: StaticSources, module: ModuleType | None, qualname: str) -> str | None:
    tree = None if module is None else sources.of_module(module)
    if module is None or tree is None:
        return None
    owner, _, name = qualname.rpartition(".")
    found = [s for s in _scope(tree, owner) if isinstance(s, _FUNCTIONS) and s.name == name]
    if not found:
        return None
    node = without_marks(found[-1])
    closure.follow(module, node)
    if owner:
        closure.follow_named(module, owner, node)
    return node_digest(node)


def _scope(tree: SourceTree, owner: str) -> list[ast.stmt]:
    if owner:
        return [statement for node in tree.classes.get(owner, []) for statement in node.body]
    return [statement for statements in tree.bindings.values() for statement in statements]


def _add_helpers(
    closure: Closure,
    sources: StaticSources,
    placed: list[tuple[str, str]],
    owners: set[tuple[str, str]],
) -> None:
    members = [(module, owner, name) for module, owner in sorted(owners) if owner for name in SETUP]
    for module_name, rest in placed:
        module = sources.module(module_name)
        owner, _, name = rest.rpartition(".")
        if owner:
            members.append((module_name, owner, name))
        elif module is not None:
            closure.add_top_level(module, name)
    for module_name, owner, name in members:
        module = sources.module(module_name)
        if module is not None:
            closure.add_named_member(module, owner, name)


def _unnoted(sources: StaticSources, module: str, owner: str, places: Mapping[str, str]) -> dict[str, str]:
    """Return the metrics of a test class that are not noted."""
    found = sources.module(module)
    tree = None if found is None or not owner else sources.of_module(found)
    if tree is None:
        return {}
    known = {place.rpartition(".")[2] for place in places.values()}
    return {
        s.name: node_digest(without_marks(s))
        for s in _scope(tree, owner)
        if isinstance(s, _FUNCTIONS) and s.name not in known and _is_metric(s)
    }


def _is_metric(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]}
    own = any("lm_program" in ast.dump(d) for d in node.decorator_list)
    return node.name.startswith("test") and bool(_CASE_ARGUMENTS & names) and not own
