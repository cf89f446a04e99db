"""Source files as syntax trees: which module-level names they bind, and where a code object stands."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pytest_lmprog.records import dataclass

__all__ = ["UNBOUND", "SourceTree", "Sources", "absolute_name", "parse"]

UNBOUND = object()
"""What ``Sources.value`` returns for a name that a module does not have."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FOREIGN = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True)
class SourceTree:
    """One parsed file.

    ``bindings``: module-level name -> the statements that bind it. ``stars``: ``from x import *``.
    ``code``: (name, first line) -> the functions there; several lambdas may share a line.
    ``classes``: qualified name -> the class definitions.
    """

    module: ast.Module
    bindings: dict[str, list[ast.stmt]] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)
    code: dict[tuple[str, int], list[ast.AST]] = field(default_factory=dict)
    classes: dict[str, list[ast.ClassDef]] = field(default_factory=dict)

    def find(self, code: CodeType) -> ast.AST | None:
        """Return the function or lambda that ``code`` was compiled from, or None."""
        found = self.code.get((code.co_name, code.co_firstlineno), [])
        if len(found) < 2:
            return found[0] if found else None
        span = _span(code)
        # Later ones stand further in: the last whose body holds all of the code is the one.
        inside = [node for node in found if span is not None and _body_covers(node, *span)]
        return inside[-1] if inside else None


_Spot = tuple[int, int]


def _span(code: CodeType) -> tuple[_Spot, _Spot] | None:
    """Return where the code's instructions begin and end, or None without debug ranges."""
    spots = [
        ((line, column), (end_line, end_column))
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and column is not None and end_column
    ]
    return (min(s for s, _ in spots), max(e for _, e in spots)) if spots else None


def _body_covers(node: Any, start: _Spot, end: _Spot) -> bool:
    first, last = (node.body[0], node.body[-1]) if isinstance(node.body, list) else (node.body, node.body)
    return (first.lineno, first.col_offset) <= start and end <= (last.end_lineno, last.end_col_offset)


class Sources:
    """The project's source files, each parsed once.

    Parameters
    ----------
    root: the project's folder; files outside it and outside ``own`` packages don't count.
    own: top-level packages that count wherever they are installed.
    """

    def __init__(self, root: Path | None, own: tuple[str, ...] = ()) -> None:
        self._root = None if root is None else root.resolve()
        self._own = own
        self._trees: dict[str, SourceTree | None] = {}
        self._files: dict[str, bool] = {}

    def of_module(self, module: ModuleType) -> SourceTree | None:
        """Return the tree of a project module, or None where it is not one or cannot be read."""
        path = getattr(module, "__file__", None)
        return self.of_file(path) if path and self.is_project(module) else None

    def is_project(self, module: ModuleType) -> bool:
        """Whether the module belongs to the project: not to the standard library, an installed package or
        this one."""
        path = getattr(module, "__file__", None)
        if not path or not path.endswith(".py"):
            return False
        top = module.__name__.partition(".")[0]
        return top != "pytest_lmprog" and (top in self._own or self.is_project_file(path))

    def value(self, module: ModuleType, name: str) -> Any:
        """Return what ``name`` is in ``module``, or ``UNBOUND``."""
        return vars(module).get(name, UNBOUND)

    def binds(self, module: ModuleType, name: str) -> bool:
        """Whether ``module`` has ``name``."""
        return self.value(module, name) is not UNBOUND

    def module(self, name: str) -> ModuleType | None:
        """Return the project module ``name``, or None where it is not one or cannot be imported.

        A function may import it only when it runs; that must not make a difference, so it is imported
        now. Libraries are not."""
        if name in sys.modules:
            return sys.modules[name]
        try:
            spec = importlib.util.find_spec(name.partition(".")[0])
            if spec is None or not self._is_project_spec(spec):
                return None
            return importlib.import_module(name)
        except (ImportError, ValueError):
            return None

    def _is_project_spec(self, spec: ModuleSpec) -> bool:
        places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
        return spec.name in self._own or any(p and self.is_project_file(p) for p in places)

    def is_project_file(self, path: str) -> bool:
        """Whether a file lies in the project's folder and not in an environment there."""
        if path not in self._files:
            self._files[path] = self._lies_within(Path(path))
        return self._files[path]

    def _lies_within(self, path: Path) -> bool:
        path = path.resolve()
        if _FOREIGN & set(path.parts) or _OWN_FOLDER in path.parents:
            return False
        if self._root is None:
            return not any(folder in path.parents for folder in _STDLIB)
        return self._root in path.parents and not _in_environment(path, self._root)

    def of_file(self, path: str) -> SourceTree | None:
        """Return the tree of a source file, or None where it cannot be read."""
        if path not in self._trees:
            self._trees[path] = parse(path)
        return self._trees[path]


_OWN_FOLDER = Path(__file__).resolve().parent.parent
_STDLIB = (Path(ast.__file__).resolve().parent,)


def _in_environment(path: Path, root: Path) -> bool:
    return any((folder / "pyvenv.cfg").exists() for folder in path.parents if root in folder.parents)


def parse(path: str) -> SourceTree | None:
    """Return the tree of the file at ``path``, or None where it cannot be read or is no Python."""
    try:
        data = Path(path).read_bytes()
        module = ast.parse(data)
    except (OSError, SyntaxError, ValueError):
        return None
    made = SourceTree(module)
    for statement in module.body:
        _bind(statement, made)
    for qualname, node in _definitions(module, ""):
        if isinstance(node, ast.ClassDef):
            made.classes.setdefault(qualname, []).append(node)
        else:
            name = qualname.rpartition(".")[2]
            made.code.setdefault((name, _first_line(node)), []).append(node)
    return made


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(d.lineno for d in decorators)]))


def _bind(statement: ast.stmt, made: SourceTree) -> None:
    if isinstance(statement, ast.If | ast.Try | ast.TryStar):
        for inner in _inner_statements(statement):
            _bind(inner, made)
        return
    if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
        made.stars.append(statement)
        return
    for name in _bound_names(statement):
        made.bindings.setdefault(name, []).append(statement)


def _inner_statements(statement: ast.If | ast.Try | ast.TryStar) -> Iterator[ast.stmt]:
    yield from statement.body
    for handler in getattr(statement, "handlers", []):
        yield from handler.body
    yield from statement.orelse
    yield from getattr(statement, "finalbody", [])


def _bound_names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, Definition):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    stored = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
    return list(dict.fromkeys([n.id for n in stored] + _changed_names(statement)))


def _changed_names(statement: ast.stmt) -> list[str]:
    """``TABLE["x"] = 1``, ``TABLE.update(...)``, ``names.append(...)``: statements that change a constant."""
    target: Any = None
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        target = statement.target
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        target = statement.value.func
    if not isinstance(target, ast.Attribute | ast.Subscript):
        return []
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return [target.id] if isinstance(target, ast.Name) else []


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        name = _definition_name(child)
        if name is None:
            yield from _definitions(child, prefix)
            continue
        yield prefix + name, child
        yield from _definitions(child, prefix + name + _step(child))


def _definition_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Lambda):
        return "<lambda>"
    return node.name if isinstance(node, Definition) else None


def _step(node: ast.AST) -> str:
    return "." if isinstance(node, ast.ClassDef) else ".<locals>."


def absolute_name(statement: ast.ImportFrom, within: ModuleType) -> str:
    """Return the module that ``from x import y`` in the module ``within`` reads."""
    if statement.level == 0:
        return statement.module or ""
    package = (getattr(within, "__package__", None) or "").split(".")
    base = package[: len(package) - (statement.level - 1)]
    return ".".join([*base, statement.module] if statement.module else base)
