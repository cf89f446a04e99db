"""A judge of its own model, calibrated, recorded, and found out when its model changes its mind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.support.server import FakeServer, last_user_text

JUDGES = """
import pytest_lmprog as lmp

polite = lmp.Judge(
    "The reply is polite.", inputs=["reply"], votes=3, lm=lmp.LM("openai/judge-1"), name="polite")
"""

TESTS = """
import pytest
from judges import polite

@pytest.mark.lm_program(program=polite)
@pytest.mark.lm_examples("goldens.yaml")
def test_agrees(example, prediction):
    assert prediction.verdict == example.verdict, prediction.reason
"""

GOLDENS = """
- {id: thanks, reply: "Thank you, Ann.", verdict: pass}
- {id: rude, reply: "Go away.", verdict: fail}
- {id: cold, reply: "Noted.", verdict: fail}
"""


class Mind:
    """What the judge's model says: two of three votes for what it thinks of the reply."""

    def __init__(self) -> None:
        self.likes = {"Thank you", "Noted"}
        self.votes: dict[str, int] = {}

    def __call__(self, request: dict[str, Any]) -> str:
        assert request["model"].endswith("judge-1")
        assert request["temperature"] == 1.0
        reply = last_user_text(request)
        vote = self.votes[reply] = self.votes.get(reply, -1) + 1
        likes = any(word in reply for word in self.likes)
        passes = likes if vote % 3 != 1 else not likes
        return json.dumps(
            {"reason": "kind words" if passes else "no kind word", "verdict": "pass" if passes else "fail"}
        )


@pytest.fixture
def mind() -> Mind:
    return Mind()


@pytest.fixture
def desk(tmp_path: Path, mind: Mind) -> Iterator[Project]:
    with FakeServer(mind) as server:
        project = Project(tmp_path / "project", server.url)
        for name, text in (
            ("judges.py", JUDGES),
            ("tests/test_polite.py", TESTS),
            ("tests/goldens.yaml", GOLDENS),
        ):
            project.write(name, text)
        yield project


def test_drift_of_the_judges_model_is_found_in_a_replay(desk: Project, mind: Mind) -> None:
    module = "tests/test_polite.py"
    code, out = desk.run(module, "--lm-update")
    assert code == 0, out
    assert "judge and people: agreement 0.667, kappa 0.400 on 3 goldens" in out
    text = (desk.path / "tests/__lm_snapshots__/test_polite/test_agrees.yaml").read_text()
    assert "cold: {people: fail, judge: pass}" in text
    recorded = (desk.recordings / "test_polite.jsonl").read_text()
    assert recorded.count('"rollout":') == 6  # the first of three votes has none
    assert "sk-e2e-secret" not in text + recorded

    mind.likes, mind.votes = {"Thank you", "Go away"}, {}
    code, out = desk.run(module, "--lm-record=all")
    assert code == 0, out  # live, one worse and one better are no evidence of a change; they are named
    assert "test_agrees, 1 worse than the baseline: rude" in out

    code, out = desk.run(module, env={"CI": "1", "OPENAI_API_BASE": "http://127.0.0.1:9"})
    assert code == 1
    assert "test_agrees[rude] - AssertionError: kind words" in out
    assert "assert 'pass' == 'fail'" in out
    assert "agreement: 0.666" in out
    assert "test_agrees, 1 worse than the baseline: rude" in out
    assert "test_agrees, 1 fixed: cold" in out
    assert "9 calls, 100% cached" in out
