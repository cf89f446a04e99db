"""Corpora from lists and files."""

from __future__ import annotations

import pytest

from pytest_lmprog.errors import DataError
from pytest_lmprog.retrieval.corpus import Corpus
from pytest_lmprog.retrieval.passages import Passage


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(p.id, p.text) for p in Corpus(path, **options).passages]


def test_a_list_of_texts_mappings_and_passages():
    corpus = Corpus(["one", {"text": "two", "id": "t"}, Passage("three")])
    assert [(p.id, p.text) for p in corpus.passages] == [("0", "one"), ("t", "two"), ("2", "three")]


def test_a_text_file_has_a_passage_a_line(tmp_path):
    assert read(tmp_path / "c.txt", "one\r\n\n  two \n") == [("0", "one"), ("1", "two")]


def test_a_jsonl_file_has_texts_or_objects(tmp_path):
    content = '"one"\n\n{"id": 7, "text": "two", "title": "T"}\n'
    assert read(tmp_path / "c.jsonl", content) == [("0", "one"), ("7", "two")]


def test_a_csv_file_has_a_header(tmp_path):
    content = b'\xef\xbb\xbfpid,body\na,"one, and\nmore"\n\nb,two\n'
    found = read(tmp_path / "c.csv", content, text="body", id="pid")
    assert found == [("a", "one, and\nmore"), ("b", "two")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.txt", "", r"c\.txt: the corpus is empty"),
        ("c.txt", b"one\ntw\xff\n", r"c\.txt:2: the file is not UTF-8 text"),
        ("c.jsonl", '"one"\n{"text": \n', r"c\.jsonl:2: not a JSON value"),
        ("c.jsonl", "[" * 100_000, r"c\.jsonl:1: not a JSON value"),
        ("c.jsonl", '"one"\n5\n', r"c\.jsonl:2: a passage is text, not int"),
        ("c.jsonl", '{"body": "x", "id": 1}\n', r"c\.jsonl:1: the passage has no 'text'; it has: body, id"),
        ("c.jsonl", '{"text": null}\n', r"c\.jsonl:1: a passage is text, not NoneType"),
        ("c.jsonl", '"one"\n" "\n', r"c\.jsonl:2: a passage is blank"),
        (
            "c.jsonl",
            '{"id": 1, "text": "a"}\n\n{"id": "1", "text": "b"}\n',
            r"c\.jsonl:3: the id '1' is that of line 1 too",
        ),
        ("c.csv", "id,body\n1,x\n", r"c\.csv:1: there is no column 'text'; the header has: id, body"),
        ("c.csv", "id,text\n1,x\n2\n", r"c\.csv:3: 1 fields, the header has 2"),
        ("c.csv", 'id,text\n1,x\n2,"y\n', r"c\.csv:3: not CSV"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, content)


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"a/c\.txt: the corpus cannot be read: there is no such file"
    ) as told:
        _ = Corpus("a/c.txt").passages
    assert tmp_path.name in str(told.value.hint)


def test_a_folder_is_no_corpus(tmp_path):
    with pytest.raises(DataError, match="the corpus cannot be read"):
        _ = Corpus(tmp_path).passages


@pytest.mark.parametrize("source", [None, 5, {"text": "x"}, b"x"])
def test_what_is_no_corpus_is_refused_at_once(source):
    with pytest.raises(DataError, match="a corpus is a path or a list of passages"):
        Corpus(source)


def test_a_wrong_passage_of_a_list_is_told_by_its_position():
    with pytest.raises(DataError, match="passage 1 of the corpus: a passage is text, not int"):
        _ = Corpus(["one", 2]).passages


def test_lists_are_named_by_content_and_files_by_place(tmp_path):
    assert Corpus(["a"]).name == Corpus(("a",)).name != Corpus(["b"]).name
    (tmp_path / "setup.py").touch()
    assert Corpus(tmp_path / "x" / "c.txt").name == "x/c.txt"
