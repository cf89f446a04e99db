"""Digests of Python source that formatting, comments and the Python version do not change.

``ast.dump`` and ``ast.unparse`` differ between versions; this walk leaves out positions, empty fields and
what carries no meaning, and cleans docstrings (3.13 strips their indentation).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "SETUP",
    "Chain",
    "clean_docstring",
    "free_chains",
    "inner_imports",
    "node_digest",
    "tree",
    "without_marks",
]

_DROPPED = frozenset({"ctx", "kind", "type_params", "type_comment"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

_KEPT_MARKS = frozenset({"lm_metric", "parametrize", "skip", "skipif", "xfail"})

SETUP = ("setup_method", "setup")
"""Members of a test class that run before each metric."""

Chain = tuple[str, ...]
"""A name and the attributes looked up on it: ``helpers.text.clean`` is ``("helpers", "text", "clean")``."""


def node_digest(*nodes: ast.AST) -> str:
    """Return 12 hexadecimal digits of the digest of the syntax of ``nodes``."""
    # ascii(), not repr(): what repr() escapes depends on the version's Unicode tables.
    return hashlib.sha256(ascii([tree(node) for node in nodes]).encode("ascii")).hexdigest()[:12]


def tree(node: ast.AST) -> list[object]:
    """Return the syntax of ``node`` as nested lists of names and literal values."""
    if isinstance(node, ast.Constant):
        return ["Constant", type(node.value).__name__, ascii(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", _joined(node)]
    doc = _docstring(node)
    parts: list[object] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _DROPPED or value is None or value == []:
            continue
        parts.append([name, _value(value, doc if name == "body" else None)])
    return parts


def _value(value: object, doc: str | None = None) -> object:
    if isinstance(value, list):
        shown = [_value(item) for item in value]
        return shown if doc is None else [["Docstring", clean_docstring(doc)], *shown[1:]]
    return tree(value) if isinstance(value, ast.AST) else ascii(value)


def _docstring(node: ast.AST) -> str | None:
    return ast.get_docstring(node, clean=False) if isinstance(node, _DOCUMENTED) else None


def clean_docstring(text: str) -> str:
    """Return a docstring without its indentation, trailing white space and empty lines around it."""
    first, *rest = [line.rstrip() for line in text.expandtabs().split("\n")]
    indents = [len(line) - len(line.lstrip(" ")) for line in rest if line]
    margin = min(indents, default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in rest)]).strip("\n")


def _joined(node: ast.JoinedStr) -> list[object]:
    """An f-string's parts with adjacent literals joined: versions split them in different places."""
    parts: list[object] = []
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            parts.append(text)
        text = ""
        parts.append(_formatted(value))
    return [*parts, text] if text else parts


def _formatted(node: ast.expr) -> list[object]:
    if not isinstance(node, ast.FormattedValue):
        return tree(node)
    spec = node.format_spec
    shown = _joined(spec) if isinstance(spec, ast.JoinedStr) else []
    return ["FormattedValue", tree(node.value), node.conversion, shown]


def free_chains(*nodes: ast.AST) -> list[Chain]:
    """Return the names that ``nodes`` take from outside themselves, with their attributes, sorted.

    Annotations, defaults, decorators and base classes count. A name bound anywhere in a function is local
    to it; a class body's names are not seen by its methods."""
    found: set[Chain] = set()
    for node in nodes:
        found.update(_free(node))
    return sorted(found)


def inner_imports(*nodes: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """Return the import statements within ``nodes``, in their order."""
    walked = [inner for node in nodes for inner in ast.walk(node)]
    return [node for node in walked if isinstance(node, ast.Import | ast.ImportFrom)]


def _free(node: ast.AST) -> Iterator[Chain]:
    """Yield the chains that ``node`` reads from the scope it stands in."""
    if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _free_of_function(node)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        yield from _without(_bound_by_targets(node), _children(node))
    elif isinstance(node, ast.ClassDef):
        yield from _free_of_class(node)
    elif isinstance(node, ast.Attribute):
        yield from _chain(node)
    elif isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            yield (node.id,)
    else:
        yield from _children(node)


def _children(node: ast.AST) -> Iterator[Chain]:
    for child in ast.iter_child_nodes(node):
        yield from _free(child)


def _all(nodes: Iterable[ast.AST | None]) -> Iterator[Chain]:
    for node in nodes:
        if node is not None:
            yield from _free(node)


def _without(bound: set[str], chains: Iterable[Chain]) -> Iterator[Chain]:
    return (chain for chain in chains if chain[0] not in bound)


def _chain(node: ast.Attribute) -> Iterator[Chain]:
    attributes = [node.attr]
    inner = node.value
    while isinstance(inner, ast.Attribute):
        attributes.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (inner.id, *reversed(attributes))
    else:
        yield from _free(inner)


def _free_of_function(node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Chain]:
    yield from _outer_parts(node)
    body = node.body if isinstance(node.body, list) else [node.body]
    bound = _parameters(node.args) | _bound(body) | _type_parameters(node)
    yield from _without(bound, _all(body))


def _outer_parts(node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Chain]:
    """What a function reads where it is defined: decorators, defaults, annotations."""
    arguments = node.args
    yield from _all([*arguments.defaults, *arguments.kw_defaults])
    if isinstance(node, ast.Lambda):
        return
    yield from _all(node.decorator_list)
    annotations = [a.annotation for a in _arguments(arguments)]
    yield from _without(_type_parameters(node), _all([*annotations, node.returns]))


def _free_of_class(node: ast.ClassDef) -> Iterator[Chain]:
    generic = _type_parameters(node)
    yield from _all(node.decorator_list)
    yield from _without(generic, _all([*node.bases, *(k.value for k in node.keywords)]))
    own = _bound(node.body) | generic
    for statement in node.body:
        chains = _free(statement)
        inner = isinstance(statement, _FUNCTIONS)
        # A method does not see the class body's names; its decorators and defaults do, which only
        # means that a global of the same name is taken in too.
        yield from _without(generic if inner else own, chains)


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    single = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *single]


def _parameters(arguments: ast.arguments) -> set[str]:
    return {argument.arg for argument in _arguments(arguments)}


def _type_parameters(node: ast.AST) -> set[str]:
    return {parameter.name for parameter in getattr(node, "type_params", [])}


def _bound(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """Return the names that the statements bind in their own scope."""
    bound: set[str] = set()
    outer: set[str] = set()
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
        bound.update(_names_bound_by(node))
        if isinstance(node, ast.Lambda | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            stack.extend(n for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
            continue
        stack.extend(ast.iter_child_nodes(node))
    return bound - outer


def _names_bound_by(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    for kind, name in _BINDERS:
        if isinstance(node, kind):
            return [value] if (value := name(node)) else ()
    return ()


_BINDERS: tuple[tuple[type[ast.AST], Callable[..., str | None]], ...] = (
    (ast.FunctionDef, lambda node: node.name),
    (ast.AsyncFunctionDef, lambda node: node.name),
    (ast.ClassDef, lambda node: node.name),
    (ast.ExceptHandler, lambda node: node.name),
    (ast.MatchAs, lambda node: node.name),
    (ast.MatchStar, lambda node: node.name),
    (ast.MatchMapping, lambda node: node.rest),
)


def _bound_by_targets(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> set[str]:
    targets = [generator.target for generator in node.generators]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def without_marks(node: ast.AST) -> ast.AST:
    """Return a metric's definition without the marks that do not change what it says."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node
    kept = [decorator for decorator in node.decorator_list if _counts(decorator)]
    made = type(node)(**{name: getattr(node, name) for name in node._fields if hasattr(node, name)})
    made.decorator_list = kept
    return made


def _counts(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    parts: list[str] = []
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    return "mark" not in parts[1:] or parts[0] in _KEPT_MARKS
