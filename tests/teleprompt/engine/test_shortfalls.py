"""What is told where runs fell short."""

from __future__ import annotations

from pytest_lmprog.teleprompt.engine.shortfalls import one_line


def test_the_lines_of_a_message_stay_apart() -> None:
    message = "the answer is cut off\n  the answer was:   '{'\n\n"
    assert one_line(message) == "the answer is cut off; the answer was: '{'"
    assert one_line("x" * 500) == "x" * 200
