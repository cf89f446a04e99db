"""BootstrapFinetune under pytest, by the jobs of an API: the snapshot names the model, replay needs nothing."""

from __future__ import annotations

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.litellm_client import load_litellm
from tests.plugin.conftest import WORDS
from tests.support.server import FakeServer, last_user_text

SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"

UNIT = """
import pytest
import pytest_lmprog as lmp
from pytest_lmprog.lm.finetuning.jobs import JobsProvider
from program import Triage

@pytest.mark.lm_program(
    program=Triage,
    teleprompter=lmp.BootstrapFinetune(provider=JobsProvider(poll=0.01), train_kwargs={"n_epochs": 2}),
    teacher=lmp.LM("openai/large", api_base="URL", api_key="sk-test"),
    trainset="tickets.yaml",
    train_split="train",
)
@pytest.mark.lm_examples("tickets.yaml", split="dev")
class TestTriage:
    def test_team(self, example, prediction):
        assert prediction.team == example.team
"""

CONFTEST = """
import pytest
import pytest_lmprog as lmp

@pytest.fixture(scope="session")
def lm():
    return lmp.LM("openai/small", api_base="URL", api_key="sk-test", num_retries=0)
"""


def answer(request):
    """The small model says "bug" to everything; the large one knows, and so does what was trained by it."""
    text = last_user_text(request)
    team = next((team for word, team in WORDS.items() if word in text), "bug")
    return {"team": "bug" if request["model"] == "small" else team}


@pytest.fixture(scope="module", autouse=True)
def _litellm():
    """Import it before pytester notes what is there: it brings importlib_metadata, which takes the place of
    the standard finder of distributions for good, and pytester would take it away again."""
    load_litellm()


@pytest.fixture
def server():
    with FakeServer(answer) as fake:
        yield fake


@pytest.fixture
def triage(project, server):
    project.write("conftest.py", CONFTEST.replace("URL", server.url))
    project.test(UNIT.replace("URL", server.url))
    return project


def test_compile_replay_compile_again_and_load(triage, server, monkeypatch):
    # Processes of their own: litellm, which asks the API, does not stand to be imported twice in one.
    run = triage.run_apart("--lm-compile")
    run.assert_outcomes(passed=4)
    run.stdout.fnmatch_lines(["*test_team*0.250*1.000*"])
    (job,) = server.tuning.jobs
    snapshot = triage.path / SNAPSHOT
    text = snapshot.read_text()
    for line in (
        f"model: openai/{job['fine_tuned_model']}",
        "base: openai/small",
        "provider: openai",
        "examples: 2",
    ):
        assert f"      {line}\n" in text
    assert "sk-test" not in text

    asked = len(server.tuning.asked)
    triage.run_apart("--lm-compile", "--lm-update").assert_outcomes(passed=4)
    assert len(server.tuning.asked) == asked
    assert snapshot.read_text() == text

    monkeypatch.syspath_prepend(triage.path)
    from program import Triage

    with lmp.context(lm=LM("openai/small", api_base=server.url, api_key="sk-test")):
        program = lmp.load(snapshot, Triage())
        server.reset()
        assert program(ticket="I was charged twice").team == "billing"
        program.save(triage.path / "triage.yaml")
        fresh = Triage()
        fresh.load(triage.path / "triage.yaml")
    assert server.bodies[0]["model"] == job["fine_tuned_model"]
    assert fresh.classify.lm.model == program.classify.lm.model
    assert fresh.classify.lm.origin == program.classify.lm.origin
    assert fresh.classify.lm.endpoint == program.classify.lm.endpoint

    server.stop()
    triage.run_apart("--lm-record=none").assert_outcomes(passed=4)


def test_a_dry_run_bounds_the_calls_and_trains_nothing(triage, server):
    run = triage.run_apart("--lm-compile", "--lm-dry-run")
    assert server.tuning.asked == []
    assert server.count == 0
    run.stdout.fnmatch_lines(["*TestTriage*"])


def test_a_failed_job_is_told_in_the_providers_words(triage, server):
    server.tuning.states = ("failed",)
    run = triage.run_apart("--lm-compile")
    run.stdout.fnmatch_lines(
        ["*the fine-tuning job ftjob-0 failed: The training file has an invalid format.*"]
    )
    assert not triage.path.joinpath(SNAPSHOT).exists()
    assert "Traceback" not in run.stdout.str()
