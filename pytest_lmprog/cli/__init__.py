"""``lmprog``: look at snapshots, accept or reject what was compiled, look after cache and recordings."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 refused or found at fault, 2 misused."""
    from pytest_lmprog.cli.app import run

    return run(argv)
