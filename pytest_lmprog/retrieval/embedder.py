"""Embedder: texts to vectors, by an embedding model that litellm reaches or by any function."""

from __future__ import annotations

import base64
import struct
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, ConfigurationError, LMResponseError, UsageError
from pytest_lmprog.lm.calling import Caller, note_call
from pytest_lmprog.lm.calls import CallRequest, CallResult
from pytest_lmprog.lm.limiter import DEFAULT_IN_FLIGHT, Limiter
from pytest_lmprog.lm.litellm_errors import Asked, translated
from pytest_lmprog.lm.options import endpoint_of, sort_options
from pytest_lmprog.lm.redaction import Scrubber, environment_secrets, secrets_in, secrets_in_url
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.lm.scope import current_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.retrieval.indexes import numpy_of
from pytest_lmprog.retrieval.network import attempted

__all__ = ["Embedder", "Vectors", "as_embedder"]

Vectors = list[array]  # type: ignore[type-arg]
"""One array of 32-bit floats a text."""


class Embedder:
    """Turns texts into vectors.

    Parameters
    ----------
    model: litellm's name of an embedding model (``"openai/text-embedding-3-small"``), or a function from a
        list of texts to as many vectors (``SentenceTransformer(...).encode``).
    batch_size: texts in one request at most.
    caching: False asks the model anew wherever no recording answers.
    api_base, api_key, timeout, num_retries, endpoint: as for ``LM``.
    options: further parameters of litellm (``dimensions=256``), or of the function.

    A model's vectors are cached, recorded and replayed like LM calls, a request at a time; a function's are
    not: it is local and quick. Nothing is imported before the first call.
    """

    def __init__(
        self,
        model: str | Callable[..., Any],
        *,
        batch_size: int = 200,
        caching: bool = True,
        api_base: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        num_retries: int = 3,
        endpoint: str | None = None,
        **options: Any,
    ) -> None:
        if not callable(model) and not (isinstance(model, str) and model.strip()):
            raise ConfigurationError(f"an embedder is a model's name or a function, not {model!r}")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigurationError(f"batch_size must be 1 or more, not {batch_size!r}")
        self.model = model
        self.batch_size = batch_size
        self._options = options
        if isinstance(model, str):
            target = _Target(model, api_base, api_key, timeout, num_retries, endpoint, options)
            self._target: _Target | None = target
            self._caller = Caller(lambda: target.identity, MemoryStore(), caching)
        else:
            self._target = None

    @property
    def name(self) -> str:
        """The model's name, or the function's."""
        if isinstance(self.model, str):
            return self.model
        named = self.model if hasattr(self.model, "__qualname__") else type(self.model)
        return f"{named.__module__}.{named.__qualname__}"

    def identity(self) -> dict[str, Any]:
        """Return what the vectors depend on, as plain data."""
        kept = {"model": self.name}
        return {**kept, **self._target.params} if self._target else kept

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of ``texts``, in their order.

        Raises LMError where the model cannot be reached or sends something else."""
        batches = [texts[i : i + self.batch_size] for i in range(0, len(texts), self.batch_size)]
        vectors = [vector for batch in batches for vector in self._batch(list(batch))]
        sizes = {len(vector) for vector in vectors}
        if len(sizes) > 1:
            raise LMResponseError(f"{self.name} returned vectors of {min(sizes)} and {max(sizes)} numbers")
        return vectors

    def __call__(self, inputs: str | Sequence[str], batch_size: int | None = None) -> Any:
        """Return a numpy array of 32-bit floats: one vector for a text, a row each for a list of texts."""
        numpy = numpy_of("an array of vectors", "embeddings")
        single = isinstance(inputs, str)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for text in texts:
            if not isinstance(text, str):
                raise UsageError(f"only texts can be embedded, not {type(text).__name__}")
        own = self if batch_size is None else self._with_batches(batch_size)
        rows = numpy.array(own.embed(texts), dtype=numpy.float32)
        return rows[0] if single else rows

    async def acall(self, inputs: str | Sequence[str], batch_size: int | None = None) -> Any:
        """The same, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.__call__, inputs, batch_size)

    def _with_batches(self, batch_size: int) -> Embedder:
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, batch_size=batch_size)
        return new

    def _batch(self, texts: list[str]) -> Vectors:
        target = self._target
        if target is None:
            assert callable(self.model)
            return checked_vectors(self.model(texts, **self._options), len(texts), self.name)
        arguments = {"model": target.model, "texts": texts, **target.params}
        request = CallRequest("embed", arguments)
        found = self._caller.call(request, lambda: CallResult(packed(target.ask(texts))))
        vectors = unpacked(found.value, self.name)
        note_call("embed", request, [list(vector) for vector in vectors], found)
        return vectors

    def __repr__(self) -> str:
        return f"Embedder({self.name!r})"


class _Target:
    """A model that litellm reaches."""

    def __init__(
        self,
        model: str,
        api_base: str | None,
        api_key: str | None,
        timeout: float,
        num_retries: int,
        endpoint: str | None,
        options: Mapping[str, Any],
    ) -> None:
        api_base = api_base or options.get("base_url")
        sorted_ = sort_options({name: value for name, value in options.items() if name != "base_url"})
        try:
            self.params = {name: plain(value, name) for name, value in sorted_.params.items()}
        except CanonicalError as error:
            raise ConfigurationError(f"Embedder({model!r}): {error}") from None
        self.model, self.timeout = model, float(timeout)
        self._where = endpoint_of(api_base, sorted_.address)
        self.identity = self._where if endpoint is None else endpoint
        self._given = {**sorted_.address, **sorted_.carried, "api_base": api_base, "api_key": api_key}
        self._secrets = sorted_.secrets | secrets_in(api_key) | secrets_in_url(api_base)
        self._retry = RetryPolicy(num_retries)
        self._limiter = Limiter(DEFAULT_IN_FLIGHT)

    def ask(self, texts: list[str]) -> Vectors:
        """Have one batch embedded. Raises LMError."""
        return attempted(lambda: self._attempt(texts), self._retry)

    def _attempt(self, texts: list[str]) -> Vectors:
        from pytest_lmprog.lm.litellm_client import load_litellm

        litellm = load_litellm()
        scrubber = Scrubber(self._secrets | environment_secrets())
        asked = Asked(self.model, self._where, self.timeout, scrubber)
        with current_scope().limiter or self._limiter:
            try:
                answer = litellm.embedding(
                    **self._given,
                    **self.params,
                    model=self.model,
                    input=texts,
                    timeout=self.timeout,
                    max_retries=_Never(0),
                    caching=False,
                )
            except Exception as error:  # noqa: BLE001 - litellm raises its own, openai's, httpx' and builtins
                raise translated(error, asked) from None
        return _vectors_of(answer, len(texts), asked.who)


class _Never(int):
    """0 that is true: of a false ``max_retries`` litellm's embedding makes its own default. Asking again is
    ours."""

    def __bool__(self) -> bool:
        return True


def _vectors_of(answer: Any, count: int, who: str) -> Vectors:
    """Return the vectors of an OpenAI-style answer, each at the place that its index names."""
    rows = getattr(answer, "data", None)
    if not isinstance(rows, list) or len(rows) != count:
        sent = len(rows) if isinstance(rows, list) else "no"
        raise LMResponseError(f"{who} sent {sent} vectors for {count} texts")
    try:
        by_place = {int(row.get("index", i)): row["embedding"] for i, row in enumerate(rows)}
        listed = [by_place[i] for i in range(count)]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LMResponseError(f"{who} sent vectors that cannot be read") from None
    return checked_vectors([_decoded(row) for row in listed], count, who)


def _decoded(row: Any) -> Any:
    if not isinstance(row, str):
        return row
    try:
        return unpacked([row], "")[0]
    except (ValueError, LMResponseError):
        return None


def checked_vectors(found: Any, count: int, who: str) -> Vectors:
    """Return ``found`` (a list of lists, a numpy array, ...) as arrays. Raises LMResponseError unless they
    are ``count`` vectors of finite numbers."""
    if hasattr(found, "tolist"):
        found = found.tolist()
    rows = list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes) else None
    if rows is None or len(rows) != count:
        sent = "something that is no list" if rows is None else f"{len(rows)} vectors"
        raise LMResponseError(f"{who} returned {sent} for {count} texts")
    try:
        vectors = [array("f", row.tolist() if hasattr(row, "tolist") else row) for row in rows]
    except (TypeError, ValueError, OverflowError):
        raise LMResponseError(f"{who} returned something that is no list of numbers") from None
    if not all(vector and all(map(isfinite, vector)) for vector in vectors):
        raise LMResponseError(f"{who} returned an empty vector or one that is not finite")
    return vectors


def packed(vectors: Vectors) -> list[str]:
    """Return the recorded form: the base64 of each vector's little-endian 32-bit floats."""
    return [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode("ascii") for v in vectors]


def unpacked(rows: Any, who: str) -> Vectors:
    """Read what ``packed`` returned. Raises LMResponseError."""
    try:
        raw = [base64.b64decode(row, validate=True) for row in rows]
        return [array("f", struct.unpack(f"<{len(part) // 4}f", part)) for part in raw]
    except (TypeError, ValueError, struct.error):
        raise LMResponseError(f"{who}: the recorded vectors cannot be read") from None


def as_embedder(given: Any) -> Embedder:
    """Return ``given``, an Embedder, a model's name or a function, as an Embedder."""
    return given if isinstance(given, Embedder) else Embedder(given)
