"""State: dumped as plain data, restored typed, refused where it does not fit, all or nothing."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict
from pytest_lmprog.programs.state import dump_state, load_state, read_state, restored, save_state
from pytest_lmprog.signatures import InputField, OutputField, Signature


class Team(enum.Enum):
    BILLING = "billing"
    BUG = "bug"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Triage(Signature):
    """Decide."""

    ticket: str = InputField(desc="as received")
    team: Team = OutputField(prefix="Team:")
    where: Point | None = OutputField()


class Program(Module):
    def __init__(self) -> None:
        self.classify = Predict(Triage)
        self.hops = [ChainOfThought("question -> answer")]


def compiled() -> Program:
    program = Program()
    program.classify.signature = Triage.with_instructions("Decide well.\n\n  Indented: yes")
    program.classify.demos = [
        Example(ticket="I paid twice", team=Team.BILLING, where=Point(1, 2), other=3),
        {"ticket": "It broke", "team": "BUG"},
    ]
    return program


STATE: dict[str, Any] = {
    "format": 1,
    "predictors": {
        "classify": {
            "instructions": "Decide well.\n\n  Indented: yes",
            "fields": [
                {"name": "ticket", "role": "input", "type": "str", "desc": "as received"},
                {
                    "name": "team",
                    "role": "output",
                    "type": "Team (one of 'billing', 'bug')",
                    "prefix": "Team:",
                },
                {"name": "where", "role": "output", "type": "Point {x: int, y?: int} | None"},
            ],
            "demos": [
                {"ticket": "I paid twice", "team": "billing", "where": {"x": 1, "y": 2}},
                {"ticket": "It broke", "team": "bug"},
            ],
        },
        "hops[0]": {
            "instructions": "Given the fields `question`, produce the fields `reasoning`, `answer`.",
            "fields": [
                {"name": "question", "role": "input", "type": "str"},
                {"name": "reasoning", "role": "output", "type": "str", "desc": "think step by step"},
                {"name": "answer", "role": "output", "type": "str"},
            ],
            "demos": [],
        },
    },
}


def test_the_state_is_plain_data() -> None:
    assert dump_state(compiled()) == STATE
    assert json.loads(json.dumps(STATE)) == STATE
    assert compiled().dump_state() == STATE


def test_it_is_restored_typed() -> None:
    program = Program()
    new = restored(program, STATE)
    assert dump_state(program)["predictors"]["classify"]["demos"] == []
    assert new.classify.demos == (
        Example(ticket="I paid twice", team=Team.BILLING, where=Point(1, 2)),
        Example(ticket="It broke", team=Team.BUG),
    )
    assert new.classify.signature.instructions == "Decide well.\n\n  Indented: yes"
    assert new.hops[0].signature is program.hops[0].signature
    assert dump_state(new) == STATE
    program.load_state(STATE)
    assert dump_state(program) == STATE


def test_texts_and_order_of_the_state_count() -> None:
    state = copy.deepcopy(STATE)
    fields = state["predictors"]["classify"]["fields"]
    fields[0]["desc"] = "edited"
    del fields[1]["prefix"]
    fields.reverse()
    new = restored(Program(), state)
    signature = new.classify.signature
    assert list(signature.fields) == ["where", "team", "ticket"]
    assert (signature.fields["ticket"].desc, signature.fields["team"].prefix) == ("edited", None)
    assert dump_state(new) == state


def edited(change: Any) -> dict[str, Any]:
    state = copy.deepcopy(STATE)
    change(state, state["predictors"]["classify"])
    return state


MISFITS: list[tuple[Any, str]] = [
    (lambda s, c: s.update(format=2), "the format 2 is unknown"),
    (lambda s, c: s.pop("format"), "the format None is unknown"),
    (lambda s, c: s.pop("predictors"), "it has no predictors"),
    (lambda s, c: s["predictors"].pop("classify"), "the program's predictor 'classify' is missing"),
    (
        lambda s, c: s["predictors"].update(other=c),
        r"the saved predictor 'other' is not in the program, which has: classify, hops\[0\]",
    ),
    (lambda s, c: c.pop("instructions"), "predictor 'classify' has no instructions"),
    (lambda s, c: s["predictors"].update(classify=3), "predictor 'classify' has no instructions"),
    (lambda s, c: c["fields"].pop(0), "predictor 'classify': the field 'ticket' is not in the saved state"),
    (
        lambda s, c: c["fields"].append({"name": "new", "role": "output", "type": "str"}),
        "the saved field 'new' is not in the signature",
    ),
    (lambda s, c: c["fields"][1].update(type="str"), "the field 'team' was str and is Team"),
    (lambda s, c: c["fields"][0].update(role="output"), "the field 'ticket' was an output and is an input"),
    (lambda s, c: c["fields"][0].update(desc=3), "must be texts"),
    (lambda s, c: c.update(fields=3), "fields is not a list"),
    (lambda s, c: c.update(demos=["x"]), "demos is not a list of mappings"),
    (lambda s, c: c["demos"][1].update(team="sales"), "predictor 'classify', demo 2, field 'team': 'sales'"),
    (lambda s, c: c["demos"][0].update(where={"y": 1}), "demo 1, field 'where'"),
    (lambda s, c: c["demos"][0].update(more=1), "demo 1: the signature has no field 'more'"),
]


@pytest.mark.parametrize(("change", "words"), MISFITS)
def test_what_does_not_fit_is_named_and_nothing_changes(change: Any, words: str) -> None:
    program = compiled()
    before = dump_state(program)
    for take in (load_state, restored):
        with pytest.raises(SnapshotError, match=words) as caught:
            take(program, edited(change), source="triage.yaml")
        assert str(caught.value).startswith("triage.yaml: ")
    assert dump_state(program) == before


@pytest.mark.parametrize("state", [None, 3, [], "x", {}])
def test_what_is_no_state(state: Any) -> None:
    with pytest.raises(SnapshotError, match="not the state of a program"):
        load_state(Program(), state)


def test_a_demo_without_plain_form_is_named() -> None:
    program = Program()
    program.classify.demos = [{"ticket": "x", "team": "bug"}, {"ticket": object(), "team": "bug"}]
    with pytest.raises(SnapshotError, match="predictor 'classify', demo 2, field 'ticket'"):
        dump_state(program)


class TestFiles:
    @pytest.mark.parametrize("name", ["state.json", "state.yaml", "state.yml", "state"])
    def test_round_trip(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "made" / name
        compiled().save(path)
        assert read_state(path) == STATE
        program = Program()
        program.load(str(path))
        assert dump_state(program) == STATE
        assert b"\r" not in path.read_bytes()
        assert [p.name for p in path.parent.iterdir()] == [name]

    def test_json_is_json(self, tmp_path: Path) -> None:
        save_state(compiled(), tmp_path / "s.json")
        assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8")) == STATE

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("s.json", "{", r"s\.json:1: it is not JSON"),
            ("s.json", '{\n"a": 1,\n"b"\n}', r"s\.json:4: it is not JSON"),
            ("s.json", "[" * 100_000, "nested too deeply"),
            ("s.json", "[]", "not the state of a program"),
            ("s.yaml", "a: [", r"s\.yaml:1: it is not YAML"),
            ("s.yaml", "a: 1\nb: - c", r"s\.yaml:2: it is not YAML"),
            ("s.yaml", "!!python/object/apply:os.system ['true']", "it is not YAML"),
            ("s.yaml", "", "not the state of a program"),
            ("s.yaml", "format: 1\n<<<<<<< ours\n", r"s\.yaml:2: it has git conflict markers"),
            ("s.yaml", "format: 1\npredictors: {}\n", r"s\.yaml: the program's predictor 'classify'"),
        ],
    )
    def test_damage(self, tmp_path: Path, name: str, text: str, words: str) -> None:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SnapshotError, match=words):
            Program().load(path)
        assert path.read_text(encoding="utf-8") == text

    def test_not_there_or_not_text(self, tmp_path: Path) -> None:
        with pytest.raises(SnapshotError, match="no such file"):
            Program().load(tmp_path / "nope.yaml")
        (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(SnapshotError, match="cannot be read"):
            Program().load(tmp_path / "binary.yaml")
        with pytest.raises(SnapshotError, match="cannot be read"):
            Program().load(tmp_path)

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: Any) -> None:
        path = tmp_path / "s.yaml"
        path.write_text("old", encoding="utf-8")

        def fail(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(SnapshotError, match="cannot be written: Permission denied"):
            save_state(compiled(), path)
        assert path.read_text(encoding="utf-8") == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["s.yaml"]


AWKWARD = st.one_of(
    st.characters(exclude_categories=("Cs",)),
    st.sampled_from("\x00\x07\x1b\x7f\x85\x9f\u2028\u2029\ufeff\ufffe\U0010ffff\r\n\t #:-'\"|>~"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example("\x85", "s.yaml")
@example("0\x85", "s.yaml")
@example("a\u2028b\u2029", "s.yaml")
@example("\ufeffa \n b \n", "s.yaml")
@example("\x07", "s.yaml")
@given(st.text(AWKWARD), st.sampled_from(["s.json", "s.yaml"]))
def test_any_text_survives_the_file(tmp_path: Path, text: str, name: str) -> None:
    program = Program()
    program.classify.demos = [{"ticket": text, "team": Team.BUG}]
    program.classify.signature = Triage.with_instructions(text)
    save_state(program, tmp_path / name)
    again = Program()
    again.load(tmp_path / name)
    assert again.classify.demos == program.classify.demos
    assert again.classify.signature.instructions == text
