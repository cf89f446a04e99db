"""Training data: chats whose last message is what a model is to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.records import dataclass

__all__ = ["Chat", "TrainingData"]

Chat = Sequence[Mapping[str, Any]]
"""Messages in wire form; the last is the assistant's answer."""


@dataclass(frozen=True)
class TrainingData:
    """Chats to train on, in training order. Their bytes are those of OpenAI's chat format (JSONL)."""

    chats: tuple[Chat, ...]

    def __len__(self) -> int:
        return len(self.chats)

    def jsonl(self) -> bytes:
        """Return one line ``{"messages": [...]}`` a chat: UTF-8, LF, keys as they stand in the messages."""
        lines = [json.dumps({"messages": list(map(dict, chat))}, ensure_ascii=False) for chat in self.chats]
        return "".join(line + "\n" for line in lines).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal digits."""
        return digest_bytes(self.jsonl())
