from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import FakeServer, drop, rate_limited


def ask(port: int, text: str = "hello", **more: Any) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": "fake", "messages": [{"role": "user", "content": text}], **more})
    try:
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def said(reply: tuple[int, Any]) -> str:
    return reply[1]["choices"][0]["message"]["content"]


def test_the_same_request_has_the_same_answer():
    with FakeServer() as server:
        assert said(ask(server.port)) == said(ask(server.port)) != said(ask(server.port, "other"))
    assert [seen.text for seen in server.seen] == ["hello", "hello", "other"]


def test_64_at_once_take_one_latency():
    with FakeServer(latency=0.2) as server, ThreadPoolExecutor(64) as pool:
        start = time.monotonic()
        list(pool.map(lambda i: ask(server.port, str(i)), range(64)))
        assert time.monotonic() - start < 64 * 0.2 / 2  # one after the other would take 64 * 0.2
    assert server.count == server.answered == 64
    assert server.max_in_flight > 16


def test_slots_bound_the_work():
    running, most, lock = [0], [0], threading.Lock()

    def answer(request: dict[str, Any]) -> str:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return "x"

    with FakeServer(answer, slots=2) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: ask(server.port, str(i)), range(8)))
    assert most[0] == 2


def test_failures_come_first_and_in_order():
    with FakeServer(lambda _: "fine", failures=[rate_limited(3), drop()]) as server:
        assert ask(server.port)[0] == 429
        with pytest.raises(RemoteDisconnected):
            ask(server.port)
        assert said(ask(server.port)) == "fine"


def test_a_schema_is_followed():
    schema = {"type": "object", "properties": {"team": {"enum": ["a", "b"]}, "n": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with FakeServer() as server:
        value = json.loads(said(ask(server.port, response_format=form)))
    assert value["team"] in ("a", "b")
    assert isinstance(value["n"], int)


def test_as_a_process_it_prints_its_port_and_logs(tmp_path: Path):
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "tests.support.server", "--log", str(log)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        ask(port, "logged")
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
            time.sleep(0.01)  # the line follows the answer
        process.kill()
    assert json.loads(log.read_text())["text"] == "logged"
