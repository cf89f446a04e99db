"""Fine-tuning jobs, against a local server that follows OpenAI's documented API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import CompileError, UsageError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.finetuning.data import TrainingData
from pytest_lmprog.lm.finetuning.jobs import JobsProvider
from pytest_lmprog.lm.finetuning.provider import FinetuneJob
from tests.support.server import FakeServer

KEY = "sk-very-secret-key"
DATA = TrainingData(
    tuple(
        ({"role": "user", "content": f"Frage {n}: ü?"}, {"role": "assistant", "content": f"{n}"})
        for n in range(3)
    )
)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(lambda request: f"I am {request['model']}") as fake:
        yield fake


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_LMPROG_FINETUNED_DIR", str(tmp_path / "finetuned"))
    return tmp_path / "finetuned"


class Naps:
    """Waits for nothing and counts it; ``at`` is done before the nap of that number."""

    def __init__(self, at: dict[int, Any] | None = None) -> None:
        self.slept: list[float] = []
        self._at = at or {}

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        action = self._at.get(len(self.slept))
        if action is not None:
            action()


def job(server: FakeServer, **more: Any) -> FinetuneJob:
    lm = LM("openai/gpt-small", api_base=server.url, api_key=KEY, temperature=0, num_retries=0)
    return FinetuneJob(lm, DATA, **more)


def test_upload_job_polls_and_a_model_that_is_reached_as_its_base(server: FakeServer):
    naps = Naps()
    trained = JobsProvider(poll=7, sleep=naps).finetune(job(server, settings={"n_epochs": 2}, seed=5))
    assert list(server.tuning.files.values()) == [DATA.jsonl()]
    (made,) = server.tuning.jobs
    assert (made["model"], made["hyperparameters"], made["seed"]) == ("gpt-small", {"n_epochs": 2}, 5)
    assert naps.slept == [7, 7, 7]
    assert trained.model == "openai/ft:gpt-small:org:lmprog:ftjob-0"
    assert trained.params == {"temperature": 0}
    assert trained.origin.base == "openai/gpt-small"
    assert (trained.origin.data, trained.origin.examples) == (DATA.digest[:12], 3)
    assert trained("hello") == ["I am ft:gpt-small:org:lmprog:ftjob-0"]


def test_the_uploaded_bytes_are_the_datas(server: FakeServer):
    JobsProvider(sleep=Naps()).finetune(job(server))
    (data,) = server.tuning.files.values()
    assert [json.loads(line)["messages"][0]["content"] for line in data.decode().splitlines()] == [
        "Frage 0: ü?",
        "Frage 1: ü?",
        "Frage 2: ü?",
    ]


def test_the_same_job_again_asks_nothing(server: FakeServer):
    first = JobsProvider(sleep=Naps()).finetune(job(server))
    asked = len(server.tuning.asked)
    again = JobsProvider(sleep=Naps()).finetune(job(server))
    assert again.model == first.model
    assert len(server.tuning.asked) == asked


def test_other_data_or_settings_are_another_job(server: FakeServer):
    for one in (job(server), job(server, seed=1), replace(job(server), data=TrainingData(DATA.chats[:2]))):
        JobsProvider(sleep=Naps()).finetune(one)
    assert len(server.tuning.jobs) == 3


class Killed(BaseException):
    pass


def die() -> None:
    raise Killed


def test_a_compile_killed_while_it_waits_goes_on_with_the_same_job(server: FakeServer):
    with pytest.raises(Killed):
        JobsProvider(sleep=Naps({2: die})).finetune(job(server))
    trained = JobsProvider(sleep=Naps()).finetune(job(server))
    assert (len(server.tuning.files), len(server.tuning.jobs)) == (1, 1)
    assert trained.model.endswith("ftjob-0")


def test_killed_between_upload_and_job_the_file_is_used(server: FakeServer):
    server.tuning.broken["POST /fine_tuning/jobs"] = 1
    with pytest.raises(CompileError, match=r"could not create the fine-tuning job.*the service is closed"):
        JobsProvider(sleep=Naps()).finetune(job(server))
    JobsProvider(sleep=Naps()).finetune(job(server))
    assert (len(server.tuning.files), len(server.tuning.jobs)) == (1, 1)


def test_killed_right_after_the_job_was_created_it_is_found_again(
    server: FakeServer,
):
    # The server has made the job, its answer is lost: what is paid for is looked up, not created anew.
    create = server.tuning._create

    def lost(body: Any) -> Any:
        create(body)
        return 400, {"error": {"message": "gone", "type": "x", "param": None, "code": None}}

    server.tuning._create = lost
    with pytest.raises(CompileError, match="gone"):
        JobsProvider(sleep=Naps()).finetune(job(server))
    server.tuning._create = create
    trained = JobsProvider(sleep=Naps()).finetune(job(server))
    assert len(server.tuning.jobs) == 1
    assert trained.model.endswith("ftjob-0")


def test_a_failed_job_says_the_providers_words_and_the_next_run_makes_a_new_one(server: FakeServer):
    server.tuning.states = ("running", "failed")
    server.tuning.fail = f"Example 2 has no answer ({KEY})"
    with pytest.raises(CompileError, match="ftjob-0 failed: Example 2 has no answer") as failed:
        JobsProvider(sleep=Naps()).finetune(job(server))
    assert KEY not in str(failed.value)
    server.tuning.states = ("succeeded",)
    assert JobsProvider(sleep=Naps()).finetune(job(server)).model.endswith("ftjob-1")
    assert len(server.tuning.files) == 1


def test_a_job_that_takes_too_long_is_left_alone_and_asked_on_later(server: FakeServer):
    server.tuning.states = ("running",)
    naps = Naps()
    with pytest.raises(CompileError, match="is running after 30 s; it goes on without us"):
        JobsProvider(poll=10, patience=30, sleep=naps).finetune(job(server))
    assert naps.slept == [10, 10, 10]
    server.tuning.states = ("succeeded",)
    JobsProvider(sleep=Naps()).finetune(job(server))
    assert len(server.tuning.jobs) == 1


def test_jobs_that_were_begun_run_side_by_side(server: FakeServer):
    jobs = [job(server, seed=seed) for seed in (0, 1)]
    for one in jobs:
        JobsProvider(sleep=Naps()).begin(one)
    assert len(server.tuning.jobs) == 2
    assert ("GET", "/fine_tuning/jobs/ftjob-0") not in server.tuning.asked
    trained = [JobsProvider(sleep=Naps()).finetune(one).model for one in jobs]
    assert [name[-7:] for name in trained] == ["ftjob-0", "ftjob-1"]
    assert len(server.tuning.jobs) == 2
    asked = len(server.tuning.asked)
    JobsProvider().begin(jobs[0])
    assert len(server.tuning.asked) == asked


def test_nothing_secret_is_noted(server: FakeServer, folder: Path):
    JobsProvider(sleep=Naps()).finetune(job(server))
    notes = [path.read_text() for path in folder.rglob("*.json")]
    assert len(notes) == 2
    assert all(KEY not in note for note in notes)


def test_an_endpoint_that_refuses_the_key_stops_it(server: FakeServer):
    server.tuning.broken["POST /files"] = 1
    with pytest.raises(CompileError, match="openai/gpt-small: could not upload the training data"):
        JobsProvider(sleep=Naps()).finetune(job(server))
    assert server.tuning.jobs == []


def test_a_setting_of_another_provider_is_refused(server: FakeServer):
    with pytest.raises(UsageError, match="no setting 'num_train_epochs'"):
        JobsProvider().finetune(job(server, settings={"num_train_epochs": 1}))
    assert server.tuning.asked == []
