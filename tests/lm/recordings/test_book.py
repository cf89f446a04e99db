"""A book of recordings: what it finds, notes, writes and hands on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lmprog.errors import LmprogWarning, RecordingError
from pytest_lmprog.lm.recordings import Book
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse, Usage
from tests.lm.recordings.helpers import ENDPOINT, answer, ask


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tests" / "__lm_recordings__" / "test_support.jsonl"


def record(path: Path, *pairs: tuple[LMRequest, LMResponse], **options: object) -> Path:
    book = Book(path, **options)
    for request, response in pairs:
        book.add(request, response, ENDPOINT)
    book.flush()
    return path


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


class TestLookup:
    def test_an_answer_comes_back_whole(self, path: Path) -> None:
        given = answer(
            "bug", cost=0.25, reasoning="it crashes", tool_calls=({"id": "1", "function": {"name": "f"}},)
        )
        record(path, (ask(), given))
        found = Book(path).lookup(ask())
        assert found is not None
        assert found.source == "recording"
        assert found == LMResponse(
            **{f: getattr(given, f) for f in given.__slots__} | {"source": "recording"}
        )

    def test_what_was_not_recorded_is_none(self, path: Path) -> None:
        assert Book(path).lookup(ask()) is None
        record(path, (ask(), answer()))
        assert Book(path).lookup(ask("other")) is None

    @pytest.mark.parametrize(
        "other",
        [
            ask(rollout=1),
            ask(params={"temperature": 1}),
            ask(model="openai/large"),
            ask(response_format={"type": "json_object"}),
            ask(tools=({"name": "f"},)),
            ask(system="Decide."),
        ],
    )
    def test_every_part_of_the_request_counts(self, path: Path, other: LMRequest) -> None:
        record(path, (ask(), answer()))
        assert Book(path).lookup(other) is None

    def test_order_does_not_matter(self, path: Path) -> None:
        """Recorded in one order and replayed in the other, each request gets its own answer."""
        record(path, (ask("one"), answer("1")), (ask("two"), answer("2")))
        book = Book(path)
        assert [book.lookup(ask(text)).text for text in ("two", "one")] == ["2", "1"]

    def test_what_was_added_is_found_before_it_is_written(self, path: Path) -> None:
        book = Book(path)
        book.add(ask(), answer(), ENDPOINT)
        found = book.lookup(ask())
        assert found is not None
        assert (found.text, found.source) == ("bug", "recording")
        assert not path.exists()

    def test_keys_of_used_answers_are_known(self, path: Path) -> None:
        record(path, (ask("one"), answer()), (ask("two"), answer()))
        book = Book(path)
        book.lookup(ask("one"))
        book.add(ask("three"), answer(), ENDPOINT)
        book.mark_used(["k"])
        assert book.used_keys() == {ask("one").key, ask("three").key, "k"}


class TestEndpoints:
    def test_two_addresses_that_answer_one_request_are_an_error(self, path: Path) -> None:
        book = Book(path)
        book.add(ask(), answer(), "https://one.example")
        with pytest.raises(RecordingError, match="two addresses") as raised:
            book.add(ask(), answer(), "https://two.example")
        assert 'LM("openai/small", endpoint="name")' in str(raised.value)
        assert "https://two.example" in str(raised.value)

    def test_also_where_the_second_would_be_answered_from_the_recording(self, path: Path) -> None:
        book = Book(path)
        book.add(ask(), answer(), "https://one.example")
        assert book.lookup(ask(), lambda: "https://one.example") is not None
        with pytest.raises(RecordingError, match="two addresses"):
            book.lookup(ask(), lambda: "https://two.example")

    def test_and_where_both_replay(self, path: Path) -> None:
        record(path, (ask(), answer()))
        book = Book(path)
        book.lookup(ask(), lambda: "https://one.example")
        with pytest.raises(RecordingError, match="two addresses"):
            book.lookup(ask(), lambda: "https://two.example")

    def test_two_clients_of_one_address_are_one(self, path: Path) -> None:
        record(path, (ask(), answer()))
        book = Book(path)
        for _ in range(2):
            assert book.lookup(ask(), lambda: "https://one.example") is not None
        book.add(ask(), answer(), "https://one.example")

    def test_one_client_is_not_asked_for_its_address(self, path: Path) -> None:
        """It may have to hash a model's weights, which need not be there in a replay."""
        record(path, (ask(), answer()))
        book = Book(path)

        def address() -> str:
            pytest.fail("asked")

        for _ in range(3):
            assert book.lookup(ask(), address) is not None

    def test_a_recording_replays_at_any_address(self, path: Path) -> None:
        record(path, (ask(), answer()))
        assert Book(path).lookup(ask(), lambda: "http://localhost:1234") is not None

    def test_addresses_are_not_stored(self, path: Path) -> None:
        record(path, (ask(), answer()))
        assert "example.com" not in path.read_text("utf-8")

    def test_two_workers_with_two_addresses_are_an_error(self, path: Path) -> None:
        controller, workers = Book(path), [Book(path), Book(path)]
        for number, worker in enumerate(workers):
            worker.add(ask(), answer(), f"https://host{number}.example")
        controller.absorb(workers[0].additions())
        with pytest.raises(RecordingError, match="two addresses"):
            controller.absorb(workers[1].additions())


class TestFile:
    def test_is_sorted_lines_each_message_once(self, path: Path) -> None:
        record(path, *((ask(text), answer(text)) for text in "abcdefgh"))
        lines = path.read_bytes().split(b"\n")
        assert lines[-1] == b""
        assert lines[:-1] == sorted(lines[:-1])
        assert b"\r" not in path.read_bytes()
        messages = [row["value"]["content"] for row in rows(path) if "part" in row]
        assert sorted(messages) == sorted(["Decide which team should handle a support ticket.", *"abcdefgh"])

    def test_schema_and_tools_are_stored_once(self, path: Path) -> None:
        schema, tools = {"type": "json_schema", "json_schema": {"x": 1}}, ({"name": "f"},)
        record(path, *((ask(t, response_format=schema, tools=tools), answer()) for t in "abc"))
        values = [row["value"] for row in rows(path) if "part" in row]
        assert values.count(schema) == 1
        assert values.count([{"name": "f"}]) == 1

    def test_people_can_read_it(self, path: Path) -> None:
        record(path, (ask("日本語 – Grüße 🙂"), answer("Größe")))
        text = path.read_text("utf-8")
        assert "日本語 – Grüße 🙂" in text
        assert '"text":"Größe"' in text

    def test_is_the_same_in_any_order_of_adding(self, path: Path, tmp_path: Path) -> None:
        pairs = [(ask(text), answer(text)) for text in "abcdef"]
        other = record(tmp_path / "other.jsonl", *reversed(pairs))
        assert record(path, *pairs).read_bytes() == other.read_bytes()

    def test_its_bytes_are_these(self, path: Path) -> None:
        """The format is a contract: a change needs a new number and a reader of the old one."""
        request = LMRequest(
            "m", ({"role": "user", "content": "hi\n☃\u2028"},), {"temperature": 0.5}, rollout=2
        )
        book = Book(path)
        book.add(request, LMResponse("yo", "stop", Usage(3, 1), 0.25, 1.5), "e")
        book.learn("m", Capabilities(json_schema=True))
        book.flush()
        assert path.read_text("utf-8").split("\n") == [
            '{"about":"LM answers recorded by pytest-lmprog; sorted, one a line","format":1}',
            '{"answer":"ce8d39cab35f4847b001958d67adc7748493c135fdab250f3eb2bca948a6d1d9"'
            ',"check":"d4aec72325f49bdb","endpoint":"3f79bb7b435b0532"'
            ',"request":{"messages":["8c9af2e16de2a085"],"model":"m","params":{"temperature":0.5},"rollout":2}'
            ',"response":{"cost":0.25,"finish_reason":"stop","latency":1.5,"text":"yo","usage":[3,1]}}',
            '{"capabilities":{"json_schema":true},"model":"m"}',
            '{"part":"8c9af2e16de2a085","value":{"content":"hi\\n☃\\u2028","role":"user"}}',
            "",
        ]

    def test_the_folder_tells_git_how_to_merge(self, path: Path) -> None:
        record(path, (ask(), answer()))
        assert "*.jsonl text eol=lf merge=union" in (path.parent / ".gitattributes").read_text("utf-8")

    def test_nothing_lies_beside_it(self, path: Path) -> None:
        record(path, (ask(), answer()))
        assert sorted(p.name for p in path.parent.iterdir()) == [".gitattributes", "test_support.jsonl"]


class TestFlush:
    def test_nothing_new_writes_nothing(self, path: Path) -> None:
        book = Book(path)
        assert book.flush() is False
        assert not path.parent.exists()
        record(path, (ask(), answer()))
        before = path.stat()
        book = Book(path)
        book.lookup(ask())
        book.add(ask(), answer("another"), ENDPOINT)
        assert book.changes() == 0
        assert book.flush() is False
        assert path.stat().st_mtime_ns == before.st_mtime_ns

    def test_the_same_answers_again_leave_the_file_untouched(self, path: Path) -> None:
        record(path, (ask(), answer()))
        before = path.stat()
        book = Book(path)
        book.add(ask(), answer(), ENDPOINT, replace=True)
        assert book.flush() is False
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_superseded_answers_stay(self, path: Path) -> None:
        record(path, (ask("old"), answer()))
        record(path, (ask("new"), answer()))
        assert Book(path).lookup(ask("old")) is not None

    def test_replace_puts_a_new_answer_in_the_place_of_the_old(self, path: Path) -> None:
        record(path, (ask(), answer("old")), (ask("x"), answer("kept")))
        book = Book(path)
        book.add(ask(), answer("new"), ENDPOINT, replace=True)
        assert book.lookup(ask()).text == "new"
        assert book.flush() is True
        fresh = Book(path)
        assert [fresh.lookup(r).text for r in (ask(), ask("x"))] == ["new", "kept"]
        assert path.read_text("utf-8").count('"answer":') == 2

    def test_what_another_run_wrote_meanwhile_is_kept(self, path: Path) -> None:
        mine = Book(path)
        mine.add(ask("mine"), answer(), ENDPOINT)
        mine.lookup(ask("theirs"))
        record(path, (ask("theirs"), answer()))
        mine.flush()
        fresh = Book(path)
        assert fresh.lookup(ask("mine")) is not None
        assert fresh.lookup(ask("theirs")) is not None

    def test_a_book_can_go_on_after_it(self, path: Path) -> None:
        book = Book(path)
        for text in "abc":
            book.add(ask(text), answer(text), ENDPOINT)
            assert book.flush() is True
        assert [book.lookup(ask(text)).text for text in "abc"] == ["a", "b", "c"]

    def test_a_failure_to_write_is_one_error_that_names_the_file(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(path, (ask("old"), answer()))
        before = path.read_bytes()
        book = Book(path)
        assert book.lookup(ask("old")) is not None
        book.add(ask(), answer(), ENDPOINT)

        def refuse(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(RecordingError, match=r"test_support\.jsonl: cannot be written \(Read-only"):
            book.flush()
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert book.flush() is True, "the additions were kept"

    def test_a_file_in_place_of_the_folder(self, path: Path) -> None:
        path.parent.parent.mkdir()
        path.parent.write_text("in the way")
        book = Book(path)
        book.add(ask(), answer(), ENDPOINT)
        with pytest.raises(RecordingError, match="cannot be written"):
            book.flush()
        assert path.parent.read_text() == "in the way"

    def test_what_a_killed_process_left_is_cleared(self, path: Path) -> None:
        record(path, (ask(), answer()))
        (path.parent / ".test_support.jsonl.99999.tmp").write_bytes(b"half")
        record(path, (ask("x"), answer()))
        assert not list(path.parent.glob("*.tmp"))
        assert not list(path.parent.glob(".*.tmp"))


class TestMerging:
    """What git's union merge leaves: doubled lines in any order, and two answers to one request."""

    def test_doubled_and_shuffled_lines_are_read(self, path: Path) -> None:
        record(path, *((ask(text), answer(text)) for text in "abc"))
        whole = path.read_bytes()
        lines = whole.split(b"\n")[:-1]
        path.write_bytes(b"\n".join([*reversed(lines), *lines[1:], b""]))
        book = Book(path)
        assert [book.lookup(ask(text)).text for text in "abc"] == ["a", "b", "c"]
        assert Book(path).flush() is False
        book.add(ask("d"), answer("d"), ENDPOINT)
        book.flush()
        assert path.read_bytes().count(b"\n") == whole.count(b"\n") + 2

    def two(self, path: Path, tmp_path: Path, *answers: LMResponse) -> Path:
        lines = b""
        for number, response in enumerate(answers):
            lines += record(tmp_path / f"branch{number}.jsonl", (ask(), response)).read_bytes()
        path.parent.mkdir(parents=True)
        path.write_bytes(lines)
        return path

    def test_of_two_answers_one_wins_with_a_warning(self, path: Path, tmp_path: Path) -> None:
        texts = []
        for order in ((answer("a"), answer("b")), (answer("b"), answer("a"))):
            book = Book(self.two(tmp_path / order[0].text / "r.jsonl", tmp_path, *order))
            with pytest.warns(LmprogWarning, match=r"r\.jsonl: two different answers .* lower digest"):
                texts.append(book.lookup(ask()).text)
        assert texts[0] == texts[1]

    def test_answers_that_differ_in_latency_only_do_not_warn(
        self, path: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
    ) -> None:
        self.two(path, tmp_path, answer(latency=1), answer(latency=2, usage=Usage(1, 1), cost=0.5))
        assert Book(path).lookup(ask()).text == "bug"
        assert not recwarn.list

    def test_git_merges_two_branches(self, path: Path) -> None:
        root = path.parent.parent

        def git(*arguments: str) -> None:
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

        record(path, *((ask(f"base{n}"), answer(f"base{n}")) for n in range(5)))
        git("init", "-q", "-b", "main")
        git("add", "-A")
        git("commit", "-qm", "base")
        for branch in ("one", "two"):
            git("checkout", "-q", "-b", branch, "main")
            record(path, *((ask(f"{branch}{n}"), answer(f"{branch}{n}")) for n in range(5)))
            git("commit", "-qam", branch)
        git("merge", "-q", "--no-edit", "one")
        book = Book(path)
        for name in ("base", "one", "two"):
            assert [book.lookup(ask(f"{name}{n}")).text for n in range(5)] == [f"{name}{n}" for n in range(5)]


class TestWorkers:
    def test_additions_are_plain_text_and_only_grow(self, path: Path) -> None:
        worker = Book(path)
        worker.add(ask("one"), answer("1"), ENDPOINT)
        first = worker.additions()
        worker.add(ask("two"), answer("2"), ENDPOINT)
        later = worker.additions(len(first))
        assert all(type(line) is str for line in first + later)
        assert first + later == worker.additions()
        controller = Book(path)
        controller.absorb(first)
        controller.absorb(later)
        controller.absorb(first)
        assert controller.used_keys() == worker.used_keys()
        controller.flush()
        assert [Book(path).lookup(ask(t)).text for t in ("one", "two")] == ["1", "2"]

    def test_replacing_reaches_the_controller(self, path: Path) -> None:
        record(path, (ask(), answer("old")))
        worker, controller = Book(path), Book(path)
        assert controller.lookup(ask()).text == "old"
        worker.add(ask(), answer("new"), ENDPOINT, replace=True)
        worker.learn("m", Capabilities(json_schema=True))
        controller.absorb(worker.additions())
        controller.flush()
        assert Book(path).lookup(ask()).text == "new"
        assert Book(path).capabilities("m") == Capabilities(json_schema=True)

    def test_two_workers_with_the_same_request(self, path: Path) -> None:
        controller = Book(path)
        for _ in range(2):
            worker = Book(path)
            worker.add(ask(), answer(), ENDPOINT)
            controller.absorb(worker.additions())
        controller.flush()
        assert path.read_bytes().count(b'{"answer"') == 1

    def test_four_processes_that_write_at_once_lose_nothing(self, path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from pytest_lmprog.lm.recordings import Book\n"
            "from tests.lm.recordings.helpers import ENDPOINT, answer, ask\n"
            "for n in range(12):\n"
            "    book = Book(Path(sys.argv[1]))\n"
            "    book.add(ask(f'{sys.argv[2]}-{n}'), answer(f'{sys.argv[2]}-{n}'), ENDPOINT); book.flush()"
        )
        workers = [subprocess.Popen([sys.executable, "-c", code, path, str(n)]) for n in range(4)]
        assert [worker.wait(60) for worker in workers] == [0, 0, 0, 0]
        book = Book(path)
        for worker in range(4):
            for n in range(12):
                assert book.lookup(ask(f"{worker}-{n}")).text == f"{worker}-{n}"

    def test_a_writer_killed_anywhere_leaves_a_whole_file(self, path: Path) -> None:
        record(path, *((ask(f"base{n}"), answer()) for n in range(200)))
        code = (
            "import sys; from pathlib import Path; from pytest_lmprog.lm.recordings import Book\n"
            "from tests.lm.recordings.helpers import ENDPOINT, answer, ask\n"
            "print('go', flush=True)\n"
            "for n in range(10_000):\n"
            "    book = Book(Path(sys.argv[1])); book.add(ask(f'x{n}'), answer(), ENDPOINT); book.flush()"
        )
        for moment in (0.005, 0.013, 0.03):
            writer = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
            assert writer.stdout is not None
            writer.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(moment)
            writer.kill()
            writer.wait()
            writer.stdout.close()
            book = Book(path)
            assert all(book.lookup(ask(f"base{n}")) for n in range(200))

    def test_threads_add_and_look_up_at_once(self, path: Path) -> None:
        book = Book(path)

        def work(thread: int) -> None:
            for n in range(30):
                book.add(ask(f"{thread}-{n}"), answer(f"{thread}-{n}"), ENDPOINT)
                assert book.lookup(ask(f"{thread}-{n}")).text == f"{thread}-{n}"

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        book.flush()
        assert path.read_bytes().count(b'{"answer"') == 240


class TestCapabilities:
    def test_are_kept_by_model(self, path: Path) -> None:
        book = Book(path)
        assert book.capabilities("m") is None
        book.learn("m", Capabilities(json_schema=False))
        assert book.capabilities("m") == Capabilities(json_schema=False)
        book.flush()
        assert Book(path).capabilities("m") == Capabilities(json_schema=False)
        assert Book(path).capabilities("n") is None

    def test_what_is_known_already_writes_nothing(self, path: Path) -> None:
        book = Book(path)
        book.learn("m", Capabilities(json_schema=True))
        book.flush()
        book.learn("m", Capabilities(json_schema=True))
        assert book.changes() == 0

    def test_what_is_found_out_anew_replaces(self, path: Path) -> None:
        for known in (True, False, True):
            book = Book(path)
            book.learn("m", Capabilities(json_schema=known))
            book.flush()
            assert Book(path).capabilities("m") == Capabilities(json_schema=known)


class TestPrivacy:
    def test_messages_can_be_left_out(self, path: Path) -> None:
        secretive = ask("my name is Ann", response_format={"type": "json_schema", "x": "hush"})
        record(path, (secretive, answer()), store_messages=False)
        text = path.read_text("utf-8")
        assert "Ann" not in text
        assert "hush" not in text
        assert Book(path).lookup(secretive).text == "bug"

    def test_switching_it_on_takes_out_what_was_stored(self, path: Path) -> None:
        record(path, (ask("my name is Ann"), answer()))
        record(path, (ask("x"), answer()), store_messages=False)
        assert "Ann" not in path.read_text("utf-8")
        assert Book(path).lookup(ask("my name is Ann")) is not None

    def test_texts_of_requests_are_rewritten_but_the_key_stays(self, path: Path) -> None:
        request = ask("the key is sk-123", params={"user": "sk-123"}, tools=({"description": "sk-123"},))
        book = Book(path)
        book.add(request, answer(), ENDPOINT, rewrite=lambda text: text.replace("sk-123", "***"))
        book.flush()
        assert "sk-123" not in path.read_text("utf-8")
        assert "sk-123" not in "".join(book.additions())
        assert Book(path).lookup(request) is not None
        assert Book(path).lookup(ask("the key is ***")) is None


TEXTS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from('\u2028\u2029\x85\x00\r\n\t\ufeff"\\{}🙂\u202e'),
    max_size=60,
)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("r") / "r.jsonl"
    wanted = dict(pairs)
    record(path, *((ask(q), answer(a, reasoning=q)) for q, a in wanted.items()))
    book = Book(path)
    for question, text in wanted.items():
        found = book.lookup(ask(question))
        assert (found.text, found.reasoning) == (text, question)
    if wanted:
        data = path.read_bytes().decode("utf-8")
        assert data.count("\n") == len(data.splitlines()), "no character that an editor takes for a line end"


def test_pytest_helpers_do_not_need_a_working_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(path, (ask(), answer()))
    monkeypatch.chdir(path.parent)
    assert Book(Path(os.path.basename(path))).lookup(ask()) is not None
