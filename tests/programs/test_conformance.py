"""What holds for every module. To have yours tried, add a line to ``CASES`` in ``modules.py``."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import socket
from typing import Any

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import CallLimitError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.tally import CallLimit
from pytest_lmprog.programs import Run, run_program
from tests.programs.modules import CASES, Case, scripted

pytestmark = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def run(case: Case, program: lmp.Module | None = None, lm: Any = None, **more: Any) -> Run:
    """One run under its declared maximum of calls; it must end in a prediction."""
    program = program or case.make()
    limited = CallScope(limit=CallLimit(program.max_calls()))
    with lmp.context(lm=lm or scripted(case.answers)), use_scope(limited):
        done = run_program(program, case.inputs, **more)
    assert done.error is None, done.error
    return done


def shown(done: Run) -> list[Any]:
    """What is the same of two runs: each call as it was put and answered."""
    return [
        (c.name, dict(c.inputs), None if c.outputs is None else dict(c.outputs), c.messages, c.rollout)
        for c in done.trace
    ]


def result(done: Run) -> dict[str, Any]:
    assert done.prediction is not None
    return dict(done.prediction)


def labeled(program: lmp.Module, case: Case) -> lmp.Module:
    """The program with a demo at each predictor, all fields filled."""

    def edit(_: str, predictor: lmp.Predict) -> lmp.Predict:
        return predictor.with_demos([demo_for(predictor)])

    return program.with_predictors(edit)


def demo_for(predictor: lmp.Predict) -> lmp.Example:
    values = {}
    for name, field in predictor.signature.fields.items():
        for value in (f"demo {name}", 1, [f"demo {name}"], {}, True, None):
            try:
                values[name] = field.validate(value)
            except ValueError:
                continue
            break
    return lmp.Example(values)


def examples(case: Case) -> list[lmp.Example]:
    return [lmp.Example(**{**case.inputs, **case.labels}).with_inputs(*case.inputs)]


def test_rendering_is_deterministic(case):
    first, second = run(case), run(case)
    assert shown(first) == shown(second)
    assert result(first) == result(second)
    assert len(first.trace) > 0


def test_predictors_have_stable_names(case):
    program = case.make()
    assert tuple(name for name, _ in program.named_predictors()) == case.names
    assert tuple(name for name, _ in program.copy().named_predictors()) == case.names


def test_the_trace_names_every_call(case):
    done = run(case)
    assert {call.name for call in done.trace} <= set(case.names)
    for call in done.trace:
        assert call.messages
        assert call.response.text


def test_every_request_is_in_the_trace(case):
    lm = scripted(case.answers)
    done = run(case, lm=lm)
    asked = {(str(request.messages), request.rollout) for request in lm.requests}
    assert asked == {(str(call.messages), call.rollout) for call in done.trace}
    assert len(done.trace) >= lm.calls


def test_its_maximum_of_calls_is_true(case):
    program = case.make()
    assert program.max_calls() >= len(run(case, program).trace)
    assert isinstance(program.max_calls(), int)
    none = CallScope(limit=CallLimit(0))
    with lmp.context(lm=scripted(case.answers)), use_scope(none), pytest.raises(CallLimitError):
        run_program(program, case.inputs)


def test_sync_and_async_are_the_same(case):
    async def awaited() -> Any:
        return await case.make().acall(**case.inputs)

    lm, other = scripted(case.answers), scripted(case.answers)
    with lmp.context(lm=lm):
        sync = case.make()(**case.inputs)
    with lmp.context(lm=other):
        unsync = asyncio.run(awaited())
    assert sync == unsync
    assert sorted(r.key for r in lm.requests) == sorted(r.key for r in other.requests)


def test_rollouts_share_no_request(case):
    lm = scripted(case.answers)
    first = run(case, lm=lm)
    second = run(case, lm=lm, rollout=1)
    keys = [[(call.rollout, str(call.messages)) for call in done.trace] for done in (first, second)]
    assert not set(keys[0]) & set(keys[1])


def test_a_copy_is_independent_and_copies_nothing_deeply(case, monkeypatch):
    program = case.make()
    before = shown(run(case, program))

    def refuse(*_: Any) -> Any:
        raise AssertionError("a program was copied deeply")

    monkeypatch.setattr(copy, "deepcopy", refuse)
    taught = labeled(program, case)
    monkeypatch.undo()
    assert all(p.demos for p in taught.predictors())
    assert not any(p.demos for p in program.predictors())
    assert shown(run(case, program)) == before
    assert shown(run(case, taught)) != before


def test_it_compiles_without_being_changed(case, recwarn):
    if not case.compiles:
        pytest.skip("it takes no part in compiling")
    program = case.make()
    state = program.dump_state()
    with lmp.context(lm=scripted(case.answers)):
        taught = lmp.BootstrapFewShot(max_labeled_demos=0).compile(program, trainset=examples(case))
    assert type(taught) is type(program)
    assert taught is not program
    assert program.dump_state() == state
    called = {call.name for call in run(case).trace}
    taught_names = {name for name, p in taught.named_predictors() if p.demos}
    assert taught_names == called


def test_state_goes_round(case, tmp_path):
    taught = labeled(case.make(), case)
    taught.freeze(case.names[0])
    for suffix in ("json", "yaml"):
        path = tmp_path / f"state.{suffix}"
        taught.save(path)
        other = case.make()
        other.load(path)
        assert other.dump_state() == taught.dump_state()
        assert other.frozen == (case.names[0],)
        assert shown(run(case, other)) == shown(run(case, taught))


def test_frozen_predictors_are_left_alone(case, recwarn):
    program = labeled(case.make(), case).freeze(case.names[0])
    kept = dict(program.named_predictors())[case.names[0]].demos
    assert program.copy().frozen == (case.names[0],)
    for teleprompter in (lmp.LabeledFewShot(k=1), lmp.BootstrapFewShot(max_bootstrapped_demos=1)):
        with lmp.context(lm=scripted(case.answers)):
            taught = teleprompter.compile(program, trainset=examples(case))
        assert dict(taught.named_predictors())[case.names[0]].demos == kept
        assert taught.frozen == (case.names[0],)
    assert program.unfreeze().frozen == ()
    assert program.freeze().frozen == case.names


def test_it_replays_with_the_network_cut(case, tmp_path, monkeypatch):
    book = Book(tmp_path / "calls.jsonl")
    with use_scope(CallScope(recording=book)):
        live = recorded(case)
    book.flush()

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened in replay")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    def silent(_: Any) -> str:
        raise AssertionError("the LM was called in replay")

    with use_scope(CallScope(mode="none", recording=Book(tmp_path / "calls.jsonl"))):
        replayed = recorded(case, lmp.ScriptedLM(silent))
    assert shown(replayed) == shown(live)
    assert result(replayed) == result(live)


def recorded(case: Case, lm: Any = None) -> Run:
    with lmp.context(lm=lm or scripted(case.answers)):
        done = run_program(case.make(), case.inputs)
    assert done.error is None, done.error
    return done


def test_it_says_what_it_is(case):
    assert type(case.make()).__name__ in repr(case.make())
    assert inspect.getdoc(type(case.make())) or case.name.startswith("Module")


def test_its_state_is_plain(case):
    state = labeled(case.make(), case).dump_state()
    assert json.loads(json.dumps(state)) == state
    assert list(state["predictors"]) == list(case.names)
