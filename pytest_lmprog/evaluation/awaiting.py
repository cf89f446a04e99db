"""Coroutines awaited from synchronous code."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["resolved"]


def resolved(value: Any) -> Any:
    """Return ``value``, awaited if it is awaitable; inside a running event loop, on a thread of its own."""
    if not inspect.isawaitable(value):
        return value
    import asyncio
    import contextvars
    from concurrent.futures import ThreadPoolExecutor

    async def awaited() -> Any:
        return await value

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(awaited())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, awaited()).result()
