"""History: earlier turns of a conversation, shown to the LM as messages of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import UsageError
from pytest_lmprog.signatures.kinds import shown

__all__ = ["History", "HistoryKind"]


@dataclasses.dataclass(frozen=True, init=False)
class History:
    """Earlier turns, oldest first.

    Parameters
    ----------
    messages: a mapping for each turn, with the signature's fields of that turn by name (inputs and outputs,
        all or some): ``History(messages=[{"question": "...", "answer": "..."}])``. A turn may also be what a
        program was given and put out: ``{"question": "...", **prediction}``.
    """

    messages: tuple[Mapping[str, Any], ...]

    def __init__(self, messages: Any = ()) -> None:
        turns = tuple(messages.messages if isinstance(messages, History) else messages)
        for turn in turns:
            if not isinstance(turn, Mapping):
                raise UsageError(
                    f"a turn of a History is a mapping of fields, not {shown(turn)}",
                    hint='History(messages=[{"question": "...", "answer": "..."}])',
                )
        object.__setattr__(self, "messages", tuple(dict(turn) for turn in turns))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def with_turn(self, **fields: Any) -> History:
        """Return the history with one more turn."""
        return History((*self.messages, fields))

    def __repr__(self) -> str:
        return f"History({len(self)} turn{'' if len(self) == 1 else 's'})"

    @classmethod
    def __lmprog_kind__(cls) -> HistoryKind:
        return HistoryKind()


class HistoryKind:
    """``History``, or its plain form: a list of mappings."""

    __slots__ = ()
    text = "History"
    takes_text = False

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "object"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is History

    def convert(self, value: Any) -> History:
        """See Kind."""
        if isinstance(value, Mapping) and set(value) == {"messages"}:
            value = value["messages"]
        if not isinstance(value, History | list | tuple):
            raise ValueError(f"{shown(value)} is not a History")
        try:
            return value if isinstance(value, History) else History(value)
        except UsageError as error:
            raise ValueError(error.message) from None

    def plain(self, value: Any) -> Any:
        """See Kind."""
        return {"messages": plain(self.convert(value).messages)}

    def turns(self, value: Any) -> tuple[Mapping[str, Any], ...]:
        """Return the turns in ``value``."""
        return self.convert(value).messages

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HistoryKind)

    def __hash__(self) -> int:
        return hash(self.text)
