"""What the end-to-end tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.e2e.forks import Forks


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """A process to fork from: what is slow to import is imported once for all tests."""
    if sys.platform == "win32":
        pytest.skip("needs fork")
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks
