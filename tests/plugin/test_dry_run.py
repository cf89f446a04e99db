"""``--lm-dry-run`` of every teleprompter: a true bound, told without a call."""

from __future__ import annotations

import re
import sys

import pytest

from pytest_lmprog.errors import MissingExtraError
from pytest_lmprog.teleprompt import BootstrapFinetune
from tests.plugin.conftest import UNIT
from tests.plugin.test_compile_option import LEARNS

SEARCH = "lmp.BootstrapFewShotWithRandomSearch(num_candidate_programs=1, max_bootstrapped_demos=1)"
STRATEGIES = {
    "LabeledFewShot": "lmp.LabeledFewShot()",
    "BootstrapFewShot": "lmp.BootstrapFewShot()",
    "BootstrapFewShotWithRandomSearch": SEARCH,
    "BootstrapFewShotWithOptuna": "lmp.BootstrapFewShotWithOptuna(num_candidate_programs=2)",
    "KNNFewShot": "lmp.KNNFewShot(k=1, trainset=None, vectorizer=lambda texts: [[float(len(t))] for t in texts])",
    "COPRO": "lmp.COPRO(breadth=2, depth=1)",
    "MIPROv2": "lmp.MIPROv2(auto=None, num_candidates=2, num_trials=2, minibatch=False)",
    "SIMBA": "lmp.SIMBA(bsize=2, num_candidates=2, max_steps=1)",
    "GEPA": "lmp.GEPA(max_metric_calls=20)",
    "InferRules": "lmp.InferRules(num_candidates=1, num_rules=1)",
    "BetterTogether": f"lmp.BetterTogether(p={SEARCH}, w=lmp.COPRO(breadth=2, depth=1), strategy='p -> w')",
    "Ensemble": f"lmp.Ensemble(of={SEARCH}, size=1)",
}


NEED_OPTUNA = ("BootstrapFewShotWithOptuna", "MIPROv2")


def learning_by(project, strategy: str) -> None:
    mark = LEARNS.replace("lmp.BootstrapFewShot({})", STRATEGIES.get(strategy, f"lmp.{strategy}()"))
    text = UNIT.replace("program=Triage", mark + ", valset='tickets.yaml', val_split='dev'")
    project.test(text.replace("import pytest\n", "import pytest\nimport pytest_lmprog as lmp\n"))


def told(result) -> dict[str, int]:
    """The bound's row by column."""
    lines = result.stdout.str().splitlines()
    head = next(line for line in lines if line.startswith("unit "))
    row = next(line for line in lines if re.match(r"\S*::TestTriage .*\d", line))
    cells = [cell.replace(",", "") for cell in row.split()[1:]]
    return {name: int(cell) for name, cell in zip(head.split()[1:], cells, strict=False) if cell.isdigit()}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_bound_is_told_without_a_call_and_holds(project, strategy: str) -> None:
    if strategy in NEED_OPTUNA:
        pytest.importorskip("optuna")
    learning_by(project, strategy)
    dry = project.run("--lm-compile", "--lm-dry-run")
    assert dry.ret == 0, dry.stdout.str()
    assert project.calls == 0
    assert not (project.path / ".lm_cache/journal").exists()
    bound = told(dry)
    assert bound["calls"] == sum(n for name, n in bound.items() if name != "calls")
    assert (bound["compile"] > 0) is (strategy != "LabeledFewShot")
    whole = project.run("--lm-compile")
    assert whole.ret == 0, whole.stdout.str()
    assert project.calls <= bound["calls"]
    assert (project.path / "__lm_snapshots__/test_support/TestTriage.yaml").exists()
    assert (project.path / ".lm_cache/journal/test_support/TestTriage.jsonl").exists()


def test_what_would_stop_the_compile_stops_the_dry_run(project, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    learning_by(project, "MIPROv2")
    result = project.run("--lm-compile", "--lm-dry-run")
    assert result.ret == 1
    assert project.calls == 0
    result.stdout.fnmatch_lines(
        [
            "test_support.py::TestTriage: MIPROv2 needs the extra 'optuna'*",
            "*pip install 'pytest-lmprog[[]optuna[]]'*",
        ]
    )


def test_an_lm_that_cannot_be_trained_stops_the_dry_run(project, monkeypatch) -> None:
    learning_by(project, "BootstrapFinetune")
    monkeypatch.setattr(BootstrapFinetune, "provider_of", refusing)
    result = project.run("--lm-compile", "--lm-dry-run")
    assert result.ret == 1
    assert project.calls == 0
    result.stdout.fnmatch_lines(["test_support.py::TestTriage: finetuning needs the extra 'finetune'*"])


@pytest.mark.parametrize("name", ["trainset", "valset"])
def test_empty_data_are_called_by_their_name(project, name) -> None:
    mark = LEARNS.replace("lmp.BootstrapFewShot({})", "lmp.LabeledFewShot()")
    data = (
        re.sub(r"trainset=.*", "", mark)
        + {"trainset": "trainset=[]", "valset": "trainset=ROWS, valset=[]"}[name]
    )
    text = UNIT.replace("program=Triage", data)
    rows = "import pytest\nimport pytest_lmprog as lmp\nROWS = [{'ticket': 'a refund', 'team': 'billing'}]\n"
    project.test(text.replace("import pytest\n", rows))
    result = project.run("--lm-compile", "--lm-dry-run")
    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*{name}: there are no rows*"])


def refusing(self: BootstrapFinetune, lm: object) -> None:
    raise MissingExtraError("finetuning", "finetune")
