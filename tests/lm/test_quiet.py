"""Warnings of one thread stay unheard, and only those."""

from __future__ import annotations

import threading
import warnings

import pytest

from pytest_lmprog.lm.quiet import quiet_warnings


def in_thread(function: object) -> None:
    thread = threading.Thread(target=function)  # type: ignore[arg-type]
    thread.start()
    thread.join()


def test_silent_though_another_thread_swaps_the_filters() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")

        def load() -> None:
            with quiet_warnings():
                swapped.set()
                restored.wait(60)
                warnings.warn("from the import", UserWarning, stacklevel=1)

        swapped, restored = threading.Event(), threading.Event()
        thread = threading.Thread(target=load)
        thread.start()
        swapped.wait(60)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            restored.set()
            thread.join()
    assert heard == []


def test_other_threads_are_heard() -> None:
    with pytest.warns(UserWarning, match="mine"), quiet_warnings():
        in_thread(lambda: (warnings.simplefilter("always"), warnings.warn("mine", UserWarning, stacklevel=1)))


def test_what_was_kept_speaks_again() -> None:
    with quiet_warnings():
        kept = warnings.warn
        kept("unheard")
    with pytest.warns(UserWarning, match="heard") as heard:
        kept("heard")
    assert heard[0].filename == __file__
    assert warnings.warn is not kept
