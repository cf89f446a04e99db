"""Definitions as source has them: where a function stands, what a class is without its methods, which names a
statement binds, and what a method reaches through its first parameter."""

from __future__ import annotations

import ast
from typing import Any

from pytest_lmprog.records import dataclass

__all__ = ["FUNCTIONS", "Place", "bound_names", "place_of", "reads_a_file", "self_attributes", "shell"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_READERS = frozenset({"read_text", "read_bytes", "read", "readlines", "load", "loads", "safe_load", "open"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function stands: from the line of ``def`` (not of its decorators) to the end, its body from
    the line ``body`` on; ``decorators`` are their names."""

    file: str
    first: int
    body: int
    last: int
    decorators: tuple[str, ...] = ()


def place_of(file: str, node: Any) -> Place:
    """Return where a function's definition stands."""
    decorators = (_last_name(decorator) for decorator in getattr(node, "decorator_list", ()))
    body = node.body[0] if isinstance(node.body, list) else node.body
    return Place(file, node.lineno, body.lineno, node.end_lineno or node.lineno, tuple(decorators))


def _last_name(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def shell(node: ast.ClassDef) -> ast.ClassDef:
    """The class without its methods, which have digests of their own."""
    body = [statement for statement in node.body if not isinstance(statement, FUNCTIONS)]
    return ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)


def bound_names(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a class body binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def self_attributes(node: ast.AST) -> list[str]:
    """Return the attributes that a method takes of its first parameter, sorted."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    parameters = [*node.args.posonlyargs, *node.args.args]
    if not parameters:
        return []
    found = {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute)
        and isinstance(inner.value, ast.Name)
        and inner.value.id == parameters[0].arg
    }
    return sorted(found)


def reads_a_file(statement: ast.stmt) -> bool:
    """Return whether a statement looks as if it read a file."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _READERS)
        or (isinstance(node, ast.Name) and node.id in _READERS)
        for node in ast.walk(statement)
    )
