"""The static closure: every function, class and module constant of the project that code refers to."""

from __future__ import annotations

import ast
import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.programs import Module
from pytest_lmprog.snapshots.code_walk import Chain, free_chains, inner_imports, node_digest
from pytest_lmprog.snapshots.definitions import (
    FUNCTIONS,
    Place,
    bound_names,
    place_of,
    reads_a_file,
    self_attributes,
    shell,
)
from pytest_lmprog.snapshots.fingerprint import UNCHECKED, short
from pytest_lmprog.snapshots.module_facts import module_facts
from pytest_lmprog.snapshots.source import UNBOUND, Sources, SourceTree, absolute_name

__all__ = ["Closure"]

_SECRET = re.compile(r"key|token|secret|password|credential", re.IGNORECASE)
_MAX_DEPTH = 12


class Closure:
    """Collects the digests of what it is given and of all that this refers to within the project.

    ``items`` maps a qualified name (``support.program.Triage.forward``) to 12 hexadecimal digits, or to
    ``UNCHECKED`` for code without readable source. ``places`` says where its functions stand. Names are
    resolved in the imported modules, so that code must have been imported; nothing is run or traced.
    """

    def __init__(self, sources: Sources) -> None:
        self.items: dict[str, str] = {}
        self.places: dict[str, list[Place]] = {}
        self._sources = sources
        self._seen: set[tuple[str, str]] = set()
        self._met: dict[int, Any] = {}

    # Objects: what instances, closures and arguments hold.

    def add(self, label: str, value: Any, depth: int = 0) -> None:
        """Take in a value that ``label`` names: code, or objects and containers that hold code, or plain
        data. What belongs to libraries is passed over."""
        if depth > _MAX_DEPTH or id(value) in self._met:
            return
        if isinstance(value, str | int | float | bool):
            self._add_scalar(label, value)
            return
        self._met[id(value)] = value  # held, so that its id cannot be another's
        if isinstance(value, FunctionType):
            self.add_function(value)
        elif isinstance(value, type):
            self.add_class(value)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.add(f"{label}[{key!r}]", item, depth + 1)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                self.add(f"{label}[{index}]", item, depth + 1)
        elif not isinstance(value, ModuleType):
            self._add_instance(label, value, depth)

    def pass_over(self, value: Any) -> None:
        """Leave out an object that is noted elsewhere."""
        self._met[id(value)] = value

    def _add_scalar(self, label: str, value: str | int | float | bool) -> None:
        # A digest of a secret or of this machine's paths has no place in a file that is committed.
        name = label.rpartition(".")[2]
        if name.startswith("_") or _SECRET.search(name):
            return
        if isinstance(value, str) and (os.path.isabs(value) or len(value) > 20_000):
            return
        self.items[label] = short(value)

    def _add_instance(self, label: str, value: Any, depth: int) -> None:
        if isinstance(value, functools.partial):
            self.add(label, value.func, depth + 1)
            self.add(f"{label} arguments", [value.args, value.keywords], depth + 1)
        elif isinstance(value, MethodType):
            self.add(label, value.__func__, depth + 1)
            self.add(label, value.__self__, depth + 1)
        elif hasattr(value, "__wrapped__"):
            self.add(label, value.__wrapped__, depth + 1)
        elif self._is_project(type(value)):
            self.add_class(type(value))
            self.add_attributes(label, value, depth)
        elif isinstance(value, Module):
            self.items[label] = short(module_facts(value))

    def add_attributes(self, label: str, value: Any, depth: int = 0) -> None:
        """Take in what an instance's attributes hold."""
        for name, item in getattr(value, "__dict__", {}).items():
            self.add(f"{label}.{name}", item, depth + 1)

    def add_class(self, cls: type) -> None:
        """Take in a class of the project and its bases."""
        for base in cls.__mro__:
            module = sys.modules.get(base.__module__)
            if module is None or not self._is_project(base):
                continue
            top = base.__qualname__.partition(".")[0]
            if "<" in base.__qualname__ or not self.add_top_level(module, top):
                self._add_local_class(module, base)

    def _add_local_class(self, module: ModuleType, cls: type) -> None:
        tree = self._sources.of_module(module)
        nodes = tree.classes.get(cls.__qualname__, []) if tree else []
        if not nodes:
            self.items[_name(module, cls.__qualname__)] = UNCHECKED
        for node in nodes:
            self._add_class_node(module, node, cls.__qualname__)
        for method in vars(cls).values():
            if isinstance(method, FunctionType):
                self.add_cells(method)

    def add_function(self, function: FunctionType) -> None:
        """Take in a function of the project: its code, what it refers to, what its closure holds."""
        if not isinstance(function, FunctionType):
            self.add(repr(type(function)), function)
            return
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.add(function.__qualname__, wrapped)
        module = sys.modules.get(function.__module__ or "")
        if module is None or not self._owns(function, module):
            return
        top = function.__qualname__.partition(".")[0]
        if _has_no_file(function):
            self.items[_name(module, function.__qualname__)] = UNCHECKED
        elif "<" in function.__qualname__ or not self.add_top_level(module, top):
            self._add_by_code(module, function)

    def _owns(self, function: FunctionType, module: ModuleType) -> bool:
        if _has_no_file(function):
            return module.__name__ == "__main__" or self._sources.is_project(module)
        file = function.__code__.co_filename
        return self._sources.is_project(module) or self._sources.is_project_file(file)

    def _add_by_code(self, module: ModuleType, function: FunctionType) -> None:
        name = _name(module, function.__qualname__)
        node = self.node_of(function)
        if node is None:
            self.items[name] = UNCHECKED
            return
        self._put_function(name, function.__code__.co_filename, node)
        self.add_cells(function)
        self.follow(module, node, but=frozenset(function.__code__.co_freevars))

    def node_of(self, function: FunctionType) -> ast.AST | None:
        """Return the definition of ``function`` in its source file, or None where it cannot be had."""
        tree = self._sources.of_file(function.__code__.co_filename)
        return tree.find(function.__code__) if tree else None

    def _put(self, name: str, value: str) -> None:
        # Functions of one name (lambdas, redefinitions) share an item.
        known = self.items.get(name)
        self.items[name] = value if known in (None, value) else short(sorted([str(known), value]))

    def _put_function(self, name: str, file: str, *nodes: ast.AST) -> None:
        self._put(name, node_digest(*nodes))
        self.places.setdefault(name, []).extend(place_of(file, node) for node in nodes)

    def add_cells(self, function: FunctionType) -> None:
        """Take in what the closure of ``function`` holds."""
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                self.add(f"{_name_of(function)}: {name}", cell.cell_contents)
            except ValueError:  # not filled yet
                continue

    # Names: what source refers to.

    def follow(self, module: ModuleType, *nodes: ast.AST, but: frozenset[str] = frozenset()) -> None:
        """Take in all that ``nodes``, which stand in ``module``, refer to, names in ``but`` left out."""
        for chain in free_chains(*nodes):
            if chain[0] not in but:
                self._resolve(module, chain)
        for statement in inner_imports(*nodes):
            self._follow_import(module, statement)

    def _follow_import(self, module: ModuleType, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                self._add_whole(self._sources.module(alias.name))
            return
        name = absolute_name(statement, module)
        target = self._sources.module(name)
        for alias in statement.names:
            if target is not None and self._sources.binds(target, alias.name):
                self._resolve(target, (alias.name,))
            elif target is not None and self._sources.is_project(target):
                self._add_whole(self._sources.module(f"{name}.{alias.name}"))

    def _resolve(self, module: ModuleType, chain: Chain) -> None:
        while True:
            value = self._sources.value(module, chain[0])
            if not isinstance(value, ModuleType):
                break
            if not self._sources.is_project(value):
                return
            if len(chain) == 1:
                self._add_whole(value)
                return
            module, chain = value, chain[1:]
        if value is not UNBOUND:
            self.add_top_level(module, chain[0])

    def _add_whole(self, module: ModuleType | None) -> None:
        """A module that is used as a value: everything that it binds."""
        tree = self._sources.of_module(module) if module is not None else None
        if module is not None and tree is not None:
            for name in tree.bindings:
                self.add_top_level(module, name)

    def _is_project(self, cls: type) -> bool:
        module = sys.modules.get(cls.__module__)
        return module is not None and self._sources.is_project(module)

    def add_top_level(self, module: ModuleType, name: str) -> bool:
        """Take in what ``name`` is bound to in ``module``, a project module; return whether the source
        tells."""
        tree = self._sources.of_module(module)
        if tree is None:
            return False
        statements = tree.bindings.get(name)
        if statements is None:
            return self._add_starred(module, tree, name)
        if (module.__name__, name) not in self._seen:
            self._seen.add((module.__name__, name))
            self._add_statements(module, name, statements)
        return True

    def _add_starred(self, module: ModuleType, tree: SourceTree, name: str) -> bool:
        for statement in tree.stars:
            target = self._sources.module(absolute_name(statement, module))
            if target is not None and self._sources.binds(target, name):
                return self.add_top_level(target, name)
        return False

    def _add_statements(self, module: ModuleType, name: str, statements: list[ast.stmt]) -> None:
        constants: list[ast.stmt] = []
        for statement in statements:
            if isinstance(statement, ast.ImportFrom):
                self._add_imported(module, statement, name)
            elif isinstance(statement, ast.ClassDef):
                self._add_class_node(module, statement, name)
            elif isinstance(statement, FUNCTIONS):
                self._put_function(_name(module, name), module.__file__ or "", statement)
                self.follow(module, statement)
            elif not isinstance(statement, ast.Import):
                constants.append(statement)
        if constants:
            self._add_constant(module, name, constants)

    def _add_imported(self, module: ModuleType, statement: ast.ImportFrom, name: str) -> None:
        target = self._sources.module(absolute_name(statement, module))
        original = next((a.name for a in statement.names if (a.asname or a.name) == name), None)
        if target is not None and original is not None:
            self._resolve(target, (original,))

    def _add_constant(self, module: ModuleType, name: str, statements: list[ast.stmt]) -> None:
        value = node_digest(*statements)
        if any(reads_a_file(statement) for statement in statements):
            value = _with_value(value, self._sources.value(module, name))
        self._put(_name(module, name), value)
        self.follow(module, *statements)

    def _add_class_node(self, module: ModuleType, node: ast.ClassDef, qualname: str) -> None:
        methods: dict[str, list[ast.AST]] = {}
        for statement in node.body:
            if isinstance(statement, FUNCTIONS):
                methods.setdefault(statement.name, []).append(statement)
        self._put(_name(module, qualname), node_digest(shell(node)))
        for method, nodes in methods.items():
            self._put_function(_name(module, f"{qualname}.{method}"), module.__file__ or "", *nodes)
        self.follow(module, node)

    def add_member(self, cls: type, name: str) -> None:
        """Take in the member ``name`` of a class of the project, wherever it is inherited from."""
        for base in cls.__mro__:
            if name in vars(base) and self._is_project(base):
                self._add_member(base, name)
                return

    def _add_member(self, cls: type, name: str) -> None:
        module = sys.modules[cls.__module__]
        tree = self._sources.of_module(module)
        label = f"{cls.__qualname__}.{name}"
        if tree is None or (module.__name__, label) in self._seen:
            return
        self._seen.add((module.__name__, label))
        for node in tree.classes.get(cls.__qualname__, []):
            found = [s for s in node.body if name in bound_names(s)]
            if found:
                self._put(_name(module, label), node_digest(*found))
                self.follow(module, *found)
                self.follow_self(cls, *found)

    def follow_self(self, cls: type, *nodes: ast.AST) -> None:
        """Take in the members of ``cls`` that methods reach through their first parameter."""
        for node in nodes:
            for name in self_attributes(node):
                self.add_member(cls, name)

    def add_named_member(self, module: ModuleType, qualname: str, name: str) -> None:
        """Take in the member ``name`` of the class ``qualname`` of ``module``, as its source tells: its
        bases are not looked at."""
        tree = self._sources.of_module(module)
        label = f"{qualname}.{name}"
        if tree is None or (module.__name__, label) in self._seen:
            return
        self._seen.add((module.__name__, label))
        found = [s for node in tree.classes.get(qualname, []) for s in node.body if name in bound_names(s)]
        if found:
            self._put(_name(module, label), node_digest(*found))
            self.follow(module, *found)
            self.follow_named(module, qualname, *found)

    def follow_named(self, module: ModuleType, qualname: str, *nodes: ast.AST) -> None:
        """Take in the members of the class ``qualname`` that methods reach through their first parameter."""
        for node in nodes:
            for name in self_attributes(node):
                self.add_named_member(module, qualname, name)


def _has_no_file(function: FunctionType) -> bool:
    return function.__code__.co_filename.startswith("<")


def _name(module: ModuleType, qualname: str) -> str:
    return f"{module.__name__}.{qualname}"


def _name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _with_value(digest: str, value: Any) -> str:
    """A constant that is read from a file is also what was read."""
    if isinstance(value, Module):
        value = module_facts(value)
    try:
        return short([digest, canonical_json(value).decode()])
    except CanonicalError:
        return digest
