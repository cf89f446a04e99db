"""GEPA: evolutions followed by hand: parents, minibatches, acceptances, merges, calls and winner."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.programs import Module, Predict
from tests.teleprompt.gepa_world import (
    START,
    case,
    evolved,
    ladder,
    next_rung,
    reflections,
    runs,
    texts,
    tree,
)
from tests.teleprompt.world import QA, Asked, WorldLM, labeled_of, rows


class TestLadder:
    """Three training rows, which validate too; each reflection teaches one more of them.

    The student scores (1, 0, 0): 3 runs, 3 counted. Iteration 0: its parent can only be the student; the
    minibatch is all three, whose runs are known (counted: 3); the child scores (1, 1, 0), 2 > 1: kept (3
    runs, counted 3), and known on all of the valset (counted 3). Now the student is dominated. Iteration 1:
    the parent is that child, whose child scores (1, 1, 1). Iteration 2: its minibatch is perfect (counted
    3)."""

    @pytest.mark.parametrize(
        ("budget", "asked", "reflected", "scores"),
        [
            # 3 + 9 are counted, and 6 runs were made.
            (12, 6, 1, [1 / 3, 2 / 3]),
            # 12 counted are below 13, so a second iteration begins: 3 + 9 + 9 counted, 9 runs.
            (13, 9, 2, [1 / 3, 2 / 3, 1.0]),
            (21, 9, 2, [1 / 3, 2 / 3, 1.0]),
            # Perfect minibatches cost nothing, but are counted: it ends.
            (60, 9, 2, [1 / 3, 2 / 3, 1.0]),
        ],
    )
    def test_calls_candidates_and_winner(self, budget, asked, reflected, scores):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), max_metric_calls=budget)
        assert (runs(lm), len(reflections(lm))) == (asked, reflected)
        assert lm.taken == asked + reflected
        assert tree(result) == [((), scores[0])] + [((i,), score) for i, score in enumerate(scores[1:])]
        assert texts(result) == [START, "know 1", "know 2"][: len(scores)]
        assert [c.label for c in result.candidates[:2]] == ["as written", "reflection on answer of 0"]
        assert result.winner == len(scores) - 1
        assert (result.score, result.validated_on, result.stopped) == (scores[-1], 3, "done")
        assert result.notes == ()
        spent = [(c.spent.runs, c.spent.calls) for c in result.candidates]
        assert spent == [(3, 3)] * len(scores)

    def test_a_valset_of_its_own(self):
        # Student: 2 runs on the valset (q10 is right: q0 is known). Iteration 0: 3 on the minibatch,
        # reflection, 3 of the child, 2 of its validation: it knows q11 too. All 10 are spent.
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), valset=rows(2, start=10), max_metric_calls=10)
        assert (runs(lm), len(reflections(lm))) == (10, 1)
        assert tree(result) == [((), 0.5), ((0,), 1.0)]
        assert result.validated_on == 2
        # Iteration 1: the student is dominated; the child's runs on the minibatch are known. Its child takes
        # 3 and 2 more: 14 do not pay for it.
        lm = WorldLM(ladder, propose=next_rung)
        evolved(lm, rows(3), valset=rows(2, start=10), max_metric_calls=14)
        assert runs(lm) == 10
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), valset=rows(2, start=10), max_metric_calls=15)
        assert runs(lm) == 15
        assert tree(result) == [((), 0.5), ((0,), 1.0), ((1,), 1.0)]
        assert result.winner == 1  # equal scores and lengths: the first

    def test_a_valset_that_is_the_trainset_saves_the_same_runs(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), valset=rows(3), max_metric_calls=13)
        assert (runs(lm), result.score) == (9, 1.0)

    def test_what_it_is_asked(self):
        lm = WorldLM(ladder, propose=next_rung)
        evolved(lm, rows(3), max_metric_calls=12)
        (one,) = reflections(lm)
        assert one.inputs["current_instruction"] == START
        assert one.outputs == ("new_instruction",)
        assert (one.rollout, one.temperature) == (0, None)
        cases = one.inputs["cases"].split("\n\n")
        assert sorted(one.split("\n", 1)[1] for one in cases) == [
            case("q0", "a0", 1),
            case("q1", "no idea", 0),
            case("q2", "no idea", 0),
        ]
        assert [one.split("\n")[0] for one in cases] == ["Case 1", "Case 2", "Case 3"]

    def test_the_current_best_is_the_parent(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), max_metric_calls=21, candidate_selection_strategy="current_best")
        assert tree(result) == [((), 1 / 3), ((0,), 2 / 3), ((1,), 1.0)]

    def test_a_perfect_minibatch_is_reflected_on_where_it_is_not_to_be_skipped(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(1), max_metric_calls=4, skip_perfect_score=False)
        # 1 run, counted 1. Then q0's run is known, the child's is no better, and is not tried a second time:
        # counted 2 each time, until 4 are reached: after two iterations (1 + 2 + 2).
        assert tree(result) == [((), 1.0), ((0,), None)]
        assert runs(lm) == 2
        assert len(reflections(lm)) == 2

    def test_what_counts_as_perfect(self):
        def half(example, prediction, trace=None):
            return 0.5 if prediction.answer == example.answer else 0.0

        lm = WorldLM(ladder, propose=next_rung)
        evolved(lm, rows(1), max_metric_calls=6, perfect_score=0.5, metric=half)
        assert reflections(lm) == []

    def test_examples_count_by_their_weight(self):
        heavy = [example.copy(weight=3.0 if number == 0 else 1.0) for number, example in enumerate(rows(3))]
        assert [example.weight for example in heavy] == [3.0, 1.0, 1.0]
        result = evolved(WorldLM(ladder, propose=next_rung), heavy, max_metric_calls=13)
        assert [c.score for c in result.candidates] == [3 / 5, 4 / 5, 1.0]

    def test_at_equal_scores_the_shorter_prompt_wins(self):
        def shorter(one: Asked) -> Any:
            first = one.inputs["current_instruction"] == START
            return {"new_instruction": "please, if you can, try to know 1" if first else "know 2"}

        lm = WorldLM(ladder, propose=shorter)
        result = evolved(lm, rows(3), valset=rows(2, start=10), max_metric_calls=15)
        assert tree(result) == [((), 0.5), ((0,), 1.0), ((1,), 1.0)]
        assert result.winner == 2

    def test_demos_stay_and_an_examples_own_is_left_out(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), student=labeled_of(QA(), 2), max_metric_calls=13)
        assert [demo["question"] for demo in result.program.answer.demos] == ["q0", "q1"]
        asked = {one.inputs["question"]: one.shown for one in lm.live if not one.is_proposal}
        assert asked == {"q0": ["q1"], "q1": ["q0"], "q2": ["q0", "q1"]}


class TestRejections:
    def test_the_parents_runs_are_known_the_second_time(self):
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": f"{one.key} know 0"})
        evolved(lm, rows(3), valset=rows(2, start=10), max_metric_calls=18)
        # Counted 2 + 6 + 6 + 6. 2 runs, 3 of the parent, once, and 3 a child: 11 after two, and the 5 of a
        # third fit.
        assert runs(lm) == 14

    def test_two_that_come_to_the_same_are_one_candidate(self):
        # Side by side, both iterations have the student as parent, and are told "know 5".
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": "know 5"})
        result = evolved(lm, rows(6), max_metric_calls=60, trials_in_flight=2)
        assert tree(result) == [((), 1 / 6), ((0,), 1.0)]
        assert len(reflections(lm)) == 2

    def test_a_child_that_is_no_better_is_not_evaluated_further(self):
        # "know 0" is as good as the student's. 6 + 6 + 6 counted; 6 runs, then 3 a child.
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": f"{one.key} know 0"})
        result = evolved(lm, rows(6), max_metric_calls=18, reflection_minibatch_size=3)
        assert result.candidates[0].score == 1 / 6
        assert [c.score for c in result.candidates[1:]] == [None] * (len(result.candidates) - 1)
        assert [c.spent.runs for c in result.candidates] == [6, 3, 3]
        assert result.winner == 0
        assert texts(result)[0] == START

    @pytest.mark.parametrize(
        "proposal", ["", "   ", "```\n```", START, f"  {START}\n", f"```text\n{START}\n```"]
    )
    def test_no_instruction_or_the_same_one_costs_nothing(self, proposal):
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": proposal})
        result = evolved(lm, rows(3), max_metric_calls=20)
        assert tree(result) == [((), 1 / 3)]
        assert runs(lm) == 3
        assert reflections(lm) != []

    def test_a_child_that_was_rejected_is_not_tried_again_on_the_same_minibatch(self):
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": "know 0"})
        result = evolved(lm, rows(3), max_metric_calls=21)
        assert tree(result) == [((), 1 / 3), ((0,), None)]
        assert lm.taken == 6 + 3  # the program, the child once; counted 3, 9, 15, 21

    def test_a_child_that_was_rejected_may_be_better_on_another_minibatch(self):
        # One example a minibatch: "know 1" is better on q1 alone, which by this seed comes after two others.
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": "know 1"})
        result = evolved(lm, rows(6), max_metric_calls=30, reflection_minibatch_size=1, seed=3)
        assert tree(result) == [((), 1 / 6), ((0,), None), ((0,), None), ((0,), 2 / 6)]

    def test_a_child_that_is_a_candidate_already_costs_nothing(self):
        # Always "know 1": kept once (3 runs), then it is the parent, and the proposal is the parent itself.
        lm = WorldLM(ladder, propose=lambda one: {"new_instruction": "know 1"})
        result = evolved(lm, rows(3), max_metric_calls=40)
        assert tree(result) == [((), 1 / 3), ((0,), 2 / 3)]
        assert runs(lm) == 6

    def test_an_answer_that_cannot_be_read_is_no_proposal(self):
        lm = WorldLM(ladder, propose=lambda one: "garbage {")
        result = evolved(lm, rows(3), max_metric_calls=15)
        assert tree(result) == [((), 1 / 3)]
        # Counted 3 + 6 + 6: two reflections.
        assert len(reflections(lm)) == 2
        (note,) = result.notes
        assert note.startswith(
            "2 reflections gave no instruction; the first: ParseError: the answer is not JSON"
        )

    def test_the_same_question_is_asked_anew_as_a_sample(self):
        lm = WorldLM(
            lambda one: {"answer": "no idea"}, propose=lambda one: {"new_instruction": f"try {one.rollout}"}
        )
        result = evolved(lm, rows(1), max_metric_calls=7)
        # 1, then 2 each time: 3, 5, 7.
        assert [(one.rollout, one.temperature) for one in reflections(lm)] == [(0, None), (1, 1.0), (2, 1.0)]
        assert texts(result) == [START, "try 0", "try 1", "try 2"]

    def test_runs_that_end_in_an_error_score_0_and_are_told(self):
        def broken(one: Asked) -> Any:
            return "garbage {" if one.inputs["question"] == "q0" else ladder(one)

        lm = WorldLM(broken, propose=next_rung)
        result = evolved(lm, rows(3), max_metric_calls=13)
        assert [c.score for c in result.candidates] == [0.0, 1 / 3, 2 / 3]
        assert result.notes == ("1 of 3 validation runs ended in an error",)
        assert all("q0" not in one.inputs["cases"] for one in reflections(lm))

    def test_a_metric_that_always_fails_is_told(self):
        result = evolved(WorldLM(lambda one: {"answer": "?"}, propose=next_rung), rows(2), max_metric_calls=4)
        assert "no candidate scored above 0 on the 2 validation examples" in result.notes

    def test_answers_that_could_not_be_read_are_reflected_on_where_wanted(self):
        lm = WorldLM(lambda one: "garbage {", propose=next_rung)
        evolved(lm, rows(1), max_metric_calls=3, add_format_failure_as_feedback=True)
        (one,) = reflections(lm)
        assert "an answer that could not be read:\ngarbage {" in one.inputs["cases"]
        assert "the answer is not JSON" in one.inputs["cases"]

    def test_without_anything_to_show_nothing_is_asked(self):
        lm = WorldLM(lambda one: "garbage {", propose=next_rung)
        evolved(lm, rows(1), max_metric_calls=5)
        assert reflections(lm) == []

    def test_what_the_program_raised_is_shown(self):
        class Strict(QA):
            def forward(self, question: str) -> Any:
                result = self.answer(question=question)
                if result.answer == "no idea":
                    raise ValueError("an answer starts with a")
                return result

        lm = WorldLM(ladder, propose=next_rung)
        evolved(lm, rows(2), max_metric_calls=4, student=Strict())
        (one,) = reflections(lm)
        assert "the program raised ValueError: an answer starts with a" in one.inputs["cases"]


class TestProposers:
    def test_one_of_ones_own(self):
        seen = []

        def proposer(candidate, reflective_dataset, components_to_update):
            seen.append((candidate, reflective_dataset, components_to_update))
            return {"answer": "know 2", "other": "ignored"}

        lm = WorldLM(ladder)
        result = evolved(lm, rows(3), max_metric_calls=12, instruction_proposer=proposer)
        assert texts(result) == [START, "know 2"]
        assert lm.taken == 6
        ((candidate, dataset, components),) = seen
        assert (candidate, components) == ({"answer": START}, ["answer"])
        record = next(r for r in dataset["answer"] if r["Inputs"] == {"question": "q1"})
        assert record["Generated Outputs"] == {"answer": "no idea"}
        assert record["Feedback"] == "Score: 0"

    def test_one_that_asks(self):
        class Proposer(Module):
            def __init__(self) -> None:
                self.write = Predict("now -> text")

            def forward(self, candidate: Any, reflective_dataset: Any, components_to_update: Any) -> Any:
                (name,) = components_to_update
                return {name: self.write(now=candidate[name]).text}

        lm = WorldLM(ladder, propose=lambda one: {"text": "know 1"})
        result = evolved(lm, rows(3), max_metric_calls=12, instruction_proposer=Proposer())
        assert texts(result) == [START, "know 1"]

    def test_one_that_fails_is_told_of(self):
        def proposer(candidate, reflective_dataset, components_to_update):
            raise RuntimeError("no inspiration")

        result = evolved(WorldLM(ladder), rows(3), max_metric_calls=9, instruction_proposer=proposer)
        assert result.notes == (
            "1 reflection gave no instruction; the first: RuntimeError: "
            "the program raised RuntimeError: no inspiration",
        )

    def test_another_lm_reflects(self):
        thinker = WorldLM(ladder, propose=next_rung, model="thinker")
        lm = WorldLM(ladder)
        result = evolved(lm, rows(3), max_metric_calls=12, reflection_lm=thinker)
        assert texts(result) == [START, "know 1"]
        assert (len(reflections(thinker)), runs(thinker)) == (1, 0)
        assert (len(reflections(lm)), runs(lm)) == (0, 6)


class TestStatistics:
    def test_as_dspys_detailed_results(self):
        lm = WorldLM(ladder, propose=next_rung)
        result = evolved(lm, rows(3), max_metric_calls=13, track_stats=True, track_best_outputs=True)
        stats = result.program.detailed_results
        assert stats.parents == [[], [0], [1]]
        assert stats.val_aggregate_scores == [1 / 3, 2 / 3, 1.0]
        assert stats.val_subscores[1] == {0: 1.0, 1: 1.0, 2: 0.0}
        assert stats.per_val_instance_best_candidates == {0: {0, 1, 2}, 1: {1, 2}, 2: {2}}
        assert stats.highest_score_achieved_per_val_task == {0: 1.0, 1: 1.0, 2: 1.0}
        assert stats.discovery_eval_counts == [3, 6, 9]
        assert (stats.total_metric_calls, stats.num_full_val_evals, stats.best_idx) == (9, 3, 2)
        assert stats.best_candidate is result.program
        assert [(who, p.answer) for who, p in stats.best_outputs_valset[2]] == [(2, "a2")]

    def test_unless_wanted_there_are_none(self):
        lm = WorldLM(ladder, propose=next_rung)
        assert not hasattr(evolved(lm, rows(3), max_metric_calls=12).program, "detailed_results")
