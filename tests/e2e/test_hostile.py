"""Whole runs against bad servers, forged caches and secrets that are echoed: one message, nothing leaked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.pace import slowness
from tests.support.server import FakeServer, Reply, completion, failing, hang, last_user_text, rate_limited

ARGUMENT, HEADER, ENVIRONMENT = "sk-argument-5417", "header-5417-value", "environment-5417-value"
SECRETS = (ARGUMENT, HEADER, ENVIRONMENT, "somebody-5417", "password-5417")

PROGRAM = """
from typing import Literal
import pytest_lmprog as lmp

class Triage(lmp.Module):
    def __init__(self):
        self.classify = lmp.ChainOfThought("ticket -> team: Literal['bug', 'billing']")
    def forward(self, ticket):
        return self.classify(ticket=ticket)
"""
TESTS = """
import pytest
from pytest_lmprog import BootstrapFewShot
from triage import Triage

@pytest.mark.lm_program(program=Triage, teleprompter=BootstrapFewShot(max_bootstrapped_demos=2),
                        trainset="tickets.yaml", train_split="train")
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction):
        assert prediction.team == example.team
"""
CONFTEST = """
import os
import pytest
import pytest_lmprog as lmp

@pytest.fixture(scope="session")
def lm():
    return lmp.LM("openai/fake", api_base=os.environ["FAKE_BASE"], api_key="{key}", timeout=1.0,
                  extra_headers={{"X-Api-Key": "{header}"}})
"""


def answer(request: dict[str, Any]) -> Any:
    """Know the team by the ticket, and give away every secret."""
    told = " ".join(SECRETS)
    if "refuse" in last_user_text(request):
        return failing(400, f"what did you mean by {told}?")
    return {"reasoning": told, "team": "bug" if "crash" in last_user_text(request) else "billing"}


def row(name: str, text: str, split: str) -> str:
    team = "bug" if "crash" in text else "billing"
    return f"- {{id: {name}, ticket: {text}, team: {team}, split: {split}}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    (tmp_path / "triage.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST.format(key=ARGUMENT, header=HEADER), encoding="utf-8")
    (tmp_path / "test_triage.py").write_text(TESTS, encoding="utf-8")
    rows = [row("t1", "a crash", "train"), row("t2", "a bill", "train")]
    rows += [row(f"d{i}", f"crash number {i}", "dev") for i in range(20)]
    (tmp_path / "tickets.yaml").write_text("".join(rows), encoding="utf-8")
    return tmp_path


def run(project: Path, base: str, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    surroundings = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_ADDOPTS")}
    surroundings |= {"FAKE_BASE": base, "OPENAI_API_KEY": ENVIRONMENT, **(env or {})}
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:hypothesispytest", *arguments]
    done = subprocess.run(
        command, cwd=project, env=surroundings, capture_output=True, encoding="utf-8", timeout=180
    )
    return done.returncode, done.stdout + done.stderr


def files_with(folder: Path, *texts: str) -> list[str]:
    """Return the files, but those of the project's author, that contain one of ``texts``."""
    written = [p for p in folder.rglob("*") if p.is_file() and "conftest" not in p.name]
    return [str(p) for p in written if any(t.encode() in p.read_bytes() for t in texts)]


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(("-n", "2"), marks=pytest.mark.slow), ("--lm-compile", "--lm-update")],
    ids=["workers", "compile"],
)
def test_no_secret_is_written_or_said_though_the_server_echoes_them(
    project: Path, arguments: tuple[str, ...]
):
    with (project / "tickets.yaml").open("a", encoding="utf-8") as file:
        file.write(row("bad", "refuse this", "dev"))
    with FakeServer(answer) as server:
        base = server.url.replace("//", "//somebody-5417:password-5417@")
        status, said = run(project, base, "--junitxml=junit.xml", "-vv", "-l", *arguments)
        headers = [seen.headers for seen in server.seen]
    assert headers
    assert all(HEADER in h.values() for h in headers)
    assert status == 1, said
    assert "answered 400: what did you mean by [secret] [secret]" in said
    assert not [secret for secret in SECRETS if secret in said]
    assert files_with(project, "[secret]")
    assert files_with(project, *SECRETS) == []


FORGED = "import pathlib; pathlib.Path('executed').touch()"


def forged(code: str) -> bytes:
    """Return a pickle that runs ``code`` (protocol 0, written out)."""
    return f"cbuiltins\nexec\n(V{code}\ntR.".encode()


def test_a_cache_row_forged_as_a_pickle_is_not_executed(project: Path):
    with FakeServer(answer) as server:
        assert run(project, server.url, "-q")[0] == 0
        with sqlite3.connect(project / ".lm_cache" / "cache.db") as db:
            changed = db.execute("UPDATE Cache SET mode = 4, value = ?", (forged(FORGED),)).rowcount
        assert changed >= 20
        (project / "__lm_recordings__" / "test_triage.jsonl").unlink()
        status, said = run(project, server.url, "-q")
    assert status == 0, said
    assert not (project / "executed").exists()
    assert "LmprogWarning" in said
    assert "Traceback" not in said


def silent(request: dict[str, Any]) -> Reply:
    return hang(60)


def no_choices(request: dict[str, Any]) -> Reply:
    return Reply(200, {**completion("x", request), "choices": []})


BAD = {
    "hangs": (silent, "gave no answer within 1 s"),
    "asks-for-an-hour": (lambda _: rate_limited(3600), "answered 429: slow down (it asks to wait 3600 s)"),
    "no-choices": (no_choices, "it has no choices"),
}


@pytest.mark.parametrize(
    ("name", "compiles"),
    [
        ("hangs", False),
        ("hangs", True),
        pytest.param("asks-for-an-hour", False, marks=pytest.mark.slow),
        pytest.param("no-choices", True, marks=pytest.mark.slow),
    ],
)
def test_a_server_that_never_answers_is_one_message_soon(project: Path, name: str, compiles: bool):
    reply, words = BAD[name]
    with FakeServer(reply) as server:
        begin = time.monotonic()
        status, said = run(project, server.url, "-q", *(["--lm-compile"] if compiles else []))
        took = time.monotonic() - begin
    assert status == 1, said
    assert words in said
    assert "Traceback" not in said
    assert "pytest_lmprog/" not in said
    assert took < 30 * slowness()  # 20 cases one after the other, with retries, would take minutes
    assert not (project / "__lm_snapshots__").exists()


@pytest.mark.slow
def test_an_endpoint_that_nobody_listens_at_is_not_retried_by_every_case(project: Path):
    status, said = run(project, "http://127.0.0.1:9/v1", "-q", "--lm-max-concurrency=4")
    assert status == 1
    assert said.count("(after 4 attempts)") <= 4 + 4, (
        "those in flight at first, and their lines in the summary"
    )
    assert said.count("no connection to http://127.0.0.1:9/v1") >= 20


def test_a_score_out_of_bounds_names_no_place_inside_pytest(project: Path):
    test = TESTS.replace("assert prediction.team == example.team", "return 1.5")
    (project / "test_triage.py").write_text(test, encoding="utf-8")
    with FakeServer(answer) as server:
        status, said = run(project, server.url, "-q", "-k", "d1-or-d2 or d3")
    assert status == 1
    assert "a score must be finite and within [0, 1], not 1.5\n" in said
    assert "pluggy" not in said
