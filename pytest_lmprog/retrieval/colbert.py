"""ColBERTv2: a server that searches passages, asked over HTTP as DSPy asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pytest_lmprog.errors import ConfigurationError, LMResponseError
from pytest_lmprog.lm.options import endpoint_of
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.retrieval.base import Retriever
from pytest_lmprog.retrieval.network import attempted, fetch_json
from pytest_lmprog.retrieval.passages import Passage, Passages, rounded

__all__ = ["ColBERTv2"]

_KNOWN = ("text", "long_text", "score", "pid", "id")


class ColBERTv2(Retriever):
    """Asks a ColBERTv2 server: ``GET url?query=...&k=...`` (or a POST of both as JSON), answered by
    ``{"topk": [{"text": ..., "score": ..., "pid": ...}, ...]}``.

    Parameters
    ----------
    url: the server's address; ``port`` is appended where given.
    post_requests: POST instead of GET.
    name: tells servers with different passages apart in recordings; None: the address's path. Where the
        server is reached is no part of the recording key.
    timeout: seconds to wait for one answer.
    num_retries: how often a failed request is asked again, where that may help.
    """

    kind = "colbertv2"
    k = 10

    def __init__(
        self,
        url: str = "http://0.0.0.0",
        port: str | int | None = None,
        post_requests: bool = False,
        *,
        name: str | None = None,
        timeout: float = 30.0,
        num_retries: int = 3,
    ) -> None:
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"a ColBERTv2 server has an address like http://host:port/path, not {url!r}"
            )
        self.url = f"{url}:{port}" if port else url
        self.post_requests = post_requests
        self._name, self._timeout = name, timeout
        self._retry = RetryPolicy(num_retries)

    def identity(self) -> Mapping[str, Any]:
        return {"server": self._name or self._path()}

    def _path(self) -> str:
        from urllib.parse import urlsplit

        return urlsplit(self.url).path.strip("/") or "/"

    def endpoint(self) -> str:
        return endpoint_of(self.url, {})

    def __call__(self, query: str, k: int | None = None, simplify: bool = False) -> Any:
        """Return the best passages, or (``simplify``) their texts."""
        found = super().__call__(query, k)
        return found.passages if simplify else found

    def __repr__(self) -> str:
        return f"ColBERTv2({self.endpoint()!r})"

    def search(self, query: str, k: int) -> Passages:
        answer = attempted(lambda: self._fetched(query, k), self._retry)
        return Passages(answer[:k])

    def _fetched(self, query: str, k: int) -> list[Passage]:
        asked: dict[str, Any] = {"query": query, "k": k}
        url, body = self.url, asked if self.post_requests else None
        if body is None:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"
        who, where = "the ColBERTv2 server", self.endpoint()
        answer = fetch_json(url, who, body=body, timeout=self._timeout, shown=where)
        rows = answer.get("topk") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list):
            raise LMResponseError(f"{who} at {where} sent an answer without a list 'topk': {_short(answer)}")
        return [_passage(row, f"{who} at {where}") for row in rows]


def _passage(row: Any, who: str) -> Passage:
    text = (row.get("long_text") or row.get("text")) if isinstance(row, Mapping) else None
    if not isinstance(text, str):
        raise LMResponseError(f"{who} sent a passage without a text: {_short(row)}")
    score, pid = row.get("score"), row.get("pid", row.get("id"))
    known = isinstance(score, int | float) and not isinstance(score, bool)
    more = {str(name): value for name, value in row.items() if name not in _KNOWN}
    if pid is not None:
        more = {"pid": pid, **more}
    return Passage(text, rounded(score) if known else None, None if pid is None else str(pid), more)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."
