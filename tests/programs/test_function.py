"""Functions as programs: their predictors are found, compiled, saved and loaded like a class's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import UsageError
from pytest_lmprog.programs.run import forward_inputs, run_program

classify = lmp.Predict("ticket -> team")
steps = [lmp.Predict("team -> note"), lmp.Predict("note -> reply")]


def noted(team: str) -> str:
    return steps[1](note=steps[0](team=team).note).reply


@lmp.program
def triage(ticket: str) -> dict[str, Any]:
    """Say who answers."""
    team = classify(ticket=ticket).team
    return {"team": team, "reply": noted(team)}


@lmp.program
def inner(ticket: str, *, loud: bool = False) -> Any:
    judge = lmp.ChainOfThought("ticket -> team")
    said = lmp.Predict("team -> reply")(team=judge(ticket=ticket).team)
    return lmp.Prediction(reply=said.reply.upper() if loud else said.reply)


@lmp.program(max_calls=4)
async def later(ticket: str, ask: lmp.Predict = lmp.Predict("ticket -> team")) -> Any:
    return await ask.acall(ticket=ticket)


@pytest.fixture(autouse=True)
def model() -> Any:
    def answer(request: Any) -> str:
        shots = len(request.messages) // 2 - 1
        return "\n\n".join(
            f"[[ ## {name} ## ]]\n{name}{shots}" for name in ("reasoning", "team", "note", "reply")
        )

    with lmp.context(lm=lmp.ScriptedLM(answer, capabilities=None), adapter=lmp.ChatAdapter()):
        yield


def test_predictors_are_named_as_the_function_names_them() -> None:
    assert [name for name, _ in triage.named_predictors()] == ["classify", "steps[0]", "steps[1]"]
    assert [name for name, _ in inner.named_predictors()] == ["judge", "predict"]
    assert [name for name, _ in later.named_predictors()] == ["ask"]
    assert triage.max_calls() == 3
    assert later.max_calls() == 4
    assert type(triage).__qualname__ == "triage"
    assert forward_inputs(triage) == ("ticket",)
    assert forward_inputs(later) == ("ticket",)


def test_it_runs_as_the_function_does_and_is_traced() -> None:
    assert triage("x") == {"team": "team0", "reply": "reply0"}
    assert inner(ticket="x", loud=True).reply == "REPLY0"
    assert later(ticket="x").team == "team0"
    assert asyncio.run(later.acall(ticket="x")).team == "team0"
    run = run_program(inner, {"ticket": "x"})
    assert [call.name for call in run.trace] == ["judge", "predict"]


@pytest.mark.parametrize("program", [triage, inner, later])
def test_a_copy_answers_by_its_own_predictors_and_the_function_stays(
    program: lmp.Module, tmp_path: Path
) -> None:
    def demos(name: str, predictor: lmp.Predict) -> lmp.Predict:
        fields = predictor.signature.fields
        return predictor.with_demos([dict.fromkeys(fields, "d")])

    changed = program.with_predictors(demos)
    run = run_program(changed, {"ticket": "x"})
    assert {call.outputs[f] for call in run.trace for f in call.outputs} <= {  # type: ignore[union-attr]
        f"{f}1" for f in ("reasoning", "team", "note", "reply")
    }
    assert "<unnamed>" not in {call.name for call in run.trace}
    assert all(not p.demos for p in program.predictors())
    changed.save(tmp_path / "state.json")
    loaded = program.copy()
    loaded.load(tmp_path / "state.json")
    assert loaded.dump_state() == changed.dump_state()
    again = run_program(loaded, {"ticket": "x"})
    assert again.prediction == run.prediction


def test_predictors_of_local_variables_are_refused() -> None:
    @lmp.program
    def bad(ticket: str) -> Any:
        return lmp.Predict(f"ticket -> {ticket}")(ticket=ticket)

    with pytest.raises(UsageError, match="from the local variable 'ticket'"):
        bad.named_predictors()


def test_closures_count() -> None:
    ask = lmp.Predict("ticket -> team")

    @lmp.program
    def near(ticket: str) -> Any:
        also = lmp.Predict("team -> reply")
        return also(team=ask(ticket=ticket).team)

    assert [name for name, _ in near.named_predictors()] == ["ask", "also"]
    assert near("x").reply == "reply0"


def test_it_is_compiled() -> None:
    trainset = [lmp.Example(ticket=f"t{n}", reply="reply0").with_inputs("ticket") for n in range(2)]
    compiled = lmp.BootstrapFewShot(
        metric=lambda example, prediction, trace=None: True, max_bootstrapped_demos=1, max_labeled_demos=0
    ).compile(inner, trainset=trainset)
    assert [len(p.demos) for p in compiled.predictors()] == [1, 1]
    assert compiled(ticket="x").reply == "reply1"
    assert inner(ticket="x").reply == "reply0"


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match="takes a function"):
        lmp.program(lmp.Predict)  # type: ignore[arg-type]
