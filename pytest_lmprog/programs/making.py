"""A program from what is given for one: a Module class, an instance, or a factory."""

from __future__ import annotations

from typing import Any

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.programs.module import Module

__all__ = ["instantiate"]


def instantiate(program: Any, of: str) -> Module:
    """Return the program: made from its class or factory, or as given. ``of``: whose it is, for errors.

    Raises ConfigurationError where that raises, or gives no Module."""
    if isinstance(program, Module):
        return program
    name = getattr(program, "__qualname__", None) or type(program).__name__
    try:
        made: Any = program()
    except LmprogError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"{of}: {name}() raised {type(error).__name__}: {error}",
            hint="program= takes a Module class, an instance, or a factory without arguments",
        ) from error
    if not isinstance(made, Module):
        raise ConfigurationError(
            f"{of}: {name}() gave {type(made).__name__}, which is no Module",
            hint="derive it from pytest_lmprog.Module, or wrap a signature in pytest_lmprog.Predict",
        )
    return made
