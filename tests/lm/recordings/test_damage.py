"""A damaged recording is one error with file, line and fix; never rewritten, never a wrong answer."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import RecordingError
from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.recordings.upkeep import prune_recording, verify_recording
from tests.lm.recordings.helpers import ENDPOINT, answer, ask

TEXTS = [f"ticket {number}: it is slow" for number in range(8)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "r.jsonl"
    book = Book(path)
    for text in TEXTS:
        book.add(ask(text), answer(text[::-1]), ENDPOINT)
    book.flush()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.jsonl"


def line_of(data: bytes, start: bytes) -> int:
    return next(n for n, line in enumerate(data.split(b"\n"), 1) if line.startswith(start))


def answers_of(path: Path) -> list[str | None]:
    """What every request gets; asserts that the only error is RecordingError, and each answer right."""
    book, found = Book(path), []
    for text in TEXTS:
        try:
            response = book.lookup(ask(text))
        except RecordingError as error:
            found.append("error" if "r.jsonl" in str(error) and "\n  hint: " in str(error) else str(error))
        else:
            found.append(None if response is None else "right" if response.text == text[::-1] else "wrong")
    assert set(found) <= {"error", "right", None}
    return found


class TestWholeFile:
    """Damage that is seen when the file is read; every look-up says so."""

    def check(self, path: Path, data: bytes, message: str, line: int | None) -> None:
        path.write_bytes(data)
        where = r"r\.jsonl: " if line is None else rf"r\.jsonl:{line}: "
        book = Book(path)
        for _ in range(2):
            with pytest.raises(RecordingError, match=where + message):
                book.lookup(ask(TEXTS[0]))
        with pytest.raises(RecordingError, match=where + message):
            book.explain_miss(ask("new"), "case")
        with pytest.raises(RecordingError, match=where + message):
            Book(path).add(ask("new"), answer(), ENDPOINT)
        with pytest.raises(RecordingError, match=where + message):
            prune_recording(path, ())
        assert verify_recording(path).problems
        assert path.read_bytes() == data, "left as it was"

    def test_conflict_markers(self, path: Path, whole: bytes) -> None:
        lines = whole.split(b"\n")
        marked = [*lines[:2], b"<<<<<<< HEAD", lines[2], b"=======", lines[3], b">>>>>>> other", *lines[4:]]
        self.check(path, b"\n".join(marked), "git left a conflict here", 3)

    def test_a_cut_last_line(self, path: Path, whole: bytes) -> None:
        self.check(path, whole[:-20], "the last line is cut off", whole.count(b"\n"))

    def test_a_line_that_is_not_json(self, path: Path, whole: bytes) -> None:
        lines = whole.split(b"\n")
        self.check(path, b"\n".join([*lines[:3], b"oops", *lines[3:]]), "this is not JSON", 4)

    @pytest.mark.parametrize("line", [b"{]}", b'{"a": \xff}', b"[" * 100_000 + b"}", b'{"a":NaN}'])
    def test_json_that_is_none(self, path: Path, whole: bytes, line: bytes) -> None:
        lines = whole.split(b"\n")
        self.check(path, b"\n".join([*lines[:3], line, *lines[3:]]), "this is not JSON", 4)

    @pytest.mark.parametrize("line", [b'{"something":"else"}', b'{"answer":"short"}', b"{}"])
    def test_json_that_is_not_ours(self, path: Path, whole: bytes, line: bytes) -> None:
        lines = whole.split(b"\n")
        self.check(path, b"\n".join([*lines[:3], line, *lines[3:]]), "this is not a line of a recording", 4)

    def test_an_unknown_format(self, path: Path, whole: bytes) -> None:
        changed = whole.replace(b'"format":1', b'"format":2')
        self.check(path, changed, "the file has format 2, which this version cannot read", 1)

    def test_no_format(self, path: Path, whole: bytes) -> None:
        self.check(path, whole.split(b"\n", 1)[1], "the line that states the format is missing", 1)

    def test_a_model_that_is_none(self, path: Path, whole: bytes) -> None:
        damaged = whole + b'{"capabilities":{},"model":7}\n'
        self.check(path, damaged, "this does not describe a model", whole.count(b"\n") + 1)

    def test_a_folder_in_its_place(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(RecordingError, match=r"r\.jsonl: cannot be read"):
            Book(path).lookup(ask())

    def test_damage_that_appears_while_running_is_not_written_over(self, path: Path, whole: bytes) -> None:
        path.write_bytes(whole)
        book = Book(path)
        book.add(ask("new"), answer(), ENDPOINT)
        path.write_bytes(whole[:-20])
        with pytest.raises(RecordingError, match="cut off"):
            book.flush()
        assert path.read_bytes() == whole[:-20]


class TestOneLine:
    """Damage within a line is told to those who ask for that line."""

    def test_a_changed_answer(self, path: Path, whole: bytes) -> None:
        wanted = TEXTS[3][::-1].encode()
        path.write_bytes(whole.replace(wanted, wanted.upper()))
        number = line_of(whole, b'{"answer":"' + ask(TEXTS[3]).key.encode())
        with pytest.raises(RecordingError, match=rf"r\.jsonl:{number}: the answer on this line was changed"):
            Book(path).lookup(ask(TEXTS[3]))
        assert Book(path).lookup(ask(TEXTS[2])) is not None

    def test_is_carried_along_unchanged_when_answers_are_added(self, path: Path, whole: bytes) -> None:
        wanted = TEXTS[3][::-1].encode()
        path.write_bytes(whole.replace(wanted, wanted.upper()))
        book = Book(path)
        book.add(ask("new"), answer(), ENDPOINT)
        book.flush()
        assert wanted.upper() in path.read_bytes()

    def test_a_changed_message_is_found_by_those_who_read_it(self, path: Path, whole: bytes) -> None:
        path.write_bytes(whole.replace(TEXTS[3].encode(), TEXTS[3].upper().encode()))
        assert Book(path).lookup(ask(TEXTS[3])) is not None, "replay does not need it"
        number = line_of(path.read_bytes(), b'{"part":"' + part_ref(whole, TEXTS[3]))
        assert [p for p in verify_recording(path).problems if f"r.jsonl:{number}: the message" in p]
        with pytest.raises(RecordingError, match=rf"r\.jsonl:{number}: the message on this line was changed"):
            Book(path).explain_miss(ask(TEXTS[3] + "!"), "case")

    def test_a_missing_message(self, path: Path, whole: bytes) -> None:
        lines = [line for line in whole.split(b"\n") if TEXTS[3].encode() not in line]
        path.write_bytes(b"\n".join(lines))
        assert Book(path).lookup(ask(TEXTS[3])) is not None
        assert "the line of one of its messages is missing" in verify_recording(path).problems[0]
        with pytest.raises(RecordingError, match=r"r\.jsonl:\d+: the line of one of its messages is missing"):
            Book(path).explain_miss(ask(TEXTS[3] + "!"), "case")

    def test_a_changed_key_is_not_called_a_changed_prompt(self, path: Path, whole: bytes) -> None:
        key = ask(TEXTS[3]).key.encode()
        path.write_bytes(whole.replace(key, b"0" * 64))
        assert Book(path).lookup(ask(TEXTS[3])) is None
        with pytest.raises(RecordingError, match=r"r\.jsonl:\d+: .*changed"):
            Book(path).explain_miss(ask(TEXTS[3]), "case")

    def test_a_key_that_is_consistently_wrong(self, path: Path, whole: bytes) -> None:
        from pytest_lmprog.lm.recordings import lines as fmt

        book = Book(path)
        book.add(ask(TEXTS[3]), answer(), ENDPOINT)
        book.flush()
        stored = fmt.store_request(ask(TEXTS[3]), None)
        forged = fmt.encode_answer("1" * 64, stored, answer(), endpoint="")
        line = next(row for row in path.read_bytes().split(b"\n") if row.startswith(b'{"answer"'))
        path.write_bytes(path.read_bytes().replace(line, forged))
        with pytest.raises(RecordingError, match="key on this line is not that of its request"):
            Book(path).explain_miss(ask(TEXTS[3]), "case")
        assert "key on this line is not that of its request" in verify_recording(path).problems[0]


def part_ref(data: bytes, text: str) -> bytes:
    parts = [json.loads(line) for line in data.split(b"\n") if line.startswith(b'{"part"')]
    return next(p["part"].encode() for p in parts if p["value"]["content"] == text)


class TestTolerated:
    @pytest.mark.parametrize(
        "change",
        [
            lambda data: b"\xef\xbb\xbf" + data,
            lambda data: data.replace(b"\n", b"\r\n"),
            lambda data: data.rstrip(b"\n"),
            lambda data: data.replace(b"\n", b"\n\n"),
            lambda data: data.replace(b"\n", b" \t\n"),
            lambda data: b"\n".join(json.dumps(json.loads(r)).encode() for r in data.split(b"\n") if r),
            lambda data: b"\n".join(
                json.dumps(dict(reversed(json.loads(r).items()))).encode() for r in data.split(b"\n") if r
            ),
        ],
        ids=[
            "bom",
            "crlf",
            "no-last-newline",
            "blank-lines",
            "trailing-space",
            "spaced-ascii",
            "other-order",
        ],
    )
    def test_what_editors_and_tools_do(self, path: Path, whole: bytes, change) -> None:
        path.write_bytes(change(whole))
        assert answers_of(path) == ["right"] * 8
        assert not verify_recording(path).problems
        book = Book(path)
        book.add(ask("new"), answer(), ENDPOINT)
        book.flush()
        assert set(whole.split(b"\n")) <= set(path.read_bytes().split(b"\n")), "written in our form again"

    def test_an_empty_file(self, path: Path) -> None:
        path.touch()
        assert answers_of(path) == [None] * 8


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_gives_a_wrong_answer_or_another_error(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "r.jsonl"
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "drop", "end"]))
        at = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        if kind == "flip" and damaged:
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(1, 200))]
        elif kind == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=20))
        elif kind == "drop":
            end = damaged.find(b"\n", at)
            del damaged[at : end + 1 if end >= 0 else len(damaged)]
        else:
            del damaged[at:]
    path.write_bytes(damaged)
    answers_of(path)
    verify_recording(path)
    book = Book(path)
    try:
        book.explain_miss(ask("ticket 3: it is very slow"), "case")
        book.capabilities("openai/small")
        book.add(ask("new"), answer(), ENDPOINT)
        book.flush()
    except RecordingError:
        assert path.read_bytes() == bytes(damaged), "left as it was"
    path.unlink()


def test_most_single_flips_in_an_answer_are_noticed(path: Path, whole: bytes) -> None:
    """A flip is noticed, or it made another key (a miss), or hit text that replay does not use."""
    rnd = random.Random(7)
    start = whole.index(b'{"answer":"')
    end = whole.index(b'{"part":"')
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rnd.randrange(start, end)] ^= 1 << rnd.randrange(8)
        path.write_bytes(damaged)
        found = answers_of(path)
        assert found.count("right") < 8
