"""CSV: all text, a header, no ragged rows."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers.csv_rows import read_csv


def fails(text: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read_csv(text, "a.csv")
    return caught.value


def test_cells_are_text_and_rows_have_the_line_they_start_on() -> None:
    text = 'ticket,n,team\r\n"two\r\nlines, ""quoted""",1,\r\n\r\nno,true,x\r\n'
    assert read_csv(text, "a.csv").rows == [
        (2, {"ticket": 'two\r\nlines, "quoted"', "n": "1", "team": ""}),
        (5, {"ticket": "no", "n": "true", "team": "x"}),
    ]


def test_reserved_columns() -> None:
    text = 'id,split,weight,tags,a\nx,dev,0.5,"p, q;r",1\n,,,,2\n7,dev,heavy,,3\n'
    assert [row for _, row in read_csv(text, "a.csv").rows] == [
        {"id": "x", "split": "dev", "weight": 0.5, "tags": ["p", "q", "r"], "a": "1"},
        {"a": "2"},
        {"id": "7", "split": "dev", "weight": "heavy", "a": "3"},
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a,b\n1,2\n3\n", 3, "1 cells, but the header has 2"),
        ("a,b\n1,2,3\n", 2, "3 cells, but the header has 2"),
        ('a,b\n1,2\n"open,3\n4,5\n', 3, "malformed CSV: unexpected end of data"),
        ('a,b\n"x"y,2\n', 2, "malformed CSV"),
        ("a,,b\n", 1, "column 2 has no name"),
        ("a,b,a\n", 1, "the column 'a' twice"),
        ("a;b\n1;2\n", 1, "one column only"),
        ("a\tb\n1\t2\n", 1, "one column only"),
    ],
)
def test_what_is_refused_says_where(text: str, line: int, said: str) -> None:
    error = fails(text)
    assert said in error.message
    assert error.line == line


def test_a_cell_beyond_the_limit_says_what_to_do() -> None:
    error = fails("a\n" + "x" * 140_000 + "\n")
    assert "larger than field limit" in error.message
    assert ".jsonl" in str(error.hint)


def test_one_column_is_fine() -> None:
    assert read_csv("a\n1\n", "a").rows == [(2, {"a": "1"})]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_csv_comes_back(data: list[tuple[str, str]], end: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b"])
    writer.writerows(data)
    assert [(row["a"], row["b"]) for _, row in read_csv(out.getvalue(), "x").rows] == data
