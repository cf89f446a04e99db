from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import AnswerError, CodeError, MissingExtraError, UsageError
from pytest_lmprog.lm.recordings.book import Book
from pytest_lmprog.lm.scope import CallScope, use_scope
from pytest_lmprog.programs import run_program
from tests.programs.attacks import ATTACKS

SECRET = "s3cr3t-of-the-host"


def coder(*codes: str):
    """An LM that writes these codes in turn, the last one again and again; answers with what they gave."""
    left = list(codes)

    def answer(request):
        wanted = request.response_format["json_schema"]["schema"]["properties"]
        if "generated_code" in wanted:
            code = left.pop(0) if len(left) > 1 else left[0]
            return json.dumps({"reasoning": "so", "generated_code": code})
        shown = request.messages[-1]["content"]
        return json.dumps({"reasoning": "so", "answer": shown.rpartition("code_output: ")[2]})

    return lmp.ScriptedLM(answer)


def run(*codes: str, **options):
    program = lmp.ProgramOfThought("question -> answer", **options)
    with lmp.context(lm=coder(*codes)):
        return run_program(program, {"question": "What is 6 times 7?"})


def test_there_are_thirty_attacks_and_more():
    assert len(ATTACKS) >= 30
    assert len({name for name, _ in ATTACKS}) == len(ATTACKS)


@pytest.fixture(scope="module")
def warm():
    lmp.PythonInterpreter().run("1")


@pytest.mark.parametrize(("name", "code"), ATTACKS, ids=[name for name, _ in ATTACKS])
def test_attacks_end_in_an_error_within_five_seconds(name, code, tmp_path, monkeypatch, warm):
    target = tmp_path / "owned"
    monkeypatch.setenv("LMPROG_SECRET", SECRET)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)
        if name != "deep source":
            port = listener.getsockname()[1]
            code = code.format(target=str(target), port=port, pid=os.getpid())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # the largest there ever was
        start = time.perf_counter()
        done = run(code)
        took = time.perf_counter() - start
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert isinstance(done.error, CodeError)
    assert isinstance(done.error, AnswerError)
    assert took < 5
    assert not target.exists()
    assert SECRET not in str(done.error) + repr(done.trace)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50_000  # kB
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(child, 600_000)


def test_the_code_runs_in_no_process_of_ours(tmp_path):
    done = run("import sys\nfinal_answer(str(sys.version))", max_iters=1)
    assert done.error is None
    assert "Monty" in done.prediction.answer or sys.version not in done.prediction.answer


def test_nothing_is_inherited(monkeypatch):
    monkeypatch.setenv("LMPROG_SECRET", SECRET)
    from pytest_lmprog.programs.interpreter import _launcher

    script = _launcher()
    assert script is not None
    text = Path(script).read_text()
    binary = next(line for line in text.splitlines() if line.startswith("exec")).split()[3]
    text = text.replace(binary, "/bin/sh")
    assert "env -i" in text
    shown = subprocess.run(
        ["sh", "-c", text, "x", "-c", "set; ulimit -v; ulimit -f; ulimit -n"], capture_output=True, text=True
    ).stdout
    assert SECRET not in shown
    assert shown.split()[-3:] == ["2097152", "0", "64"]


def test_a_failed_code_is_shown_with_its_error():
    done = run("print(1/0)", "```python\nprint(6 * 7)\n```")
    assert done.error is None
    assert done.prediction.answer == "42"
    assert [call.name for call in done.trace] == ["code_generate", "code_regenerate", "generate_output"]
    again = done.trace.of("code_regenerate")[0].inputs
    assert again["previous_code"] == "print(1/0)"
    assert again["error"] == "ZeroDivisionError: division by zero (line 1: print(1/0))"
    assert [(tool.name, tool.result.output, tool.result.error) for tool in done.trace.tools] == [
        ("python", "", again["error"]),
        ("python", "42", None),
    ]


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("final_answer({'answer': 6 * 7})", '{"answer": 42}'),
        ("final_answer(answer=42)", '{"answer": 42}'),
        ("SUBMIT('forty-two')", "forty-two"),
        ("print('x'); final_answer(1); final_answer(2)", "2"),
        ("print(6 * 7)", "42"),
        ("answer = 6 * 7", '{"answer": 42}'),
        ("final_answer(question)", "What is 6 times 7?"),
        (
            "from decimal import Decimal\nfinal_answer([Decimal('1.50'), {2, 1}, (1,)])",
            '["1.50", [1, 2], [1]]',
        ),
    ],
)
def test_what_the_code_gives(code, output):
    done = run(code)
    assert done.error is None
    assert done.trace.tools[-1].result.output == output


def test_after_max_iters_it_fails():
    done = run("boom", max_iters=2)
    assert isinstance(done.error, CodeError)
    assert str(done.error).startswith("the generated code failed 2 times, the last time with: NameError")
    assert done.error.code == "boom"
    assert len(done.trace.calls) == 2
    assert lmp.ProgramOfThought("q -> a", max_iters=2).max_calls() == 3


def test_no_third_try_after_two_timeouts():
    fast = lmp.PythonInterpreter(timeout=0.1)
    done = run("while True: pass", max_iters=9, interpreter=fast)
    assert len(done.trace.tools) == 2
    assert done.error.reason == "TimeoutError: the code ran longer than 0.1 s"


def test_runs_are_replayed_without_the_extra(tmp_path, monkeypatch):
    book = Book(tmp_path / "calls.jsonl")
    with use_scope(CallScope(recording=book)):
        live = run("print(1/0)", "print(6 * 7)")
    book.flush()
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with use_scope(CallScope(mode="none", recording=Book(tmp_path / "calls.jsonl"))):
        replayed = run("nothing")
    assert replayed.prediction == live.prediction
    assert [t.result for t in replayed.trace.tools] == [t.result for t in live.trace.tools]
    assert {t.source for t in replayed.trace.tools} == {"recording"}


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-lmprog\[sandbox\]'"):
        run("print(1)")


def test_async_and_many_at_once():
    program = lmp.ProgramOfThought("question -> answer")

    async def many():
        return await asyncio.gather(*(program.acall(question=str(n)) for n in range(8)))

    with lmp.context(lm=coder("final_answer(question)")):
        assert [p.answer for p in asyncio.run(many())] == [str(n) for n in range(8)]


def test_settings_are_checked():
    with pytest.raises(UsageError, match="max_iters"):
        lmp.ProgramOfThought("q -> a", max_iters=0)
    with pytest.raises(UsageError, match="timeout"):
        lmp.PythonInterpreter(timeout=0)


def test_the_interpreter_by_itself():
    interpreter = lmp.PythonInterpreter()
    assert interpreter("print(x + 1)", {"x": 1}) == "2"
    with pytest.raises(RuntimeError, match="NameError"):
        interpreter.execute("y")
    assert interpreter.run("x = '\ud800'").error is not None
    assert interpreter.run("x = 1\0").error is not None
    assert (
        interpreter.run("").error == "the code gave no result: it must end with a call of final_answer(...)"
    )
