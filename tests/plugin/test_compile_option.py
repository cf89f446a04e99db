"""``--lm-compile``: what is written, what is shown, what is refused."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import UNIT

LEARNS = "program=Triage, teleprompter=lmp.BootstrapFewShot({}), trainset='tickets.yaml', train_split='train'"
SNAPSHOT = "__lm_snapshots__/test_support/TestTriage.yaml"


def learning(
    project,
    body: str = "assert prediction.team == example.team",
    *,
    more: str = "",
    head: str = "",
    settings: str = "max_bootstrapped_demos=1",
) -> None:
    text = UNIT.replace("program=Triage", LEARNS.format(settings)).replace(
        "import pytest\n", "import pytest\nimport pytest_lmprog as lmp\n" + head
    )
    project.test(text.replace("assert prediction.team == example.team", body) + more)


def test_a_new_snapshot_and_the_cases_of_the_new_program(project) -> None:
    learning(project, "assert prediction.team == example.team and len(prediction) == 1")
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["*TestTriage: *calls*", "*before*after*change*", f"new snapshot: {SNAPSHOT}"]
    )
    text = (project.path / SNAPSHOT).read_text()
    assert "Refund my last invoice" in text
    assert text.index("demos:") < text.index("Refund my last invoice")
    assert project.run("--lm-record=none").ret == 0


def test_a_different_result_is_pending_and_plain_runs_ignore_it(project) -> None:
    learning(project)
    project.run("--lm-compile")
    before = (project.path / SNAPSHOT).read_bytes()
    learning(project, "assert prediction.team in (example.team, 'bug') and example.id")
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["pending review: *"])
    assert (project.path / SNAPSHOT).read_bytes() == before
    assert (project.path / SNAPSHOT.replace(".yaml", ".new.yaml")).exists()
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*stale*"])


def test_update_accepts_at_once(project) -> None:
    learning(project)
    project.run("--lm-compile")
    learning(project, "assert prediction.team in (example.team, 'bug') and example.id")
    result = project.run("--lm-compile", "--lm-update")
    assert result.ret == 0
    assert not (project.path / SNAPSHOT.replace(".yaml", ".new.yaml")).exists()
    project.run().stdout.no_fnmatch_line("*stale*")


def test_update_alone_keeps_the_prompts_and_restamps(project) -> None:
    learning(project)
    project.run("--lm-compile")
    learning(project, "assert prediction.team in (example.team, 'bug') and example.id")
    result = project.run("--lm-update")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*changed since the compile: *test_team*"])
    project.run().stdout.no_fnmatch_line("*stale*")


def test_a_stale_snapshot_is_an_error_in_ci_only_and_its_cases_run(project, monkeypatch) -> None:
    learning(project)
    project.run("--lm-compile")
    learning(project, "assert prediction.team in (example.team, 'bug') and example.id")
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "test_*.py::TestTriage",
            "  test_*.py:1: LmprogWarning: the snapshot *TestTriage.yaml is stale: *test_team*",
        ]
    )
    result.stdout.no_fnmatch_line("*conclude.py*")
    monkeypatch.setenv("CI", "true")
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["ERROR test_support.py::TestTriage*stale*"])


def test_flips_are_listed_and_do_not_fail(project) -> None:
    learning(project)
    project.run("--lm-compile")
    project.answers(dark="bug")
    project.forget()
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 worse than the baseline: dark-1*"])


def test_a_selected_unit_compiles_whole_and_others_do_not(project) -> None:
    learning(
        project,
        more="\n    def test_b(self, prediction):\n        assert False\n",
        settings="max_labeled_demos=0",
    )
    project.test(
        (project.path / "test_support.py").read_text().replace("TestTriage", "TestOther"), "test_other.py"
    )
    result = project.run("--lm-compile", "-k", "test_team and refund and TestTriage")
    result.assert_outcomes(passed=1, deselected=15)
    text = (project.path / SNAPSHOT).read_text()
    assert "Refund" not in text  # no demo passes test_b, which -k did not select
    assert not (project.path / "__lm_snapshots__/test_other").exists()


def test_dry_run_calls_nothing(project) -> None:
    learning(project)
    result = project.run("--lm-compile", "--lm-dry-run")
    assert result.ret == 0
    assert project.calls == 0
    result.stdout.fnmatch_lines(
        ["The most that --lm-compile can cost. Nothing was called.", "*::TestTriage *"]
    )
    assert not (project.path / SNAPSHOT).exists()
    result.assert_outcomes()


def test_dry_run_alone_is_refused(project) -> None:
    result = project.run("--lm-dry-run")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--lm-dry-run*goes with --lm-compile*"])


@pytest.mark.parametrize("fixture", ["tmp_path", "own", "request"])
def test_a_function_scoped_fixture_is_refused(project, fixture: str) -> None:
    head = "\n@pytest.fixture\ndef own():\n    return 1\n"
    learning(project, head=head)
    path = project.path / "test_support.py"
    path.write_text(
        path.read_text().replace("self, example, prediction", f"self, example, prediction, {fixture}")
    )
    assert project.run().ret == 0
    result = project.run("--lm-compile")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"*metric test_team uses the function-scoped fixture '{fixture}'*", "*hint: *"]
    )
    assert not (project.path / SNAPSHOT).exists()
    assert "pytest_lmprog/" not in result.stdout.str()


def test_an_autouse_function_scoped_fixture_is_refused(project) -> None:
    learning(project, head="\n@pytest.fixture(autouse=True)\ndef quiet():\n    yield\n")
    result = project.run("--lm-compile")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*uses the function-scoped fixture 'quiet'*"])


def test_wider_fixtures_are_set_up_once_and_xunit_for_each_evaluation(project) -> None:
    head = (
        "\nmade, methods, instances = [], [], set()\n\n"
        "@pytest.fixture(scope='module')\ndef judge():\n    made.append(1)\n    return 'judge'\n"
    )
    learning(
        project,
        "assert judge == 'judge' and self.ready; instances.add(id(self))",
        head=head,
        more=(
            "\n    def setup_method(self):\n        self.ready = True\n        methods.append(1)\n"
            "    def teardown_method(self):\n        methods.append(-1)\n\n"
            "def test_after():\n    assert len(made) == 1\n    assert sum(methods) == 0 and len(methods) > 8\n"
        ),
    )
    path = project.path / "test_support.py"
    path.write_text(path.read_text().replace("self, example, prediction", "self, example, prediction, judge"))
    project.run("--lm-compile").assert_outcomes(passed=5)


def test_plain_assertions_are_refused(project) -> None:
    learning(project)
    result = project.run_apart("--lm-compile", "--assert=plain")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*--assert=plain leaves them empty*"])
    assert project.calls == 0


def test_a_metric_that_raises_stops_the_compile_and_writes_nothing(project) -> None:
    learning(project, "{}['key']")
    result = project.run("--lm-compile")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*metric test_team raised KeyError: 'key' (test_support.py:10)*"])
    assert not (project.path / SNAPSHOT).exists()
    assert "pytest_lmprog/" not in result.stdout.str()


def test_a_unit_that_cannot_be_prepared_is_one_error_and_the_rest_is_skipped(project) -> None:
    learning(project, "{}['key']")
    result = project.run("--lm-compile", "-rs")
    assert result.ret == 1
    result.assert_outcomes(errors=1, skipped=3)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED [[]3[]] test_support.py:*: *TestTriage could not be prepared, see the error of its first case"
        ]
    )


def test_a_budget_stops_and_keeps_what_there_is(project) -> None:
    learning(project, settings="max_bootstrapped_demos=2, max_labeled_demos=0")
    result = project.run("--lm-compile", "--lm-budget=1calls")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*stopped: budget*"])


def test_a_budget_that_ends_before_anything_is_learnt_writes_nothing(project) -> None:
    said = f"left as it was: {SNAPSHOT}: the budget was spent before anything was learnt"
    learning(project, settings="max_bootstrapped_demos=1, max_labeled_demos=0")
    first = project.run("--lm-compile", "--lm-budget=0calls")
    assert said in " ".join(first.stdout.str().split())
    assert not (project.path / SNAPSHOT).exists()
    project.run("--lm-compile")
    accepted = (project.path / SNAPSHOT).read_bytes()
    project.forget()
    again = project.run("--lm-compile", "--lm-update", "--lm-budget=0calls")
    assert said in " ".join(again.stdout.str().split())
    assert (project.path / SNAPSHOT).read_bytes() == accepted
    assert not (project.path / SNAPSHOT.replace(".yaml", ".new.yaml")).exists()


def test_a_compile_in_replay_says_what_to_do(project) -> None:
    learning(project)
    result = project.run("--lm-compile", "--lm-record=none")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*compiling asks the LM, but --lm-record=none holds*", "*hint: pytest --lm-compile --lm-record=new*"]
    )


def test_compile_time_is_no_test_time(project) -> None:
    conftest = (project.path / "conftest.py").read_text()
    (project.path / "conftest.py").write_text(
        conftest.replace(  # only the first call takes longer than a test may: it is the compile's
            "    last =",
            "    calls = len(pathlib.Path(log.name).read_text().splitlines())\n"
            "    import time; time.sleep(4 if calls == 1 else 0)\n    last =",
        )
    )
    learning(project)
    result = project.run("--lm-compile", "--timeout=3", "--lm-max-concurrency=1")
    assert result.ret == 0


def test_the_same_bytes_whatever_the_surroundings(project, monkeypatch) -> None:
    learning(
        project,
        "assert prediction.team == 'nothing', {'a', 'b', 'c', 'd'}",
        more="\n    def test_b(self, example, prediction):\n        assert prediction.team == example.team\n",
    )
    project.answers(Refund="bug")
    seen = set()
    for arguments in (
        ["--lm-max-concurrency=1"],
        ["-vv", "--color=yes", "--lm-max-concurrency=64"],
        ["-q", "-n", "4"],
    ):
        project.run("--lm-compile", *arguments)
        seen.add((project.path / SNAPSHOT).read_bytes())
        (project.path / SNAPSHOT).unlink()
    assert len(seen) == 1


def test_lm_compile_fixture(project) -> None:
    project.test(
        "import pytest_lmprog as lmp\nfrom program import Triage\n\n"
        "def same_team(example, prediction, trace=None):\n    return example.team == prediction.team\n\n"
        "def test_by_hand(lm_compile):\n"
        "    program = lm_compile(Triage(), teleprompter=lmp.BootstrapFewShot(max_bootstrapped_demos=1),\n"
        "        trainset='tickets.yaml', train_split='train', metric=same_team, name='by-hand')\n"
        "    assert program(ticket='I was charged twice').team == 'billing'\n"
        "    print('DEMOS', len(program.classify.demos))\n"
    )
    assert "DEMOS 0" in project.run("-s").stdout.str()
    result = project.run("--lm-compile", "-s")
    assert result.ret == 0
    assert "DEMOS 0" not in result.stdout.str()
    assert (project.path / "__lm_snapshots__/test_support/by-hand.yaml").exists()
    result = project.run("--lm-record=none", "-s")
    assert result.ret == 1 or "DEMOS 0" not in result.stdout.str()


def test_hooks_make_a_teleprompter_and_hear_of_the_result(project) -> None:
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + "\ndef pytest_lmprog_make_teleprompter(config, unit):\n    return lmp.LabeledFewShot(k=1)\n"
        "\ndef pytest_lmprog_compiled(config, unit, result):\n"
        "    print('COMPILED', unit, len(result.program.classify.demos))\n"
    )
    learning(project)
    result = project.run("--lm-compile", "-s")
    result.stdout.fnmatch_lines(["*COMPILED test_support.py::TestTriage 1*"])
    assert "LabeledFewShot" in (project.path / SNAPSHOT).read_text()
