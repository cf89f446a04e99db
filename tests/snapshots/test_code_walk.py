from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

import pytest_lmprog
from pytest_lmprog.snapshots.code_walk import clean_docstring, free_chains, node_digest

SAMPLE = Path(__file__).parent / "data" / "syntax_sample.txt"
EXPECTED = "e8146ca85c17"
SCRIPT = """
import ast, sys
from pytest_lmprog.snapshots.code_walk import node_digest
print(node_digest(ast.parse(open(sys.argv[1], encoding="utf-8").read())))
"""


def digest_of(text: str) -> str:
    return node_digest(ast.parse(text))


def test_the_digest_is_the_committed_one():
    assert digest_of(SAMPLE.read_text(encoding="utf-8")) == EXPECTED


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_digest_is_the_same_on_every_python(version):
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"no python{version} here")
    root = Path(pytest_lmprog.__file__).parents[1]  # where the tested package is, installed or not
    code = f"import sys; sys.path.append({str(root)!r})" + SCRIPT
    done = subprocess.run([python, "-c", code, str(SAMPLE)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == EXPECTED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x   =  1  # comment"),
        ("x = 'a'", 'x = "a"'),
        ("x = u'a'", "x = 'a'"),
        ("f(a, b)", "f(\n  a,\n  b,\n)"),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("x = 1000", "x = 1_000"),
        ("x = f'a{b}c'", "x = 'a' f'{b}' 'c'"),
        ("def f():\n    'A.\\n\\n    B.'", "def f():\n        '''A.\n\n        B.   \n        '''"),
        ("with (a as b, c): pass", "with a as b, c: pass"),
        ("if x:\n pass", "if (x): pass"),
    ],
)
def test_formatting_does_not_count(one, other):
    assert digest_of(one) == digest_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 'a'", "x = b'a'"),
        ("x = None", "x: None"),
        ("return_ = f'{a}'", "return_ = f'{a!r}'"),
        ("x = f'{a}'", "x = f'{a:2}'"),
        ("x = f'{a}b'", "x = f'{a}c'"),
        ("def f(): 'doc'", "def f(): 'other doc'"),
        ("def f(): 'doc'", "def f(): pass"),
        ("class C:\n 'doc'\n x = 1", "class C:\n 'dog'\n x = 1"),
        ("'module'", "'another'"),
        ("def f(a): pass", "def f(*a): pass"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("f(*a)", "f(a)"),
        ("def f(): pass", "async def f(): pass"),
        ("x = [1]", "x = [1, 2]"),
        ("def f(): return", "def f(): return None"),
        ("x = 'é'", "x = 'e\u0301'"),
    ],
)
def test_meaning_counts(one, other):
    assert digest_of(one) != digest_of(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(a, b=D): return a + g(b) + h.i.j", ["D", "g", "h.i.j"]),
        ("def f():\n x = 1\n return x", []),
        ("def f():\n global x\n x = 1\n return x", ["x"]),
        ("def f():\n def g(): return x\n return g", ["x"]),
        ("def f(x):\n def g(): return x\n return g", []),
        ("lambda x: x + y", ["y"]),
        ("[x for x in xs if keep(x)]", ["keep", "xs"]),
        ("class C(Base, metaclass=Meta):\n n = 1\n m = n\n def f(self): return n", ["Base", "Meta", "n"]),
        ("@deco(arg)\ndef f(x: Ann) -> Ret: pass", ["Ann", "Ret", "arg", "deco"]),
        ("try: f()\nexcept E as e: g(e)", ["E", "e", "f", "g"]),
        ("def f(s):\n match s:\n  case {'k': v, **r}: return v, r\n  case K.x: return K", ["K", "K.x"]),
        ("def f():\n import a.b\n from c import d as e\n return a, e", []),
        ("a.b(c).d[e.f]", ["a.b", "c", "e.f"]),
        ("def f():\n if (y := g()): return y", ["g"]),
        ("def f():\n return [y := x for x in z], y", ["z"]),
        ("f'{a.b!r:{c}}'", ["a.b", "c"]),
    ],
)
def test_free_chains(text, expected):
    found = free_chains(*ast.parse(text).body)
    assert [".".join(chain) for chain in found] == expected


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("One.", "One."),
        ("\n    A.\n\n        B.\n    ", "A.\n\n    B."),
        ("A.\n    B. \t \n\n", "A.\nB."),
        ("", ""),
        ("\tA.\n\tB.", "A.\nB."),
    ],
)
def test_clean_docstring(text, clean):
    assert clean_docstring(text) == clean
