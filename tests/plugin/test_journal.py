"""The compile journal of ``--lm-compile``."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.plugin.test_compile_option import learning

JOURNAL = ".lm_cache/journal/test_support/TestTriage.jsonl"


def lines(project: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.path / JOURNAL).read_text(encoding="utf-8").splitlines()]


def test_a_compile_writes_one_and_a_plain_run_does_not(project) -> None:
    learning(project)
    project.run()
    assert not (project.path / ".lm_cache/journal").exists()
    project.run("--lm-compile", "--lm-dry-run")
    assert not (project.path / ".lm_cache/journal").exists()
    assert project.run("--lm-compile").ret == 0
    head, candidate, end = lines(project)
    assert head["unit"] == "test_support.py::TestTriage"
    assert head["teleprompter"] == "BootstrapFewShot(max_bootstrapped_demos=1)"
    assert (head["seed"], head["trainset"], head["valset"]) == (0, 2, None)
    assert (candidate["label"], candidate["winner"], candidate["demos"]) == (
        "bootstrap",
        True,
        {"classify": 2},
    )
    assert end == {"winner": 0, "score": None, "validated_on": 0, "stopped": "done"}
    assert (project.path / ".lm_cache/.gitignore").read_text() == "*\n"


def test_it_is_the_same_bytes_again(project) -> None:
    learning(project)
    project.run("--lm-compile")
    first = (project.path / JOURNAL).read_bytes()
    project.forget()
    project.run("--lm-compile", "--lm-max-concurrency=1", "-n", "2")
    assert (project.path / JOURNAL).read_bytes() == first


def test_no_secrets_and_no_paths(project, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    learning(project, settings="max_bootstrapped_demos=1, teacher_settings={'note': 'sk-0123456789abcdef'}")
    project.run("--lm-compile")
    text = (project.path / JOURNAL).read_text() if (project.path / JOURNAL).exists() else ""
    assert "sk-0123456789abcdef" not in text
    assert str(project.path) not in text


def test_a_compile_that_fails_leaves_the_former_one(project) -> None:
    learning(project)
    project.run("--lm-compile")
    before = (project.path / JOURNAL).read_bytes()
    learning(project, "{}['key']")
    assert project.run("--lm-compile").ret == 1
    assert (project.path / JOURNAL).read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a file in the way")
def test_an_unwritable_folder_is_a_warning(project) -> None:
    learning(project)
    project.write(".lm_cache/journal", "in the way")
    result = project.run("--lm-compile")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*the compile journal cannot be written*"])
