"""The modules that a function uses: found in its names, or made by it and taken out of its body."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.structure import holds_module
from pytest_lmprog.records import dataclass

__all__ = ["Parts", "parts_of"]

_MADE = "__lmprog_made__"
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


class Originals(list[tuple[str, Any]]):
    """Predictors as the function sees them, by path. A class of its own, which copies of programs share."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The modules of a function by name, the function that uses them, and the predictors as it sees them."""

    modules: Mapping[str, Any]
    function: Callable[..., Any]
    originals: Any


def parts_of(function: FunctionType, made: Callable[[str], Any]) -> Parts:
    """Return the parts of ``function``; ``made`` returns the part of a name while it runs.

    Raises UsageError for a module that the function makes from local variables."""
    modules: dict[str, Any] = {}
    for name, value in _named(function, set()):
        _put(modules, name, value)
    found = _Definition.of(function)
    runs: Callable[..., Any] = function
    if found is not None:
        created = found.created(modules)
        if created:
            modules.update(created)
            runs = found.rewritten(made)
    return Parts(modules, runs, Originals(_predictors(modules)))


def _predictors(modules: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    holder = Module()
    for name, value in modules.items():
        setattr(holder, name, value)
    yield from holder.named_predictors()


def _put(modules: dict[str, Any], name: str, value: Any) -> None:
    if any(value is known for known in modules.values()):
        return
    free, number = name, 2
    while free in modules:
        free, number = f"{name}_{number}", number + 1
    modules[free] = value


def _named(function: FunctionType, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the modules that ``function`` and the project's functions it calls refer to by name."""
    seen.add(id(function))
    defaults = inspect.signature(function).parameters.items()
    values = {**_scope(function), **{name: p.default for name, p in defaults}}
    for name in [*dict(defaults), *_names(function.__code__)]:
        value = values.get(name)
        if isinstance(value, Module) or (isinstance(value, list | tuple | dict) and holds_module(value)):
            yield name, value
        elif isinstance(value, FunctionType) and id(value) not in seen and _is_project(value):
            yield from _named(value, seen)


def _is_project(function: FunctionType) -> bool:
    file = function.__code__.co_filename
    own = str(function.__module__).partition(".")[0] == "pytest_lmprog"
    return not own and not file.startswith(_LIBRARIES)


def _names(code: CodeType) -> list[str]:
    """Return the names that code refers to, in the order in which they first appear."""
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)]
    return list(dict.fromkeys([*code.co_names, *code.co_freevars, *inner]))


def _scope(function: FunctionType) -> dict[str, Any]:
    """Return what the function's free names are bound to, by its closure or its module."""
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    names = {
        name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__
    }
    return {**names, **cells}


class _Definition:
    """The source of a function, and the calls in it that make modules."""

    def __init__(self, function: FunctionType, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._function = function
        self._node = node
        self._scope = _scope(function)
        code = function.__code__
        self._locals = {*code.co_varnames, *code.co_cellvars}
        self._calls: dict[ast.Call, str] = {}

    @classmethod
    def of(cls, function: FunctionType) -> _Definition | None:
        """Return it, or None where the function makes no module or its source cannot be had."""
        values = [*_scope(function).values()]
        if not any(isinstance(v, type) and issubclass(v, Module) for v in values) and not any(
            inspect.ismodule(v) for v in values
        ):
            return None
        try:
            lines, _ = inspect.findsource(function)
            tree = ast.parse("".join(lines))
        except (OSError, SyntaxError, ValueError):
            return None
        first = function.__code__.co_firstlineno
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            starts = (node.lineno, *(d.lineno for d in node.decorator_list))
            if node.name == function.__name__ and first in starts:
                return cls(function, node)
        return None

    def created(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """Return the modules that the function makes, each made once, by name."""
        named = dict(self._targets())
        created: dict[str, Any] = {}
        for call in self._makers():
            self._check(call)
            made = eval(
                compile(ast.Expression(call), self._function.__code__.co_filename, "eval"),
                self._function.__globals__,
                self._scope,
            )
            base = named.get(call) or _snake(type(made).__name__)
            name, number = base, 2
            while name in created or name in taken or hasattr(Module, name):
                name, number = f"{base}_{number}", number + 1
            created[name] = made
            self._calls[call] = name
        return created

    def _targets(self) -> Iterator[tuple[ast.Call, str]]:
        for node in ast.walk(self._node):
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
                continue
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Call):
                yield node.value, target.id

    def _makers(self) -> list[ast.Call]:
        """Return the calls of Module classes, outermost ones, in the order of the source."""
        found: list[ast.Call] = []
        todo: list[ast.AST] = [*self._node.body]
        while todo:
            node = todo.pop(0)
            if isinstance(node, ast.Call) and self._is_class(node.func):
                found.append(node)
            else:
                todo = [*ast.iter_child_nodes(node), *todo]
        return found

    def _is_class(self, node: ast.expr) -> bool:
        value = self._value(node)
        return isinstance(value, type) and issubclass(value, Module)

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id not in self._locals:
            return self._scope.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self._value(node.value), node.attr, None)
        return None

    def _check(self, call: ast.Call) -> None:
        bound = {n.id for n in ast.walk(call) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(call):
            if not isinstance(node, ast.Name) or node.id in bound:
                continue
            known = node.id in self._scope or node.id in self._function.__globals__
            if node.id in self._locals or not (known or hasattr(builtins, node.id)):
                raise UsageError(
                    f"line {call.lineno} of {self._function.__name__}() makes a predictor from the local"
                    f" variable {node.id!r}, so that it would be another one in each run",
                    hint="make it outside of the function, or pass what differs as an input",
                )

    def rewritten(self, made: Callable[[str], Any]) -> Callable[..., Any]:
        """Return the function with each call that makes a module in place of one that looks it up."""
        function = self._function
        free = function.__code__.co_freevars
        node = _Replaced(self._calls).visit(self._node)
        node.decorator_list = []
        outer = ast.parse(f"def _outer({', '.join([*free, _MADE])}):\n pass").body[0]
        assert isinstance(outer, ast.FunctionDef)
        outer.body = [node]
        tree = ast.fix_missing_locations(ast.Module([outer], []))
        whole = compile(
            tree, function.__code__.co_filename, "exec", dont_inherit=True, flags=_flags(function)
        )
        code = _inner(_inner(whole, "_outer"), function.__name__)
        cells = dict(zip(free, function.__closure__ or (), strict=True))
        cells[_MADE] = _cell(made)
        closure = tuple(cells[name] for name in code.co_freevars)
        new = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
        new.__kwdefaults__ = function.__kwdefaults__
        new.__qualname__, new.__module__ = function.__qualname__, function.__module__
        return new


def _flags(function: FunctionType) -> int:
    import __future__

    flag = __future__.annotations.compiler_flag
    return flag if function.__code__.co_flags & flag else 0


def _inner(code: CodeType, name: str) -> CodeType:
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)


def _cell(value: Any) -> Any:
    return (lambda: value).__closure__[0]  # type: ignore[index]


class _Replaced(ast.NodeTransformer):
    def __init__(self, calls: Mapping[ast.Call, str]) -> None:
        self._calls = calls

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Put the look-up in the place of a call."""
        name = self._calls.get(node)
        if name is None:
            return self.generic_visit(node)
        lookup = ast.Call(ast.Name(_MADE, ast.Load()), [ast.Constant(name)], [])
        return ast.copy_location(lookup, node)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
