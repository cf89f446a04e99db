"""freeze: which predictors teleprompters leave alone, and what notes it."""

from __future__ import annotations

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.adapters import JSONAdapter
from pytest_lmprog.errors import UsageError
from pytest_lmprog.snapshots.artifact import Header, Snapshot
from pytest_lmprog.snapshots.capture import capture
from pytest_lmprog.snapshots.diff import diff
from pytest_lmprog.snapshots.reading import read_snapshot
from pytest_lmprog.snapshots.restore import restore
from pytest_lmprog.snapshots.text import to_text
from pytest_lmprog.teleprompt.material.demos import has_demos


class Hops(lmp.Module):
    def __init__(self):
        self.classify = lmp.Predict("question -> kind")
        self.hops = [lmp.Predict("question -> query"), lmp.Predict("question, query -> answer")]
        self.inner = Inner()

    def forward(self, question):
        return self.classify(question=question)


class Inner(lmp.Module):
    def __init__(self):
        self.a = lmp.Predict("question -> answer")
        self.ab = lmp.Predict("question -> answer")


def test_names_are_paths_of_predictors_or_of_what_holds_them():
    program = Hops()
    assert program.freeze("classify") is program
    assert program.frozen == ("classify",)
    assert program.freeze("hops", "inner.a").frozen == ("classify", "hops[0]", "hops[1]", "inner.a")
    assert program.unfreeze("hops[0]", "classify").frozen == ("hops[1]", "inner.a")
    assert program.unfreeze().frozen == ()
    assert len(program.freeze().frozen) == 5


def test_an_unknown_name_freezes_nothing():
    program = Hops()
    with pytest.raises(UsageError, match="Hops has no predictor 'clasify'") as raised:
        program.freeze("classify", "clasify")
    assert "classify, hops[0], hops[1], inner.a, inner.ab" in str(raised.value)
    assert program.frozen == ()


def test_copies_keep_it_and_are_independent():
    program = Hops().freeze("classify")
    copied = program.copy().unfreeze()
    assert program.frozen == ("classify",)
    assert copied.frozen == ()
    assert program.classify.with_demos([{"question": "q", "kind": "k"}]).is_frozen


def test_reset_copy_leaves_frozen_demos():
    program = Hops()
    for predictor in program.predictors():
        predictor.demos = [{"question": "q"}]
    reset = program.freeze("classify").reset_copy()
    assert [name for name, p in reset.named_predictors() if p.demos] == ["classify"]


def test_frozen_demos_do_not_make_a_program_compiled():
    program = Hops()
    program.classify.demos = [{"question": "q", "kind": "k"}]
    assert has_demos(program)
    assert not has_demos(program.freeze("classify"))


def test_a_state_without_a_note_leaves_it_as_it_is():
    state = Hops().dump_state()
    assert "frozen" not in state["predictors"]["classify"]
    program = Hops().freeze("classify")
    program.load_state(state)
    assert program.frozen == ("classify",)


def test_random_search_leaves_frozen_predictors_alone(recwarn):
    program = Hops().freeze("classify")
    program.classify.demos = [{"question": "kept", "kind": "kept"}]
    rows = [
        lmp.Example(question=f"q{i}", kind="k", query="q", answer="a").with_inputs("question")
        for i in range(4)
    ]
    strategy = lmp.BootstrapRS(
        metric=lambda example, prediction, trace=None: prediction.kind == "k",
        num_candidate_programs=2,
        max_labeled_demos=2,
        max_bootstrapped_demos=1,
    )
    with lmp.context(lm=lmp.ScriptedLM(lambda request: {"kind": "k"})):
        taught = strategy.compile(program, trainset=rows)
    assert [dict(demo) for demo in taught.classify.demos] == [{"question": "kept", "kind": "kept"}]


class TestSnapshot:
    def snapshot(self, program):
        header = Header(program="tests.Hops", model=None, adapter="json", prompt_format=1)
        return Snapshot(header, capture(program, JSONAdapter()))

    def test_it_is_noted_and_restored(self):
        taken = self.snapshot(Hops().freeze("classify"))
        text = to_text(taken)
        assert text.count("frozen: true") == 1
        assert read_snapshot(text, "x.yaml").predictors["classify"].frozen
        assert restore(taken, Hops()).frozen == ("classify",)

    def test_nothing_is_noted_where_nothing_is_frozen(self):
        assert "frozen" not in to_text(self.snapshot(Hops()))

    def test_the_diff_tells(self):
        changes = diff(self.snapshot(Hops()), self.snapshot(Hops().freeze("classify")))
        (only,) = changes.predictors
        assert only.name == "classify"
        assert (only.frozen.old, only.frozen.new) == (False, True)
