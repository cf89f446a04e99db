"""Names in annotations: what they mean where a signature is defined."""

from __future__ import annotations

import builtins
import sys
import typing
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from pytest_lmprog.errors import SignatureError

__all__ = ["CallerNames", "resolved"]

_PACKAGE = __name__.partition(".")[0]
_MAX_FRAMES = 200


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] != _PACKAGE:
            yield frame
        frame = frame.f_back


class CallerNames(Mapping[str, Any]):
    """Looks names up as the code that defines a signature sees them: in ``first``, then in the locals
    and globals of the callers, innermost first. Frames are read on demand and never kept."""

    def __init__(self, *first: Mapping[str, Any]) -> None:
        self._first = first

    def __getitem__(self, name: str) -> Any:
        for names in self._first:
            if name in names:
                return names[name]
        for frame in _frames():
            seen = frame.f_locals
            if isinstance(seen, CallerNames):  # the frame of an annotation that is being evaluated
                continue
            for names in (seen, frame.f_globals):
                if name in names:
                    return names[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        raise TypeError("the names cannot be listed")

    def __len__(self) -> int:
        return 1

    def typed(self, name: str) -> Any:
        """Return the type called ``name``: a builtin, what the callers call so, or typing's.

        Raises KeyError where there is none."""
        if isinstance(getattr(builtins, name, None), type):
            return getattr(builtins, name)
        if name in ("Any", "Literal", "Optional", "Union", "List", "Dict", "Tuple", "Set", "Annotated"):
            return getattr(typing, name)
        try:
            return self[name]
        except KeyError:
            if name in typing.__all__:
                return getattr(typing, name)
            raise


def resolved(annotation: Any, *, module: str, names: Mapping[str, Any]) -> Any:
    """Return ``annotation`` with the texts in it evaluated, as ``typing.get_type_hints`` does.

    Raises SignatureError where a name is not known or the text is not an expression."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation
    holder = type("_Holder", (), {"__annotations__": {"it": annotation}})
    scope = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return typing.get_type_hints(holder, dict(scope), names, include_extras=True)["it"]
    except NameError as error:
        raise SignatureError(
            f"the annotation {_text(annotation)} cannot be resolved: {error}",
            hint="define or import the type where the signature is defined (not under TYPE_CHECKING)",
        ) from None
    except (SyntaxError, TypeError, AttributeError) as error:
        raise SignatureError(f"the annotation {_text(annotation)} is not a type: {error}") from None


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else repr(annotation)
