"""From a program's run to saved data and back: types, errors, traces, secrets."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import pytest_lmprog as lmp
from pytest_lmprog.errors import UsageError
from pytest_lmprog.evaluation.runner import error_info, run_example
from pytest_lmprog.harness.saved.cases import SavedCase
from pytest_lmprog.harness.saved.restored import Shown, restored_run
from pytest_lmprog.harness.saved.saver import REPR, Saver, stored
from pytest_lmprog.programs import Example, Module, Run


class Team(enum.Enum):
    billing = "billing"
    bug = "bug"


class Ticket(BaseModel):
    number: int
    team: Team


@dataclass
class Place:
    street: str
    floor: float


class Sort(lmp.Signature):
    """Sort a ticket."""

    ticket: str = lmp.InputField()
    team: Team = lmp.OutputField()
    model: Ticket = lmp.OutputField()
    place: Place = lmp.OutputField()
    size: Literal["big", "small"] = lmp.OutputField()
    numbers: dict[int, str] = lmp.OutputField()
    share: float = lmp.OutputField()


ANSWER = {
    "team": "bug",
    "model": {"number": 3, "team": "billing"},
    "place": {"street": "Long", "floor": 2.0},
    "size": "big",
    "numbers": {"1": "one"},
    "share": 1.0,
}


class Direct(Module):
    def __init__(self) -> None:
        self.sort = lmp.Predict(Sort)

    def forward(self, ticket: str) -> Any:
        return self.sort(ticket=ticket)


class Built(Direct):
    def forward(self, ticket: str) -> Any:
        found = self.sort(ticket=ticket)
        return lmp.Prediction(
            group=found.team, hops=[found], deep={"x/y": [1, found.model]}, own=2.0, odd={1, 2}, bad=object()
        )


class Sampled(Module):
    def __init__(self) -> None:
        self.sort = lmp.Predict("ticket -> team", n=2)

    def forward(self, ticket: str) -> Any:
        return self.sort(ticket=ticket)


ROW = Example(id="e1", ticket="It is broken").with_inputs("ticket")


def run_of(program: Module, answer: Any = ANSWER) -> Run:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with lmp.context(lm=lmp.ScriptedLM(lambda request: text)):
        return run_example(program, ROW)


def there_and_back(program: Module, run: Run, **options: Any) -> Run:
    saved = Saver(lambda text: text, **options).case(ROW, 0, run)
    read = SavedCase.from_plain(json.loads(json.dumps(saved.to_plain(), allow_nan=False)))
    assert read == saved
    return restored_run(read, program)


def test_a_predictors_outputs_have_their_types_again() -> None:
    program = Direct()
    run = run_of(program)
    back = there_and_back(program, run)
    assert back.prediction == run.prediction
    assert back.prediction is not None
    assert back.prediction.team is Team.bug
    assert back.prediction.model == Ticket(number=3, team=Team.billing)
    assert back.prediction.place == Place("Long", 2.0)
    assert back.prediction.numbers == {1: "one"}
    assert type(back.prediction.share) is float
    assert back.prediction.ticket == "It is broken"  # an input, fallen back on


def test_what_a_program_builds_of_outputs_keeps_their_types_and_the_rest_is_json() -> None:
    program = Built()
    prediction = there_and_back(program, run_of(program)).prediction
    assert prediction is not None
    assert prediction.group is Team.bug
    assert prediction.hops[0].place == Place("Long", 2.0)
    assert prediction.deep["x/y"] == [1, Ticket(number=3, team=Team.billing)]
    assert type(prediction.own) is float
    assert prediction.odd == [1, 2]
    assert isinstance(prediction.bad, Shown)
    assert repr(prediction.bad).startswith("<object object at 0x...")


def test_the_trace_is_that_of_the_run() -> None:
    program = Direct()
    run = run_of(program)
    (call,), (before,) = there_and_back(program, run).trace, run.trace
    assert call.messages == tuple(map(dict, before.messages))
    assert call.inputs == before.inputs
    assert call.outputs == before.outputs
    assert (call.name, call.answer, call.adapter) == (before.name, before.answer, before.adapter)
    assert (call.usage, call.latency, call.cost) == (before.usage, before.latency, before.cost)
    assert call.response.source == before.response.source
    assert call.predictor is program.sort


def test_all_samples_come_back() -> None:
    program = Sampled()
    run = run_of(program, {"team": "bug"})
    back = there_and_back(program, run)
    assert back.prediction is not None
    assert back.prediction.completions.team == ["bug", "bug"]
    assert len(back.trace) == 2


def test_an_unparsable_answer_is_the_same_error() -> None:
    program = Direct()
    run = run_of(program, "no idea")
    back = there_and_back(program, run)
    assert back.prediction is None
    assert error_info(back.error) == error_info(run.error)
    assert back.trace[0].outputs is None
    assert back.trace[0].error == run.trace[0].error


def test_what_a_program_raised_is_the_same_error() -> None:
    class Broken(Direct):
        def forward(self, ticket: str) -> Any:
            super().forward(ticket)
            raise ZeroDivisionError("no")

    program = Broken()
    back = there_and_back(program, run_of(program))
    info = error_info(back.error)
    assert info.kind == "ZeroDivisionError"
    assert "the program raised ZeroDivisionError: no" in info.message
    assert len(back.trace) == 1


def test_a_signature_that_no_longer_fits_is_an_error_that_names_the_field() -> None:
    class Less(Module):
        def __init__(self) -> None:
            self.sort = lmp.Predict(Sort.with_updated_fields("size", Literal["huge"]))

    saved = Saver(lambda text: text).case(ROW, 0, run_of(Direct()))
    with pytest.raises(UsageError, match=r"sort\.size no longer fits"):
        restored_run(saved, Less())


def test_secrets_are_out_of_everything() -> None:
    def clean(text: str) -> str:
        return text.replace("broken", "[secret]").replace("Long", "[secret]")

    saver = Saver(clean)
    run = run_of(Direct())
    text = json.dumps([saver.case(ROW, 0, run).to_plain(), saver.example(ROW).to_plain()])
    assert "broken" not in text
    assert "Long" not in text
    assert text.count("[secret]") >= 5


def test_without_messages_there_are_digests_of_messages_and_inputs() -> None:
    saver = Saver(lambda text: text, keep_messages=False)
    text = json.dumps([saver.case(ROW, 0, run_of(Direct())).to_plain(), saver.example(ROW).to_plain()])
    assert "It is broken" not in text
    assert "Sort a ticket" not in text
    assert "sha256:" in text


def test_an_example_is_saved_with_what_describes_it() -> None:
    row = Example(id="x", ticket="t", team="bug", split="dev", tags=["a"], weight=2).with_inputs("ticket")
    saved = Saver(lambda text: text).example(row)
    assert (saved.id, saved.split, saved.tags, saved.weight) == ("x", "dev", ("a",), 2.0)
    assert saved.inputs == ("ticket",)
    assert saved.fields == {"ticket": "t", "team": "bug"}
    assert row.digest().startswith(saved.digest)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner),
    max_leaves=8,
)


@given(values)
def test_every_value_has_a_stored_form(value: Any) -> None:
    text = json.dumps(stored(value), allow_nan=False)
    assert json.loads(text) == stored(value)
    text.encode("utf-8")


def test_a_value_without_a_form_is_shown_the_same_in_every_process() -> None:
    letters = {chr(i) for i in range(97, 115)} | {object}
    shown = ", ".join(sorted(map(repr, letters)))
    assert stored(letters) == {REPR: f"{{{shown}}}"}
