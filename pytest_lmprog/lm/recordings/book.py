"""The recorded answers of one test module: looked up while it runs, added to, written when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace as replace_field
from pathlib import Path
from threading import Lock

from pytest_lmprog.errors import RecordingError
from pytest_lmprog.lm.recordings import lines as fmt
from pytest_lmprog.lm.recordings.index import Index, merge_line, merge_lines, read_index, shown_path
from pytest_lmprog.lm.recordings.write import replace_file, updating
from pytest_lmprog.lm.stores.warn import WarnOnce
from pytest_lmprog.lm.types import Capabilities, LMRequest, LMResponse

__all__ = ["Book"]

_REPLACES = "!"
"""Stands before an added line that takes the place of an answer."""


class Book:
    """Answers recorded in the file at ``path``; read on first use, thread-safe.

    Parameters
    ----------
    path: ``__lm_recordings__/test_support.jsonl``; it need not exist.
    store_messages: False keeps only digests of what was asked (``lm_store_messages``).
    warn: told of doubtful lines, each once; by default as a LmprogWarning.

    Every method that reads raises RecordingError, naming file and line, for a damaged file.
    """

    def __init__(
        self,
        path: Path,
        *,
        store_messages: bool = True,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._store_messages = store_messages
        self._warn = warn or WarnOnce()
        self._lock = Lock()
        self._index: Index | None = None
        self._damage: RecordingError | None = None
        self._answers: dict[str, LMResponse] = {}
        self._used: set[str] = set()
        self._asked: dict[str, str | Callable[[], str]] = {}
        self._new = Index(self.path)
        self._replaced: set[str] = set()
        self._added: list[str] = []

    def lookup(self, request: LMRequest, endpoint: Callable[[], str] | None = None) -> LMResponse | None:
        """Return the recorded answer, or None.

        With ``endpoint``, which tells the address that asks (a function, because that may mean to hash a
        model's weights), two addresses that ask the same request in one run are a RecordingError: a
        recording has one answer for both.
        """
        key = request.key
        response = self._answers.get(key) or self._find(key)
        if response is None:
            return None
        self._used.add(key)
        if endpoint is not None and self._asked.setdefault(key, endpoint) is not endpoint:
            self._check_endpoint(request, endpoint())
        return response

    def add(
        self,
        request: LMRequest,
        response: LMResponse,
        endpoint: str,
        *,
        replace: bool = False,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        """Take note of an answer that was used; ``flush`` writes it.

        An answer that is recorded already stays, unless ``replace``. ``rewrite`` takes what must not be
        stored out of the request's texts; its key is computed before. Raises RecordingError where
        another address answered the same request in this run.
        """
        key = request.key
        if self._asked.setdefault(key, endpoint) != endpoint:
            self._check_endpoint(request, endpoint)
        index = self._load()
        with self._lock:
            self._used.add(key)
            known = key in self._new.answers or key in index.answers
            if known and not replace:
                return
            self._answers[key] = replace_field(response, source="recording")
            stored = fmt.store_request(request, rewrite)
            line = fmt.encode_answer(key, stored, response, endpoint=fmt.endpoint_digest(endpoint))
            self._note(key, line, stored.parts, replace=replace)

    def capabilities(self, model: str) -> Capabilities | None:
        """What the recording says of ``model``."""
        return self._new.models.get(model) or self._load().models.get(model)

    def learn(self, model: str, capabilities: Capabilities) -> None:
        """Record what was found out about ``model``."""
        if self.capabilities(model) == capabilities:
            return
        with self._lock:
            self._new.models[model] = capabilities
            self._added.append(_REPLACES + fmt.encode_model(model, capabilities).decode("utf-8"))

    def explain_miss(
        self,
        request: LMRequest,
        label: str | None = None,
        *,
        rewrite: Callable[[str], str] | None = None,
    ) -> str:
        """Return what to tell when there is no answer: the case, the nearest recorded request, the fields
        that differ, and how to mend it. ``rewrite`` takes out what must not be shown."""
        from pytest_lmprog.lm.recordings.nearest import explain_miss

        index = self._load()
        with self._lock:
            known = Index(
                self.path,
                exists=index.exists,
                answers={**index.answers, **self._new.answers},
                parts={**index.parts, **self._new.parts},
                data=index.data,
            )
        return explain_miss(known, fmt.store_request(request, rewrite), label)

    def used_keys(self) -> frozenset[str]:
        """The keys of the answers that this run used, looked up or added."""
        with self._lock:
            return frozenset(self._used)

    def mark_used(self, keys: Iterable[str]) -> None:
        """Count ``keys`` as used: what another process of this run reports of itself."""
        with self._lock:
            self._used.update(keys)

    def changes(self) -> int:
        """The number of answers and models that ``flush`` would write."""
        with self._lock:
            return len(self._new.answers) + len(self._new.models)

    def additions(self, start: int = 0) -> list[str]:
        """Return what was added, as plain text for another process's ``absorb``.

        The list only grows: ``start`` leaves out what was handed on before.
        """
        with self._lock:
            return self._added[start:]

    def absorb(self, additions: Iterable[str]) -> None:
        """Take over another process's ``additions``. Raises RecordingError where the same request was
        answered by two addresses."""
        with self._lock:
            for text in additions:
                self._absorb_line(text)

    def flush(self) -> bool:
        """Write what was added, merged with what the file holds by now; returns whether it changed.

        Nothing is written where nothing was added. Raises RecordingError where the file is damaged (it
        stays as it is) or cannot be written; the additions are then kept.
        """
        with self._lock:
            if not self._new.answers and not self._new.models:
                return False
            with updating(self.path):
                merged = self._merged(read_index(self.path))
                text = merged.text()
                changed = text != merged.data
                if changed:
                    replace_file(self.path, text)
            merged.data = text
            self._index, self._new, self._replaced = merged, Index(self.path), set()
        self._report(merged)
        return changed

    def _find(self, key: str) -> LMResponse | None:
        index = self._index or self._load()
        entry = self._new.entry(key) or index.entry(key)
        if entry is None:
            return None
        return self._answers.setdefault(key, entry.response)

    def _load(self) -> Index:
        if self._index is None:
            with self._lock:
                self._load_alone()
        assert self._index is not None
        return self._index

    def _load_alone(self) -> None:
        if self._damage is not None:
            raise self._damage.with_traceback(None)
        if self._index is not None:
            return
        try:
            index = read_index(self.path)
        except RecordingError as error:
            self._damage = error
            raise
        self._report(index)
        self._index = index

    def _report(self, index: Index) -> None:
        for message in index.doubtful:
            self._warn(
                f"{shown_path(self.path)}: {message}; the one with the lower digest is used"
                " (record it anew with --lm-record=all)"
            )

    def _note(self, key: str, line: bytes, parts: Iterable[object], *, replace: bool) -> None:
        if self._new.answers.get(key) == line:
            return
        for value in parts:
            part = fmt.encode_part(value, store=self._store_messages)
            if self._new.parts.setdefault(fmt.part_ref(part), part) is part:
                self._added.append(part.decode("utf-8"))
        self._new.answers[key] = line
        if replace:
            self._replaced.add(key)
        self._added.append((_REPLACES if replace else "") + line.decode("utf-8"))

    def _absorb_line(self, text: str) -> None:
        line = text.removeprefix(_REPLACES).encode("utf-8")
        if not fmt.is_answer(line):
            merge_lines(self._new, [line])
            return
        key = fmt.answer_key(line)
        self._used.add(key)
        other = self._new.answers.get(key)
        if other is not None:
            self._check_endpoints(other, line)
        if text.startswith(_REPLACES):
            self._replaced.add(key)
        merge_line(self._new, line)
        self._answers.pop(key, None)

    def _merged(self, index: Index) -> Index:
        for key in self._replaced:
            index.answers.pop(key, None)
        index.models.update(self._new.models)
        if not self._store_messages:
            index.parts = {ref: _without_content(index, ref) for ref in index.parts}
        merge_lines(index, [*self._new.answers.values(), *self._new.parts.values()])
        return index

    def _check_endpoints(self, line: bytes, other: bytes) -> None:
        ours, theirs = fmt.decode_answer(line), fmt.decode_answer(other)
        if ours.endpoint != theirs.endpoint:
            raise self._endpoint_error(str(ours.request.get("model")), "")

    def _check_endpoint(self, request: LMRequest, endpoint: str) -> None:
        first = self._asked[request.key]
        address = first if isinstance(first, str) else first()
        if address != endpoint:
            raise self._endpoint_error(request.model, f" ({address} and {endpoint})")

    def _endpoint_error(self, model: str, addresses: str) -> RecordingError:
        return RecordingError(
            f"one request to {model} was answered at two addresses{addresses}, but a recording has one"
            " answer for it",
            path=shown_path(self.path),
            hint=f'give each its name: LM("{model}", endpoint="name")',
        )


def _without_content(index: Index, ref: str) -> bytes:
    part = index.part(ref)
    assert part is not None
    return index.parts[ref] if part.value is None else fmt.encode_part(part.value, store=False)
