"""What becomes an item, with which id; units and their snapshots; datasets that cannot be used."""

from __future__ import annotations

import pytest

HEAD = "import pytest\nimport pytest_lmprog as lmp\nfrom program import Triage\n"
PROGRAM = "@pytest.mark.lm_program(program=Triage)"
EXAMPLES = '@pytest.mark.lm_examples("tickets.yaml", split="dev")'
TWO = '@pytest.mark.lm_examples("tickets.yaml", split="dev", limit=2)'


def ids(result_lines: list[str]) -> list[str]:
    return [line.partition("::")[2] for line in result_lines]


def test_one_item_a_metric_and_example(collected) -> None:
    lines = collected(
        f"{HEAD}{PROGRAM}\n{TWO}\nclass TestTriage:\n"
        "    def test_team(self, example, prediction): ...\n    def test_trace(self, trace): ...\n"
        "    def test_plain(self): ...\n"
    )
    assert ids(lines) == [
        "TestTriage::test_team[refund-1]",
        "TestTriage::test_team[login-1]",
        "TestTriage::test_trace[refund-1]",
        "TestTriage::test_trace[login-1]",
        "TestTriage::test_plain",
    ]


def test_a_lone_function_is_a_unit(collected) -> None:
    lines = collected(f"{HEAD}{PROGRAM}\n{TWO}\ndef test_team(example, prediction): ...\n")
    assert ids(lines) == ["test_team[refund-1]", "test_team[login-1]"]


def test_models_come_first_in_ids(collected) -> None:
    mark = '@pytest.mark.lm_program(program=Triage, lm=["openai/gpt-4o-mini", "local/small"])'
    lines = collected(
        f"{HEAD}{mark}\n{TWO}\nclass TestTriage:\n    def test_team(self, prediction): ...\n"
        "    def test_program(self, lm_program): ...\n    def test_plain(self): ...\n"
    )
    assert ids(lines) == [
        "TestTriage::test_team[gpt-4o-mini-refund-1]",
        "TestTriage::test_team[gpt-4o-mini-login-1]",
        "TestTriage::test_team[small-refund-1]",
        "TestTriage::test_team[small-login-1]",
        "TestTriage::test_program[gpt-4o-mini]",
        "TestTriage::test_program[small]",
        "TestTriage::test_plain",
    ]


def test_one_model_in_a_list_has_its_name_in_the_id(collected) -> None:
    mark = '@pytest.mark.lm_program(program=Triage, lm=["openai/gpt-4o-mini"])'
    lines = collected(f"{HEAD}{mark}\n{TWO}\ndef test_team(prediction): ...\n")
    assert ids(lines)[0] == "test_team[gpt-4o-mini-refund-1]"


def test_rollouts_come_last_and_the_option_beats_the_mark(collected) -> None:
    text = f"{HEAD}{PROGRAM}\n{TWO}\n@pytest.mark.lm_repeat(2)\ndef test_team(prediction): ...\n"
    assert ids(collected(text))[:2] == ["test_team[refund-1-r1]", "test_team[refund-1-r2]"]
    assert len(collected(text, "--lm-repeat=3")) == 6
    assert ids(collected(text, "--lm-repeat=1"))[0] == "test_team[refund-1]"


def test_each_parameter_set_is_a_metric_of_its_own(project) -> None:
    project.test(
        f"{HEAD}{PROGRAM}\n{TWO}\nclass TestTriage:\n"
        "    @pytest.mark.parametrize('most', [10, 400])\n    def test_short(self, prediction, most): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    result = project.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "*test_short?refund-1-10?",
            "*test_short?refund-1-400?",
            "UNIT test_support.py::TestTriage metrics=test_short?10?,test_short?400? "
            "ids=test_support.py::TestTriage::test_short?10?,test_support.py::TestTriage::test_short?400?",
        ]
    )


SHOW_UNITS = """
from pytest_lmprog.plugin.run import existing_run

def pytest_collection_finish(session):
    run = existing_run(session.config)
    for plan in sorted(run.units.values(), key=lambda plan: plan.id):
        print(
            f"UNIT {plan.id} metrics={','.join(plan.metrics)} "
            f"ids={','.join(m.node_id for m in plan.metrics.values())}"
        )
        print(f"PATH {plan.snapshot.relative_to(session.config.rootpath).as_posix()} cases={len(plan.cases)}")
        for m in plan.metrics.values():
            print(f"METRIC {m.name} weight={m.weight} optimize={m.optimize} gate={plan.gates[m.name]}")
"""


@pytest.mark.parametrize(
    ("marks", "path"),
    [
        ("program=Triage", "__lm_snapshots__/test_support/TestTriage.yaml"),
        ("program=Triage, name='triage'", "__lm_snapshots__/test_support/triage.yaml"),
        ("program=Triage, snapshot='support/triage.yaml'", "support/triage.yaml"),
        ("program=Triage, lm=['a/b:7']", "__lm_snapshots__/test_support/TestTriage@b-7.yaml"),
        ("program=Triage, lm=['a/m'], snapshot='x/t.yaml'", "x/t@m.yaml"),
        ("program=Triage, lm='a/m'", "__lm_snapshots__/test_support/TestTriage.yaml"),
    ],
)
def test_snapshot_paths(project, marks: str, path: str) -> None:
    project.test(
        f"{HEAD}@pytest.mark.lm_program({marks})\n{TWO}\nclass TestTriage:\n"
        "    def test_team(self, prediction): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    project.run("--collect-only", "-q").stdout.fnmatch_lines([f"PATH {path} cases=2"])


def test_the_most_derived_mark_wins_and_a_method_can_be_a_unit(project) -> None:
    project.test(
        f"{HEAD}{PROGRAM}\n{EXAMPLES}\nclass Base:\n    def test_team(self, prediction): ...\n\n"
        f"{TWO}\n@pytest.mark.lm_program(program=Triage, name='child')\nclass TestChild(Base):\n"
        "    @pytest.mark.lm_program(program=Triage)\n    def test_own(self, prediction): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    out = project.run("--collect-only", "-q").stdout
    out.fnmatch_lines(
        [
            "UNIT test_support.py::TestChild metrics=test_team *",
            "PATH __lm_snapshots__/test_support/child.yaml cases=2",
            "UNIT test_support.py::TestChild::test_own metrics=test_own *",
            "PATH __lm_snapshots__/test_support/TestChild.test_own.yaml cases=2",
        ]
    )


def test_module_marks_apply_to_each_class_and_function(project) -> None:
    project.test(
        f"{HEAD}\nunit = pytest.mark.lm_program(program=Triage)\nrows = pytest.mark.lm_examples('tickets.yaml')\n"
        "pytestmark = [unit, rows]\nclass TestA:\n    def test_team(self, prediction): ...\n\n"
        "def test_b(prediction): ...\n\ndef test_c(): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    out = project.run("--collect-only", "-q").stdout
    out.fnmatch_lines(["UNIT *::TestA metrics=test_team *", "UNIT *::test_b metrics=test_b *"])


def test_metric_and_gate_marks(project) -> None:
    project.test(
        f"{HEAD}{PROGRAM}\n{TWO}\n@pytest.mark.lm_gate(min_score=0.5)\nclass TestTriage:\n"
        "    @pytest.mark.lm_metric(weight=3, optimize=False)\n    def test_a(self, prediction): ...\n"
        "    @pytest.mark.lm_gate(pass_at=0.7, strict=True)\n    def test_b(self, prediction): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    project.run("--collect-only", "-q").stdout.fnmatch_lines(
        [
            "METRIC test_a weight=3.0 optimize=False gate=*min_score=0.5, pass_at=None*",
            "METRIC test_b weight=1.0 optimize=True gate=*min_score=None, pass_at=0.7*strict=True*",
        ]
    )


def test_all_metrics_are_known_whatever_is_selected(project) -> None:
    project.test(
        f"{HEAD}{PROGRAM}\n{TWO}\nclass TestTriage:\n"
        "    def test_a(self, prediction): ...\n    def test_b(self, prediction): ...\n"
    )
    project.write("conftest.py", SHOW_UNITS)
    for chosen in (["-k", "test_a and refund"], ["test_support.py::TestTriage::test_a[refund-1]"]):
        out = project.run("--collect-only", "-q", *chosen).stdout
        out.fnmatch_lines(["UNIT * metrics=test_a,test_b *", "PATH * cases=2"])


def test_the_limit_selects_and_does_not_change_the_unit(project) -> None:
    project.test(f"{HEAD}{PROGRAM}\n{EXAMPLES}\ndef test_a(prediction): ...\n")
    project.write("conftest.py", SHOW_UNITS)
    out = project.run("--collect-only", "-q", "--lm-limit=1").stdout
    out.fnmatch_lines(["*test_a?refund-1?", "PATH * cases=4"])
    out.no_fnmatch_line("*login-1*")


def test_two_units_on_one_path(project) -> None:
    unit = "class Test{}:\n    def test_team(self, prediction): ...\n"
    project.test(
        f"{HEAD}@pytest.mark.lm_program(program=Triage, name='same')\n{TWO}\n{unit.format('A')}\n"
        f"@pytest.mark.lm_program(program=Triage, name='SAME')\n{TWO}\n{unit.format('B')}\n"
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*two units have one snapshot, SAME.yaml: *::TestA and *::TestB*"])
    assert "Traceback" not in result.stdout.str()


DATASETS = {
    "missing": (None, "*rows.yaml*"),
    "empty": ("", "*rows.yaml*"),
    "malformed": ("- {id: a, ticket: [}\n", "*rows.yaml:1*"),
    "duplicate": ("- {id: a, ticket: x}\n- {id: a, ticket: y}\n", "*rows.yaml:2*"),
    "field": (
        "- {id: a, ticket: x}\n- {id: b, tickte: y}\n",
        "*rows.yaml:2*has no field 'ticket'*Triage.forward*",
    ),
    "keys": ("exampels:\n- {id: a, ticket: x}\n", "*rows.yaml*unknown key 'exampels'*"),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_a_dataset_that_cannot_be_used(project, kind: str) -> None:
    rows, expected = DATASETS[kind]
    if rows is not None:
        project.write("rows.yaml", rows)
    project.test(
        f"{HEAD}{PROGRAM}\n@pytest.mark.lm_examples('rows.yaml')\nclass TestTriage:\n"
        "    def test_a(self, prediction): ...\n    def test_b(self, prediction): ...\n"
    )
    result = project.run()
    out = result.stdout.str()
    assert result.ret == 2
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([expected])
    assert "Traceback" not in out
    assert "pytest_lmprog/" not in out
    if rows is not None:
        assert (project.path / "rows.yaml").read_text() == rows


def test_a_split_that_is_not_there(project) -> None:
    project.test(
        f"{HEAD}{PROGRAM}\n@pytest.mark.lm_examples('tickets.yaml', split='tset')\n"
        "def test_a(prediction): ...\n"
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*no row has the split 'tset'; there are: dev (4), train (2)*"])


def test_an_example_in_train_and_cases(project) -> None:
    learns = "teleprompter=lmp.LabeledFewShot(k=1), trainset='tickets.yaml'"
    mark = f"@pytest.mark.lm_program(program=Triage, {learns})"
    project.test(f"{HEAD}{mark}\n{TWO}\ndef test_a(prediction): ...\n")
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*example 'refund-1' of the training data*"])


def test_rows_from_python_and_from_a_hook(project, collected) -> None:
    lines = collected(
        f"{HEAD}def rows():\n    return [{{'ticket': 'x'}}, lmp.Example(id='two', ticket='y')]\n"
        f"{PROGRAM}\n@pytest.mark.lm_examples(source=rows)\ndef test_a(prediction): ...\n"
    )
    assert len(lines) == 2
    assert ids(lines)[1] == "test_a[two]"
    project.write(
        "conftest.py",
        "def pytest_lmprog_load_examples(config, source):\n"
        "    return [{'id': 'hook', 'ticket': source}] if source == 'db:' else None\n",
    )
    assert ids(
        collected(f"{HEAD}{PROGRAM}\n@pytest.mark.lm_examples('db:')\ndef test_a(prediction): ...\n")
    ) == ["test_a[hook]"]


def test_ids_are_ascii(collected, project) -> None:
    project.write("rows.jsonl", '{"id": "zürich::1", "ticket": "x"}\n')
    lines = collected(
        f"{HEAD}{PROGRAM}\n@pytest.mark.lm_examples('rows.jsonl')\ndef test_a(prediction): ...\n"
    )
    assert len(lines) == 1
    assert lines[0].isascii()
    assert "zurich" in lines[0]


def test_case_fixtures_outside_of_a_unit(project) -> None:
    project.test(
        "def test_a(prediction): ...\n\ndef test_b(lm_program): ...\n\ndef test_c(record_score): ...\n"
    )
    result = project.run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "*the fixture 'prediction' gives what belongs to a case, and test_a has none*",
            "*the fixture 'lm_program' gives a unit's program, and test_b is in no unit*",
            "*record_score scores a case, and test_c has none*",
        ]
    )


def test_a_fixture_called_lm_of_another_project_is_left_alone(project) -> None:
    project.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef lm():\n    return 7\n")
    project.test(
        "import sys\n\ndef test_a(lm, request):\n    assert lm == 7\n"
        "    assert not request.config.pluginmanager.has_plugin('lmprog-run')\n"
    )
    project.run_apart().assert_outcomes(passed=1)


def test_an_overridden_lm_is_ours_where_its_module_imports_us(project) -> None:
    """Nothing of ours has been loaded by then: the fixture makes its LM when it is asked for."""
    project.test("def test_asks(lm):\n    lm('I was charged twice')\n")
    result = project.run_apart()
    assert result.ret == 0
    assert (project.path / "__lm_recordings__" / "test_support.jsonl").exists()
