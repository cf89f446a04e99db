"""Settings: process-wide defaults and overrides for a block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_lmprog.adapters import ChatAdapter
from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.programs import configure, context, settings
from pytest_lmprog.programs.context import current
from tests.programs.fake import FakeLM


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    before = current()
    configure(lm=None, adapter=None, rm=None)
    yield
    configure(lm=before.lm, adapter=before.adapter, rm=before.rm)


def in_thread(function: Any) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


def test_defaults_are_seen_everywhere() -> None:
    lm, adapter = FakeLM(), ChatAdapter()
    configure(lm=lm)
    configure(adapter=adapter)
    assert current().lm is lm
    assert settings.adapter is adapter
    assert in_thread(lambda: current().lm) is lm


def test_a_block_overrides_for_this_thread_only() -> None:
    outer, inner = FakeLM(), FakeLM()
    configure(lm=outer)
    with context(lm=inner) as now:
        assert now.lm is current().lm is inner
        assert in_thread(lambda: current().lm) is outer
        with context(rollout=2):
            assert (current().lm, current().rollout) == (inner, 2)
        assert current().rollout == 0
    assert current().lm is outer


def test_a_block_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), context(rollout=1):
        raise ZeroDivisionError
    assert current().rollout == 0


def test_tasks_inherit() -> None:
    async def inner() -> int:
        return current().rollout

    async def outer() -> int:
        with context(rollout=3):
            return await asyncio.create_task(inner())

    assert asyncio.run(outer()) == 3


def test_none_switches_off() -> None:
    configure(lm=FakeLM())
    with context(lm=None):
        assert current().lm is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"llm": 1}, "unknown setting 'llm'; there are: lm, adapter, rm"),
        ({"lm": "openai/gpt-4o-mini"}, "not a name"),
        ({"lm": object()}, "lm must be an LM"),
        ({"lm": FakeLM}, "lm must be an LM"),
        ({"adapter": "chat"}, "adapter must be an adapter"),
    ],
)
def test_what_cannot_be_set(changes: Any, words: str) -> None:
    for change in (configure, lambda **c: context(**c).__enter__()):
        with pytest.raises(ConfigurationError, match=words):
            change(**changes)
    assert current().lm is None


def test_settings_view() -> None:
    assert settings.rollout == 0
    with pytest.raises(AttributeError, match="no setting 'nope'"):
        settings.nope
    with settings.context(rollout=4):
        assert settings.rollout == 4
    settings.configure(rm="r")
    assert settings.rm == "r"
    assert "rm='r'" in repr(settings)
