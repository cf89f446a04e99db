"""The names that a program's source uses, and where: in functions, in signatures, or when it is imported.

Names stand for themselves whatever they are bound to, so that more is found than there is, never less.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from pytest_lmprog.signatures.signature import SignatureMeta
from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.definitions import Place, place_of
from pytest_lmprog.snapshots.source import Sources

__all__ = ["SourceNames", "module_of"]

_TRANSPARENT = frozenset(
    {"staticmethod", "classmethod", "property", "setter", "getter", "abstractmethod", "overload", "override"}
)
"""Decorators under which each call still runs the function's own code."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class SourceNames:
    """The names used in the project files of a program."""

    def __init__(self, closure: Closure, sources: Sources) -> None:
        self._closure = closure
        self._modules = dict(self._trees(closure, sources))

    @staticmethod
    def _trees(closure: Closure, sources: Sources) -> Iterator[tuple[str, ast.Module]]:
        for name in sorted({module_of(item) for item in closure.items} - {""}):
            tree = sources.of_module(sys.modules[name])
            if tree is not None:
                yield name, tree.module

    @cached_property
    def when_imported(self) -> frozenset[str]:
        """What is used when the files are imported, signatures left out: in constants, class bodies, bases,
        decorators and defaults."""
        return frozenset(_used(*self._import_code))

    def runs_when_imported(self, item: str) -> bool:
        """Whether a function at the top of its file is called when files are imported: decorators are."""
        module, _, name = item.rpartition(".")
        return module in self._modules and name in self._called_when_imported

    @cached_property
    def _called_when_imported(self) -> frozenset[str]:
        decorators = (
            decorator
            for tree in self._modules.values()
            for node in ast.walk(tree)
            for decorator in getattr(node, "decorator_list", ())
        )
        calls = (
            node.func for code in self._import_code for node in ast.walk(code) if isinstance(node, ast.Call)
        )
        return frozenset(_name_of(called) for called in (*decorators, *calls))

    @cached_property
    def _import_code(self) -> list[ast.AST]:
        return [code for name, tree in self._modules.items() for code in _when_imported(name, tree.body)]

    @cached_property
    def of_function(self) -> dict[str, frozenset[str]]:
        """What each function of the program uses, by its item in the closure."""
        return {item: frozenset(_used(*self._nodes(item))) for item in self._closure.places}

    def nested(self, item: str) -> list[Place]:
        """Return where the functions within a function stand."""
        return [
            place_of(place.file, node)
            for place in self._closure.places[item]
            for outer in self._nodes(item)
            for node in ast.walk(outer)
            if node is not outer and isinstance(node, _FUNCTIONS)
        ]

    def _nodes(self, item: str) -> list[ast.AST]:
        spots = [(place.file, place.first) for place in self._closure.places[item]]
        return [self._by_spot[spot] for spot in spots if spot in self._by_spot]

    @cached_property
    def _by_spot(self) -> dict[tuple[str, int], ast.AST]:
        return {
            (sys.modules[name].__file__ or "", node.lineno): node
            for name, tree in self._modules.items()
            for node in ast.walk(tree)
            if isinstance(node, (*_FUNCTIONS, ast.Lambda))
        }

    def signatures_using(self, name: str) -> list[SignatureMeta]:
        """Return the signatures in whose class body ``name`` is used."""
        return [
            cls
            for module, tree in self._modules.items()
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and (cls := _signature(module, node)) is not None
            and name in _used(node)
        ]

    def remembered(self, changed: Iterable[str]) -> str | None:
        """Return a decorated function of the program that may remember what came of something in
        ``changed`` (last names), or None."""
        wanted = frozenset(changed)
        for item, places in self._closure.places.items():
            decorators = {name for place in places for name in place.decorators} - _TRANSPARENT
            if decorators and (_last(item) in wanted or not wanted.isdisjoint(self.reached(item))):
                return item
        return None

    def reached(self, start: str) -> set[str]:
        """Return all names that a function uses, and those that functions of these names use."""
        by_name: dict[str, list[str]] = {}
        for item in self.of_function:
            by_name.setdefault(_last(item), []).append(item)
        found: set[str] = set()
        to_do = [start]
        while to_do:
            new = self.of_function.get(to_do.pop(), frozenset()) - found
            found |= new
            to_do += [item for name in new for item in by_name.get(name, ())]
        return found


def module_of(item: str) -> str:
    """Return the module that an item of a closure stands in, or an empty text."""
    name = item
    while "." in name:
        name = name.rpartition(".")[0]
        if name in sys.modules:
            return name
    return ""


def _last(item: str) -> str:
    return item.rpartition(".")[2]


def _when_imported(module: str, body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if isinstance(statement, _FUNCTIONS):
            arguments = statement.args
            yield from (*statement.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults))
        elif isinstance(statement, ast.ClassDef):
            if _signature(module, statement) is None:
                yield from (*statement.decorator_list, *statement.bases, *statement.keywords)
                yield from _when_imported(module, statement.body)
        elif isinstance(statement, ast.If):
            if "__name__" not in _used(statement.test):  # a script's own part is not run by importing it
                yield statement.test
                yield from _when_imported(module, [*statement.body, *statement.orelse])
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _name_of(called: ast.AST) -> str:
    while isinstance(called, ast.Call):
        called = called.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _signature(module: str, node: ast.ClassDef) -> SignatureMeta | None:
    found: Any = getattr(sys.modules[module], node.name, None)
    return found if isinstance(found, SignatureMeta) else None


def _used(*nodes: ast.AST) -> Iterator[str]:
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Store):
                yield inner.id
            elif isinstance(inner, ast.Attribute):
                yield inner.attr
