"""Options, ini values and environment: what holds, what is refused, what the header says."""

from __future__ import annotations

import pytest

HEADER = "lmprog: model {model}, record {record}, cache {cache}*"


def header(result: pytest.RunResult) -> str:
    return next((line for line in result.outlines if line.startswith("lmprog: model")), "")


def test_help_tells_them_all(project) -> None:
    out = project.run("--help").stdout.str()
    for option in (
        "--lm-compile", "--lm-update", "--lm-record", "--lm-model", "--lm-max-concurrency", "--lm-budget",
        "--lm-dry-run", "--lm-limit", "--lm-repeat", "--lm-seed", "--lm-cache-dir",
    ):  # fmt: skip
        assert option in out
    for ini in ("lm_record ", "lm_model ", "lm_record_compile ", "lm_store_messages "):
        assert ini in out


def test_fixtures_tells_them_all(project) -> None:
    out = project.run("--fixtures").stdout.str()
    for fixture in ("example", "prediction", "trace", "lm_program", "lm_compile", "lm", "record_score"):
        assert f"\n{fixture}" in out
    assert out.count("(pytest-lmprog)") >= 7


def test_no_header_where_nothing_is_used(project) -> None:
    project.test("def test_a(): ...\n")
    assert header(project.run()) == ""


def test_the_header_says_what_holds(project) -> None:
    project.test()
    project.write(
        "pytest.ini", "[pytest]\npythonpath = .\nlm_model = from/ini\nlm_cache_dir = answers\nlm_seed = 3\n"
    )
    line = header(project.run("--collect-only"))
    assert line == "lmprog: model from/ini, record new, cache answers, seed 3"


def test_command_line_beats_environment_beats_ini(project, monkeypatch) -> None:
    project.test()
    project.write("pytest.ini", "[pytest]\npythonpath = .\nlm_model = from/ini\nlm_record = all\n")
    assert "model from/ini, record all" in header(project.run("--collect-only"))
    monkeypatch.setenv("PYTEST_LMPROG_MODEL", "from/env")
    monkeypatch.setenv("PYTEST_LMPROG_RECORD", "none")
    assert "model from/env, record none" in header(project.run("--collect-only"))
    result = project.run("--collect-only", "--lm-model=from/cli", "--lm-record=new")
    assert "model from/cli, record new" in header(result)


@pytest.mark.parametrize(
    ("ci", "record"), [("true", "none"), ("1", "none"), ("", "new"), ("0", "new"), ("false", "new")]
)
def test_replay_is_the_default_in_ci(project, monkeypatch, ci: str, record: str) -> None:
    monkeypatch.setenv("CI", ci)
    project.test()
    assert f"record {record}," in header(project.run("--collect-only"))


@pytest.mark.parametrize(
    "argument",
    ["--lm-record=maybe", "--lm-max-concurrency=0", "--lm-limit=-1", "--lm-repeat=x", "--lm-budget=5"],
)
def test_a_bad_argument_is_a_usage_error(project, argument: str) -> None:
    result = project.run(argument)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*argument {argument.partition('=')[0]}*"])


@pytest.mark.parametrize(
    "ini", ["lm_record = maybe", "lm_limit = x", "lm_budget = 5", "lm_store_messages = perhaps"]
)
def test_a_bad_ini_value_is_a_usage_error_that_names_it(project, ini: str) -> None:
    project.write("pytest.ini", f"[pytest]\n{ini}\n")
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{ini.partition(' ')[0]}*"])
    assert "Traceback" not in result.stderr.str()


def test_a_bad_environment_value_is_a_usage_error_that_names_it(project, monkeypatch) -> None:
    monkeypatch.setenv("PYTEST_LMPROG_SEED", "x")
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*PYTEST_LMPROG_SEED=x*not a whole number*"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 9 reads typed TOML")
def test_native_toml_values(project) -> None:
    (project.path / "pytest.ini").unlink()
    project.write(
        "pytest.toml",
        '[pytest]\npythonpath = ["."]\nlm_limit = 2\nlm_model = "from/toml"\nlm_store_messages = false\n',
    )
    project.test()
    result = project.run("--collect-only")
    result.stdout.fnmatch_lines(["lmprog: model from/toml, *limit 2*"])
    assert sum("test_team[" in line for line in result.outlines) == 2
    assert header(project.run("--collect-only", "-q")) == ""


def test_the_limit_runs_the_first_cases(project) -> None:
    project.test()
    result = project.run("--lm-limit=2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*not judged (2 of 4 ran)*"])


def test_the_cache_answers_where_the_recording_does_not(project) -> None:
    project.test()
    project.run("--lm-cache-dir=elsewhere")
    assert (project.path / "elsewhere").is_dir()
    assert project.calls == 4
    (project.path / "__lm_recordings__/test_support.jsonl").unlink()
    result = project.run("--lm-cache-dir=elsewhere")
    result.assert_outcomes(passed=4)
    assert project.calls == 4
    assert (project.path / "__lm_recordings__/test_support.jsonl").exists()


def test_record_all_asks_once_more(project) -> None:
    project.test()
    project.run()
    project.run("--lm-record=all").assert_outcomes(passed=4)
    assert project.calls == 8


def test_plain_tests_are_recorded_and_replayed(project) -> None:
    project.test(
        "import pytest_lmprog as lmp\n\ndef test_plain(lm):\n"
        "    assert lmp.Predict('ticket -> team')(ticket='I was charged').team == 'billing'\n"
    )
    project.run().assert_outcomes(passed=1)
    assert project.calls == 1
    project.run("--lm-record=none").assert_outcomes(passed=1)
    assert project.calls == 1
    project.forget()
    result = project.run("--lm-record=none")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no recorded answer*test_plain*"])


def test_the_model_option_beats_the_lm_fixture(project) -> None:
    project.test()
    result = project.run("--lm-model=nobody/knows", "--lm-record=none")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no recorded answer*"])


def test_the_make_lm_hook(project) -> None:
    project.write(
        "conftest.py",
        "import json\nimport pytest_lmprog as lmp\n\ndef pytest_lmprog_make_lm(config, model):\n"
        "    return lmp.ScriptedLM(lambda request: json.dumps({'team': 'bug'}), model='made')\n",
    )
    project.test()
    result = project.run("-q", "--lm-limit=3", "-k", "crash")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(["*TestTriage (made)*"])


def test_redacted_text_is_not_stored(project) -> None:
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + "\ndef pytest_lmprog_redact(config, text):\n    return text.replace('charged twice', 'XXX')\n"
    )
    project.test()
    project.run().assert_outcomes(passed=4)
    assert "charged twice" not in (project.path / "__lm_recordings__/test_support.jsonl").read_text()
    project.run("--lm-record=none").assert_outcomes(passed=4)
