"""Ensemble: which candidates are combined, how they score together, and what comes back from a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lmprog.adapters import PROMPT_FORMAT, JSONAdapter
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.programs import context
from pytest_lmprog.programs.ensemble import EnsembledProgram
from pytest_lmprog.snapshots.artifact import EnsembleInfo, Header, Snapshot
from pytest_lmprog.snapshots.capture import capture, ensemble_of
from pytest_lmprog.snapshots.restore import load, restore
from pytest_lmprog.snapshots.store import write_accepted
from pytest_lmprog.snapshots.text import from_text, to_text
from pytest_lmprog.teleprompt import (
    BetterTogether,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    CallBound,
    CompileResult,
    CompileRuntime,
    Ensemble,
    LabeledFewShot,
)
from tests.teleprompt.world import QA, Asked, Looping, WorldLM, exact, knowing, rows, shown, task, truth


def search(**more: Any) -> BootstrapFewShotWithRandomSearch:
    settings: dict[str, Any] = {"max_bootstrapped_demos": 0, "max_labeled_demos": 1, **more}
    return BootstrapFewShotWithRandomSearch(exact, num_candidate_programs=3, **settings)


@pytest.mark.parametrize("student", [QA, None, "program"])
def test_a_student_that_is_none_is_told(student):
    with pytest.raises(UsageError, match="takes a list of programs, or a program and a trainset"):
        Ensemble(of=search()).compile(student, trainset=rows(2))


def test_a_reduce_function_that_raises_is_told():
    def broken(outputs: list[Any]) -> Any:
        raise ValueError("no majority")

    result = run(Ensemble(of=search(), reduce_fn=broken), WorldLM(knowing(*range(9))))
    assert result.score == 0.0
    assert any(
        note.startswith("4 of 4 validation runs ended in an error; the first: ") and "no majority" in note
        for note in result.notes
    )


def last(outputs: list[Any]) -> Any:
    return outputs[-1]


def run(strategy: Any, lm: Any, **more: Any) -> CompileResult:
    with context(lm=lm):
        return strategy.compile_result(task(rows(4), **more), CompileRuntime())


def by_demo(**known: set[int]) -> Any:
    """An LM that knows these questions, by the one demo that it is shown (``none``: without)."""

    def answer(asked: Asked) -> dict[str, str]:
        demo = asked.shown[0] if asked.demos else "none"
        question = asked.inputs["question"]
        return {"answer": truth(question) if int(question[1:]) in known.get(demo, set()) else f"not {demo}"}

    return answer


def candidates_of(demos_known: dict[str, set[int]], size: int | None = None, **more: Any) -> CompileResult:
    valset = rows(4, start=10)
    return run(Ensemble(of=search(), size=size, **more), WorldLM(by_demo(**demos_known)), valset=valset)


def test_the_best_candidates_vote_by_hand():
    # Random search without bootstrapping: candidates show no demo, or one of q0 to q3 (drawn by the seed).
    # q10 to q13 validate. Each demo knows two of three questions at least, so that two of three members agree
    # wherever two know: together they know all four, alone at most three.
    first = candidates_of({})
    demos = [tuple(d["question"] for d in shown(c.program).get("answer", ())) for c in first.candidates[:-1]]
    different = list(dict.fromkeys(demos))
    assert len(different) >= 3
    a, b, c = (demo[0] if demo else "none" for demo in different[:3])
    known = {a: {10, 11, 12}, b: {10, 11, 13}, c: {12, 13}}
    result = candidates_of(known)
    ensemble = result.candidates[-1]
    assert (ensemble.label, ensemble.score, result.score) == ("ensemble of 3", 1.0, 1.0)
    assert result.winner == len(result.candidates) - 1
    assert result.program is ensemble.program
    assert result.validated_on == 4
    members = [result.candidates[index] for index in ensemble.parents]
    assert [m.score for m in members] == [0.75, 0.75, 0.5]
    assert [shown(p)["answer"] for p in result.program.programs] == [
        shown(m.program)["answer"] for m in members
    ]


def test_every_candidate_is_evaluated_fully_and_the_ensemble_asks_nothing_new():
    lm = WorldLM(by_demo(none={10}))
    valset = rows(4, start=10)
    result = run(Ensemble(of=search(), size=2), lm, valset=valset)
    assert all(c.score is not None for c in result.candidates)
    assert len(lm.live) == len({a.key for a in lm.live})
    different = {str(shown(c.program)) for c in result.candidates[:-1]}
    assert len(lm.live) == 4 * len(different)


def test_equal_prompts_count_once():
    # All labeled candidates of a trainset of one example show the same demo: two prompts in all.
    lm = WorldLM(knowing(10))
    with context(lm=lm):
        result = Ensemble(of=search(), size=5).compile_result(
            task(rows(1), valset=rows(2, start=10)), CompileRuntime()
        )
    assert len(result.program.programs) == 2
    assert result.notes[0] == "2 of 5 members: no more candidates with prompts of their own"


def test_a_note_says_where_one_alone_is_better():
    # Without a demo the LM knows all, with any demo nothing: two of three vote for the wrong answer.
    result = candidates_of({"none": {10, 11, 12, 13}}, reduce_fn=last)
    assert result.score == 0.0
    assert result.notes[0] == "the ensemble scored 0, its best member alone 1"


def test_a_strategy_that_ranks_nothing_gives_one_member():
    lm = WorldLM(knowing(0, 1))
    result = run(Ensemble(of=BootstrapFewShot(exact, max_bootstrapped_demos=1), size=2), lm)
    assert (len(result.program.programs), result.score, len(result.candidates)) == (1, None, 2)


def test_the_bound_counts_the_members():
    # The search: 6 candidates x 4 examples, no bootstrap runs. The ensemble: 4 runs of 3 x 4 calls.
    strategy = Ensemble(of=search(), size=3)
    one = task(rows(4), student=Looping())
    assert strategy.run_calls(one) == 12
    assert strategy.bound(one) == search().bound(one) + CallBound(4, 48)
    assert Ensemble(of=search()).run_calls(task(rows(1))) == 3


@pytest.mark.parametrize("calls", [0, 3, 8])
def test_a_budget_leaves_an_ensemble_of_what_there_is(calls):
    lm = WorldLM(by_demo(none={10}), budget=calls)
    result = run(Ensemble(of=search()), lm, valset=rows(4, start=10))
    assert result.stopped == "budget"
    assert isinstance(result.program, EnsembledProgram)
    assert len(lm.live) <= calls


def test_an_ensemble_can_be_a_step():
    made = BetterTogether(
        exact, e=Ensemble(of=search(), size=2), a=LabeledFewShot(1), strategy="e -> a", valset_ratio=0
    )
    result = run(made, WorldLM(by_demo()))
    assert [name for name, _ in result.program.named_predictors()] == [
        "programs[0].answer",
        "programs[1].answer",
    ]
    assert made.run_calls(task(rows(4))) == 2
    again = BetterTogether(exact, e=Ensemble(of=search(), size=2), strategy="e -> e")
    with pytest.raises(UsageError, match="an ensemble already"):
        run(again, WorldLM(by_demo()))


@pytest.mark.filterwarnings("ignore:Ensemble")
def test_programs_are_combined_as_in_dspy():
    a, b = QA(), QA()
    program = Ensemble(reduce_fn=last, size=1).compile([a, b])
    assert isinstance(program, EnsembledProgram)
    assert (program.size, program.reduce_fn, program.programs[0] is a) == (1, last, False)
    with context(lm=WorldLM(by_demo())):
        made = Ensemble(of=search()).compile(QA(), trainset=rows(3))
    assert isinstance(made, EnsembledProgram)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ensemble(size=0), "size must be an integer of 1 or more"),
        (lambda: Ensemble(reduce_fn="majority"), "reduce_fn must be a function"),
        (lambda: Ensemble(of=BootstrapFewShot), "of must be a teleprompter"),
        (lambda: Ensemble().compile([]), "at least one program"),
        (lambda: Ensemble().compile([QA]), "made of programs"),
        (lambda: Ensemble(size=3).compile([QA()]), "size must be between 1 and 1"),
        (lambda: Ensemble().compile(QA()), "a list of programs, or a program and a trainset"),
        (lambda: Ensemble().compile(QA(), trainset=rows(1)), "no strategy to take programs from"),
        (lambda: Ensemble().bound(task(rows(1))), "no strategy to take programs from"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_settings_name_the_strategy():
    assert Ensemble(of=LabeledFewShot(2), reduce_fn=last).settings() == {
        "class": "Ensemble",
        "reduce_fn": "last",
        "size": None,
        "of": {"class": "LabeledFewShot", "k": 2, "sample": True},
    }
    assert Ensemble(of=LabeledFewShot(2), size=2).describe() == "Ensemble(size=2, of=LabeledFewShot(k=2))"
    assert Ensemble(of=search()).functions() == ()
    assert BetterTogether(exact, e=Ensemble(of=search(), reduce_fn=last), strategy="e").functions() == (last,)


def snapshot_of(program: Any, written: Any) -> Snapshot:
    header = Header("QA", None, "json", PROMPT_FORMAT, ensemble=ensemble_of(program, written))
    return Snapshot(header, capture(program, JSONAdapter()))


def taught(*demos: int, reduce_fn: Any = None) -> EnsembledProgram:
    from pytest_lmprog.teleprompt.material.demos import with_demos

    return EnsembledProgram([with_demos(QA(), {"answer": [dict(rows(9)[n])]}) for n in demos], reduce_fn)


def test_a_snapshot_restores_into_the_program_as_written(tmp_path):
    program = taught(1, 2)
    snapshot = snapshot_of(program, QA())
    assert snapshot.header.ensemble == EnsembleInfo(2, "majority")
    assert from_text(to_text(snapshot)).header == snapshot.header
    write_accepted(tmp_path / "x.yaml", snapshot)
    written = QA()
    made = load(tmp_path / "x.yaml", written)
    assert isinstance(made, EnsembledProgram)
    assert shown(made) == shown(program)
    assert shown(written) == {"answer": []}
    assert all(type(member) is QA and member is not written for member in made.programs)


def test_a_function_is_given_and_never_imported():
    snapshot = snapshot_of(taught(1, 2, reduce_fn=last), QA())
    with pytest.raises(SnapshotError, match=r"names the function 'tests.teleprompt.test_ensemble.last'") as e:
        restore(snapshot, QA())
    assert "functions=[last]" in str(e.value.hint)
    made: Any = restore(snapshot, QA(), functions=[len, last])
    assert made.reduce_fn is last


def test_an_ensemble_as_written_restores_into_itself():
    program = taught(1, 2, reduce_fn=last)
    snapshot = snapshot_of(program, EnsembledProgram([QA(), QA()]))
    assert snapshot.header.ensemble is None
    made = restore(snapshot, EnsembledProgram([QA(), QA()], last))
    assert shown(made) == shown(program)
    with pytest.raises(SnapshotError, match=r"programs\[1\].answer"):
        restore(snapshot, EnsembledProgram([QA()]))
