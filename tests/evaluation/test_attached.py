"""Pictures and files in data files, by path relative to the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import DataError
from pytest_lmprog.evaluation.datasets import load_dataset
from tests.adapters.test_rich import PNG


@pytest.mark.parametrize("name", ["data.yaml", "data.json", "data.jsonl"])
def test_a_row_attaches_by_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dot.png").write_bytes(PNG)
    row = {
        "photo": {"$image": "photos/dot.png"},
        "more": [{"$image": "https://x.y/z.png"}],
        "doc": {"$file": "photos/dot.png"},
        "plain": {"image": "photos/dot.png"},
    }
    text = json.dumps([row]) if name != "data.jsonl" else json.dumps(row)
    (tmp_path / name).write_text(text, encoding="utf-8")
    (example,) = load_dataset(name, base=tmp_path)
    assert example.photo == lmp.Image(PNG)
    assert example.more == [lmp.Image("https://x.y/z.png")]
    assert example.doc.filename == "dot.png"
    assert example.plain == {"image": "photos/dot.png"}
    assert "bytes, sha256" in repr(example)
    again = lmp.Example(photo=lmp.Image(PNG))
    assert again.id == lmp.Example(photo=lmp.Image(PNG)).id
    assert again.id != lmp.Example(photo=lmp.Image(PNG + b"x")).id


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"photo": {"$image": "no.png"}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"data.jsonl:1: \$image: Image cannot be read"):
        load_dataset("data.jsonl", base=tmp_path)
