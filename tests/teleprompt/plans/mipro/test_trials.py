"""Trials: what is evaluated when, by hand with a scripted sampler, and the schedule against DSPy's."""

from __future__ import annotations

from dataclasses import fields
from threading import Barrier, Event
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.programs import context
from pytest_lmprog.teleprompt import BootstrapFewShotWithOptuna, CompileRuntime, MIPROv2
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.plans.mipro import trials
from pytest_lmprog.teleprompt.plans.mipro.trials import Schedule
from tests.teleprompt.conformance.suite import Noted
from tests.teleprompt.world import (
    PlainAdapter,
    WorldLM,
    exact,
    jitter,
    portion,
    questions,
    result_of,
    rows,
    task,
    truth,
)


class Scripted:
    """A sampler that proposes what it was given, then the points of the space in turn, and keeps everything
    in the order it happened."""

    def __init__(self, points):
        self.points = list(points)
        self.log = []
        self.space = {}

    def ask(self):
        asked = sum(kind == "ask" for kind, *_ in self.log)
        point = self.points[asked] if asked < len(self.points) else self.turn(asked + 1)
        self.log.append(("ask", *point.values()))
        return point

    def turn(self, number):
        point = {}
        for name, size in self.space.items():
            number, point[name] = divmod(number, size)
        return point

    def tell(self, point, score):
        self.log.append(("tell", *point.values(), score))

    @property
    def told(self):
        return [entry[1:] for entry in self.log if entry[0] == "tell"]


def scripted(strategy, points):
    """Return the strategy with a sampler that proposes ``points``, and that sampler."""
    sampler = Scripted(points)

    class Fixed(type(strategy)):
        def check(self, task):
            pass  # optuna is not needed

        def sampler(self, space, seed):
            sampler.space, sampler.seed = space, seed
            return sampler

    return Fixed(**{field.name: getattr(strategy, field.name) for field in fields(strategy)}), sampler


@pytest.fixture
def no_startup(monkeypatch):
    """Let the sampler propose from the first trial on."""
    monkeypatch.setattr(trials, "STARTUP", 1)


def compiled(strategy, lm, trainset, *, concurrency=8, seed=0, journal=None, **more):
    runtime = CompileRuntime(seed, concurrency, **({} if journal is None else {"journal": journal}))
    with context(lm=lm, adapter=PlainAdapter()):
        return strategy.compile_result(task(trainset, **more), runtime)


class TestSchedule:
    @given(st.integers(1, 60), st.integers(1, 12))
    def test_full_evaluations_come_when_dspys_do(self, trials, every):
        # DSPy numbers trials and full evaluations together: the default is 1, and a trial is followed by a
        # full evaluation where its number is a multiple of every + 1, or the last but one of all.
        adjusted = trials + trials // every + 1 + (1 if trials % every else 0)
        after, number = [], 1
        for trial in range(trials):
            number += 1
            after.append(number % (every + 1) == 0 or number == adjusted - 1)
            number += after[-1]
        schedule = Schedule(trials, batch=2, every=every)
        assert [schedule.full(trial) for trial in range(trials)] == after

    def test_runs(self):
        # 7 trials of 3; full evaluations of the other 7 of 10 examples after trials 5 and 7.
        assert Schedule(7, batch=3, every=5).runs(10) == 7 * 3 + 2 * 7
        assert Schedule(7).runs(10) == 70
        assert not any(Schedule(7).full(trial) for trial in range(7))


def of(demos):
    return {"answer: instruction": 0, "answer: demos": demos}


@pytest.mark.usefixtures("no_startup")
class TestByHand:
    """Three training rows, known only to the teacher that is shown q1; four validation rows q10 to q13.

    Sets of demos, one demo each: 0 none, 1 labeled (drawn), 2 bootstrapped. There is no proposal
    (num_candidates=3, and the LM that proposes repeats the present instruction), so that demos decide.
    """

    def answer(self, one):
        question = one.inputs["question"]
        if question in ("q0", "q1", "q2"):
            return {"answer": truth(question)}
        return {"answer": truth(question) if self.knows(question, one.shown) else "no idea"}

    # With no demo: q10. With the labeled demo q1: q10 and q11. With the bootstrapped q0: all but q13.
    KNOWN = {(): 10, ("q1",): 11, ("q0",): 12}

    def knows(self, question, shown):
        return int(question[1:]) <= self.KNOWN[tuple(shown)]

    PRESENT = "Given the fields `question`, produce the fields `answer`."

    def run(
        self, points, batches, *, monkeypatch, steps=2, proposals=(PRESENT, PRESENT), journal=None, **more
    ):
        monkeypatch.setattr(trials.Trials, "_batch", lambda self, trial, size: batches[trial])
        strategy = MIPROv2(
            exact,
            max_bootstrapped_demos=1,
            max_labeled_demos=1,
            auto=None,
            num_candidates=3,
            num_trials=len(points),
            minibatch_size=2,
            minibatch_full_eval_steps=steps,
            program_aware_proposer=False,
            data_aware_proposer=False,
            **more,
        )
        strategy, sampler = scripted(strategy, points)
        lm = WorldLM(self.answer, propose=lambda one: {"proposed_instruction": proposals[one.rollout - 1]})
        return compiled(strategy, lm, rows(3), valset=rows(4, start=10), journal=journal), sampler, lm

    def runs(self, lm, *shown):
        """Return the validation rows that were run with these demos, in order."""
        asked = [
            int(a.inputs["question"][1:]) for a in lm.live if a.shown == list(shown) and not a.is_proposal
        ]
        return sorted(number for number in asked if number >= 10)

    def test_the_demo_sets(self, monkeypatch):
        result, sampler, _ = self.run([of(1), of(2)], [[0, 1], [0, 1]], monkeypatch=monkeypatch)
        assert sampler.space == {"answer: instruction": 1, "answer: demos": 3}
        assert [questions(c.program) for c in result.candidates] == [[], ["q1"], ["q0"]]
        assert [c.label for c in result.candidates] == [
            "default",
            "instruction 0, demos 1",
            "instruction 0, demos 2",
        ]

    def test_trials_minibatches_full_evaluations_and_the_winner(self, monkeypatch):
        # Minibatches (positions of q10 to q13): trial 1 on 0, 1; trial 2 on 2, 3; trial 3 on 1, 2.
        result, sampler, lm = self.run(
            [of(1), of(2), of(2)], [[0, 1], [2, 3], [1, 2]], monkeypatch=monkeypatch
        )
        assert sampler.told == [
            (0, 0, 0.25),  # the default on all four: q10
            (0, 1, 1.0),  # demo q1 on q10, q11
            (0, 2, 0.5),  # demo q0 on q12, q13
            (0, 1, 0.5),  # after two trials: the best mean is that of demo q1; fully it is right twice
            (0, 2, 1.0),  # demo q0 on q11, q12
            (0, 2, 0.75),  # after the last trial: demo q0, mean 0.75, is the only one left
        ]
        assert [(c.score, c.spent.runs) for c in result.candidates] == [(0.25, 4), (0.5, 4), (0.75, 4)]
        assert (result.winner, result.score, result.validated_on) == (2, 0.75, 4)
        # No example is run twice on one combination.
        assert self.runs(lm) == self.runs(lm, "q1") == self.runs(lm, "q0") == [10, 11, 12, 13]

    def test_the_mean_is_over_all_trials_of_a_combination(self, monkeypatch):
        # Demo q0 is right on 0 (1.0 on the batch 0), wrong on 3: mean 0.5. Demo q1: right on 0, 1, wrong
        # on 2: first 1.0, then 0.0, then 1.0: mean 2/3.
        batches = [[0], [2], [1], [0], [3]]
        result, sampler, _ = self.run(
            [of(1), of(1), of(1), of(2), of(2)], batches, monkeypatch=monkeypatch, steps=5
        )
        assert sampler.told[-1] == (0, 1, 0.5)
        assert [c.score for c in result.candidates] == [0.25, 0.5, None]

    def test_at_equal_means_the_shorter_prompt_is_evaluated_then_the_earlier_one(self, monkeypatch):
        long, short = {**of(0), "answer: instruction": 1}, {**of(0), "answer: instruction": 2}
        proposals = (self.PRESENT + " Please.", "Answer.")
        run = [long, short], [[0], [0]]
        _, sampler, _ = self.run(*run, monkeypatch=monkeypatch, proposals=proposals)
        assert sampler.told == [(0, 0, 0.25), (1, 0, 1.0), (2, 0, 1.0), (2, 0, 0.25)]
        # The demos q0 and q1 are of one length.
        _, sampler, _ = self.run([of(2), of(1)], [[0], [0]], monkeypatch=monkeypatch)
        assert sampler.told[-1][:2] == (0, 2)

    def test_a_perfect_minibatch_does_not_win(self, monkeypatch):
        # Both are right on their one example. Demo q1 was tried first: it is evaluated fully, demo q0 is
        # not, though it would win.
        result, sampler, _ = self.run([of(1), of(2)], [[0], [2]], monkeypatch=monkeypatch)
        assert sampler.told == [(0, 0, 0.25), (0, 1, 1.0), (0, 2, 1.0), (0, 1, 0.5)]
        assert [(c.score, c.spent.runs) for c in result.candidates] == [(0.25, 4), (0.5, 4), (None, 1)]
        assert (result.winner, result.score) == (1, 0.5)

    def test_each_combination_is_noted_once(self, monkeypatch):
        journal = Noted()
        self.run([of(1), of(2)], [[0], [2]], monkeypatch=monkeypatch, journal=journal)
        assert [(e["index"], e["score"]) for e in journal.noted] == [(0, 0.25), (1, 0.5), (2, None)]

    def test_what_is_evaluated_fully_is_not_so_again(self, monkeypatch):
        result, sampler, lm = self.run([of(1), of(0)], [[0], [0]], monkeypatch=monkeypatch, steps=1)
        assert sampler.told == [(0, 0, 0.25), (0, 1, 1.0), (0, 1, 0.5), (0, 0, 1.0)]
        assert [c.score for c in result.candidates] == [0.25, 0.5]
        assert self.runs(lm) == [10, 11, 12, 13]

    def test_without_another_combination_there_is_no_full_evaluation(self, monkeypatch):
        _, sampler, lm = self.run([of(0), of(0)], [[0], [1]], monkeypatch=monkeypatch, steps=1)
        assert sampler.told == [(0, 0, 0.25), (0, 0, 1.0), (0, 0, 0.0)]
        assert self.runs(lm) == [10, 11, 12, 13]

    def test_without_minibatches_every_trial_is_a_full_evaluation(self, monkeypatch):
        result, sampler, lm = self.run(
            [of(1), of(2), of(1)], [range(4)] * 3, monkeypatch=monkeypatch, minibatch=False
        )
        assert sampler.told == [(0, 0, 0.25), (0, 1, 0.5), (0, 2, 0.75), (0, 1, 0.5)]
        assert (result.winner, result.score) == (2, 0.75)
        assert len(self.runs(lm, "q1")) == 4

    def test_a_trial_is_proposed_when_all_before_it_are_told(self, monkeypatch):
        points, batches = [of(1), of(2), of(2)], [[0, 1], [2, 3], [1, 2]]
        _, sampler, _ = self.run(points, batches, monkeypatch=monkeypatch)
        kinds = [kind for kind, *_ in sampler.log]
        assert kinds == ["tell", "ask", "tell", "ask", "tell", "tell", "ask", "tell", "tell"]

    def test_with_trials_in_flight_as_many_are_not_told_yet(self, monkeypatch):
        points, batches = [of(1), of(2), of(2)], [[0, 1], [2, 3], [1, 2]]
        _, sampler, _ = self.run(points, batches, monkeypatch=monkeypatch, trials_in_flight=2)
        kinds = [kind for kind, *_ in sampler.log]
        # Two steps at a time: the default and trial 1, trials 1 and 2. The full evaluation needs both
        # told; trial 3 is in flight beside it.
        assert kinds == ["ask", "tell", "ask", "tell", "tell", "ask", "tell", "tell", "tell"]

    def test_a_full_evaluation_waits_for_all_trials_before_it(self, monkeypatch):
        # Demo q1 is wrong on its batch, demo q0 right: with three steps at a time it is chosen all the same.
        _, sampler, _ = self.run(
            [of(1), of(2)], [[2, 3], [1, 2]], monkeypatch=monkeypatch, trials_in_flight=3
        )
        assert sampler.told == [(0, 0, 0.25), (0, 1, 0.0), (0, 2, 1.0), (0, 2, 0.75)]

    def test_what_is_not_told_yet_does_not_count(self, monkeypatch):
        # The startup: two trials of demo q1, on 0, 1 and on 2, 3, side by side. The first ends last; by then
        # all scores of demo q1 are there. It is evaluated fully after it, as it would be one by one.
        monkeypatch.setattr(trials, "STARTUP", 10)
        quick = Event()
        real = self.answer

        def answer(one):
            if one.shown == ["q1"] and not one.is_proposal:
                if one.inputs["question"] in ("q10", "q11"):
                    assert quick.wait(timeout=20)
                    sleep(0.05)
                elif one.inputs["question"] == "q13":
                    quick.set()
            return real(one)

        monkeypatch.setattr(self, "answer", answer)
        _, sampler, _ = self.run([of(1), of(1)], [[0, 1], [2, 3]], monkeypatch=monkeypatch, steps=1)
        assert sampler.told == [(0, 0, 0.25), (0, 1, 1.0), (0, 1, 0.5), (0, 1, 0.0)]


def test_the_first_steps_are_drawn_at_once_and_run_together():
    # Of eleven trials, of 3 examples each, ten are the startup.
    together = Barrier(30)
    turns = iter(range(1000))

    def answer(one):
        if next(turns) < 30:
            together.wait(timeout=20)
        return {"answer": "x"}

    strategy = BootstrapFewShotWithOptuna(
        exact, max_bootstrapped_demos=0, max_labeled_demos=12, num_candidate_programs=11
    )
    strategy, sampler = scripted(strategy, [{"answer": place} for place in range(11)])
    compiled(strategy, WorldLM(answer), rows(12), valset=rows(3, start=20), concurrency=64)
    assert [kind for kind, *_ in sampler.log] == ["ask"] * 10 + ["tell"] * 10 + ["ask", "tell"]


def test_a_full_evaluation_among_the_first_steps_is_one_of_them():
    # Steps: the default, three trials, a full evaluation, and so on: of ten, seven are trials.
    strategy = MIPROv2(
        exact,
        auto=None,
        num_candidates=4,
        num_trials=9,
        minibatch_size=2,
        minibatch_full_eval_steps=3,
        data_aware_proposer=False,
        program_aware_proposer=False,
    )
    strategy, sampler = scripted(strategy, [])
    compiled(strategy, WorldLM(lambda one: {"answer": "x"}), rows(5))
    kinds = [kind for kind, *_ in sampler.log]
    assert kinds[:8] == ["ask"] * 7 + ["tell"]
    assert kinds.count("ask") == 9


def test_minibatches_are_drawn_for_each_trial_and_for_each_seed():
    def batches(seed):
        strategy, _ = scripted(
            MIPROv2(exact, auto=None, num_candidates=2, num_trials=3, minibatch_size=4, max_labeled_demos=1),
            [],
        )
        found = []
        real = trials.Trials._batch

        def spy(self, trial, size):
            found.append(list(real(self, trial, size)))
            return found[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trials.Trials, "_batch", spy)
            compiled(strategy, WorldLM(lambda one: {"answer": "x"}), rows(9), seed=seed)
        return found

    # The strategy's seed is 9, the compile's is added.
    expected = [sorted(seeded(9, "minibatch", trial).sample(range(9), 4)) for trial in range(3)]
    assert batches(0) == expected
    assert batches(1) != expected


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 5]), st.integers(1, 14), st.sampled_from([1, 2, 3, 5]))
def test_what_is_told_does_not_depend_on_the_order_runs_end_in(world, in_flight, num_trials, steps):
    def answer(one):
        question = one.inputs["question"]
        return {"answer": truth(question) if portion(world, question, one.shown) < 0.5 else "x"}

    logs, results = [], []
    for concurrency in (1, 4, 64):
        strategy = MIPROv2(
            exact,
            auto=None,
            num_candidates=4,
            num_trials=num_trials,
            minibatch_size=3,
            minibatch_full_eval_steps=steps,
            trials_in_flight=in_flight,
            data_aware_proposer=False,
            program_aware_proposer=False,
        )
        points = [of(place % 3) for place in range(num_trials)]
        strategy, sampler = scripted(strategy, points)
        lm = WorldLM(answer, latency=jitter)
        results.append(result_of(compiled(strategy, lm, rows(7), concurrency=concurrency)))
        logs.append(sampler.log)
    assert logs[0] == logs[1] == logs[2]
    assert results[0] == results[1] == results[2]
