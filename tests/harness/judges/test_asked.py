"""Which modules metrics can ask: found by name, closure, class member and through helpers."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import pytest_lmprog as lmp
from pytest_lmprog.harness.judges.asked import asked_by

apt = lmp.Judge("It fits.", inputs="answer", votes=3, name="apt")
plain = lmp.Predict("answer -> grade: float", n=2)
judges = types.ModuleType("judges_of_a_project")
judges.far = lmp.Judge("It is far.", inputs="answer", retries=0)  # type: ignore[attr-defined]


def helper(answer: Any) -> bool:
    return bool(apt(answer=answer))


def through_helper(example: Any, prediction: Any) -> bool:
    return helper(prediction.answer)


def by_module(example: Any, prediction: Any) -> bool:
    return all(judges.far(answer=a) for a in [prediction.answer])


def made(judge: Any) -> Any:
    return lambda example, prediction: judge(example, prediction)


class Unit:
    judge = lmp.Judge("It is mine.", inputs="answer", name="mine")

    def test_it(self, prediction: Any) -> None:
        assert self.judge(answer=prediction.answer)


def test_modules_are_found_wherever_a_metric_reaches_them() -> None:
    sys.modules["judges_of_a_project"] = judges
    found = asked_by(
        {
            "helper": through_helper,
            "module": by_module,
            "closure": made(plain),
            "partial": functools.partial(through_helper),
            "member": Unit.test_it,
            "itself": apt,
            "none": made,
        },
        Unit,
    )
    assert [(a.metric, a.module, a.calls) for a in found] == [
        ("helper", "apt", 6),
        ("module", "Judge", 1),
        ("closure", "judge", 2),
        ("partial", "apt", 6),
        ("member", "mine", 2),
        ("itself", "apt", 6),
    ]
