"""The embedded model behind an OpenAI-compatible address that counts the completions asked of it.

The model is so small that it often repeats itself without end. Where the answer has a schema, the server
ends each text in it after ``LONGEST`` characters, so that the JSON ends too, whoever asks.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pytest_lmprog.lm.local.catalog import CATALOG
from pytest_lmprog.lm.local.server import library
from pytest_lmprog.lm.local.weights import ensure_weights

SLOTS, CONTEXT = 4, 4096
LONGEST = 300


@contextmanager
def counting_server(threads: int) -> Iterator[str]:
    """Serve the model and yield the address: ``/v1`` is its API, ``/count`` tells how often it was asked."""
    target = urlsplit(_model(threads))
    proxy = _Proxy(str(target.hostname), int(target.port or 0))
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
    finally:
        proxy.shutdown()


def _model(threads: int) -> str:
    xllamacpp = library()
    params = xllamacpp.CommonParams()
    params.model.path = str(ensure_weights(CATALOG["smollm2-135m"]))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT * SLOTS
    params.kv_unified = False
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    _model.kept = server = xllamacpp.Server(params)  # type: ignore[attr-defined]
    address = str(server.listening_address)
    while _status(address) != 200:
        threading.Event().wait(0.1)
    return address


def _status(address: str) -> int:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _bounded(body: bytes) -> bytes:
    """Return a request whose schema, if it has one, bounds the length of texts."""
    request = json.loads(body)
    schema = ((request.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
    for field in schema.get("properties", {}).values():
        if field.get("type") == "string" and "enum" not in field:
            field.setdefault("maxLength", LONGEST)
    return json.dumps(request).encode()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = (host, port)
        self.count = 0
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Tell the count."""
        self._send(200, str(self.server.count).encode())

    def do_POST(self) -> None:
        """Hand a request on."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.count += 1
        connection = http.client.HTTPConnection(*self.server.target, timeout=600)
        try:
            connection.request("POST", self.path, _bounded(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self._send(answer.status, answer.read())
        finally:
            connection.close()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
