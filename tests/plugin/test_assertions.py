"""Programs with assertions under pytest: failures by kind, suggestions counted, the same in a replay."""

from __future__ import annotations

import pytest

CONFTEST = """
import pytest, pytest_lmprog as lmp

def answer(request):
    asked = request.messages[-1]["content"]
    if "mend" in asked:
        return {"answer": "fine" if "instructions" in asked else "bad"}
    return {"answer": "a very long answer" if "long" in asked else "bad" if "bad" in asked else "fine"}

@pytest.fixture(scope="session")
def lm():
    return lmp.ScriptedLM(answer)
"""

TESTS = """
import pytest, pytest_lmprog as lmp

class QA(lmp.Module):
    def __init__(self):
        self.ask = lmp.Predict("question -> answer")

    def forward(self, question):
        found = self.ask(question=question)
        lmp.Suggest(len(found.answer) < 9, "Be short.")
        lmp.Assert("bad" not in found.answer, "Do not be bad.")
        return found

@pytest.mark.lm_program(program=QA)
@pytest.mark.lm_examples([{"id": q, "question": q} for q in ("fine", "long", "bad", "mend")])
def test_answer(example, prediction):
    assert prediction.answer
"""


def test_failures_are_errors_and_suggestions_are_counted(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    for mode in ("new", "none"):
        result = pytester.runpytest("-p", "no:cacheprovider", f"--lm-record={mode}")
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines(
            [
                "E   an assertion does not hold after 2 retries of 'ask': Do not be bad.",
                "*test_answer* calls*, 1 suggestion not met",
            ]
        )
