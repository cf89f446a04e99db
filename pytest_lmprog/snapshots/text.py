"""Snapshot to text and back. The text is YAML for people first: stable order, blocks, no noise."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_lmprog.canonical import digest_bytes
from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.lm.types import Capabilities
from pytest_lmprog.snapshots.artifact import (
    CalibrationSnapshot,
    CaseBaseline,
    FieldSnapshot,
    Header,
    MetricBaseline,
    ModelInfo,
    PredictorSnapshot,
    Snapshot,
    SourceFiles,
    Validation,
)
from pytest_lmprog.snapshots.reading import read_head, read_snapshot
from pytest_lmprog.snapshots.yamlform import Inline, dump

__all__ = ["from_text", "head_as_written", "to_text"]

_BANNER = """\
# A compiled LM program, written by pytest-lmprog: review it like code.
# Instructions, fields and demos are what counts; the messages show what they render to.
# `lmprog show FILE` prints the messages as sent, `lmprog diff OLD NEW` compares by meaning.
"""
_SEAL = "# sha256: "
"""Begins the last line, which holds the digest of all above it: such a text is as it was written."""

_SEAL_DIGITS = 16
_BODY = "\npredictors:\n"
_SECTION = re.compile(r"(?<!\n)\n(fingerprint|sources|predictors|calibration|baseline):\n")
_PENDING = "# Pending: `lmprog accept FILE` (or `lmprog review`) makes it the accepted snapshot.\n"


def from_text(text: str, path: str = "<snapshot>") -> Snapshot:
    """Read a snapshot. ``path`` is for errors.

    Raises SnapshotError, with the line, for anything that is not a snapshot of a known format."""
    return read_snapshot(text, path)


def to_text(snapshot: Snapshot) -> str:
    """Return the text of ``snapshot``: LF, the same bytes for equal snapshots.

    Raises SnapshotError where it holds something that is no plain data, or would not read back equal."""
    snapshot = _normal(snapshot)
    banner = _BANNER + (_PENDING if snapshot.base is not None else "")
    text = _sealed(banner + _spaced(dump(_document(snapshot))))
    _check_reads_back(snapshot, text)
    return text


def _sealed(text: str) -> str:
    return f"{text}{_SEAL}{digest_bytes(text.encode())[:_SEAL_DIGITS]}\n"


def head_as_written(text: str, path: str) -> Snapshot | None:
    """Return the snapshot without its predictors and baseline, where ``text`` is untouched since it was
    written: several times faster than ``from_text``. None where it is not, or where that cannot be told.

    Raises SnapshotError for a format that is not known."""
    body, line, rest = text.rpartition(f"\n{_SEAL}")
    end = body.find(_BODY)
    if not line or end < 0 or f"{body}\n{_SEAL}{rest}" != _sealed(f"{body}\n"):
        return None
    return read_head(body[: end + 1], path)


def _check_reads_back(snapshot: Snapshot, text: str) -> None:
    for pure in (False, True):
        if read_snapshot(text, "<written snapshot>", pure=pure) != snapshot:
            raise SnapshotError(
                "what was written would not read back the same; nothing was written",
                hint="please report this as a bug of pytest-lmprog, with the demos and instructions",
            )


def _normal(snapshot: Snapshot) -> Snapshot:
    """Mappings of any kind become dicts and sequences lists, so that what is read back can be compared."""
    return replace(
        snapshot,
        header=_normal_header(snapshot.header),
        predictors={_text(n, "predictors"): _normal_predictor(n, p) for n, p in snapshot.predictors.items()},
        baseline={_text(n, "baseline"): _normal_metric(n, m) for n, m in snapshot.baseline.items()},
        calibration=_normal_calibration(snapshot.calibration),
        fingerprint=_plain({p: dict(i) for p, i in snapshot.fingerprint.items()}, "fingerprint"),
        sources=None if snapshot.sources is None else _normal_sources(snapshot.sources),
    )


def _normal_sources(sources: SourceFiles) -> SourceFiles:
    return SourceFiles(
        prompts=_plain(sources.prompts, "sources.prompts"),
        modules=_plain(sources.modules, "sources.modules"),
        metrics=_plain(sources.metrics, "sources.metrics"),
        data={_text(name, "sources.data"): d for name, d in sources.data.items()},
        texts=_plain(sources.texts, "sources.texts"),
        roots=tuple(_plain(list(sources.roots), "sources.roots")),
        unjudged=tuple(_plain(list(sources.unjudged), "sources.unjudged")),
    )


def _normal_header(header: Header) -> Header:
    teleprompter = header.teleprompter
    if teleprompter is not None:
        teleprompter = replace(teleprompter, settings=_plain(teleprompter.settings, "settings"))
    changed = tuple(_plain(list(header.changed_since_compile), "changed_since_compile"))
    libraries = _plain(header.libraries, "libraries")
    return replace(header, teleprompter=teleprompter, changed_since_compile=changed, libraries=libraries)


def _normal_predictor(name: str, predictor: PredictorSnapshot) -> PredictorSnapshot:
    return replace(
        predictor,
        instructions=_text(predictor.instructions, f"{name}: instructions"),
        demos=tuple(_plain(list(predictor.demos), f"{name}: demos")),
        messages=tuple(_plain(list(predictor.messages), f"{name}: messages")),
    )


def _normal_calibration(calibration: CalibrationSnapshot | None) -> CalibrationSnapshot | None:
    if calibration is None:
        return None
    return CalibrationSnapshot(
        _plain(calibration.figures, "calibration"),
        _plain(calibration.confusion, "calibration"),
        {
            _text(golden, "calibration"): (_plain(people, golden), _plain(judge, golden))
            for golden, (people, judge) in calibration.verdicts.items()
        },
    )


def _normal_metric(name: str, metric: MetricBaseline) -> MetricBaseline:
    return replace(metric, cases={_text(case, name): c for case, c in metric.cases.items()})


def _spaced(text: str) -> str:
    """Put an empty line before each large section (keys at the line's start are top-level ones).

    Not behind an empty line: that ends a block which keeps its empty lines."""
    return _SECTION.sub(r"\n\n\1:\n", text)


def _document(snapshot: Snapshot) -> dict[str, Any]:
    data = _header(snapshot.header)
    if snapshot.base is not None:
        data["base"] = snapshot.base
    if snapshot.fingerprint:
        data["fingerprint"] = {part: dict(items) for part, items in snapshot.fingerprint.items()}
    if snapshot.sources is not None:
        data["sources"] = _sources(snapshot.sources)
    data["predictors"] = {name: _predictor(p) for name, p in snapshot.predictors.items()}
    if snapshot.calibration is not None:
        data["calibration"] = _calibration(snapshot.calibration)
    if snapshot.baseline:
        data["baseline"] = {name: _metric(m) for name, m in snapshot.baseline.items()}
    return data


def _calibration(calibration: CalibrationSnapshot) -> dict[str, Any]:
    return {
        "figures": dict(calibration.figures),
        **_given("confusion", {people: Inline(row) for people, row in calibration.confusion.items()}),
        "verdicts": {
            golden: Inline(people=people, judge=judge)
            for golden, (people, judge) in calibration.verdicts.items()
        },
    }


def _header(header: Header) -> dict[str, Any]:
    data: dict[str, Any] = {
        "format": header.format,
        "prompt_format": header.prompt_format,
        "program": header.program,
    }
    if header.model is not None:
        data["model"] = _model(header.model)
    data["adapter"] = header.adapter
    if header.teleprompter is not None:
        data["teleprompter"] = {
            "name": header.teleprompter.name,
            **_given("settings", header.teleprompter.settings),
        }
    data["seed"] = header.seed
    if header.validation is not None:
        data["validation"] = _validation(header.validation)
    data.update(_given("stopped", header.stopped))
    data.update(_given("libraries", dict(sorted(header.libraries.items()))))
    data.update(_given("changed_since_compile", list(header.changed_since_compile)))
    return data


def _given(key: str, value: Any) -> dict[str, Any]:
    return {key: value} if value not in (None, {}, [], ()) else {}


def _model(model: ModelInfo) -> dict[str, Any]:
    return {"name": model.name, **_capabilities(model.capabilities)}


def _capabilities(capabilities: Capabilities) -> dict[str, Any]:
    return _given("capabilities", capabilities.to_plain())


def _validation(validation: Validation) -> dict[str, Any]:
    before = {} if validation.before is None else {"before": float(validation.before)}
    return {"score": float(validation.score), "examples": validation.examples, **before}


def _sources(sources: SourceFiles) -> dict[str, Any]:
    data = {
        name: Inline(path=d.path, **_given("split", d.split), **_given("inputs", list(d.inputs)))
        for name, d in sources.data.items()
    }
    return {
        **_given("prompts", dict(sources.prompts)),
        **_given("modules", dict(sources.modules)),
        **_given("metrics", dict(sources.metrics)),
        **_given("data", data),
        **_given("texts", dict(sources.texts)),
        **_given("roots", list(sources.roots)),
        **_given("unjudged", list(sources.unjudged)),
    }


def _predictor(predictor: PredictorSnapshot) -> dict[str, Any]:
    return {
        **_given("adapter", predictor.adapter),
        "instructions": predictor.instructions,
        "fields": [_field(f) for f in predictor.fields],
        **_given("demos", list(predictor.demos)),
        **_given("messages", list(predictor.messages)),
    }


def _field(field: FieldSnapshot) -> dict[str, Any]:
    data = {"name": field.name, "role": field.role, "type": field.type}
    extra = {"desc": field.desc, "prefix": field.prefix}
    return {**data, **{key: value for key, value in extra.items() if value is not None}}


def _metric(metric: MetricBaseline) -> dict[str, Any]:
    score = {} if metric.score is None else {"score": float(metric.score)}
    return {
        **score,
        "count": metric.count,
        **_given("cases", {case: _case(baseline) for case, baseline in metric.cases.items()}),
    }


def _case(case: CaseBaseline) -> Inline:
    data = Inline(status=case.status)
    if case.error is not None:
        data["error"] = case.error
    if case.score is not None:
        data["score"] = float(case.score)
    if case.passes is not None:
        data["passes"] = case.passes
    if case.n != 1:
        data["n"] = case.n
    data["example"] = case.example
    return data


def _plain(value: Any, where: str) -> Any:
    """Return ``value`` as dicts, lists and scalars; unlike canonical data, 1.0 stays a float."""
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return _text(value, where)
    if type(value) is float:
        if not math.isfinite(value):
            raise SnapshotError(f"{where}: {value} cannot stand in a snapshot")
        return value
    if isinstance(value, Mapping):
        return {_text(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise SnapshotError(f"{where}: a value of type {type(value).__name__} cannot stand in a snapshot")


def _text(text: Any, where: str) -> str:
    if type(text) is not str:
        raise SnapshotError(f"{where}: this must be text, not {type(text).__name__} ({text!r})")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SnapshotError(f"{where}: text with a lone surrogate is not UTF-8") from None
    return text
