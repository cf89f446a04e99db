"""The embedded model for real: skipped where its extra or its weights cannot be had."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LMRequestError, MissingExtraError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.local.catalog import CATALOG
from pytest_lmprog.lm.local.server import CONTEXT
from pytest_lmprog.lm.local.weights import ensure_weights
from pytest_lmprog.lm.types import LMRequest
from tests.lm.conformance import user

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
SMOLLM = CATALOG["smollm2-135m"]
LABELS = ["billing", "account", "bug"]
FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "triage",
        "schema": {
            "type": "object",
            "properties": {"why": {"type": "string", "maxLength": 24}, "team": {"enum": LABELS}},
            "required": ["why", "team"],
        },
    },
}
TICKETS = ["I was charged twice", "I forgot my password", "The app crashes", "My card was refused"]


@pytest.fixture(scope="module")
def lm() -> LM:
    pytest.importorskip("xllamacpp", reason="needs the extra 'local'")
    try:
        ensure_weights(SMOLLM)
    except ConfigurationError as error:
        pytest.skip(f"no weights: {error.message}")
    return LM("local/smollm2-135m", temperature=0, cache=False)


def request(lm: LM, ticket: str, demos: int) -> LMRequest:
    messages: list[dict[str, Any]] = [{"role": "system", "content": f"Pick the team: {', '.join(LABELS)}."}]
    for i in range(demos):
        messages += [*user(TICKETS[i]), {"role": "assistant", "content": json.dumps({"team": LABELS[i % 3]})}]
    return lm.request((*messages, *user(ticket)), response_format=FORM)


def test_answers_depend_on_the_request_alone(lm: LM):
    requests = [request(lm, ticket, demos) for ticket in TICKETS for demos in (0, 2)]

    def answers(concurrency: int, order: list[int]) -> dict[int, str]:
        with ThreadPoolExecutor(concurrency) as pool:
            return dict(zip(order, pool.map(lambda i: lm.complete(requests[i]).text, order), strict=True))

    order = list(range(len(requests)))
    alone = answers(1, order)
    for text in alone.values():
        assert json.loads(text)["team"] in LABELS
    random.Random(0).shuffle(order)
    assert answers(8, order) == alone


def test_usage_and_cost_are_known(lm: LM):
    response = lm.complete(lm.request(user("Say hi."), max_tokens=4))
    assert response.usage.completion_tokens == 4
    assert response.finish_reason == "length"
    assert response.cost == 0.0
    assert lm.endpoint == SMOLLM.sha256


def test_rollouts_are_samples_of_their_own(lm: LM):
    said = lm("Write a sentence about the sea.", n=3, temperature=1.5, max_tokens=12)
    assert len(set(said)) == 3
    assert lm("Write a sentence about the sea.", n=3, temperature=1.5, max_tokens=12) == said


def test_a_prompt_that_is_too_long_is_an_error(lm: LM):
    with pytest.raises(LMRequestError) as caught:
        lm("word " * (CONTEXT + 10))
    assert caught.value.context_window


def test_a_file_by_path_is_the_same_model(lm: LM):
    by_path = LM(f"local/{ensure_weights(SMOLLM)}")
    assert by_path.endpoint == lm.endpoint
    assert by_path.model == f"local/{SMOLLM.file_name}"


def test_a_file_that_is_no_model_is_an_error(lm: LM, tmp_path: Any):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(ConfigurationError, match="cannot be loaded as a model"):
        LM(f"local/{tmp_path}/broken.gguf")("x")


EXIT = """
from pytest_lmprog.lm.client import LM
print(LM("local/smollm2-135m")("Say hi.", max_tokens=3))
"""


def test_the_server_ends_with_the_process_and_says_nothing(lm: LM):
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    monkeypatch.setattr("pytest_lmprog.lm.local.engine.engines._running", {})
    with pytest.raises(MissingExtraError, match=r"pytest-lmprog\[local\]"):
        LM("local/smollm2-135m")("x")
