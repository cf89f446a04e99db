"""A function as a unit's program: compiled, snapshot, restored, stale where it changed."""

from __future__ import annotations

from tests.plugin.conftest import PROGRAM, UNIT, Project

FUNCTION = (
    PROGRAM.partition("class Triage(lmp.Module)")[0]
    + """
def tidy(ticket):
    return ticket.strip()

@lmp.program
def triage(ticket: str):
    classify = lmp.Predict(TriageTicket)
    return classify(ticket=tidy(ticket))
"""
)
COMPILED = UNIT.replace("import Triage", "import triage\nfrom pytest_lmprog import LabeledFewShot").replace(
    "lm_program(program=Triage)",
    'lm_program(program=triage, teleprompter=LabeledFewShot(k=2), trainset="tickets.yaml", train_split="train")',
)


def test_a_function_is_compiled_tested_and_stale(project: Project) -> None:
    project.write("program.py", FUNCTION)
    project.test(COMPILED)
    assert project.run("--lm-compile").ret == 0
    snapshot = (project.path / "__lm_snapshots__/test_support/TestTriage.yaml").read_text(encoding="utf-8")
    assert "program: program.triage\n" in snapshot
    assert "    program.tidy: " in snapshot
    assert "  classify:\n" in snapshot
    assert "login-2" in snapshot or "My password reset" in snapshot
    result = project.run("--lm-record=none")
    assert result.ret == 0, result.outlines
    assert "stale" not in "\n".join(line for line in result.outlines if "rootdir" not in line)
    project.write("program.py", FUNCTION.replace("ticket.strip()", "ticket.rstrip()"))
    assert "program code: program.tidy changed" in "\n".join(project.run().outlines)


def test_a_local_function_can_be_checked_for_changes(project: Project) -> None:
    local = FUNCTION.replace("@lmp.program\ndef triage", "def make():\n  @lmp.program\n  def triage")
    local = local.replace("    classify =", "      classify =").replace(
        "    return classify", "      return classify"
    )
    project.write("program.py", local + "  return triage\n")
    project.test(UNIT.replace("import Triage", "import make").replace("program=Triage", "program=make"))
    assert project.run("--lm-update").ret == 0
    snapshot = (project.path / "__lm_snapshots__/test_support/TestTriage.yaml").read_text(encoding="utf-8")
    assert "unchecked" not in snapshot
