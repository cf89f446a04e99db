"""Budgets and dry runs of whole compiles, counted at the server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import Desk
from tests.support.server import FakeServer, last_user_text

CONFTEST = """
import pytest
import pytest_lmprog as lmp

@pytest.fixture(scope="session")
def lm():
    return lmp.LM("openai/fake", api_base="{url}", api_key="sk-test", max_tokens=50)
"""
LOOP = """
        for _ in range(3):
            found = self.classify(ticket=clean(ticket) + "." * _)
        return found
"""
SEARCH = "BootstrapFewShotWithRandomSearch(max_bootstrapped_demos=1, num_candidate_programs=3)"


def answer(request: dict[str, Any]) -> str:
    text = last_user_text(request)
    return '{"team": "%s"}' % ("feature" if "dark" in text else "billing")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A program that calls three times in each run, and a search over three candidates."""
    desk = Desk(tmp_path)
    desk.edit("program.py", "\n        return self.classify(ticket=clean(ticket))\n", LOOP)
    desk.edit("test_support.py", "BootstrapFewShot(max_bootstrapped_demos=2)", SEARCH)
    desk.edit("test_support.py", "import BootstrapFewShot\n", "import BootstrapFewShotWithRandomSearch\n")
    desk.edit("test_support.py", "program=Triage,", "program=Triage, max_calls=3,")
    return desk


CASES = 5 * 3


def compiled(desk: Desk, *args: str) -> tuple[int, str, int]:
    """Return exit code, output, and how many calls arrived."""
    with FakeServer(answer, latency=0.005) as server:
        (desk.path / "conftest.py").write_text(CONFTEST.format(url=server.url), encoding="utf-8")
        code, out = desk.pytest("--lm-compile", *args)
        return code, out, server.count


def test_a_dry_run_calls_nothing_and_its_bound_holds_for_a_program_that_loops(desk: Desk) -> None:
    code, out, calls = compiled(desk, "--lm-dry-run")
    assert (code, calls) == (0, 0), out
    found = re.search(r"^test_support.py::TestTriage +(\d+) +(\d+) +(\d+) +(\d+) ", out, re.MULTILINE)
    assert found is not None, out
    bound = int(found[4])
    assert not desk.snapshot.exists()
    code, out, calls = compiled(desk)
    assert code == 0, out
    told = re.search(r"^TestTriage: (\d+) calls, [^\n]*\n[^\n]*snapshot", out, re.MULTILINE)
    assert told is not None, out
    assert 3 * 5 < calls <= int(told[1]) <= bound


def test_a_program_that_loops_more_than_it_declares_is_stopped(desk: Desk) -> None:
    desk.edit("test_support.py", "max_calls=3", "max_calls=2")
    code, out = desk.pytest("--lm-compile")
    assert code == 1
    assert "the program needs more than 2 calls to the LM in one run, the most that it declares" in out
    assert "9 skipped, 1 error" in out
    assert not desk.snapshot.exists()


def test_a_budget_of_calls_is_kept_and_the_best_so_far_too(desk: Desk) -> None:
    code, out, calls = compiled(desk, "--lm-budget=14calls")
    assert code == 0, out
    assert calls == 14 + CASES
    text = desk.snapshot.read_text(encoding="utf-8")
    assert "\nstopped: budget\n" in text
    assert "best 0.850 on 2 examples, stopped: budget" in out


def test_a_budget_of_tokens_is_kept(desk: Desk) -> None:
    code, out, calls = compiled(desk, "--lm-budget=1500tokens")
    assert code == 0, out
    spent = re.search(r"stopped: budget, [^\n]*?([\d,]+) tokens", out)
    assert spent is not None, out
    assert calls > CASES
    assert "\nstopped: budget\n" in desk.snapshot.read_text(encoding="utf-8")


def test_a_budget_that_allows_nothing_claims_no_best(desk: Desk) -> None:
    code, out = desk.pytest("--lm-compile", "--lm-budget=1calls")
    assert code == 0, out
    assert "the budget was spent before a candidate was evaluated: the program is as written" in out
    assert "\n  stopped: budget\n" in out
    assert "best candidate" not in out
