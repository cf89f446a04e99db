"""Loading examples from files and from Python; splits, limits, inputs, identity."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import DataError, UsageError
from pytest_lmprog.evaluation.datasets import Dataset, dataset_of, load_dataset
from pytest_lmprog.programs.example import Example, Prediction
from tests.evaluation.programs import Open, Triage, WithDefault

ROWS: list[dict[str, Any]] = [
    {"id": "one", "split": "train", "ticket": "I was charged twice", "team": "billing"},
    {"id": 2, "split": "dev", "weight": 2, "tags": ["hard"], "ticket": "It crashes", "team": "bug"},
    {"ticket": "Add dark mode", "team": "feature"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif path.suffix == ".csv":
        names = ["id", "split", "weight", "tags", "ticket", "team"]
        lines = [",".join(str(row.get(n, "")) for n in names) for row in rows]
        text = "\n".join([",".join(names), *lines]).replace("['hard']", "hard")
    else:
        text = json.dumps(rows, indent=1)  # JSON is YAML
    path.write_text(text, encoding="utf-8")
    return path


def fails(source: Any, base: Path = Path(), **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load_dataset(source, base=base, **options)
    return caught.value


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json", ".jsonl", ".csv"])
def test_all_formats_give_the_same_examples(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"rows{suffix}", ROWS)
    data = load_dataset(f"rows{suffix}", base=tmp_path).for_program(Triage())
    assert [e.toDict() for e in data] == [{"ticket": r["ticket"], "team": r["team"]} for r in ROWS]
    assert [e.split for e in data] == ["train", "dev", None]
    assert [e.weight for e in data] == [1.0, 2.0, 1.0]
    assert [e.tags for e in data] == [(), ("hard",), ()]
    assert [e.id for e in data] == ["one", "2", digest({"ticket": "Add dark mode"})[:12]]
    assert [e.input_names for e in data] == [frozenset({"ticket"})] * 3
    assert data.path == tmp_path / f"rows{suffix}"


def test_ids_do_not_depend_on_position_or_labels(tmp_path: Path) -> None:
    first = load_dataset(write(tmp_path / "a.json", [ROWS[2]]), base=tmp_path).for_program(Triage())
    moved = [{"ticket": "x"}, {**ROWS[2], "team": "bug"}]
    second = load_dataset(write(tmp_path / "b.json", moved), base=tmp_path).for_program(Triage())
    assert first[0].id == second[1].id
    assert first[0].digest() != second[1].digest()


def test_python_rows_callables_and_datasets(tmp_path: Path) -> None:
    examples = [Example(ticket="a", team="b").with_inputs("ticket"), {"ticket": "c", "team": "d"}]
    sources = [examples, tuple(examples), iter(examples), lambda: examples, lambda: (e for e in examples)]
    for source in sources:
        data = load_dataset(source, base=tmp_path).for_program(Triage())
        assert [e.ticket for e in data] == ["a", "c"]
        assert data.path is None
        assert load_dataset(data, base=tmp_path) is data
    write(tmp_path / "a.json", ROWS)
    assert len(load_dataset(lambda: "a.json", base=tmp_path)) == 3
    assert len(load_dataset(tmp_path / "a.json", base=Path("elsewhere"))) == 3


def test_the_loader_is_asked_first(tmp_path: Path) -> None:
    def loader(source: Any) -> Any:
        return [{"ticket": "from the hook"}] if source == "db://rows" else None

    assert load_dataset("db://rows", base=tmp_path, loader=loader)[0].ticket == "from the hook"
    write(tmp_path / "a.json", ROWS)
    assert len(load_dataset("a.json", base=tmp_path, loader=loader)) == 3


async def coroutine() -> list[Any]:
    return []


def raising() -> list[Any]:
    raise KeyError("database")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (12, "a list of Examples or dicts is needed, not int"),
        ({"a": 1}, "a list of Examples or dicts is needed, not dict"),
        (coroutine, "the examples of coroutine(): a coroutine cannot be awaited here"),
        (lambda: coroutine(), "not coroutine"),
        (raising, "the examples of raising(): it raised KeyError: 'database'"),
        (lambda: None, "not NoneType"),
        ([], "the examples: there are none"),
        (list, "the examples of list(): there are none"),
        ([{"a": 1}, ["b"]], "the examples, row 2: a row is a mapping of field names to values, not a list"),
        ([{"a": 1}, "b"], "row 2: a row is a mapping of field names to values, not the text 'b'"),
        ([{"a": 1}, None], "not nothing"),
        ([{1: "a"}], "row 1: field names must be text, not 1"),
        ([{"": "a"}], "row 1: field names must be text, not ''"),
        ([{}], "row 1: the row has no fields"),
        ([{"id": "x"}], "row 1: the row has no fields"),
        ([{"a": 1, "id": 1.5}], "'id' must be text or an integer, not 1.5"),
        ([{"a": 1, "id": True}], "'id' must be text or an integer, not True"),
        ([{"a": 1, "id": " "}], "'id' is empty"),
        ([{"a": 1, "id": ["x"]}], "'id' must be text or an integer"),
        ([{"a": 1, "split": 1}], "'split' must be text such as train, not 1"),
        ([{"a": 1, "split": ""}], "'split' must be text"),
        ([{"a": 1, "weight": "2"}], "'weight' must be a number, not '2'"),
        ([{"a": 1, "weight": True}], "'weight' must be a number"),
        ([{"a": 1, "weight": None}], "'weight' must be a number"),
        ([{"a": 1, "weight": -1}], "'weight' must be finite and 0 or more"),
        ([{"a": 1, "weight": float("nan")}], "'weight' must be finite"),
        ([{"a": 1, "tags": 5}], "'tags' must be text or a list of texts"),
        ([{"a": 1, "tags": ["x", 5]}], "'tags' must be text or a list of texts"),
        ([Example(a=1, weight="x")], "'weight' must be a number"),
        ([{"a": 1, "id": "1"}, {"a": 2}, {"a": 3, "id": 1}], "row 3: the id '1' is taken: row 1 has it too"),
    ],
)
def test_bad_python_data_is_one_clear_message(source: Any, said: str) -> None:
    assert said in fails(source).message


def test_bad_rows_of_a_file_say_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.yaml").write_text("- id: x\n  a: 1\n\n- id: x\n  a: 2\n", encoding="utf-8")
    error = fails("a.yaml", tmp_path / "data")
    assert error.message == "data/a.yaml:4: the id 'x' is taken: line 1 has it too"
    (tmp_path / "b.jsonl").write_text('{"a": 1}\n3\n', encoding="utf-8")
    assert fails("b.jsonl", tmp_path).message.startswith("b.jsonl:2: a row is a mapping")


def test_an_error_of_ours_in_a_callable_comes_through() -> None:
    def source() -> list[Any]:
        raise UsageError("set DATA_DIR")

    with pytest.raises(UsageError, match=r"^set DATA_DIR$"):
        load_dataset(source, base=Path())


# splits and limits


def test_splits_are_counted_in_order_and_selected() -> None:
    data = dataset_of([{"a": i, "split": s} for i, s in enumerate(["dev", "train", None, "dev"])])
    assert data.splits == {"dev": 2, "train": 1, None: 1}
    assert [e.a for e in data.split("dev")] == [0, 3]
    assert data.split("dev").lines == (1, 4)
    assert data.split(None) is data


def test_a_missing_split_lists_those_present(tmp_path: Path) -> None:
    write(tmp_path / "a.json", ROWS)
    with pytest.raises(DataError) as caught:
        load_dataset("a.json", base=tmp_path).split("trian")
    assert caught.value.message.endswith(
        "a.json: no row has the split 'trian'; there are: train (1), dev (1), without a split (1)"
    )
    assert caught.value.hint == "did you mean 'train'?"
    with pytest.raises(DataError, match="no row has a split, so there is none named 'dev'"):
        dataset_of([{"a": 1}]).split("dev")


def test_limits() -> None:
    data = dataset_of([{"a": i} for i in range(5)])
    assert [e.a for e in data.limited(2)] == [0, 1]
    assert data.limited(9) is data
    assert data.limited(None) is data
    for bad in (0, -1, True, 1.5, "3"):
        with pytest.raises(UsageError, match="a limit must be an integer of 1 or more"):
            data.limited(bad)  # type: ignore[arg-type]


# inputs


def test_inputs_named_like_the_parameters_of_forward() -> None:
    data = dataset_of([{"ticket": "a", "team": "b", "style": "s"}, {"ticket": "c", "team": "d"}])
    assert data.for_program(Triage())[0].input_names == {"ticket"}
    ready = data.for_program(WithDefault())
    assert [e.input_names for e in ready] == [{"ticket", "style"}, {"ticket"}]
    assert ready[0].labels().toDict() == {"team": "b"}


def test_argument_beats_file_beats_program(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "inputs: [ticket, style]\nexamples:\n- {ticket: a, style: b, team: c}\n", encoding="utf-8"
    )
    from_file = load_dataset("a.yaml", base=tmp_path)
    assert from_file.for_program(WithDefault())[0].input_names == {"ticket", "style"}
    argument = load_dataset("a.yaml", base=tmp_path, inputs=["ticket"])
    assert argument.for_program(WithDefault())[0].input_names == {"ticket"}
    assert load_dataset("a.yaml", base=tmp_path, inputs="ticket")[0].input_names == {"ticket"}


def test_inputs_of_an_example_are_its_own() -> None:
    rows = [Example(ticket="a", style="b").with_inputs("ticket"), Example(ticket="c", style="d")]
    assert [e.input_names for e in dataset_of(rows).for_program(WithDefault())] == [
        {"ticket"},
        {"ticket", "style"},
    ]


def test_a_program_of_any_keyword_needs_inputs() -> None:
    data = dataset_of([{"ticket": "a", "team": "b"}])
    with pytest.raises(
        DataError, match=r"Open\.forward takes any keyword, and labels must not reach it"
    ) as caught:
        data.for_program(Open())
    assert "inputs=" in str(caught.value.hint)
    assert data.with_inputs(["ticket"]).for_program(Open())[0].input_names == {"ticket"}


def test_a_missing_field_says_file_line_case_and_field(tmp_path: Path) -> None:
    rows = [{"id": "x", "ticket": "a"}, {"id": "refund-1", "tickt": "b", "team": "c"}]
    write(tmp_path / "a.jsonl", rows)
    data = load_dataset("a.jsonl", base=tmp_path)
    with pytest.raises(DataError) as caught:
        data.for_program(Triage())
    assert caught.value.message.endswith(
        "a.jsonl:2: example 'refund-1' has no field 'ticket', which Triage.forward needs; "
        "its fields are: tickt, team"
    )
    with pytest.raises(
        DataError, match=r"a\.jsonl:1: example 'x' has no field 'team', which is one of the inputs"
    ):
        data.with_inputs(["team"])


def test_named_inputs_must_hold_what_the_program_needs_and_no_more() -> None:
    data = dataset_of([{"ticket": "a", "team": "b"}])
    with pytest.raises(DataError, match="takes no input 'team'; it takes: ticket"):
        data.with_inputs(["ticket", "team"]).for_program(Triage())
    with pytest.raises(DataError, match=r"has no field 'ticket', which Triage\.forward needs"):
        dataset_of([{"x": 1, "ticket_text": "a"}]).for_program(Triage())


def test_a_reserved_name_is_never_an_input() -> None:
    class ById(Triage):
        def forward(self, id: str) -> Prediction:  # type: ignore[override]
            return Prediction(team=id)

    with pytest.raises(DataError, match="has no field 'id', which ById") as caught:
        dataset_of([{"id": "x", "ticket": "a"}]).for_program(ById())
    assert "rename it" in str(caught.value.hint)


@pytest.mark.parametrize("names", [[], [1], ["id"], ["split", "ticket"]])
def test_inputs_that_are_none(names: list[Any]) -> None:
    with pytest.raises(UsageError):
        dataset_of([{"ticket": "a"}]).with_inputs(names)


# identity


def test_equal_inputs_without_ids_name_both_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"ticket": "a", "team": "b"}, {"ticket": "c"}, {"ticket": "a", "team": "d"}])
    with pytest.raises(DataError) as caught:
        load_dataset("a.jsonl", base=tmp_path).for_program(Triage())
    assert caught.value.message.endswith("a.jsonl:3: the inputs are those of line 1")
    assert "'id'" in str(caught.value.hint)


def test_equal_inputs_with_ids_are_two_examples() -> None:
    data = dataset_of([{"ticket": "a", "id": 1}, {"ticket": "a", "id": 2}])
    assert [e.id for e in data.for_program(Triage())] == ["1", "2"]


def test_a_given_id_may_not_be_anothers_digest() -> None:
    taken = digest({"ticket": "a"})[:12]
    with pytest.raises(DataError, match="row 2: the id is that of row 1"):
        dataset_of([{"ticket": "a"}, {"ticket": "b", "id": taken}]).for_program(Triage())


@pytest.mark.parametrize("value", [float("nan"), b"bytes", object(), {1: 2}, "\ud800"])
def test_a_value_without_canonical_form_is_refused(value: Any) -> None:
    for row in ({"ticket": value}, {"ticket": "a", "team": value, "id": "x"}):
        with pytest.raises(DataError, match="row 1: a value that cannot be compared and stored"):
            dataset_of([row]).for_program(Triage())


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=6, unique=True
    )
)
def test_distinct_inputs_have_distinct_ids(tickets: list[str]) -> None:
    data = dataset_of([{"ticket": t} for t in tickets]).for_program(Triage())
    assert len({e.id for e in data}) == len(tickets)
    assert [e.ticket for e in data] == tickets


def test_a_dataset_is_a_sequence() -> None:
    data = dataset_of([{"a": 1}, {"a": 2}])
    assert isinstance(data, Dataset)
    assert (len(data), data[1].a, [e.a for e in data], data[:1][0].a) == (2, 2, [1, 2], 1)


def test_loading_is_linear(tmp_path: Path) -> None:
    def seconds(n: int) -> float:
        rows = [{"id": f"r{i}", "ticket": f"text {i}", "team": "x"} for i in range(n)]
        write(tmp_path / "a.jsonl", rows)
        start = time.process_time()
        assert len(load_dataset("a.jsonl", base=tmp_path).for_program(Triage())) == n
        return time.process_time() - start

    small = min(seconds(2_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(3)) < small * 40  # ten times the rows; quadratic would be 100
