"""Bootstrapping with assertions: what was refused is no demo, what mended it is one."""

from __future__ import annotations

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.adapters import JSONAdapter
from pytest_lmprog.snapshots.artifact import Header, Snapshot
from pytest_lmprog.snapshots.capture import capture
from pytest_lmprog.snapshots.edited import looks_edited
from pytest_lmprog.snapshots.reading import read_snapshot
from pytest_lmprog.snapshots.restore import restore
from pytest_lmprog.snapshots.text import to_text


class Short(lmp.Module):
    def __init__(self):
        self.ask = lmp.Predict("question -> answer")

    def forward(self, question):
        answer = self.ask(question=question)
        lmp.Suggest(len(answer.answer) < 10, "Be short.")
        return answer


DEMO = {
    "question": "q0",
    "past_answer": "a long, long answer",
    "instructions": "Be short.",
    "answer": "a0",
}


def told(request):
    asked = request.messages[-1]["content"]
    number = asked.split("question: q")[1][:1]
    return {"answer": f"a{number}" if "Be short." in asked else "a long, long answer"}


@pytest.fixture(autouse=True)
def _json():
    with lmp.context(adapter=JSONAdapter()):
        yield


@pytest.fixture
def compiled():
    rows = [lmp.Example(question=f"q{n}", answer=f"a{n}").with_inputs("question") for n in range(2)]

    def metric(example, prediction, trace=None):
        return prediction.answer == example.answer

    with lmp.context(lm=lmp.ScriptedLM(told)):
        strategy = lmp.BootstrapFewShot(metric, max_bootstrapped_demos=2, max_labeled_demos=0)
        return strategy.compile(Short(), trainset=rows)


def test_the_demo_shows_how_the_answer_was_mended(compiled):
    assert [dict(demo) for demo in compiled.ask.demos] == [
        DEMO,
        {**DEMO, "question": "q1", "answer": "a1"},
    ]


def test_a_prompt_shows_the_mended_answer_and_a_retry_all_of_it(compiled):
    lm = lmp.ScriptedLM(told)
    with lmp.context(lm=lm):
        compiled(question="q7")
    first, retry = ([m["content"] for m in request.messages] for request in lm.requests)
    assert first[1:3] == ["question: q0", '{"answer": "a0"}']
    assert retry[1] == "question: q0\npast_answer: a long, long answer\ninstructions: Be short."
    assert retry[2] == '{"answer": "a0"}'


def test_a_teacher_may_check_where_the_student_does_not():
    class Plain(Short):
        def forward(self, question):
            return self.ask(question=question)

    row = lmp.Example(question="q0", answer="a0").with_inputs("question")
    with lmp.context(lm=lmp.ScriptedLM(told)):
        strategy = lmp.BootstrapFewShot(max_bootstrapped_demos=1, max_labeled_demos=0)
        taught = strategy.compile(Plain(), teacher=Short(), trainset=[row])
    assert type(taught) is Plain
    assert [dict(demo) for demo in taught.ask.demos] == [DEMO]


def test_state_and_snapshot_keep_it(compiled, tmp_path):
    compiled.save(tmp_path / "state.json")
    loaded = Short()
    loaded.load(tmp_path / "state.json")
    assert [dict(demo) for demo in loaded.ask.demos] == [dict(demo) for demo in compiled.ask.demos]

    header = Header(program="tests.Short", model=None, adapter="json", prompt_format=1)
    text = to_text(Snapshot(header, capture(compiled, JSONAdapter())))
    read = read_snapshot(text, "x.yaml")
    assert not looks_edited(read.predictors["ask"])
    assert dict(restore(read, Short()).ask.demos[0]) == DEMO


def test_only_the_best_of_n_is_a_demo():
    class QA(lmp.Module):
        def __init__(self):
            self.best = lmp.BestOfN(
                lmp.Predict("question -> answer"), 3, lambda inputs, p: p.answer == "a1", threshold=1.0
            )

        def forward(self, question):
            return self.best(question=question)

    rows = [lmp.Example(question=f"q{n}", answer="a1").with_inputs("question") for n in range(4)]
    with lmp.context(lm=lmp.ScriptedLM(lambda request: {"answer": f"a{request.rollout}"})):
        taught = lmp.BootstrapFewShot(max_labeled_demos=0).compile(QA(), trainset=rows)
    assert [demo.answer for demo in taught.predictors()[0].demos] == ["a1"] * 4
