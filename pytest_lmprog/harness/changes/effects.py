"""What making a program leaves in it, and what running it changes in it: both can tie cases together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sized
from typing import Any

from pytest_lmprog.programs import Module
from pytest_lmprog.snapshots.module_facts import is_ours

__all__ = ["sizes", "unseen_attribute"]

_PLAIN = (str, int, float, bool)


def unseen_attribute(program: Module) -> str | None:
    """Return an attribute of the program whose value a fingerprint does not tell, or None.

    Without any, changed code that only makes the program has changed nothing else than is seen."""
    for path, module in _own_modules(program):
        for name, value in vars(module).items():
            if name.startswith("_") or not _is_seen(value):
                return f"{path or 'self'}.{name}"
    return None


def _own_modules(program: Module) -> Iterator[tuple[str, Module]]:
    return ((path, module) for path, module in program.named_sub_modules() if not is_ours(module))


def _is_seen(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_seen, value))
    if isinstance(value, Mapping):
        return all(map(_is_seen, value.values()))
    return value is None or isinstance(value, Module) or type(value) in _PLAIN


def sizes(program: Module, modules: set[str]) -> dict[str, int]:
    """Return the sizes of what can grow: containers in the program's attributes and in ``modules``. A
    program that keeps something from one run for the next shows in them."""
    found: dict[str, int] = {}
    for path, module in _own_modules(program):
        found |= {f"{path or 'self'}.{name}": _size(value) for name, value in vars(module).items()}
    for module_name in modules:
        values = vars(sys.modules[module_name])
        found |= {
            f"{module_name}.{name}": _size(v) for name, v in values.items() if not name.startswith("__")
        }
    return found


def _size(value: Any) -> int:
    if isinstance(value, Module | type) or not isinstance(value, Sized):
        return -1
    try:
        return len(value)
    except Exception:  # noqa: BLE001 - a user's own __len__
        return -1
