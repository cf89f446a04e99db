"""Units whose runs are taken from a saved run instead of the program: nothing is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import ReplayMissError, UsageError
from pytest_lmprog.harness.preparing import program_of
from pytest_lmprog.harness.saved.cases import SavedExample
from pytest_lmprog.harness.saved.restored import restored_run
from pytest_lmprog.harness.saved.run import SavedRun, SavedUnit
from pytest_lmprog.harness.saved.saver import Saver
from pytest_lmprog.harness.state import Prepared, UnitState, example_digest
from pytest_lmprog.harness.unit import Unit
from pytest_lmprog.lm.types import Capabilities, LanguageModel, LMRequest, LMResponse, Message
from pytest_lmprog.programs import Example, Run
from pytest_lmprog.snapshots.artifact import Snapshot
from pytest_lmprog.snapshots.store import read_if_any
from pytest_lmprog.snapshots.text import from_text, to_text

if TYPE_CHECKING:
    from pytest_lmprog.harness.session import Session

__all__ = ["RescoredUnit", "Rescoring", "SavedModel"]

FixtureLM = Callable[[], Any]


class Rescoring:
    """The saved run that a session's metrics are applied to. ``name``: what it is called in messages."""

    def __init__(self, session: Session, saved: SavedRun, name: str) -> None:
        self._session = session
        self._saver = Saver(session.clean, session.settings.store_messages)
        self.name = name
        self.saved = saved

    def state(self, unit: Unit, fixture_lm: FixtureLM | None) -> RescoredUnit:
        """Return the unit ready to be judged. The baseline is that of the snapshot as it is now.

        Raises UsageError where the run does not have the unit."""
        found = self.saved.unit(unit.id)
        if found is None:
            have = ", ".join(u.id for u in self.saved.units) or "none"
            raise UsageError(f"{unit.id} is not in {self.name}; the units there are: {have}")
        return RescoredUnit(self._prepared(unit, found, fixture_lm), found, self.name, self._saver)

    def _prepared(self, unit: Unit, found: SavedUnit, fixture_lm: FixtureLM | None) -> Prepared:
        session = self._session
        written = program_of(unit)
        snapshot = read_if_any(unit.snapshot)
        tally = session.tally_of(unit.id)
        model = found.info.model or "unknown"
        against = session.against(unit, written)
        notes = [f"rescored from {self.name}: the program was not run", *_other_prompts(found, snapshot)]
        return Prepared(
            unit,
            written,
            written,
            SavedModel(model, lambda: session.models.choose(unit.lm, fixture_lm)),
            session.scope(session.books.of(unit.module_path), tally),
            tally,
            snapshot,
            notes=tuple(notes if against is None else [*notes, against.note]),
            snapshot_name=None if snapshot is None else session.shown(unit.snapshot),
            against=against,
            clean=session.clean,
        )


def _other_prompts(found: SavedUnit, snapshot: Snapshot | None) -> list[str]:
    if snapshot is None or found.after is None or found.after == found.before == to_text(snapshot):
        return []
    if from_text(found.after, "saved run").predictors == snapshot.predictors:
        return []
    return ["its prompts are not those of the accepted snapshot"]


class RescoredUnit(UnitState):
    """A unit whose runs come from saved data."""

    def __init__(self, prepared: Prepared, saved: SavedUnit, name: str, saver: Saver) -> None:
        super().__init__(prepared, concurrency=1, ahead=0)
        self._saved = saved
        self._name = name
        self._saver = saver
        self.texts = (saved.before, saved.after)

    def _make(self, example: Example, rollout: int) -> Run:
        row = self._saved.example_of.get(example.id)
        case = self._saved.case_of.get((example.id, rollout))
        if row is None or case is None:
            raise UsageError(
                f"{self._name} has no prediction for {self.label(example, rollout)}",
                hint="pytest runs the program on it, and saves a run that has it",
            )
        if row.digest != example_digest(example):
            changed = self._changed(row, example)
            raise UsageError(
                f"the example {example.id!r} is not the one that {self._name} ran on{changed}",
                hint="pytest runs the program on it as it is now",
            )
        return restored_run(case, self.prepared.written)

    def _changed(self, old: SavedExample, example: Example) -> str:
        now = self._saver.example(example)
        fields = {**old.fields, **now.fields}
        names = [name for name in fields if old.fields.get(name) != now.fields.get(name)]
        return f": {', '.join(names)} changed" if names else ""


class SavedModel:
    """The LM of a rescored unit. The program asks it nothing; a metric that asks (a judge) has its recorded
    answers, from the LM that ``find`` returns, which is looked for only then."""

    def __init__(self, model: str, find: Callable[[], LanguageModel]) -> None:
        self.model = model
        self._find = find
        self._found: LanguageModel | None = None

    def _lm(self) -> LanguageModel:
        if self._found is None:
            try:
                self._found = self._find()
            except Exception as error:  # noqa: BLE001 - a fixture of the user's may raise anything
                raise ReplayMissError(
                    f"a metric asked {self.model}, and it cannot be had: {type(error).__name__}: {error}",
                    hint="rescoring asks nothing; a metric that asks an LM needs its recorded answers",
                ) from None
        return self._found

    @property
    def endpoint(self) -> str:
        """The address part of the cache key."""
        return self._lm().endpoint

    def request(
        self,
        messages: tuple[Message, ...],
        *,
        response_format: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
        rollout: int = 0,
        **params: Any,
    ) -> LMRequest:
        """Build the request. Raises ReplayMissError where the LM cannot be had."""
        return self._lm().request(
            messages, response_format=response_format, tools=tools, rollout=rollout, **params
        )

    def capabilities(self) -> Capabilities:
        """What is known of the model."""
        return self._lm().capabilities()

    def learn(self, capabilities: Capabilities) -> None:
        """Take note of what was found out."""
        self._lm().learn(capabilities)

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer from the recording. Raises ReplayMissError where it has no answer."""
        return self._lm().complete(request)

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """The same."""
        return await self._lm().acomplete(request)
