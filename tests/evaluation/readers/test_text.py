"""What goes wrong before a format is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.readers import SUFFIXES, read_table
from pytest_lmprog.evaluation.readers.text import read_text

ROW = b'{"ticket": "a"}\n'


def fails(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_table(path, path.name)
    return caught.value


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "tickets.yaml").write_bytes(b"- a: b")
    (tmp_path / "ticket.json").write_bytes(b"[]")
    (tmp_path / "other.csv").write_bytes(b"")
    error = fails(tmp_path / "ticket.yaml")
    assert error.message == "ticket.yaml: there is no such file"
    assert error.hint is not None
    assert "tickets.yaml" in error.hint
    assert "ticket.json" in error.hint
    assert "other.csv" not in error.hint


def test_a_missing_file_without_neighbours_says_what_the_path_is_relative_to(tmp_path: Path) -> None:
    assert "relative to the test file" in str(fails(tmp_path / "tickets.yaml"))
    assert "folder does not exist" in str(fails(tmp_path / "no" / "tickets.yaml"))


@pytest.mark.parametrize("content", [b"", b"\n  \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    assert fails(path).message == f"rows{suffix}: the file is empty"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", "# nothing\n"),
        ("b.yaml", "[]"),
        ("c.json", "[ ]"),
        ("d.csv", "ticket,team\n"),
        ("e.yaml", "examples: []"),
        ("f.json", '{"inputs": ["a"], "examples": []}'),
        ("g.yaml", "---\n...\n"),
    ],
)
def test_no_rows(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert fails(tmp_path / name).message == f"{name}: there are no rows in it"


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "rows.yaml").mkdir()
    assert "is a directory" in fails(tmp_path / "rows.yaml").message


@pytest.mark.parametrize(("name", "said"), [("rows.txt", "'.txt'"), ("rows", "no suffix")])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(ROW)
    error = fails(tmp_path / name)
    assert said in error.message
    assert all(suffix in str(error.hint) for suffix in SUFFIXES)


def test_the_suffix_may_be_upper_case(tmp_path: Path) -> None:
    (tmp_path / "ROWS.JSONL").write_bytes(ROW)
    assert read_table(tmp_path / "ROWS.JSONL", "x").rows == [(1, {"ticket": "a"})]


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.jsonl", "a.csv"])
def test_merge_conflict_markers_are_said_to_be_such(tmp_path: Path, name: str) -> None:
    text = "first\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> branch\n"
    (tmp_path / name).write_text(text, encoding="utf-8")
    error = fails(tmp_path / name)
    assert error.message == f"{name}:2: merge conflict markers"
    assert error.line == 2


def test_text_that_only_looks_like_a_conflict_is_data(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- ticket: |\n    <<<<<<< HEAD\n    >>>>>>> x\n", encoding="utf-8")
    assert read_table(tmp_path / "a.yaml", "a").rows[0][1] == {"ticket": "<<<<<<< HEAD\n>>>>>>> x\n"}


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfticket\nhi\n")
    assert read_table(tmp_path / "a.csv", "a").rows == [(2, {"ticket": "hi"})]


def test_other_encodings_are_said_to_be_such(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("ticket\ncaf\xe9\n".encode("latin-1"))
    (tmp_path / "wide.csv").write_bytes("ticket\ncaf\xe9\n".encode("utf-16"))
    latin, wide = fails(tmp_path / "latin.csv"), fails(tmp_path / "wide.csv")
    assert latin.message == "latin.csv:2: not UTF-8 (byte 0xe9)"
    assert "UTF-16" in wide.message
    assert latin.hint == "save the file as UTF-8"


def test_an_unreadable_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"a\.csv: cannot be read: Permission denied"):
        read_text(tmp_path / "a.csv", "a.csv")
