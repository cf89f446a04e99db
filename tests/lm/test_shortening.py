"""Contents of files are stored and shown as their size and digest, and keys follow them all the same."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ReplayMissError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.lm.shortening import shortened
from pytest_lmprog.snapshots.capture import capture
from tests.adapters.test_rich import PNG, Look

BYTES = PNG + random.Random(0).randbytes(300_000)
OTHER = PNG + random.Random(1).randbytes(300_000)


def test_contents_become_size_and_digest() -> None:
    image = lmp.Image(BYTES)
    short = shortened(image.url)
    assert short.startswith("data:image/png;base64,<400,")
    assert len(short) < 120
    assert short != shortened(lmp.Image(OTHER).url)
    bare = base64.b64encode(BYTES).decode()
    assert len(shortened(bare)) < 100


@pytest.mark.parametrize("text", ["word " * 1000, "A" * 5000, "x", "data:image/png;base64,AAAA", "1" * 4000])
def test_other_texts_stay(text: str) -> None:
    assert shortened(text) == text


def recorded(path: Path, mode: str, photo: bytes) -> lmp.Prediction:
    book = Book(path)
    lm = lmp.ScriptedLM(lambda _: {"answer": "noise"})
    with lmp.context(lm=lm), use_scope(CallScope(mode=mode, recording=book)):  # type: ignore[arg-type]
        result = lmp.Predict(Look)(photo=lmp.Image(photo), question="What?")
    book.flush()
    return result


def test_recordings_hold_the_digest_and_replay(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    recorded(path, "new", BYTES)
    assert path.stat().st_size < 5000
    assert "characters, sha256" in path.read_text(encoding="utf-8")
    assert recorded(path, "none", BYTES).answer == "noise"
    with pytest.raises(ReplayMissError) as caught:
        recorded(path, "none", OTHER)
    assert "characters, sha256" in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_snapshots_show_it_short_and_restore_it() -> None:
    predict = lmp.Predict(Look)
    predict.demos = [lmp.Example(photo=lmp.Image(BYTES), question="?", answer="!")]
    (snapshot,) = capture(predict, lmp.JSONAdapter()).values()
    assert len(str(snapshot.messages)) < 2000
    again = lmp.Predict(Look)
    again.load_state(predict.dump_state())
    assert again.demos[0]["photo"] == lmp.Image(BYTES)
    assert "bytes, sha256" in repr(again.demos[0])
