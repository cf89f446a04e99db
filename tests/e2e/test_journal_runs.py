"""Journal and snapshot of real compiles: the same at any concurrency, and after SIGKILL and resume."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.cli import main
from tests.e2e.answers import topical
from tests.e2e.forks import Forks
from tests.e2e.project import SEARCH, Project, letters
from tests.e2e.test_kill import wait_for
from tests.support.server import FakeServer, request_digest

CLIMB = 'BetterTogether(p=COPRO(breadth=3, depth=1), w=SmallSearch, strategy="p -> w")'
IMPORTS = """from pytest_lmprog.teleprompt import COPRO, BetterTogether, BootstrapFewShotWithRandomSearch
SmallSearch = BootstrapFewShotWithRandomSearch(
    max_bootstrapped_demos=1, max_labeled_demos=2, num_candidate_programs=1)
"""
TIMED = ("score", "runs", "calls", "tokens", "cost")
"""What timing decides of a loser: how far it was evaluated before it was dropped."""


def answer(request: dict[str, Any]) -> Any:
    """Answer the program, and propose instructions that look made up."""
    if "proposed_instruction" not in str(request["messages"]):
        return topical(request)
    style = random.Random(request_digest(request)).randint(0, 9)
    return json.dumps(
        {"proposed_instruction": f"Do it in style {style}.", "proposed_prefix_for_output_field": "Answer:"}
    )


def project(path: Path, url: str, teleprompter: str) -> Project:
    found = Project(path, url)
    found.write("letters.yaml", letters(train=5, val=5, dev=2))
    test = path / "tests/test_clerk.py"
    text = test.read_text(encoding="utf-8").replace(SEARCH.format(candidates=3), teleprompter)
    test.write_text(text.replace("from program import Clerk\n", f"from program import Clerk\n{IMPORTS}"))
    return found


def journal(project: Project) -> Path:
    return project.path / ".lm_cache/journal/tests/test_clerk/TestClerk.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def steady(path: Path) -> str:
    """The journal without what timing decides of losers."""
    head, *entries, end = lines(path)
    kept = [
        entry if entry["winner"] else {k: v for k, v in entry.items() if k not in TIMED} for entry in entries
    ]
    return json.dumps([head, *kept, end])


def compiled(forks: Forks, project: Project, *args: str) -> tuple[bytes, str]:
    child = forks.pytest(project, "--lm-compile", "--lm-report=r.json", *args)
    assert child.wait() == 0, child.text
    return project.snapshot.read_bytes(), steady(journal(project))


@pytest.mark.slow
def test_the_same_at_any_concurrency_and_after_kills(
    tmp_path: Path, forks: Forks, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(5)
    with FakeServer(answer, latency=(0.0, 0.01)) as server:
        place = project(tmp_path / "project", server.url, CLIMB)
        found = []
        for concurrency in (1, 8, 64):
            place.forget()
            server.reset()
            found.append(compiled(forks, place, f"--lm-max-concurrency={concurrency}"))
        total = server.count
        (one,) = set(found)
        former = journal(place).read_bytes()
        check_the_lineage(place, capsys)

        place.forget()
        journal(place).parent.mkdir(parents=True)
        journal(place).write_bytes(former)  # of a compile before: it stands until the next one has ended
        unfinished = killed = 0
        for share in (0.2, 0.5, 0.8):
            server.reset()
            child = forks.pytest(place, "--lm-compile", f"--lm-max-concurrency={rng.choice((1, 8))}")
            wait_for(server, int(total * share / 2), child)
            child.kill()
            killed += child.wait() != 0
            part = journal(place).with_name("TestClerk.jsonl.part")
            unfinished += part.exists()
            assert journal(place).exists()
            if part.exists():
                assert journal(place).read_bytes() == former
                whole = part.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
                assert all(json.loads(line) for line in whole)
        assert killed
        assert unfinished
        assert compiled(forks, place) == one
        assert not journal(place).with_name("TestClerk.jsonl.part").exists()


def check_the_lineage(place: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Journal, command line, snapshot and report tell of one lineage."""
    head, *entries, end = lines(journal(place))
    (winner,) = [entry for entry in entries if entry["winner"]]
    assert (winner["index"], winner["score"]) == (end["winner"], end["score"])
    assert head["teleprompter"].startswith("BetterTogether(")
    assert winner["parents"], "else this tests nothing"
    text = place.snapshot.read_text(encoding="utf-8")
    assert "\nlineage:\n" in text
    capsys.readouterr()
    assert main(["-C", str(place.path), "journal", "TestClerk"]) == 0
    shown = capsys.readouterr().out
    assert head["unit"] in shown
    (told,) = [line for line in shown.splitlines() if line.startswith("lineage: ")]
    for label in told.removeprefix("lineage: ").split(" > "):
        assert label in text
    (unit,) = json.loads((place.path / "r.json").read_text(encoding="utf-8"))["units"]
    parents = {entry["index"]: entry["parents"] for entry in entries}
    assert {c["index"]: c.get("parents", []) for c in unit["candidates"]} == parents
    assert [split["split"] for split in unit["compiled"]["splits"]] == ["train", "validation", "test"]
