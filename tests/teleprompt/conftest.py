"""The plain adapter, so that these tests depend on no rendered text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_lmprog.programs import context
from tests.teleprompt.world import PlainAdapter


@pytest.fixture(autouse=True)
def _plain_adapter() -> Iterator[None]:
    with context(adapter=PlainAdapter()):
        yield
