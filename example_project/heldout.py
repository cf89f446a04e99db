"""Compares the program as written with the compiled one on the tickets that nobody has looked at.

python heldout.py
"""

from pathlib import Path

from support.program import Triage

import pytest_lmprog as lmp
from pytest_lmprog.evaluation import load_dataset

HERE = Path(__file__).parent
SNAPSHOT = HERE / "tests/__lm_snapshots__/test_support/TestTriage.yaml"
PRIORITIES = ("low", "normal", "high")


def team(example, prediction):
    """Whether the ticket went to the right team."""
    return prediction.team == example.team


def priority(example, prediction):
    """1 for the right priority, 0.5 for its neighbour."""
    return 1 - abs(PRIORITIES.index(prediction.priority) - PRIORITIES.index(example.priority)) / 2


def main():
    """Print both programs' scores."""
    lmp.configure(lm=lmp.LM("local/smollm2-135m", temperature=0, cache_dir=HERE / ".lm_cache"))
    tickets = load_dataset("tests/tickets.yaml", base=HERE).split("test").with_inputs(["ticket"])
    programs = {"as written": Triage(), "compiled": lmp.load(SNAPSHOT, Triage())}
    print(f"{len(tickets)} held-out tickets   team   priority")
    for name, program in programs.items():
        scores = [lmp.Evaluate(devset=tickets, metric=metric)(program).score for metric in (team, priority)]
        print(f"{name:24}{scores[0]:5.1f}%   {scores[1]:5.1f}%")


if __name__ == "__main__":
    main()
