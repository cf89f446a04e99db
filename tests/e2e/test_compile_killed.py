"""A compile with any teleprompter that is killed resumes from what was answered and stored."""

from __future__ import annotations

import importlib.util
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.forks import Forks
from tests.e2e.project import Project, letters
from tests.e2e.test_kill import stored, wait_for
from tests.support.server import FakeServer, example_of_schema, last_user_text, request_digest

# A bootstrap is the first step of "together", a random search what "ensemble" takes from; test_kill kills one
# many times.
TELEPROMPTERS = {
    "knn": "tp.KNNFewShot(2)",
    "copro": "tp.COPRO(breadth=2, depth=2)",
    "rules": "tp.InferRules(num_candidates=2)",
    "simba": "tp.SIMBA(bsize=3, num_candidates=2, max_steps=2)",
    "gepa": "tp.GEPA(max_metric_calls=60)",
    "optuna": "tp.BootstrapFewShotWithOptuna(num_candidate_programs=3, max_bootstrapped_demos=2)",
    "mipro": "tp.MIPROv2(auto=None, num_candidates=2, num_trials=4, minibatch_size=2)",
    "together": "tp.BetterTogether(p=tp.BootstrapFewShot(), w=tp.COPRO(breadth=2, depth=1))",
    "ensemble": "tp.Ensemble(of=tp.BootstrapFewShotWithRandomSearch(num_candidate_programs=1), size=2)",
}
NEEDS = {"optuna": "optuna", "mipro": "optuna"}

TOPICS = ("account", "billing", "bug", "feature")


def answer(request: dict[str, Any]) -> str | dict[str, Any]:
    """Answer the program's predictors, the more often right the longer the prompt; make up whatever else a
    strategy asks."""
    rng = random.Random(request_digest(request))
    schema = request["response_format"]["json_schema"]["schema"]
    if set(schema["properties"]) == {"topic"}:
        if rng.random() < 0.03:
            return "I would rather not say."
        right = next((t for t in TOPICS if f"about {t}" in last_user_text(request)), "bug")
        sure = 0.3 + min(0.5, len(str(request["messages"])) / 5000)
        return json.dumps({"topic": right if rng.random() < sure else rng.choice(TOPICS)})
    if set(schema["properties"]) == {"reasoning", "reply"}:
        words = rng.choice(("thank you", "sorry", "we will look", "please wait"))
        return json.dumps({"reasoning": f"step {rng.randint(0, 99)}", "reply": words})
    return json.dumps(example_of_schema(schema, rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", TELEPROMPTERS)
def test_killed_once_it_ends_in_the_same_bytes_and_pays_no_answer_twice(
    name: str, tmp_path: Path, forks: Forks
) -> None:
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs the extra {NEEDS[name]}")
    rng = random.Random(name)
    with FakeServer(answer, latency=(0.001, 0.008)) as server:
        project = Project(tmp_path / "project", server.url, teleprompter=TELEPROMPTERS[name])
        project.write("letters.yaml", letters(6, 4, 2))
        code, text = forks.run(project, "--lm-compile")
        assert code == 0, text
        expected, total = project.snapshot.read_bytes(), server.count
        assert sum(stored(project).values()) == total, "each answer is paid for once"
        project.forget()
        server.reset()
        child = forks.pytest(project, "--lm-compile", f"--lm-max-concurrency={rng.choice((2, 8, 64))}")
        wait_for(server, int(total * rng.uniform(0.2, 0.7)), child)
        while not stored(project) and child.poll() is None:
            time.sleep(0.005)
        child.kill()
        assert not project.snapshot.exists(), "killed too late to show anything"
        kept = sum(stored(project).values())
        assert 0 < kept < total
        server.reset()
        code, text = forks.run(project, "--lm-compile")
        assert code == 0, text
    assert project.snapshot.read_bytes() == expected
    # What was paid for was new: it made a row of its own in the store.
    assert sum(stored(project).values()) - kept == server.count
