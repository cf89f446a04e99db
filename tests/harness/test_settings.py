"""Which value of an option holds, and what is said of one that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.options import OPTIONS
from pytest_lmprog.harness.settings import HarnessSettings, in_ci

ROOT = Path("/project")


def resolve(**sources: Any) -> HarnessSettings:
    return HarnessSettings.resolve(ROOT, **sources)


def test_defaults() -> None:
    settings = resolve()
    assert settings == HarnessSettings(ROOT, ROOT / ".lm_cache")
    assert (settings.record, settings.max_concurrency, settings.seed) == ("new", 8, 0)
    assert not any((settings.compile, settings.update, settings.dry_run, settings.writes_baseline))


def test_command_line_beats_environment_beats_ini() -> None:
    ini = {"lm_seed": "1", "lm_limit": "5", "lm_model": "ini/m"}
    env = {"PYTEST_LMPROG_SEED": "2", "PYTEST_LMPROG_LIMIT": "6"}
    settings = resolve(cli={"seed": 3}, env=env, ini=ini)
    assert (settings.seed, settings.limit, settings.model) == (3, 6, "ini/m")
    assert settings.model_source == "ini"


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [("cli", {"model": "a/b"}, "cli"), ("env", {"PYTEST_LMPROG_MODEL": "a/b"}, "env")],
)
def test_the_source_of_the_model_is_known(source: str, value: Any, expected: str) -> None:
    assert resolve(**{source: value}).model_source == expected


def test_options_of_the_command_line_only_are_not_read_elsewhere() -> None:
    settings = resolve(env={"PYTEST_LMPROG_COMPILE": "1"}, ini={"lm_update": "true"})
    assert not settings.compile
    assert not settings.update


def test_ini_only_options_are_not_read_from_the_command_line() -> None:
    assert not resolve(cli={"record_compile": True}).record_compile
    assert resolve(ini={"lm_record_compile": True}).record_compile
    assert not resolve(ini={"lm_store_messages": "false"}).store_messages


@pytest.mark.parametrize(
    ("ci", "expected"),
    [("", False), ("0", False), ("false", False), ("FALSE", False), ("1", True), ("true", True), ("x", True)],
)
def test_ci_replays(ci: str, expected: bool) -> None:
    assert in_ci({"CI": ci}) is expected
    settings = resolve(env={"CI": ci})
    assert settings.in_ci is expected
    assert settings.record == ("none" if expected else "new")


def test_a_record_mode_that_is_given_holds_in_ci() -> None:
    assert resolve(cli={"record": "new"}, env={"CI": "true"}).record == "new"
    assert resolve(env={"CI": "true", "PYTEST_LMPROG_RECORD": "ALL"}).record == "all"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"env": {"PYTEST_LMPROG_MAX_CONCURRENCY": "abc"}}, "PYTEST_LMPROG_MAX_CONCURRENCY=abc: not a whole"),
        ({"env": {"PYTEST_LMPROG_MAX_CONCURRENCY": "0"}}, "PYTEST_LMPROG_MAX_CONCURRENCY=0: less than 1"),
        ({"ini": {"lm_seed": -1}}, "lm_seed=-1: less than 0"),
        ({"ini": {"lm_store_messages": "maybe"}}, "lm_store_messages=maybe: neither true nor false"),
        ({"cli": {"record": "some"}}, "--lm-record=some: not one of none, new, all"),
        ({"cli": {"budget": "lots"}}, "--lm-budget=lots: the budget 'lots' cannot be read"),
        ({"cli": {"model": "  "}}, "--lm-model=  : empty"),
        ({"cli": {"dry_run": True}}, "--lm-dry-run says what compiling could cost"),
    ],
)
def test_a_bad_value_names_its_source(sources: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(**sources)
    assert str(caught.value).startswith(message)


def test_a_bad_value_that_does_not_hold_is_not_an_error() -> None:
    assert resolve(cli={"seed": 1}, env={"PYTEST_LMPROG_SEED": "abc"}).seed == 1


def test_cache_dir_is_under_the_rootdir_unless_absolute() -> None:
    assert resolve(cli={"cache_dir": "elsewhere"}).cache_dir == ROOT / "elsewhere"
    assert resolve(cli={"cache_dir": "/tmp/x"}).cache_dir == Path("/tmp/x")


@pytest.mark.parametrize(("total", "shares"), [(8, [2, 2, 2, 2]), (6, [2, 2, 1, 1]), (2, [1, 1, 1, 1])])
def test_concurrency_is_shared_out_among_workers(total: int, shares: list[int]) -> None:
    found = [
        HarnessSettings.resolve(ROOT, cli={"max_concurrency": total}, worker=f"gw{i}", workers=4).concurrency
        for i in range(4)
    ]
    assert found == shares


@given(st.integers(1, 64), st.integers(1, 16))
def test_shares_never_exceed_the_whole_where_it_suffices(total: int, workers: int) -> None:
    shares = [
        HarnessSettings(ROOT, ROOT, max_concurrency=total, worker=f"gw{i}", workers=workers).concurrency
        for i in range(workers)
    ]
    assert min(shares) >= 1
    assert sum(shares) == max(total, workers)


def test_writes_baseline() -> None:
    assert resolve(cli={"update": True}).writes_baseline
    assert resolve(cli={"compile": True}).writes_baseline
    assert not resolve(cli={"compile": True, "dry_run": True}).writes_baseline


def test_every_option_is_named_alike_everywhere() -> None:
    for option in OPTIONS:
        assert option.switch == "--lm-" + option.name.replace("_", "-")
        assert option.dest == "lm_" + option.name
        assert option.variables[0] == f"PYTEST_LMPROG_{option.name.upper()}"
        assert option.help
