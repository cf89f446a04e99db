"""What is set on modules of this package: all that fingerprints note of them."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.programs import Module, Predict

__all__ = ["is_ours", "module_facts", "settings_of"]


def is_ours(module: Module) -> bool:
    """Whether a module's behaviour is this package's, so that its settings are all there is to note."""
    return type(module).__module__.partition(".")[0] == "pytest_lmprog" or isinstance(module, Predict)


def settings_of(module: Module) -> dict[str, Any]:
    """Return what is set on a module of this package, as plain data; not its signature."""
    skipped = {"lm", "adapter"}
    named = {k: v for k, v in vars(module).items() if not k.startswith("_") and k not in skipped}
    settings = {k: v for k, v in named.items() if _is_plain(v)}
    if isinstance(module, Predict):
        settings["lm"] = None if module.lm is None else module.lm.model
        settings["adapter"] = None if module.adapter is None else module.adapter.name
        settings["demos"] = [dict(demo) for demo in module.demos]
    return settings


def _is_plain(value: Any) -> bool:
    try:
        plain(value)
    except CanonicalError:
        return False
    return True


def module_facts(program: Module) -> dict[str, Any]:
    """Return settings and signatures of a module and of all in it, by path: what a judge asks and how."""
    facts: dict[str, Any] = {}
    for path, module in program.named_sub_modules():
        if is_ours(module):
            facts[f"{type(module).__name__} {path}"] = settings_of(module)
        if isinstance(module, Predict):
            facts[f"signature {path}"] = module.signature.spec()
    return facts
