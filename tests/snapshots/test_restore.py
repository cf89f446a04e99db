from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from enum import Enum

import pytest

from pytest_lmprog.adapters import PROMPT_FORMAT, ChatAdapter, JSONAdapter
from pytest_lmprog.errors import SnapshotError, UsageError
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict, context
from pytest_lmprog.signatures import InputField, OutputField, Signature
from pytest_lmprog.snapshots.artifact import Header, ModelInfo, Snapshot
from pytest_lmprog.snapshots.capture import capture
from pytest_lmprog.snapshots.edited import edited_predictors, looks_edited
from pytest_lmprog.snapshots.restore import load, restore
from pytest_lmprog.snapshots.store import write_accepted
from pytest_lmprog.snapshots.text import from_text, to_text


class Team(Enum):
    BILLING = "billing"
    BUG = "bug"


class Ticket(Signature):
    """Decide."""

    ticket: str = InputField()
    labels: list[str] = InputField(desc="its labels")
    team: Team = OutputField()
    sure: float = OutputField()


class Triage(Module):
    def __init__(self):
        self.classify = ChainOfThought(Ticket)
        self.hops = [Predict("question -> answer")]

    def forward(self, ticket, labels):
        return self.classify(ticket=ticket, labels=labels)


class Named:
    def __init__(self, model):
        self.model = model

    def complete(self, request):
        raise AssertionError("nothing is asked")


def compiled() -> Triage:
    demo = Example(ticket="a\nb {x}", labels=["x", "no"], reasoning='"why"', team=Team.BUG, sure=1.0)

    def edit(name, predictor):
        if name != "classify":
            return predictor
        signature = predictor.signature.with_instructions("Decide well.\n\nBe brief.")
        return predictor.with_signature(signature).with_demos([demo])

    return Triage().with_predictors(edit)


def snapshot_of(program: Module, adapter=None) -> Snapshot:
    adapter = adapter or JSONAdapter()
    header = Header("Triage", ModelInfo("openai/a"), adapter.name, PROMPT_FORMAT)
    return Snapshot(header, capture(program, adapter))


@pytest.mark.parametrize("adapter", [JSONAdapter(), ChatAdapter()])
def test_a_restored_program_sends_the_same_messages(adapter):
    program = compiled()
    snapshot = from_text(to_text(snapshot_of(program, adapter)))
    restored = restore(snapshot, Triage())
    inputs = {"ticket": "x", "labels": ["y"]}
    before, after = (
        adapter.prompt(p.classify.signature, p.classify.demos).render(inputs) for p in (program, restored)
    )
    assert before == after
    assert restored.classify.demos[0].team is Team.BUG
    assert capture(restored, adapter) == snapshot.predictors


def test_the_program_given_is_untouched():
    written = Triage()
    restored = restore(snapshot_of(compiled()), written)
    assert restored is not written
    assert written.classify.demos == ()
    assert written.classify.signature.instructions == "Decide."


def test_load_reads_the_file(tmp_path):
    write_accepted(tmp_path / "a.yaml", snapshot_of(compiled()))
    restored = load(tmp_path / "a.yaml", Triage())
    assert restored.classify.signature.instructions == "Decide well.\n\nBe brief."


def test_load_wants_an_instance(tmp_path):
    with pytest.raises(UsageError, match=r"Triage\(\)"):
        load(tmp_path / "a.yaml", Triage)


def test_load_warns_of_another_model(tmp_path):
    write_accepted(tmp_path / "a.yaml", snapshot_of(compiled()))
    with context(lm=Named("openai/b")), pytest.warns(UserWarning, match=r"openai/a.*openai/b"):
        load(tmp_path / "a.yaml", Triage())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "a.yaml", Triage())
        with context(lm=Named("openai/a")):
            load(tmp_path / "a.yaml", Triage())


class Narrower(Module):
    def __init__(self):
        self.classify = ChainOfThought(Ticket.delete_field("sure"))
        self.hops = [Predict("question -> answer")]


class Renamed(Module):
    def __init__(self):
        self.route = ChainOfThought(Ticket)


@pytest.mark.parametrize(("program", "words"), [(Narrower(), ["classify", "sure"]), (Renamed(), ["route"])])
def test_a_program_that_does_not_fit_is_refused_by_name(tmp_path, program, words):
    write_accepted(tmp_path / "a.yaml", snapshot_of(compiled()))
    with pytest.raises(SnapshotError) as caught:
        load(tmp_path / "a.yaml", program)
    assert all(word in str(caught.value) for word in [*words, "a.yaml"])


def test_a_demo_that_does_not_fit_is_refused_by_name():
    snapshot = snapshot_of(compiled())
    classify = snapshot.predictors["classify"]
    broken = replace(classify, demos=({**classify.demos[0], "team": "nobody"},))
    with pytest.raises(SnapshotError, match=r"classify.*demo 1.*team"):
        restore(replace(snapshot, predictors={**snapshot.predictors, "classify": broken}), Triage())


def test_a_newer_prompt_format_is_refused():
    snapshot = snapshot_of(compiled())
    newer = replace(snapshot, header=replace(snapshot.header, prompt_format=PROMPT_FORMAT + 1))
    with pytest.raises(SnapshotError, match="newer pytest-lmprog"):
        restore(newer, Triage())


@pytest.mark.parametrize("adapter", [JSONAdapter(), ChatAdapter()])
def test_what_was_compiled_is_not_edited(adapter):
    snapshot = snapshot_of(compiled(), adapter)
    assert edited_predictors(snapshot, restore(snapshot, Triage())) == []
    assert not any(looks_edited(p) for p in snapshot.predictors.values())


@pytest.mark.parametrize("adapter", [JSONAdapter(), ChatAdapter()])
@pytest.mark.parametrize("what", ["instructions", "demo", "message"])
def test_a_hand_edit_is_seen(adapter, what):
    snapshot = snapshot_of(compiled(), adapter)
    classify = snapshot.predictors["classify"]
    change = {
        "instructions": {"instructions": "Other."},
        "demo": {"demos": ({**classify.demos[0], "ticket": "another"},)},
        "message": {"messages": ({"role": "system", "content": "x"}, *classify.messages[1:])},
    }[what]
    edited = replace(classify, **change)
    snapshot = replace(snapshot, predictors={**snapshot.predictors, "classify": edited})
    assert edited_predictors(snapshot, restore(snapshot, Triage())) == ["classify"]
    assert looks_edited(edited)


def test_load_works_without_pytest_and_without_what_is_heavy(tmp_path):
    header = Header("P", None, "json", PROMPT_FORMAT)
    write_accepted(tmp_path / "a.yaml", Snapshot(header, capture(Predict("q -> a"), JSONAdapter())))
    code = (
        "import sys, pytest_lmprog as lmp\n"
        f"program = lmp.load({str(tmp_path / 'a.yaml')!r}, lmp.Predict('q -> a'))\n"
        "heavy = {'pytest', '_pytest', 'litellm', 'openai', 'diskcache', 'coverage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
