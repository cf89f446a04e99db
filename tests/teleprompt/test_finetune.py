"""BootstrapFinetune: followed by hand, branch by branch. Nothing is trained: the provider keeps the jobs."""

from __future__ import annotations

import json
import random
import sys

import pytest

import pytest_lmprog as dspy
from pytest_lmprog.adapters import ChatAdapter, JSONAdapter
from pytest_lmprog.errors import (
    CompileError,
    ConfigurationError,
    MissingExtraError,
    UsageError,
)
from pytest_lmprog.programs import Example, context
from pytest_lmprog.teleprompt import (
    BetterTogether,
    BootstrapFewShot,
    BootstrapFinetune,
    CallBound,
    CompileRuntime,
    Ensemble,
)
from tests.teleprompt.finetuning import FakeProvider
from tests.teleprompt.world import (
    QA,
    Looping,
    Pair,
    WorldLM,
    exact,
    jitter,
    knowing,
    labeled_of,
    moody,
    rows,
    shown,
    task,
    truth,
)


class Keyed(WorldLM):
    """May be a key, as an ``LM`` may."""

    __hash__ = object.__hash__


def tuned(
    lm,
    trainset,
    *,
    provider=None,
    student=None,
    seed=0,
    concurrency=8,
    teacher=None,
    metric=exact,
    **settings,
):
    """Compile, and return the result and the provider that was asked."""
    provider = provider or FakeProvider()
    strategy = BootstrapFinetune(metric=metric, provider=provider, **settings)
    with context(lm=lm):
        made = strategy.compile_result(
            task(trainset, student=student, metric=metric, teacher=teacher),
            CompileRuntime(seed=seed, concurrency=concurrency),
        )
    return made, provider


def chats(data: bytes) -> list[list[str]]:
    """The contents of each chat."""
    return [[m["content"] for m in json.loads(line)["messages"]] for line in data.decode().splitlines()]


def asked_of(data: bytes) -> list[str]:
    """The question of each chat."""
    return [json.loads(contents[-2])["question"] for contents in chats(data)]


class TestByHand:
    def test_what_the_metric_keeps_is_trained_on_in_shuffled_order(self):
        # Of q0..q5 the LM knows 1, 3 and 4: three runs are kept, and their calls shuffled by Random(0).
        lm = WorldLM(knowing(1, 3, 4))
        result, provider = tuned(lm, rows(6))
        kept = ["q1", "q3", "q4"]
        random.Random(0).shuffle(kept)
        (data,) = provider.data
        assert asked_of(data) == kept
        assert [json.loads(c[-1])["answer"] for c in chats(data)] == [truth(q) for q in kept]
        assert len(lm.live) == 6
        assert result.program.answer.lm.model == f"world+{provider.jobs[0].identity}"
        assert [(c.index, c.label, c.score) for c in result.candidates] == [(0, "finetuned", None)]
        assert result.notes == ("world was trained on 3 chats: the metric kept 3 of 6 runs",)

    def test_a_chat_is_the_prompt_of_the_student_and_the_answer_as_its_adapter_writes_it(self):
        for adapter, said in (
            (JSONAdapter(), '{"answer": "a0"}'),
            (ChatAdapter(), "[[ ## answer ## ]]\na0\n\n[[ ## completed ## ]]"),
        ):
            lm = WorldLM(knowing(0))
            result, provider = tuned(lm, rows(1), adapter=adapter)
            (chat,) = (json.loads(line)["messages"] for line in provider.data[0].decode().splitlines())
            signature = QA().answer.signature
            assert chat[:-1] == [dict(m) for m in adapter.prompt(signature, ()).render({"question": "q0"})]
            assert chat[-1] == {"role": "assistant", "content": said}
            assert adapter.parse(signature, said) == {"answer": "a0"}
            assert result.program.answer.adapter == adapter

    def test_the_data_is_jsonl_as_openai_documents_it(self):
        lm = WorldLM(lambda one: {"answer": 'Zürich \u2028 "quoted"\nnext'})
        _, provider = tuned(lm, rows(2), metric=None)
        lines = provider.data[0].split(b"\n")
        assert lines.pop() == b""
        assert len(lines) == 2
        for line in lines:
            chat = json.loads(line)
            assert list(chat) == ["messages"]
            assert [m["role"] for m in chat["messages"]][-1] == "assistant"

    def test_a_teacher_lm_demonstrates_and_the_students_lm_is_trained(self):
        strong, weak = WorldLM(knowing(0, 1), model="strong"), WorldLM(knowing(), model="weak")
        result, provider = tuned(weak, rows(3), teacher=strong)
        assert (len(strong.live), len(weak.live)) == (3, 0)
        assert provider.jobs[0].lm is weak
        assert sorted(asked_of(provider.data[0])) == ["q0", "q1"]
        assert result.program.answer.lm.model.startswith("weak+")

    def test_a_teachers_demos_are_not_in_the_chats_the_students_are(self):
        teacher, student = labeled_of(QA(), 2), QA()
        student.answer = student.answer.with_demos([Example(question="q70", answer="a70")])
        _, provider = tuned(WorldLM(knowing(5)), rows(1, start=5), student=student, teacher=teacher)
        ((_, demo, asked, said),) = chats(provider.data[0])
        assert json.loads(demo) == {"question": "q70", "answer": "a70"}
        assert json.loads(asked) == {"question": "q5"}
        assert json.loads(said)["answer"] == "a5"

    def test_exclude_demos_trains_without_them_and_drops_them(self):
        student = labeled_of(QA(), 2)
        result, provider = tuned(WorldLM(knowing(5)), rows(1, start=5), student=student, exclude_demos=True)
        assert [len(contents) for contents in chats(provider.data[0])] == [3]
        assert shown(result.program) == {"answer": []}
        assert len(shown(student)["answer"]) == 2

    def test_an_examples_own_demo_is_not_in_its_chat(self):
        student = labeled_of(QA(), 3)
        _, provider = tuned(WorldLM(knowing(0, 1, 2)), rows(3), student=student)
        for _, *demos, asked, _said in chats(provider.data[0]):
            questions = [json.loads(demo)["question"] for demo in demos]
            assert len(questions) == 2
            assert json.loads(asked)["question"] not in questions

    def test_all_calls_of_a_kept_run_are_trained_on_but_those_of_nameless_predictors(self):
        # Looping asks "q0", "q0 again", "q0 finally"; the last is right. Its nameless hint is not trained on.
        def answer(one):
            return {"answer": "a0" if one.inputs["question"].endswith("finally") else "x"}

        _, provider = tuned(WorldLM(answer), rows(1), student=Looping())
        assert sorted(asked_of(provider.data[0])) == ["q0", "q0 again", "q0 finally"]

    def test_multitask_trains_one_model_for_all_predictors(self):
        lm = WorldLM(knowing(0))
        result, provider = tuned(lm, rows(2), student=Pair(), metric=None)
        assert len(provider.jobs) == 1
        assert sorted(asked_of(provider.data[0])) == ["q0", "q1", "q1"]
        assert result.program.first.lm is result.program.second.lm

    def test_without_multitask_each_predictor_has_its_own_model(self):
        lm = WorldLM(knowing(0))
        result, provider = tuned(lm, rows(2), student=Pair(), metric=None, multitask=False)
        assert [sorted(asked_of(data)) for data in provider.data] == [["q0", "q1"], ["q1"]]
        assert result.program.first.lm.model != result.program.second.lm.model

    def test_jobs_that_run_elsewhere_are_all_begun_before_one_is_waited_for(self):
        class Elsewhere(FakeProvider):
            def begin(self, job):
                order.append(("begin", len(job.data)))

            def finetune(self, job):
                order.append(("finetune", len(job.data)))
                return super().finetune(job)

        order = []
        lm = WorldLM(knowing(0))
        tuned(lm, rows(2), student=Pair(), metric=None, multitask=False, provider=Elsewhere())
        assert order == [("begin", 2), ("begin", 1), ("finetune", 2), ("finetune", 1)]

    def test_predictors_on_two_lms_give_two_models_each_trained_on_its_own_calls(self):
        student = Pair()
        student.second.lm = WorldLM(knowing(1), model="other")
        result, provider = tuned(WorldLM(knowing(0)), rows(2), student=student, metric=None)
        assert [(job.lm.model, len(job.data)) for job in provider.jobs] == [("world", 2), ("other", 1)]
        assert result.program.second.lm.model.startswith("other+")

    def test_a_predictor_that_no_kept_run_calls_keeps_its_lm(self):
        result, provider = tuned(WorldLM(knowing(0, 1)), rows(2), student=Pair(), multitask=False)
        assert len(provider.jobs) == 1
        assert result.program.second.lm is None
        assert "no kept run calls second: its LM was not trained" in result.notes

    def test_a_frozen_predictor_gives_no_data_and_keeps_its_lm(self):
        student = Pair().freeze("second")
        result, provider = tuned(WorldLM(knowing(0)), rows(2), student=student, metric=None)
        assert sorted(asked_of(provider.data[0])) == ["q0", "q1"]
        assert result.program.first.lm is not None
        assert result.program.second.lm is None

    def test_answers_that_did_not_parse_are_no_data(self):
        lm = WorldLM(lambda one: "garbage {" if one.inputs["question"] == "q1" else {"answer": "a0"})
        _, provider = tuned(lm, rows(2), metric=None)
        assert asked_of(provider.data[0]) == ["q0"]

    def test_a_threshold_of_zero_keeps_failures_but_no_errors(self):
        lm = WorldLM(lambda one: "garbage {" if one.inputs["question"] == "q1" else {"answer": "x"})
        _, provider = tuned(lm, rows(3), metric_threshold=0)
        assert sorted(asked_of(provider.data[0])) == ["q0", "q2"]

    def test_settings_reach_the_provider_for_all_or_by_lm(self):
        lm, other = WorldLM(knowing(0)), Keyed(knowing(1), model="other")
        student = Pair()
        student.second.lm = other
        _, provider = tuned(lm, rows(2), student=student, metric=None, train_kwargs={"epochs": 2})
        assert [job.settings for job in provider.jobs] == [{"epochs": 2}, {"epochs": 2}]
        _, provider = tuned(lm, rows(2), student=student, metric=None, train_kwargs={other: {"epochs": 5}})
        assert [job.settings for job in provider.jobs] == [{}, {"epochs": 5}]

    def test_the_bound_is_one_run_of_the_teacher_an_example(self):
        strategy = BootstrapFinetune(metric=exact, provider=FakeProvider())
        assert strategy.bound(task(rows(7))) == CallBound(7, 7)
        assert strategy.bound(task(rows(7), student=Looping())) == CallBound(7, 28)


class TestTrainingData:
    @pytest.mark.parametrize("student", [QA, Looping, Pair])
    def test_the_bytes_are_the_same_at_any_concurrency_and_after_a_kill(self, student):
        found = []
        for concurrency in (1, 8, 64):
            lm = WorldLM(moody, latency=jitter)
            found.append(tuned(lm, rows(12), student=student(), concurrency=concurrency, seed=3)[1].data)
        kept = dict(sorted(lm.memory.items())[::2])
        again = WorldLM(moody, latency=jitter, memory=kept)
        found.append(tuned(again, rows(12), student=student(), concurrency=3, seed=3)[1].data)
        assert found[0]
        assert found[0] == found[1] == found[2] == found[3]

    def test_another_seed_is_another_order_of_the_same_chats(self):
        first, second = (
            tuned(WorldLM(knowing(*range(12))), rows(12), seed=seed)[1].data[0] for seed in (0, 1)
        )
        assert first != second
        assert sorted(first.splitlines()) == sorted(second.splitlines())

    def test_the_identity_is_a_function_of_base_data_settings_and_seed(self):
        def identity(lm, **more):
            return tuned(lm, rows(2), metric=None, **more)[1].jobs[0].identity

        first = identity(WorldLM(knowing(0)))
        assert identity(WorldLM(knowing(0))) == first
        assert identity(WorldLM(knowing(0), model="other")) != first
        assert identity(WorldLM(knowing(1))) != first
        assert identity(WorldLM(knowing(0)), train_kwargs={"epochs": 1}) != first
        assert identity(WorldLM(knowing(0)), seed=1) != first


class TestNothingToTrain:
    def test_a_metric_that_keeps_nothing_trains_nothing_and_says_so(self):
        result, provider = tuned(WorldLM(knowing()), rows(3))
        assert provider.jobs == []
        assert result.program.answer.lm is None
        assert result.notes == (
            "the metric kept none of the teacher's 3 runs: nothing was trained, the program is as written",
        )

    def test_a_spent_budget_trains_nothing_and_says_so(self):
        result, provider = tuned(WorldLM(knowing(0, 1, 2), budget=2), rows(3))
        assert provider.jobs == []
        assert result.stopped == "budget"
        assert result.notes == (
            "the budget was spent after 2 of 3 runs: nothing was trained, the program is as written",
        )

    def test_a_teacher_that_always_errors_stops_it_with_its_first_causes(self):
        lm = WorldLM(lambda one: "garbage {")
        with pytest.raises(CompileError, match="the teacher's first 10 runs ended in an error") as stopped:
            tuned(lm, rows(30), concurrency=1)
        assert str(stopped.value).count("bootstrap [") == 3
        assert len(lm.live) == 10

    def test_nine_errors_and_an_answer_go_on(self):
        lm = WorldLM(lambda one: {"answer": "a9"} if one.inputs["question"] == "q9" else "garbage {")
        _, provider = tuned(lm, rows(12), concurrency=1)
        assert asked_of(provider.data[0]) == ["q9"]


class TestBadInput:
    def test_a_provider_that_cannot_is_told_before_anything_is_asked(self):
        lm = WorldLM(knowing(0))
        with pytest.raises(UsageError, match="not with these"):
            tuned(lm, rows(2), provider=FakeProvider(refuses=UsageError("not with these")))
        assert lm.live == []

    def test_a_provider_that_raises_an_error_of_its_own_is_told(self):
        class Down(FakeProvider):
            def finetune(self, job):
                raise RuntimeError("the cluster is down")

        told = "the training of world failed: the provider .* raised RuntimeError: the cluster is down"
        with pytest.raises(CompileError, match=told):
            tuned(WorldLM(knowing(0)), rows(2), provider=Down())

    def test_an_lm_of_another_kind_needs_a_provider(self):
        lm = WorldLM(knowing(0))
        with context(lm=lm), pytest.raises(UsageError, match="no provider that finetunes 'world'"):
            BootstrapFinetune(metric=exact).compile_result(task(rows(2)), CompileRuntime())
        assert lm.live == []

    def test_a_missing_extra_names_its_install_line_before_anything_is_asked(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "peft", None)
        teacher = WorldLM(knowing(0))
        student = dspy.LM("local/smollm2-135m")
        with context(lm=student), pytest.raises(MissingExtraError) as missing:
            BootstrapFinetune(metric=exact).compile_result(task(rows(2), teacher=teacher), CompileRuntime())
        assert "pip install 'pytest-lmprog[finetune]'" in str(missing.value)
        assert teacher.live == []

    @pytest.mark.parametrize("nested", [False, True])
    def test_a_later_step_that_cannot_train_is_told_before_the_first_asks(self, nested):
        lm = WorldLM(knowing(0))
        strategy = BetterTogether(
            exact, p=BootstrapFewShot(exact), w=BootstrapFinetune(metric=exact), strategy="p -> w"
        )
        whole = Ensemble(of=strategy) if nested else strategy
        with context(lm=lm), pytest.raises(UsageError, match="no provider that finetunes 'world'"):
            whole.compile_result(task(rows(2)), CompileRuntime())
        assert lm.live == []

    @pytest.mark.parametrize(
        ("kwargs", "told"),
        [
            ({"num_epochs": 3}, "no setting 'num_epochs'.*\n.*'num_train_epochs'"),
            ({"num_train_epochs": 0}, "num_train_epochs must be a whole number of 1 or more, not 0"),
            ({"learning_rate": -1}, "learning_rate must be a number above 0, not -1"),
            ({"method": "qlora"}, "method must be 'lora' or 'full', not 'qlora'"),
        ],
    )
    def test_settings_that_the_local_provider_does_not_have(self, kwargs, told):
        strategy = BootstrapFinetune(metric=exact, train_kwargs=kwargs)
        with pytest.raises(UsageError, match=told):
            strategy.provider_of(dspy.LM("local/smollm2-135m"))

    def test_settings_that_the_jobs_do_not_have(self):
        strategy = BootstrapFinetune(metric=exact, train_kwargs={"epochs": 3})
        with pytest.raises(UsageError, match="jobs have no setting 'epochs'"):
            strategy.provider_of(dspy.LM("openai/gpt-4o-mini"))

    def test_a_model_whose_api_has_no_jobs(self):
        with pytest.raises(UsageError, match="anthropic/claude cannot be finetuned"):
            BootstrapFinetune(metric=exact).provider_of(dspy.LM("anthropic/claude"))

    def test_numbers_and_kinds(self):
        with pytest.raises(UsageError, match="num_threads must be an integer of 1 or more, not 0"):
            BootstrapFinetune(num_threads=0)
        with pytest.raises(UsageError, match="train_kwargs must be a mapping"):
            BootstrapFinetune(train_kwargs=3)

    def test_all_frozen(self):
        with pytest.raises(UsageError, match="all predictors are frozen"):
            tuned(WorldLM(knowing(0)), rows(2), student=QA().freeze())

    def test_no_lm(self):
        with context(lm=None), pytest.raises(ConfigurationError, match="no LM is configured"):
            BootstrapFinetune(metric=exact, provider=FakeProvider()).compile_result(
                task(rows(2)), CompileRuntime()
            )


def test_dspys_way_of_writing_it_works():
    student = QA()
    lm = WorldLM(knowing(0, 1))
    student.set_lm(lm)
    teacher = student.deepcopy()
    optimizer = BootstrapFinetune(exact, num_threads=4, provider=FakeProvider())
    program = optimizer.compile(student, teacher=teacher, trainset=rows(2))
    assert program.answer.lm.model.startswith("world+")
    assert student.answer.lm is lm


def test_settings_by_lm_are_plain_data():
    lm = Keyed(knowing(0))
    listed = BootstrapFinetune(exact, train_kwargs={lm: {"epochs": 2}}).settings()
    assert listed["train_kwargs"] == {"world": {"epochs": 2}}
    assert listed["provider"] is None
    assert "num_threads" not in listed
