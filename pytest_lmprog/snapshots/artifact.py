"""What a snapshot holds, as data: how a program was compiled, its prompts, and how it scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from pytest_lmprog.lm.types import Capabilities
from pytest_lmprog.records import dataclass

__all__ = [
    "FORMAT",
    "CalibrationSnapshot",
    "CaseBaseline",
    "DataSource",
    "FieldSnapshot",
    "Fingerprint",
    "Header",
    "MetricBaseline",
    "ModelInfo",
    "PredictorSnapshot",
    "Snapshot",
    "SourceFiles",
    "Status",
    "TeleprompterInfo",
    "Validation",
]

FORMAT = 1
"""Number of the file format. A reader refuses higher ones."""

Status = Literal["pass", "fail", "error", "unscored"]
"""What became of a case under one metric: ``error`` is the program's (no prediction to score),
``unscored`` a skip or xfail."""

Fingerprint = Mapping[str, Mapping[str, str]]
"""Part (``program``, ``metrics``, ...) -> item (a function, an example, a setting) -> 12 hexadecimal
digits of a digest, or for short plain settings their text."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that was compiled for: its name as configured, and what it is known to be able to do."""

    name: str
    capabilities: Capabilities = field(default_factory=Capabilities)


@dataclass(frozen=True, slots=True)
class TeleprompterInfo:
    """The strategy's class name and its settings as plain data."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Validation:
    """How the compiled program scored while compiling: weighted mean within [0, 1] over ``examples``;
    ``before`` is the score of the program as written, where it was measured."""

    score: float
    examples: int
    before: float | None = None


@dataclass(frozen=True)
class Header:
    """How the prompts came about. No time, machine, call count or cost.

    Parameters
    ----------
    program: qualified name of the program (``support.program.Triage``).
    model: the model, or None where none was configured.
    adapter: name of the adapter that rendered the messages.
    prompt_format: number of the text that it renders (``adapters.PROMPT_FORMAT``).
    teleprompter: the strategy, or None for a program as written.
    validation: the score on the validation data, or None where nothing was evaluated.
    stopped: ``budget`` where the compile was cut short.
    libraries: versions that can change prompts (``{"optuna": "4.5.0"}``), not those of Python or pytest.
    changed_since_compile: what ``--lm-update`` accepted without compiling again, in words.
    """

    program: str
    model: ModelInfo | None
    adapter: str
    prompt_format: int
    teleprompter: TeleprompterInfo | None = None
    seed: int = 0
    validation: Validation | None = None
    stopped: Literal["budget"] | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    changed_since_compile: tuple[str, ...] = ()
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class FieldSnapshot:
    """A field of a predictor's signature. ``type`` is its type in words (``Literal['a', 'b']``)."""

    name: str
    role: Literal["input", "output"]
    type: str
    desc: str | None = None
    prefix: str | None = None


@dataclass(frozen=True)
class PredictorSnapshot:
    """One predictor's prompt.

    ``instructions``, ``fields`` and ``demos`` (plain data, in prompt order) are authoritative; ``messages``
    is what they render to, with ``{name}`` in the place of each input. ``adapter`` is set where it is not
    the header's.
    """

    instructions: str
    fields: tuple[FieldSnapshot, ...]
    demos: tuple[Mapping[str, Any], ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()
    adapter: str | None = None

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the input fields, in order."""
        return tuple(f.name for f in self.fields if f.role == "input")


@dataclass(frozen=True, slots=True)
class CaseBaseline:
    """How one case stood under one metric.

    Parameters
    ----------
    status: see ``Status``; with rollouts, ``pass`` means that all passed.
    example: digest of the example's fields (12 hexadecimal digits).
    score: the graded score (the mean, with rollouts); None where the metric only passes or fails.
    error: kind of the program's error (``ParseError``), with status ``error``.
    passes, n: rollouts that passed, of how many.
    """

    status: Status
    example: str
    score: float | None = None
    error: str | None = None
    passes: int | None = None
    n: int = 1

    @property
    def value(self) -> float | None:
        """The score within [0, 1] that the case counts with; None where it is unscored."""
        if self.status == "unscored":
            return None
        if self.score is not None:
            return self.score
        if self.passes is not None and self.n > 1:
            return self.passes / self.n
        return 1.0 if self.status == "pass" else 0.0


@dataclass(frozen=True)
class MetricBaseline:
    """One metric's baseline: the mean over ``count`` cases (errors count 0), and each case by its id."""

    score: float | None
    count: int
    cases: Mapping[str, CaseBaseline] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where training or validation data came from: a file, its split (None: all rows), and which of its
    fields are inputs."""

    path: str
    split: str | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFiles:
    """Where what the fingerprint digests is found, so that it can be judged without running anything.

    Every path is relative to the snapshot's own folder, with forward slashes.

    Parameters
    ----------
    prompts: predictor -> digest of its prompt as written, so that a hand edit shows.
    modules: name of a module that the fingerprint has items of -> its file.
    metrics: metric -> ``module:qualname`` of its test function.
    data: ``trainset`` and ``valset``, where they were read from a file.
    texts: items that are constants read from a file -> the file.
    roots: items (``part:item``) that are there although neither the program's class nor a metric's function
        refers to them: what instances hold, fixtures.
    unjudged: items of the fingerprint that the files alone don't tell.
    """

    prompts: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, DataSource] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    roots: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class CalibrationSnapshot:
    """How far a judge agreed with people, where the program is one.

    Parameters
    ----------
    figures: agreement, kappa and the like (see ``evaluation.calibration.Calibration.figures``).
    confusion: counts by people's verdict, then the judge's; empty on a scale.
    verdicts: golden -> people's verdict and the judge's, None where it gave none. Plain scalars.
    """

    figures: Mapping[str, float]
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    verdicts: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A compile's accepted or pending result.

    Parameters
    ----------
    predictors: by attribute path, in the program's order.
    baseline: by metric name, in definition order.
    fingerprint: of what the result depends on (see ``fingerprint.compare``).
    base: in a pending snapshot, the digest of the accepted file it was made against.
    sources: where the fingerprint's items are found; None in files written before it was noted.
    calibration: of a judge, or None.
    """

    header: Header
    predictors: Mapping[str, PredictorSnapshot]
    baseline: Mapping[str, MetricBaseline] = field(default_factory=dict)
    fingerprint: Fingerprint = field(default_factory=dict)
    base: str | None = None
    sources: SourceFiles | None = None
    calibration: CalibrationSnapshot | None = None
