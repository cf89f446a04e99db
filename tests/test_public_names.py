"""What the root exports, and that it costs nothing to import."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_lmprog

NAMES = [
    "LM",
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapRS",
    "ChainOfThought",
    "ChatAdapter",
    "Evaluate",
    "Example",
    "InputField",
    "JSONAdapter",
    "Judge",
    "Judgement",
    "LabeledFewShot",
    "Module",
    "OutputField",
    "Predict",
    "Prediction",
    "Score",
    "ScriptedLM",
    "Signature",
    "compare",
    "configure",
    "context",
    "load",
    "settings",
]

HEAVY = [
    "asyncio",
    "concurrent.futures",
    "coverage",
    "diskcache",
    "filelock",
    "httpx",
    "litellm",
    "openai",
    "pydantic",
    "pytest",
    "sqlite3",
    "urllib.request",
    "yaml",
]


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60
    )
    return set(run.stdout.split())


def test_the_names_are_these() -> None:
    assert pytest_lmprog.__all__ == NAMES
    assert set(NAMES) <= set(dir(pytest_lmprog))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there(name: str) -> None:
    assert getattr(pytest_lmprog, name) is getattr(pytest_lmprog, name)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_lmprog' has no attribute 'Nope'"):
        pytest_lmprog.Nope


def test_type_checkers_see_the_same_names() -> None:
    assert pytest_lmprog.__file__ is not None
    tree = ast.parse(Path(pytest_lmprog.__file__).read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    homes = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(homes, key=NAMES.index) == NAMES
    assert {name: f"pytest_lmprog.{home}" for name, home in pytest_lmprog._HOMES.items()} == homes


def test_no_name_is_that_of_a_submodule() -> None:
    for name in NAMES:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"pytest_lmprog.{name}")


def test_the_root_imports_nothing() -> None:
    bare = loaded("")
    extra = loaded("import pytest_lmprog") - bare
    assert extra <= {"pytest_lmprog", "__future__"}


def test_a_program_of_plain_fields_imports_nothing_heavy() -> None:
    code = """
import pytest_lmprog as lmp
class Triage(lmp.Signature):
    ticket: str = lmp.InputField()
    team: str = lmp.OutputField()
class Program(lmp.Module):
    def __init__(self):
        self.p = lmp.ChainOfThought(Triage)
    def forward(self, ticket):
        return self.p(ticket=ticket)
from pytest_lmprog.lm.types import LMRequest, LMResponse, Capabilities
class FakeLM:
    model = "fake"
    endpoint = ""
    def capabilities(self): return Capabilities(json_schema=True)
    def request(self, messages, *, response_format=None, tools=(), rollout=0, **params):
        return LMRequest("fake", messages, params, response_format, tools, rollout)
    def complete(self, request): return LMResponse('{"reasoning": "r", "team": "t"}')
with lmp.context(lm=FakeLM()):
    assert Program().copy()("x").team
"""
    heavy = {name for name in HEAVY if name in loaded(code)}
    assert heavy <= {name for name in HEAVY if name in loaded("")}
