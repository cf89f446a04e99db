"""Coroutines run to their end from synchronous code."""

from __future__ import annotations

import contextvars
from typing import Any

__all__ = ["finish"]


def finish(coroutine: Any) -> Any:
    """Run a coroutine to its end from synchronous code, inside a running event loop too."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()
