"""The RAG program of DSPy's README in real runs: only its import lines are others."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Project

pytest.importorskip("bm25s")  # here: numpy cannot be imported twice, and pytester forgets what a run imported

PROGRAM = """
import pytest_lmprog as dspy

class RAG(dspy.Module):
    def __init__(self, num_passages=3):
        super().__init__()
        self.retrieve = dspy.Retrieve(k=num_passages)
        self.generate_answer = dspy.ChainOfThought("context, question -> answer")

    def forward(self, question):
        context = self.retrieve(question).passages
        prediction = self.generate_answer(context=context, question=question)
        return dspy.Prediction(context=context, answer=prediction.answer)
"""
TEST = """
import pytest
import pytest_lmprog as dspy
from pytest_lmprog.teleprompt import BootstrapFewShot
from support.program import RAG

my_rag_trainset = [
    dspy.Example(question="What colour is the flag?", answer="green").with_inputs("question"),
    dspy.Example(question="What do bees feed on?", answer="heather").with_inputs("question"),
]

def validate_context_and_answer(example, pred, trace=None):
    # check the gold label and the predicted answer are the same
    answer_match = example.answer.lower() == pred.answer.lower()

    # check the predicted answer comes from one of the retrieved contexts
    context_match = any((pred.answer.lower() in c) for c in pred.context)

    return answer_match and context_match

teleprompter = BootstrapFewShot(metric=validate_context_and_answer)

@pytest.mark.lm_program(program=RAG, teleprompter=teleprompter, trainset=my_rag_trainset)
@pytest.mark.lm_examples([{"id": "lamp", "question": "When was the lamp lit?", "answer": "1871"}], inputs=["question"])
class TestRAG:
    def test_answer(self, example, prediction, trace):
        assert validate_context_and_answer(example, prediction)
        assert [tool.name for tool in trace.tools] == ["retrieve"]
        assert len(prediction.context) == 3
"""
CONFTEST = """
import pathlib, re, pytest
import pytest_lmprog as lmp

def answer(request):
    asked = request.messages[-1]["content"]
    known = {"flag": "green", "bees": "heather", "lamp": "1871"}
    said = next(value for word, value in known.items() if word in asked.rpartition("question")[2])
    assert said in asked, asked
    return {"reasoning": "it stands there", "answer": said}

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)

lmp.settings.configure(rm=lmp.BM25(pathlib.Path(__file__).parent / "passages.txt"))
"""
PASSAGES = """the flag is green
the bees feed on heather
the lamp was lit in 1871
nobody lives on the rock
"""


@pytest.fixture
def rag(project: Project) -> Project:
    for path, text in [
        ("support/program.py", PROGRAM),
        ("test_support.py", TEST),
        ("conftest.py", CONFTEST),
        ("passages.txt", PASSAGES),
    ]:
        project.write(path, text)
    return project


def test_it_compiles_snapshots_and_replays_without_its_corpus(rag: Project) -> None:
    assert rag.run("--lm-compile", "-p", "no:randomly").ret == 0
    snapshot = (rag.path / "__lm_snapshots__" / "test_support" / "TestRAG.yaml").read_text(encoding="utf-8")
    assert snapshot.count("reasoning: it stands there") == 2
    assert "retrieve (data)" in snapshot
    assert rag.run("--lm-record=none", "-p", "no:randomly").ret == 0
    (rag.path / "passages.txt").unlink()
    result = rag.run("--lm-record=none", "-p", "no:randomly")
    assert result.ret == 0, result.outlines


def test_a_changed_corpus_is_stale(rag: Project) -> None:
    assert rag.run("--lm-compile", "-p", "no:randomly").ret == 0
    rag.write("passages.txt", PASSAGES + "one more\n")
    result = rag.run("--lm-record=none", "-p", "no:randomly")
    result.stdout.fnmatch_lines(["*stale snapshot: program code: retrieve (data) changed*"])


def test_a_function_without_a_fingerprint_is_said_to_be_unchecked(rag: Project) -> None:
    rag.write(
        "conftest.py",
        CONFTEST.replace(
            'lmp.BM25(pathlib.Path(__file__).parent / "passages.txt")',
            f"lambda query, k: {PASSAGES.splitlines()!r}[:k]",
        ),
    )
    assert rag.run("--lm-compile", "-p", "no:randomly").ret == 0
    result = rag.run("--lm-record=none", "-p", "no:randomly")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*unchecked: retrieve (no fingerprint)*"])
