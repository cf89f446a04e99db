"""A fake OpenAI-compatible server on 127.0.0.1: answers are a pure function of the request.

In tests::

    with FakeServer(lambda request: "42", latency=0.01) as server:
        lm = LM("openai/fake", api_base=server.url, api_key="sk-test")
        ...
    assert server.count == 1

As a process of its own (for tests that kill things): ``python -m tests.support.server --help``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

__all__ = [
    "Answer",
    "FakeServer",
    "Reply",
    "Seen",
    "answer_by_digest",
    "cut_off",
    "drop",
    "example_of_schema",
    "failing",
    "garbage",
    "hang",
    "last_user_text",
    "rate_limited",
    "refuse_response_format",
    "request_digest",
]


@dataclass(frozen=True)
class Reply:
    """An answer other than the usual one.

    ``body`` is sent as it is with ``status`` and ``headers``. ``hang`` seconds are waited first.
    ``drop`` closes the connection without an answer; ``cut`` sends only the first half of the body.
    """

    status: int = 200
    body: bytes | str | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    drop: bool = False
    cut: bool = False

    def raw(self) -> bytes:
        """Return the body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Answer = Callable[[dict[str, Any]], "str | dict[str, Any] | Reply | None"]
"""From the request's JSON body to the answer's text (a dict is rendered as JSON, None is a null content)."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; ``at`` is ``time.monotonic()``."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float

    @property
    def text(self) -> str:
        """Text of the last user message."""
        return last_user_text(self.body)


def rate_limited(retry_after: float | str | None = None) -> Reply:
    """Return a 429, with Retry-After where given."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(429, _error("slow down", "rate_limit_exceeded"), headers)


def failing(status: int = 500, message: str = "the server broke", code: str = "broken") -> Reply:
    """Return an error answer in OpenAI's form."""
    return Reply(status, _error(message, code))


def garbage(body: str = "<html>not JSON</html>") -> Reply:
    """Return a 200 whose body is not the protocol's."""
    return Reply(200, body, {"Content-Type": "text/html"})


def hang(seconds: float = 30.0) -> Reply:
    """Return a reply that comes too late, if at all (a stopping server ends the wait)."""
    return Reply(hang=seconds, drop=True)


def drop() -> Reply:
    """Return a reply that is a closed connection."""
    return Reply(drop=True)


def cut_off() -> Reply:
    """Return a reply whose JSON ends in the middle, with the length of the whole."""
    return Reply(200, completion("never seen in full", {}), cut=True)


def refuse_response_format(answer: Answer) -> Answer:
    """Return ``answer`` behind an endpoint that knows no ``response_format``: 400."""

    def answered(request: dict[str, Any]) -> Any:
        if "response_format" in request:
            return failing(400, "response_format is not supported by this model", "unsupported")
        return answer(request)

    return answered


def _error(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def last_user_text(request: Mapping[str, Any]) -> str:
    """Return the text of the last user message (its text parts, joined)."""
    for message in reversed(request.get("messages", [])):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return "".join(part.get("text", "") for part in content or ())
    return ""


def request_digest(request: Mapping[str, Any]) -> str:
    """Return a digest of the request's body: the same request, the same digest, in any process."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def answer_by_digest(request: dict[str, Any]) -> str | dict[str, Any]:
    """The default answer: text (or, under a JSON schema, an object that fits it) drawn from the digest."""
    seed = request_digest(request)
    schema = (request.get("response_format") or {}).get("json_schema", {}).get("schema")
    if schema:
        return example_of_schema(schema, random.Random(seed))
    return f"answer {seed[:12]}"


def example_of_schema(
    schema: Mapping[str, Any], rng: random.Random, root: Mapping[str, Any] | None = None
) -> Any:
    """Return a value that fits a (simple) JSON schema, drawn with ``rng``."""
    root = schema if root is None else root
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return example_of_schema(target, rng, root)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return example_of_schema(rng.choice(schema[several]), rng, root)
    return _example_of_type(schema, rng, root)


def _example_of_type(schema: Mapping[str, Any], rng: random.Random, root: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if kind == "object":
        return {k: example_of_schema(v, rng, root) for k, v in schema.get("properties", {}).items()}
    if kind == "array":
        count = max(schema.get("minItems", 0), rng.randint(0, min(3, schema.get("maxItems", 3))))
        return [example_of_schema(schema.get("items", {"type": "string"}), rng, root) for _ in range(count)]
    if kind == "integer":
        return rng.randint(int(schema.get("minimum", 0)), int(schema.get("maximum", 9)))
    if kind == "number":
        return round(rng.uniform(schema.get("minimum", 0), schema.get("maximum", 1)), 3)
    if kind == "boolean":
        return rng.random() < 0.5
    return None if kind == "null" else f"text {rng.randint(0, 999)}"


def completion(text: str | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chat completion that says ``text``, as OpenAI words it."""
    prompt = sum(len(str(m.get("content", ""))) for m in request.get("messages", ())) // 4 + 1
    said = len(text or "") // 4 + 1
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", "fake"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said},
    }


class FakeServer:
    """The server. Start and stop it as a context manager.

    Parameters
    ----------
    answer: the answers, a pure function of the request (default: ``answer_by_digest``).
    latency: seconds an answer takes: a number, a (low, high) range to draw from, or a function.
    slots: how many requests are worked on at a time; the others wait (None: all at once).
    failures: replies given, in order of arrival, before the usual answers begin; or a function of
        (number of the request from 0, its body) that returns a Reply, or None for the usual answer.
    seed: of the random latencies.
    log: a file that gets one line of JSON per answered request: its digest and its last user text.
    models: what ``/v1/models`` lists.
    """

    def __init__(
        self,
        answer: Answer = answer_by_digest,
        *,
        latency: float | tuple[float, float] | Callable[[dict[str, Any]], float] = 0.0,
        slots: int | None = None,
        failures: Iterable[Reply] | Callable[[int, dict[str, Any]], Reply | None] = (),
        seed: int = 0,
        log: Path | str | None = None,
        models: tuple[str, ...] = ("fake",),
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.latency = latency
        self.failures = failures if callable(failures) else _in_order(failures)
        self.models = models
        self._log = None if log is None else Path(log)
        self._random = random.Random(seed)
        self._slots = threading.BoundedSemaphore(slots) if slots else nullcontext()
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._in_flight = 0
        self.max_in_flight = 0
        self.answered = 0
        self.stopping = threading.Event()
        self._http = _HTTPServer(("127.0.0.1", port), _Handler)
        self._http.fake = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering: hanging requests and idle connections are closed."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.close_connections()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The ``api_base`` to use."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def seen(self) -> list[Seen]:
        """The chat requests so far, in order of arrival."""
        with self._lock:
            return list(self._seen)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The JSON bodies of the chat requests so far."""
        return [seen.body for seen in self.seen]

    @property
    def count(self) -> int:
        """How many chat requests have arrived."""
        with self._lock:
            return len(self._seen)

    def reset(self) -> None:
        """Forget what was seen."""
        with self._lock:
            self._seen.clear()
            self.max_in_flight = self._in_flight
            self.answered = 0

    @contextmanager
    def _arrival(self, seen: Seen) -> Iterator[int]:
        with self._lock:
            number = len(self._seen)
            self._seen.append(seen)
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            yield number
        finally:
            with self._lock:
                self._in_flight -= 1

    def reply(self, seen: Seen) -> Reply:
        """Work out the reply to a chat request, taking as long as told."""
        with self._arrival(seen) as number, self._slots:
            self.stopping.wait(self._seconds(seen.body))
            reply = self.failures(number, seen.body)
            if reply is None:
                reply = self._usual(seen.body)
            if reply.hang:
                self.stopping.wait(reply.hang)
            return reply

    def _usual(self, request: dict[str, Any]) -> Reply:
        said = self.answer(request)
        if isinstance(said, Reply):
            return said
        if isinstance(said, dict | list):
            said = json.dumps(said)
        return Reply(200, completion(said, request))

    def _seconds(self, request: dict[str, Any]) -> float:
        if callable(self.latency):
            return self.latency(request)
        if isinstance(self.latency, tuple):
            with self._lock:
                return self._random.uniform(*self.latency)
        return self.latency

    def note_answered(self, seen: Seen) -> None:
        """Count an answer that has been sent in full, and log it."""
        with self._lock:
            self.answered += 1
            if self._log is not None:
                line = json.dumps({"digest": request_digest(seen.body), "text": seen.text})
                with self._log.open("a", encoding="utf-8", newline="\n") as file:
                    file.write(line + "\n")


def _in_order(replies: Iterable[Reply]) -> Callable[[int, dict[str, Any]], Reply | None]:
    ordered = list(replies)
    return lambda number, _: ordered[number] if number < len(ordered) else None


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    fake: FakeServer

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's looks the host's name up, which can be slow
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HTTPServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.rstrip("/").endswith("/models"):
            data = [{"id": name, "object": "model"} for name in self.server.fake.models]
            self._send(Reply(200, {"object": "list", "data": data}))
        else:
            self._send(failing(404, f"no such path: {self.path}", "not_found"))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.split("?")[0].rstrip("/").endswith("/chat/completions"):
            self._send(failing(404, f"no such path: {self.path}", "not_found"))
            return
        seen = Seen(self.path, dict(self.headers), json.loads(raw), time.monotonic())
        if self._send(self.server.fake.reply(seen)):
            self.server.fake.note_answered(seen)

    def _send(self, reply: Reply) -> bool:
        if reply.drop:
            self.close_connection = True
            return False
        raw = reply.raw()
        head = {"Content-Type": "application/json", **reply.headers, "Content-Length": str(len(raw))}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{k}: {v}" for k, v in head.items()), "", ""]
        sent = raw[: len(raw) // 2] if reply.cut else raw
        self.close_connection = self.close_connection or reply.cut
        self.wfile.write("\r\n".join(lines).encode("latin-1") + sent)
        return reply.status == 200 and not reply.cut


def main() -> None:
    """Serve ``answer_by_digest`` until killed; print the port on a line of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0], help="seconds, or low and high")
    parser.add_argument("--slots", type=int, default=None)
    parser.add_argument("--log", default=None, help="file that gets a line of JSON per answered request")
    parser.add_argument("--answer", default=None, metavar="MODULE:FUNCTION", help="the answers")
    given = parser.parse_args()
    latency = given.latency[0] if len(given.latency) == 1 else (given.latency[0], given.latency[1])
    answer = _imported(given.answer) if given.answer else answer_by_digest
    with FakeServer(answer, latency=latency, slots=given.slots, log=given.log, port=given.port) as server:
        print(server.port, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def _imported(name: str) -> Answer:
    from importlib import import_module

    module, function = name.split(":")
    answer: Answer = getattr(import_module(module), function)
    return answer


if __name__ == "__main__":
    main()
