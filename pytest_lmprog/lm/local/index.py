"""Reading a package index without an installer (PEP 503 and 691), at the addresses pip is set up with."""

from __future__ import annotations

import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from html import unescape
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["download_wheel", "index_urls"]

_DEFAULT = "https://pypi.org/simple"
_TIMEOUT = 60.0
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


def download_wheel(project: str, version: str, folder: Path) -> Path:
    """Download the pure wheel of ``project`` into ``folder``.

    Raises LookupError if no index has it, OSError if none can be reached."""
    problem: Exception = LookupError("no package index is set up")
    for index in index_urls(os.environ):
        try:
            return _download(index, project, version, folder)
        except (OSError, ValueError, LookupError) as error:
            problem = error
    raise problem


def index_urls(environ: Mapping[str, str]) -> list[str]:
    """Return the addresses of the package indexes by pip's environment and configuration files, in order."""
    found = [environ.get("PIP_INDEX_URL"), environ.get("UV_DEFAULT_INDEX"), environ.get("UV_INDEX_URL")]
    extra = environ.get("PIP_EXTRA_INDEX_URL", "").split()
    for section in _configured(environ):
        found.append(section.get("index-url"))
        extra += section.get("extra-index-url", "").split()
    first = next((url for url in found if url), _DEFAULT)
    return list(dict.fromkeys(url.rstrip("/") for url in [first, *extra]))


def _configured(environ: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Yield the sections of pip's configuration, the strongest first."""
    for path in _files(environ):
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (ConfigError, UnicodeDecodeError):
            continue
        yield from (parser[name] for name in ("download", "install", "global") if name in parser)


def _files(environ: Mapping[str, str]) -> list[Path]:
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    config = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if sys.platform == "win32":
        config = Path(environ.get("APPDATA", config))
    given = [Path(environ["PIP_CONFIG_FILE"])] if environ.get("PIP_CONFIG_FILE") else []
    user = [config / "pip" / name, Path.home() / ".pip" / name]
    return [*given, Path(sys.prefix) / name, *user, Path("/etc/xdg/pip") / name, Path("/etc") / name]


def _download(index: str, project: str, version: str, folder: Path) -> Path:
    page = f"{index}/{project}/"
    if page.startswith("file:"):
        page += "index.html"
    start = f"{re.sub(r'[-_.]+', '_', project)}-{version}-"
    links = [link for link in _links(page) if _name(link).startswith(start) and link_is_wheel(link)]
    if not links:
        raise LookupError(f"{_shown(index)} has no wheel of {project} {version}")
    path = folder / _name(links[0])
    with _open(links[0], "*/*") as source, path.open("wb") as copy:
        copyfileobj(source, copy, 1 << 20)
    return path


def link_is_wheel(link: str) -> bool:
    """Tell whether ``link`` is a wheel for every platform."""
    return _name(link).endswith("-none-any.whl")


def _name(link: str) -> str:
    return unquote(urlsplit(link).path).rpartition("/")[2]


def _links(page: str) -> list[str]:
    with _open(page, _ACCEPT) as response:
        kind, text = response.headers.get("Content-Type", ""), response.read().decode("utf-8", "replace")
    if "json" in kind:
        hrefs = [str(file["url"]) for file in json.loads(text)["files"]]
    else:
        hrefs = [unescape(href) for href in re.findall(r"<a\s[^>]*?href=[\"']([^\"']+)", text, re.IGNORECASE)]
    return [_with_user(urljoin(page, href), page) for href in hrefs]


def _with_user(link: str, page: str) -> str:
    """Return ``link`` with the page's user info where it is on the same host and has none."""
    there, here = urlsplit(link), urlsplit(page)
    if "@" in here.netloc and there.netloc == here.netloc.rpartition("@")[2]:
        return urlunsplit((there.scheme, here.netloc, there.path, there.query, ""))
    return urlunsplit((there.scheme, there.netloc, there.path, there.query, ""))


def _open(url: str, accept: str) -> Any:
    """Open ``url``. Raises OSError whose text names no secrets."""
    from urllib.request import Request, urlopen

    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    headers = {"Accept": accept, "User-Agent": "pytest-lmprog"}
    if user:
        headers["Authorization"] = "Basic " + b64encode(unquote(user).encode()).decode()
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    try:
        return urlopen(Request(bare, headers=headers), timeout=_TIMEOUT, context=_certificates(parts.scheme))
    except URLError as error:
        raise OSError(f"{_shown(url)}: {error.reason}") from None


def _certificates(scheme: str) -> SSLContext | None:
    if scheme != "https":
        return None
    import ssl

    names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    file = next((os.environ[n] for n in names if os.path.isfile(os.environ.get(n, ""))), None)
    return ssl.create_default_context(cafile=file)


def _shown(url: str) -> str:
    return f"{urlsplit(url).scheme}://{urlsplit(url).netloc.rpartition('@')[2]}"
