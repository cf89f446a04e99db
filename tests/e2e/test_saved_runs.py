"""Record once, decide later: a run against a real endpoint, rescored when the endpoint is gone."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_lmprog.harness.saved.store import list_runs, load_run_file
from tests.e2e.answers import topical
from tests.e2e.forks import Forks
from tests.e2e.project import Project
from tests.support.server import FakeServer

NEW = """
    def test_trace(self, example, prediction, trace):
        assert [call.name for call in trace] == ["topic", "reply"]
        assert trace[0].usage.prompt_tokens > 0
        assert example.letter in trace[0].messages[-1]["content"]
        assert prediction.reply == trace[1].outputs.reply
"""


def test_a_run_is_rescored_without_endpoint_key_or_litellm(tmp_path: Path, forks: Forks) -> None:
    with FakeServer(topical) as server:
        project = Project(tmp_path / "project", server.url)
        forks.run(project, "--lm-report=run.json", "-q")
        asked = server.count
    assert asked == 12
    text = (project.path / "run.json").read_text(encoding="utf-8")
    assert "sk-e2e-secret" not in text
    assert project.url not in text
    assert str(tmp_path) not in text
    (unit,) = load_run_file(project.path / "run.json").units
    assert all(call.usage is not None for case in unit.cases for call in case.calls)

    tests = project.path / "tests/test_clerk.py"
    project.write("tests/test_clerk.py", tests.read_text(encoding="utf-8") + NEW)
    project.write("guard.py", "import sys\nsys.modules['litellm'] = None\n")
    env = {"OPENAI_API_KEY": "", "OPENAI_API_BASE": "http://127.0.0.1:1"}
    code = "import guard, pytest\ncode = pytest.main(['--lm-rescore=last', '-q', '--lm-report=again.json'])"
    child = forks.start(code, project.path, env)
    child.wait()
    (again,) = load_run_file(project.path / "again.json").units
    known = {(o.metric, o.case): (o.status, o.score, o.error) for o in unit.outcomes}
    fresh = {(o.metric, o.case): (o.status, o.score, o.error) for o in again.outcomes}
    assert {key: fresh[key] for key in known} == known, child.text
    errors = {case.example for case in unit.cases if case.error is not None}
    assert {c for m, c in fresh if m == "test_trace" and fresh[m, c][0] != "pass"} == errors
    assert again.cases == unit.cases
    assert again.calls.calls == 0
    assert len(list_runs(project.path / ".lm_cache")) == 1


def test_what_a_compile_spent_on_each_candidate(tmp_path: Path, forks: Forks) -> None:
    with FakeServer(topical) as server:
        project = Project(tmp_path / "project", server.url, candidates=1)
        code, out = forks.run(project, "--lm-compile", "--lm-report=run.json", "-q")
        assert code in (0, 1), out
    data = json.loads((project.path / "run.json").read_text(encoding="utf-8"))
    candidates = data["units"][0]["candidates"]
    (winner,) = [c for c in candidates if c.get("winner")]
    assert winner["runs"] == 8
    assert 1.0 <= winner["calls"] <= 2.0
    assert winner["tokens"] > 0
    zero, labeled = candidates[:2]
    if zero.get("tokens") and labeled.get("tokens"):
        assert labeled["tokens"] > zero["tokens"]
