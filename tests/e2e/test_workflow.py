"""The example project's workflow, its shell steps run one by one as GitHub would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLE = Path(__file__).parents[2] / "example_project"
WORKFLOW = yaml.safe_load((EXAMPLE / ".github/workflows/lm-programs.yml").read_text(encoding="utf-8"))
JOB: dict[str, Any] = WORKFLOW["jobs"]["replay"]
GH = """#!/bin/sh
echo "$*" >> "$GH_LOG"
case "$*" in *--paginate*) cat "$GH_REPLY";; esac
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


class Runner:
    """A checkout of the example project on a runner."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignored = shutil.ignore_patterns(".*cache", "__pycache__")
        shutil.copytree(EXAMPLE, root, ignore=ignored)
        tools = root.parent / "tools"
        tools.mkdir()
        self.log, self.reply, self.summary = tools / "log", tools / "reply", tools / "summary.md"
        self.reply.write_text("")
        (tools / "gh").write_text(GH)
        (tools / "gh").chmod(0o755)
        own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_"))}
        self.env = {
            **own,
            "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), own["PATH"]]),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(root),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "acme/triage",
            "PULL_REQUEST": "7",
            "GH_LOG": str(self.log),
            "GH_REPLY": str(self.reply),
        }

    def step(self, name: str) -> tuple[int, str]:
        text = next(step["run"] for step in JOB["steps"] if step.get("name") == name)
        script = self.root.parent / "step.sh"
        script.write_text(text, encoding="utf-8", newline="\n")
        done = subprocess.run(
            ["bash", "-e", str(script)],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def asked(self) -> list[str]:
        return [line.partition(" --jq ")[0] for line in self.log.read_text().splitlines()]


CHECK, REPLAY, COMMENT = (
    "Check that no snapshot is pending, stale or edited",
    "Replay and judge",
    "Comment on the pull request",
)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path / "triage")


def test_a_good_pull_request(runner: Runner) -> None:
    assert runner.step(CHECK)[0] == 0
    code, said = runner.step(REPLAY)
    assert code == 0, said
    assert "::warning file=tests/test_support.py,line=" in said
    assert runner.summary.read_text(encoding="utf-8").startswith("**LM programs: PASS** 2 metrics, 80 cases")
    assert sorted(p.name for p in (runner.root / "reports").iterdir()) == ["junit.xml", "lm.html", "lm.md"]
    comments = "repos/acme/triage/issues"
    assert runner.step(COMMENT)[0] == 0
    runner.reply.write_text("4711\n4712\n")
    assert runner.step(COMMENT)[0] == 0
    assert runner.asked() == [
        f"api --paginate {comments}/7/comments",
        f"api --silent --method POST {comments}/7/comments --field body=@comment.md",
        f"api --paginate {comments}/7/comments",
        f"api --silent --method PATCH {comments}/comments/4711 --field body=@comment.md",
    ]
    text = (runner.root / "comment.md").read_text(encoding="utf-8")
    assert text.startswith("**LM programs: PASS**")
    assert text.endswith("\n<!-- pytest-lmprog -->\n")


def test_a_bad_pull_request_fails_and_says_why(runner: Runner) -> None:
    program = runner.root / "support/program.py"
    program.write_text(
        program.read_text(encoding="utf-8").replace("ticket=ticket", "ticket=ticket.strip()"),
        encoding="utf-8",
    )
    code, said = runner.step(CHECK)
    assert code == 1
    assert "stale: program code: support.program.Triage.forward changed" in said
    code, said = runner.step(REPLAY)
    assert code == 1
    snapshot = "tests/__lm_snapshots__/test_support/TestTriage.yaml"
    assert f"::error file={snapshot},line=1,title=TestTriage%3A stale snapshot::" in said
    assert runner.step(COMMENT)[0] == 0
    text = (runner.root / "comment.md").read_text(encoding="utf-8")
    assert text.startswith("**LM programs: FAIL** 1 stale snapshot")


def test_without_a_report_there_is_no_comment(runner: Runner) -> None:
    assert runner.step(COMMENT)[0] == 0
    assert not runner.log.exists()


def walk(value: Any, see: Callable[[Any], None]) -> None:
    see(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        walk(inner, see)


def test_the_workflow_has_no_more_rights_than_it_needs() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOB["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert set(WORKFLOW[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as true
    actions = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert all(action.startswith("actions/") and action[-3:-1] == "@v" for action in actions)
    runs = [step["run"] for step in JOB["steps"] if "run" in step]
    assert not any("${{" in run for run in runs)  # what others typed never becomes a command
    comment = JOB["steps"][-1]
    assert "head.repo.full_name == github.repository" in comment["if"]
    secrets: list[str] = []
    walk(WORKFLOW, lambda v: secrets.append(v) if isinstance(v, str) and "secrets." in v else None)
    assert secrets == []
