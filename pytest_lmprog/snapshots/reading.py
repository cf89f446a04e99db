"""The reader of snapshot files: strict, so that a damaged or misspelt file is never half understood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.lm.types import Capabilities
from pytest_lmprog.snapshots.artifact import (
    FORMAT,
    CalibrationSnapshot,
    CaseBaseline,
    DataSource,
    FieldSnapshot,
    Fingerprint,
    Header,
    MetricBaseline,
    ModelInfo,
    PredictorSnapshot,
    Snapshot,
    SourceFiles,
    TeleprompterInfo,
    Validation,
)
from pytest_lmprog.snapshots.entries import Entry, read_entry, read_plain_entry

__all__ = ["read_head", "read_snapshot"]

_CONFLICT = re.compile(r"^(?:<{7}(?: |$)|>{7}(?: |$)|={7}$|\|{7}(?: |$))", re.MULTILINE)
_REQUIRED = ("format", "prompt_format", "program", "adapter", "seed", "predictors")
_OPTIONAL = (
    "model",
    "teleprompter",
    "validation",
    "stopped",
    "libraries",
    "changed_since_compile",
    "base",
    "fingerprint",
    "sources",
    "baseline",
    "calibration",
)


def read_snapshot(text: str, path: str, *, pure: bool = False) -> Snapshot:
    """Return the snapshot that ``text`` holds. ``path`` is for errors; ``pure`` reads without libyaml."""
    _refuse_conflicts(text, path)
    root = read_entry(text, path, pure=pure)
    _check_format(root)
    entries = root.record(required=_REQUIRED, optional=_OPTIONAL)
    baseline = entries.get("baseline")
    return replace(
        _head(entries),
        predictors={name: _predictor(e) for name, e in entries["predictors"].mapping().items()},
        baseline={} if baseline is None else {n: _metric(e) for n, e in baseline.mapping().items()},
        calibration=_calibration(entries.get("calibration")),
    )


def read_head(text: str, path: str) -> Snapshot:
    """Return the snapshot that ``text``, which ends before the predictors, begins."""
    root = read_plain_entry(text, path) or read_entry(text, path)
    _check_format(root)
    required = [name for name in _REQUIRED if name != "predictors"]
    return _head(root.record(required=required, optional=_OPTIONAL))


def _head(entries: Mapping[str, Entry]) -> Snapshot:
    return Snapshot(
        header=_header(entries),
        predictors={},
        fingerprint=_fingerprint(entries.get("fingerprint")),
        base=_text(entries.get("base")),
        sources=_sources(entries.get("sources")),
    )


def _calibration(entry: Entry | None) -> CalibrationSnapshot | None:
    if entry is None:
        return None
    parts = entry.record(required=("figures", "verdicts"), optional=("confusion",))
    confusion = parts.get("confusion")
    rows = {} if confusion is None else confusion.mapping()
    return CalibrationSnapshot(
        figures={name: _figure(figure) for name, figure in parts["figures"].mapping().items()},
        confusion={
            people: {judge: count.integer() for judge, count in row.mapping().items()}
            for people, row in rows.items()
        },
        verdicts={golden: _verdicts(row) for golden, row in parts["verdicts"].mapping().items()},
    )


def _figure(entry: Entry) -> float:
    value = entry.scalar()
    if type(value) not in (int, float):
        raise entry.fail(f"must be a number, not {value!r}")
    return value  # type: ignore[no-any-return]


def _verdicts(entry: Entry) -> tuple[object, object]:
    row = entry.record(required=("people", "judge"))
    return row["people"].scalar(), row["judge"].scalar()


def _refuse_conflicts(text: str, path: str) -> None:
    # `=======` alone may be a line of a prompt; markers of a real conflict come with `<<<<<<<`.
    found = [m for m in _CONFLICT.finditer(text) if not m.group().startswith("=")]
    if found:
        line = text.count("\n", 0, found[0].start()) + 1
        raise SnapshotError(
            "there are git conflict markers in the file",
            path=path,
            line=line,
            hint="resolve the conflict (take one side), then compile again if the program changed",
        )


def _check_format(root: Entry) -> None:
    if not root.is_mapping:
        raise root.fail("is not a snapshot: it must be a mapping that starts with 'format: 1'")
    entry = root.mapping().get("format")
    if entry is None:
        raise root.fail("is not a snapshot: it lacks the key 'format'")
    number = entry.integer()
    if number > FORMAT:
        raise entry.fail(
            f"is {number}: the file was written by a newer pytest-lmprog, this one reads up to {FORMAT}",
            hint="pip install --upgrade pytest-lmprog",
        )
    if number < 1:
        raise entry.fail(f"is {number}, which never existed")


def _header(entries: Mapping[str, Entry]) -> Header:
    libraries = entries.get("libraries")
    changed = entries.get("changed_since_compile")
    stopped = entries.get("stopped")
    return Header(
        program=entries["program"].text(),
        model=_model(entries.get("model")),
        adapter=entries["adapter"].text(),
        prompt_format=entries["prompt_format"].integer(),
        teleprompter=_teleprompter(entries.get("teleprompter")),
        seed=entries["seed"].integer(minimum=None),
        validation=_validation(entries.get("validation")),
        stopped=None if stopped is None else stopped.choice({"budget"}),
        libraries={} if libraries is None else libraries.texts(),
        changed_since_compile=() if changed is None else tuple(e.text() for e in changed.items()),
        format=entries["format"].integer(),
    )


def _text(entry: Entry | None) -> str | None:
    return None if entry is None else entry.text()


def _model(entry: Entry | None) -> ModelInfo | None:
    if entry is None:
        return None
    model = entry.record(required=("name",), optional=("capabilities",))
    capabilities = model.get("capabilities")
    if capabilities is None:
        return ModelInfo(model["name"].text())
    known = capabilities.record(required=(), optional=("json_schema",))
    schema = known.get("json_schema")
    return ModelInfo(model["name"].text(), Capabilities(None if schema is None else schema.boolean()))


def _teleprompter(entry: Entry | None) -> TeleprompterInfo | None:
    if entry is None:
        return None
    parts = entry.record(required=("name",), optional=("settings",))
    settings = parts.get("settings")
    return TeleprompterInfo(parts["name"].text(), {} if settings is None else settings.plain_mapping())


def _validation(entry: Entry | None) -> Validation | None:
    if entry is None:
        return None
    parts = entry.record(required=("score", "examples"), optional=("before",))
    before = parts.get("before")
    return Validation(
        parts["score"].number(), parts["examples"].integer(), None if before is None else before.number()
    )


def _fingerprint(entry: Entry | None) -> Fingerprint:
    return {} if entry is None else {part: items.texts() for part, items in entry.mapping().items()}


def _sources(entry: Entry | None) -> SourceFiles | None:
    if entry is None:
        return None
    mappings = ("prompts", "modules", "metrics", "texts")
    parts = entry.record(required=(), optional=(*mappings, "data", "roots", "unjudged"))
    texts = {name: parts[name].texts() for name in mappings if name in parts}
    data = parts.get("data")
    return SourceFiles(
        **texts,
        data={} if data is None else {name: _data_source(e) for name, e in data.mapping().items()},
        roots=_listed(parts.get("roots")),
        unjudged=_listed(parts.get("unjudged")),
    )


def _listed(entry: Entry | None) -> tuple[str, ...]:
    return () if entry is None else tuple(e.text() for e in entry.items())


def _data_source(entry: Entry) -> DataSource:
    parts = entry.record(required=("path",), optional=("split", "inputs"))
    inputs = parts.get("inputs")
    return DataSource(
        parts["path"].text(),
        _text(parts.get("split")),
        () if inputs is None else tuple(e.text() for e in inputs.items()),
    )


def _predictor(entry: Entry) -> PredictorSnapshot:
    parts = entry.record(required=("instructions", "fields"), optional=("adapter", "demos", "messages"))
    demos = parts.get("demos")
    messages = parts.get("messages")
    return PredictorSnapshot(
        instructions=parts["instructions"].text(),
        fields=_fields(parts["fields"]),
        demos=() if demos is None else tuple(e.plain_mapping() for e in demos.items()),
        messages=() if messages is None else tuple(_message(e) for e in messages.items()),
        adapter=_text(parts.get("adapter")),
    )


def _fields(entry: Entry) -> tuple[FieldSnapshot, ...]:
    fields: dict[str, FieldSnapshot] = {}
    for item in entry.items():
        field = _field(item)
        if field.name in fields:
            raise item.fail(f"has the name {field.name!r}, which another field has")
        fields[field.name] = field
    return tuple(fields.values())


def _field(entry: Entry) -> FieldSnapshot:
    parts = entry.record(required=("name", "role", "type"), optional=("desc", "prefix"))
    return FieldSnapshot(
        name=parts["name"].text(),
        role=parts["role"].choice({"input", "output"}),
        type=parts["type"].text(),
        desc=_text(parts.get("desc")),
        prefix=_text(parts.get("prefix")),
    )


def _message(entry: Entry) -> dict[str, object]:
    message = entry.plain_mapping()
    if not isinstance(message.get("role"), str):
        raise entry.fail("lacks the key 'role'")
    return message


def _metric(entry: Entry) -> MetricBaseline:
    parts = entry.record(required=("count",), optional=("score", "cases"))
    score, cases = parts.get("score"), parts.get("cases")
    return MetricBaseline(
        score=None if score is None else score.number(),
        count=parts["count"].integer(),
        cases={} if cases is None else {case: _case(e) for case, e in cases.mapping().items()},
    )


def _case(entry: Entry) -> CaseBaseline:
    parts = entry.record(required=("status", "example"), optional=("error", "score", "passes", "n"))
    score, passes, n = parts.get("score"), parts.get("passes"), parts.get("n")
    return CaseBaseline(
        status=parts["status"].choice({"pass", "fail", "error", "unscored"}),
        example=parts["example"].text(),
        score=None if score is None else score.number(),
        error=_text(parts.get("error")),
        passes=None if passes is None else passes.integer(),
        n=1 if n is None else n.integer(),
    )
