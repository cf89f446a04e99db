from __future__ import annotations

import re

import pytest

from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict
from pytest_lmprog.snapshots.code_parts import metric_parts, program_part
from pytest_lmprog.snapshots.fingerprint import (
    UNCHECKED,
    Change,
    compare,
    data_part,
    describe,
    model_part,
    prompt_format_part,
    short,
    signatures_part,
    teleprompter_part,
    unchecked,
    without_empty,
)
from tests.snapshots.projects import Project

PROGRAM = '''
from typing import Literal
import pytest_lmprog as lmp
from .helpers import normalise

class TriageTicket(lmp.Signature):
    """Decide which team should handle a support ticket."""
    ticket: str = lmp.InputField()
    team: Literal["account", "billing"] = lmp.OutputField(desc="who")

class Triage(lmp.Module):
    """Triage."""
    def __init__(self, retries=1):
        self.classify = lmp.ChainOfThought(TriageTicket)
        self.retries = retries
        self.clean = lambda text: text.strip()

    def forward(self, ticket):
        return self.classify(ticket=normalise(ticket))
'''

METRICS = '''
from types import SimpleNamespace as Names
import pytest
from support.helpers import normalise

def marked(**options): return lambda function: function
stand_in = Names(mark=Names(lm_gate=marked, lm_metric=marked))
LIMIT = 400

@pytest.fixture
def judge():
    return normalise("yes")

def close(a, b): return a == b

class Base:
    def shared(self): return 1

@pytest.mark.usefixtures()
class TestTriage(Base):
    WORDS = ("a", "b")

    def setup_method(self):
        self.seen = 0

    @stand_in.mark.lm_gate(min_score=0.5)
    @stand_in.mark.lm_metric(weight=2)
    def test_team(self, example, prediction):
        """Same team."""
        assert close(prediction.team, example.team) and self.helper()

    def test_short(self, prediction):
        assert len(prediction.reasoning) < LIMIT

    def test_words(self, prediction):
        assert prediction.team in self.WORDS and self.shared()

    def helper(self):
        return self.inner()

    def inner(self):
        return True

    def unrelated(self): return 1
'''


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project(tmp_path)
    made.write(
        program=PROGRAM,
        metrics=METRICS,
        helpers='"""Helpers."""\ndef normalise(text):\n    return text.lower()\n',
    )
    return made


def fingerprint(project: Project, make=lambda m: m.Triage()):
    with project.load() as module:
        program = make(module)
        return {
            "program": program_part(program, root=project.root),
            "signatures": signatures_part(program),
        }


def changes(project: Project, before, **options) -> list[str]:
    return [change.text for change in compare(before, fingerprint(project, **options))]


def test_the_same_program_has_the_same_fingerprint(project):
    before = fingerprint(project)
    assert UNCHECKED not in before["program"].values()
    assert all(re.fullmatch("[0-9a-f]{12}", value) for part in before.values() for value in part.values())
    assert changes(project, before) == []


def test_the_fingerprint_is_the_committed_one(project):
    """On every Python: a snapshot that was compiled on one is not stale on another."""
    parts = fingerprint(project)
    assert {name: short(part) for name, part in parts.items()} == {
        "program": "a0794fdd3ab9",
        "signatures": "5e54b6a46ba1",
    }


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("program", "    def forward", "    # comment\n    def forward", []),
        ("program", '"account", "billing"]', '"account",  "billing" ]', []),
        ("helpers", '"""Helpers."""', '"""Other."""', []),
        ("program", '"""Triage."""', '"""Sort."""', ["program code: support.program.Triage changed"]),
        (
            "program",
            "normalise(ticket))",
            "normalise(ticket) + '.')",
            ["program code: support.program.Triage.forward changed"],
        ),
        ("helpers", "lower", "upper", ["program code: support.helpers.normalise changed"]),
        (
            "program",
            "text.strip()",
            "text.rstrip()",
            [
                "program code: support.program.Triage.__init__ changed",
                "program code: support.program.Triage.__init__.<locals>.<lambda> changed",
            ],
        ),
        (
            "program",
            "which team",
            "which group",
            [
                "program code: support.program.TriageTicket changed",
                "signature of classify: instructions changed",
            ],
        ),
        (
            "program",
            '"billing"]',
            '"billing", "bug"]',
            [
                "program code: support.program.TriageTicket changed",
                "signature of classify: field 'team' changed",
            ],
        ),
        (
            "program",
            "ChainOfThought(TriageTicket)",
            "Predict(TriageTicket)",
            [
                "program code: ChainOfThought classify removed",
                "program code: Predict classify added",
                "program code: support.program.Triage.__init__ changed",
                "signature of classify: field 'reasoning' removed",
            ],
        ),
    ],
)
def test_an_edit_is_named(project, module, old, new, expected):
    before = fingerprint(project)
    project.edit(module, old, new)
    assert sorted(changes(project, before)) == expected


def test_what_the_program_was_made_with_counts(project):
    before = fingerprint(project)
    assert changes(project, before, make=lambda m: m.Triage(retries=2)) == [
        "program code: self.retries changed"
    ]


def test_settings_and_demos_of_predictors_count():
    one = program_part(Predict("q -> a"))
    assert one != program_part(Predict("q -> a", temperature=1.0))
    assert one != program_part(Predict("q -> a").with_demos([Example(q="x", a="y")]))
    assert one == program_part(Predict("q -> a"))
    assert list(one) == ["Predict self"]


def test_a_library_module_does_not_bring_the_library_in():
    class Local(Module):
        def __init__(self):
            self.steps = [ChainOfThought("q -> a"), {"x": Predict("a -> b")}]

    part = program_part(Local())
    assert not [name for name in part if name.startswith("pytest_lmprog.")]
    assert {"ChainOfThought steps[0]", "Predict steps[1]['x']"} <= part.keys()


def metric_changes(project: Project, edit=None) -> list[str]:
    def parts():
        with project.load("metrics") as module:
            cls = module.TestTriage
            metrics = {name: getattr(cls, name) for name in ("test_team", "test_short", "test_words")}
            judge = getattr(module.judge, "_fixture_function", module.judge)
            return metric_parts(metrics, owner=cls, fixtures=[judge], root=project.root)

    before = parts()
    project.edit(*edit)
    return [change.text for change in compare(before, parts())]


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("metrics", "assert len(", "assert  len(", []),
        ("metrics", "min_score=0.5", "min_score=0.6", []),
        ("metrics", "return 1\n\n@pytest", "return 1 \n\n@pytest", []),
        ("metrics", "unrelated(self): return 1", "unrelated(self): return 2", []),
        ("metrics", "weight=2", "weight=3", ["metric test_team changed"]),
        ("metrics", "< LIMIT", "<= LIMIT", ["metric test_short changed"]),
        ("metrics", "LIMIT = 400", "LIMIT = 1", ["support.metrics.LIMIT"]),
        ("metrics", "a == b", "a is b", ["support.metrics.close"]),
        ("metrics", "return True", "return False", ["support.metrics.TestTriage.inner"]),
        ("metrics", '("a", "b")', '("a",)', ["support.metrics.TestTriage.WORDS"]),
        ("metrics", "shared(self): return 1", "shared(self): return 2", ["support.metrics.Base.shared"]),
        ("metrics", "self.seen = 0", "self.seen = 1", ["support.metrics.TestTriage.setup_method"]),
        ("metrics", 'normalise("yes")', 'normalise("no")', ["support.metrics.judge"]),
        ("helpers", "lower", "upper", ["support.helpers.normalise"]),
    ],
)
def test_an_edit_of_a_metric_is_named(project, module, old, new, expected):
    found = metric_changes(project, (module, old, new))
    assert found == [
        text if text.startswith("metric ") else f"code that a metric uses: {text} changed"
        for text in expected
    ]


def test_metrics_that_are_no_functions(project):
    class Exact:
        def __call__(self, example, prediction, trace=None):
            return True

    parts = metric_parts({"exact": Exact()})
    assert list(parts["metrics"]) == ["exact"]
    assert [name.rpartition(".")[2] for name in parts["metric_helpers"]] == ["Exact", "__call__"]


ROWS = [Example(id=f"r{i}", q=f"q{i}", a=i).with_inputs("q") for i in range(5)]


def data_changes(new, old=ROWS, part="trainset") -> list[str]:
    return [c.text for c in compare({part: data_part(old)}, {part: data_part(new)})]


def test_examples_are_named():
    assert data_changes(ROWS) == []
    assert data_changes([ROWS[0].copy(a=9), *ROWS[1:]]) == ["training example 'r0' edited"]
    assert data_changes(ROWS[1:]) == ["training example 'r0' removed"]
    new = Example(id="new", q="x").with_inputs("q")
    assert data_changes([*ROWS, new]) == ["training example 'new' added"]
    assert data_changes(ROWS[::-1]) == ["the training examples, or their order, changed"]
    assert data_changes(ROWS[1:], part="valset") == ["validation example 'r0' removed"]
    assert data_changes([ROWS[0].with_inputs("q", "a"), *ROWS[1:]]) == ["training example 'r0' edited"]
    weighted = Example(ROWS[0], weight=2)
    assert data_changes([weighted, *ROWS[1:]]) == ["training example 'r0' edited"]


def test_many_examples_are_one_digest():
    rows = [Example(id=str(i), q=str(i)).with_inputs("q") for i in range(201)]
    assert list(data_part(rows)) == ["*"]
    assert data_changes([rows[0].copy(q="x"), *rows[1:]], rows) == [
        "the training examples, or their order, changed"
    ]


def test_values_without_canonical_form_are_unchecked():
    rows = [Example(id="a", q=object()).with_inputs("q")]
    part = data_part(rows)
    assert part["a"] == UNCHECKED
    assert compare({"trainset": part}, {"trainset": {**part, "a": "0" * 12}}) == []
    assert unchecked({"trainset": part}) == ["a"]


def test_settings_model_and_format():
    old = {
        "teleprompter": teleprompter_part("Bootstrap", {"demos": 4, "long": "x" * 100}),
        "model": model_part("a"),
        "prompt_format": {"number": "0"},
    }
    new = {
        "teleprompter": teleprompter_part("Random", {"demos": 8, "long": "y" * 100}),
        "model": model_part("b"),
        "prompt_format": prompt_format_part(),
    }
    texts = [change.text for change in compare(old, new)]
    assert texts[:2] == ["teleprompter: Bootstrap -> Random", "teleprompter setting demos: 4 -> 8"]
    assert re.fullmatch(r"teleprompter setting long: [0-9a-f]{12} -> [0-9a-f]{12}", texts[2])
    assert texts[3] == "model: a -> b"
    assert texts[4].startswith("prompt format: 0 -> ")


def test_parts_stand_in_their_order_without_empty_ones():
    assert list(without_empty({"model": {"name": "m"}, "valset": {}, "program": {"a": "b"}})) == [
        "program",
        "model",
    ]


def test_many_changes_are_counted():
    found = [Change("trainset", str(i), "a", "b") for i in range(10)] + [Change("model", "name", "a", "b")]
    assert describe(found) == [
        "training example '0' edited",
        "training example '1' edited",
        "training example '2' edited",
        "and 7 more training examples",
        "model: a -> b",
    ]
