from __future__ import annotations

import functools
from pathlib import Path

import pytest

from pytest_lmprog.snapshots.closure import Closure
from pytest_lmprog.snapshots.fingerprint import UNCHECKED
from pytest_lmprog.snapshots.source import Sources
from tests.snapshots.projects import Project, differing

PROGRAM = '''
"""A program."""
import json
import functools
from pathlib import Path
from . import helpers, extra
from .helpers import clean as tidy, LIMIT
from .base import Base
from .stars import *
import support.deep.inner

TABLE = {"a": 1}
TABLE["b"] = 2
UNUSED = 1
TEXT = (Path(__file__).parent / "prompt.txt").read_text()
squash = functools.partial(helpers.squash, 2)

def decorate(f):
    @functools.wraps(f)
    def inner(*a):
        return f(*a)
    return inner

class Tool:
    """A tool."""
    def run(self, x):
        return x

TOOL = Tool()

class Program(Base):
    """What it does."""
    LIMIT = 3

    def forward(self, x):
        # a comment
        y = tidy(x)[:LIMIT]
        return helpers.shout(y), TABLE, TEXT, TOOL.run(x), squash(x), starred(x), support.deep.inner.f(x)

    @decorate
    def other(self, x):
        from .lazy import late
        return late(x)

def unrelated():
    return json.dumps({})
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write(
        program=PROGRAM,
        helpers=(
            "import re\nLIMIT = 5\nMARK = '!'\n"
            "def clean(x): return re.sub(' ', '', x)\n"
            "def shout(x): return x + MARK\n"
            "def squash(n, x): return x\n"
            "def unused(): return 1\n"
        ),
        base="class Root: \n    def deep(self): return 1\nclass Base(Root):\n    pass\n",
        stars="def starred(x): return 1\n",
        lazy="def late(x): return x\n",
        extra="X = 1\n",
    )
    made.files["support/prompt.txt"] = "You are kind."
    made.files["support/deep/__init__.py"] = ""
    made.files["support/deep/inner.py"] = "def f(x): return x\n"
    return made


def items(project: Project) -> dict[str, str]:
    with project.load() as module:
        closure = Closure(Sources(project.root))
        closure.add_class(module.Program)
        return closure.items


def test_the_closure_is_what_is_reached(project):
    assert sorted(name.removeprefix("support.") for name in items(project)) == [
        "base.Base",
        "base.Root",
        "base.Root.deep",
        "deep.inner.f",
        "helpers.LIMIT",
        "helpers.MARK",
        "helpers.clean",
        "helpers.shout",
        "helpers.squash",
        "lazy.late",
        "program.Program",
        "program.Program.forward",
        "program.Program.other",
        "program.TABLE",
        "program.TEXT",
        "program.TOOL",
        "program.Tool",
        "program.Tool.run",
        "program.decorate",
        "program.squash",
        "stars.starred",
    ]


@pytest.mark.parametrize(
    ("module", "old", "new", "names"),
    [
        ("program", "# a comment", "# another", []),
        ("program", "y = tidy(x)[:LIMIT]", "y = (tidy(x)\n             [:LIMIT])", []),
        ("program", "json.dumps({})", "json.dumps([])", []),
        ("program", "UNUSED = 1", "UNUSED = 2", []),
        ("helpers", "return 1", "return 2", []),
        ("program", "What it does.", "What it did.", ["program.Program"]),
        ("program", "LIMIT = 3", "LIMIT = 4", ["program.Program"]),
        ("program", "return late(x)", "return late(x, x)", ["program.Program.other"]),
        ("program", 'TABLE["b"] = 2', 'TABLE["b"] = 3', ["program.TABLE"]),
        ("program", "return f(*a)", "return f(*a) or 1", ["program.decorate"]),
        ("program", "TOOL = Tool()", "TOOL = Tool() or 1", ["program.TOOL"]),
        ("program", "        return x\n\nTOOL", "        return -x\n\nTOOL", ["program.Tool.run"]),
        ("helpers", "LIMIT = 5", "LIMIT = 6", ["helpers.LIMIT"]),
        ("helpers", "' ', ''", "' ', '_'", ["helpers.clean"]),
        ("helpers", "'!'", "'?'", ["helpers.MARK"]),
        ("helpers", "def squash(n, x): return x", "def squash(n, x): return n", ["helpers.squash"]),
        ("base", "return 1", "return 2", ["base.Root.deep"]),
        ("stars", "return 1", "return 2", ["stars.starred"]),
        ("lazy", "return x", "return -x", ["lazy.late"]),
        ("deep/inner", "return x", "return -x", ["deep.inner.f"]),
    ],
)
def test_an_edit_changes_exactly_what_was_edited(project, module, old, new, names):
    before = items(project)
    project.edit(module, old, new)
    assert differing(before, items(project)) == [f"support.{name}" for name in names]


def test_a_text_that_is_read_from_a_file_counts(project):
    before = items(project)
    project.files["support/prompt.txt"] = "You are terse."
    assert differing(before, items(project)) == ["support.program.TEXT"]


def test_a_module_imported_only_when_a_function_runs_makes_no_difference(project):
    before = items(project)
    with project.load() as module:
        module.Program().other(1)
        closure = Closure(Sources(project.root))
        closure.add_class(module.Program)
        assert closure.items == before


def functions(project: Project, text: str, names: str = "f") -> dict[str, str]:
    project.write(program=text)
    with project.load() as module:
        closure = Closure(Sources(project.root))
        for name in names.split():
            closure.add(name, getattr(module, name))
        return {k.removeprefix("support.program."): v for k, v in closure.items.items()}


def test_lambdas_on_one_line_are_told_apart(project):
    text = (
        "f, g = (lambda x: x + 1), (lambda x: x + 2)\nh = [(lambda y: lambda z: y * z) for _ in [1]][0](3)\n"
    )
    one = functions(project, text, "f")
    other = functions(project, text, "g")
    assert one != other
    assert functions(project, text.replace("+ 2", "+ 3"), "f") == one
    assert functions(project, text.replace("+ 2", "+ 3"), "g") != other
    nested = functions(project, text, "h")
    assert any("y" in name for name in nested)
    assert functions(project, text.replace("y * z", "y - z"), "h") != nested
    assert functions(project, text.replace("(3)", "(4)"), "h") != nested


def test_what_a_closure_holds_counts(project):
    text = (
        "def make(n, g):\n    def inner(x): return g(x) + n\n    return inner\n"
        "def up(x): return x\n"
        "f = make(1, up)\n"
    )
    before = functions(project, text)
    after = functions(project, text.replace("make(1", "make(2"))
    assert differing(before, after) == ["make.<locals>.inner: n"]
    assert differing(before, functions(project, text.replace("return x\nf", "return -x\nf"))) == ["up"]


def test_partials_methods_caches_and_containers_are_opened(project):
    text = (
        "import functools\n"
        "def a(x): return 1\n"
        "def b(n, x): return 2\n"
        "class C:\n    def m(self): return 3\n"
        "@functools.lru_cache\ndef d(x): return 4\n"
        "f = {'k': [a, (functools.partial(b, 7),)], 'm': C().m, 'd': d}\n"
    )
    before = functions(project, text)
    for number, name in [("return 1", "a"), ("return 2", "b"), ("return 3", "C.m"), ("return 4", "d")]:
        assert differing(before, functions(project, text.replace(number, "return 9"))) == [name]


def test_code_without_source_is_unchecked(project):
    text = "space = {'__name__': __name__}\nexec('def f(x): return x', space)\nf = space['f']\n"
    assert functions(project, text)["f"] == UNCHECKED


def test_libraries_do_not_count():
    closure = Closure(Sources(Path(__file__).parent))
    closure.add("x", functools.reduce)
    closure.add("y", pytest.raises)
    closure.add_class(Path)
    assert closure.items == {}


def test_secrets_and_paths_of_this_machine_are_passed_over():
    closure = Closure(Sources(Path(__file__).parent))
    closure.add("self.api_key", "sk-1")
    closure.add("self._private", "x")
    closure.add("self.folder", str(Path.cwd()))
    closure.add("self.style", "terse")
    assert list(closure.items) == ["self.style"]


def test_environments_within_the_project_are_not_its_code(tmp_path):
    files = ["app.py", "env/lib/x.py", ".venv/lib/python3.11/site-packages/y.py"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    sources = Sources(tmp_path)
    assert [sources.is_project_file(str(tmp_path / name)) for name in files] == [True, False, False]
