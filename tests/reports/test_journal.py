"""The tree of candidates as text."""

from __future__ import annotations

from pytest_lmprog.harness.journals import Entry, Journal
from pytest_lmprog.reports.journal import journal_lines

HEAD = {
    "unit": "test_x.py::TestX",
    "teleprompter": "GEPA(max_metric_calls=9)",
    "seed": 3,
    "trainset": 5,
    "valset": 2,
}
END = {"winner": 4, "score": 0.75, "validated_on": 2, "stopped": "done"}
ENTRIES = (
    Entry(0, "student", score=0.5, characters=100, runs=2, calls=2, tokens=1200, cost=0.0005),
    Entry(1, "zero-shot", score=None, characters=90),
    Entry(2, "reflect classify", (0,), None, 150, 1, 1),
    Entry(3, "reflect answer", (0,), 0.6, 180, 2, 3),
    Entry(4, "merge", (2, 3), 0.75, 200, 2, 2, winner=True),
)


def test_a_tree_with_scores_calls_and_cost():
    assert journal_lines(Journal(HEAD, ENTRIES, END), width=110) == [
        "test_x.py::TestX: GEPA(max_metric_calls=9), seed 3, 5 training examples, 2 validation examples",
        "candidate                       score  runs  calls  tokens       USD  characters",
        "0 student                       0.500     2      2   1,200  0.000500         100",
        "  2 reflect classify          dropped     1      1       -         -         150",
        "  3 reflect answer              0.600     2      3       -         -         180",
        "    4 merge (and 2)   winner    0.750     2      2       -         -         200",
        "1 zero-shot                         -     0      0       -         -          90",
        "winner: 4 merge, 0.750 on 2 examples",
        "lineage: 0 student > 2 reflect classify > 3 reflect answer > 4 merge",
    ]


def test_a_compile_that_the_budget_stopped():
    lines = journal_lines(Journal(HEAD, ENTRIES, {**END, "stopped": "budget", "score": None}))
    assert lines[-3:-1] == ["winner: 4 merge", lines[-2]]
    assert lines[-1] == "stopped: budget"
    assert any("partial" in line for line in lines)
    assert not any("dropped" in line for line in lines)


def test_an_unfinished_one_says_so():
    (*_, last) = journal_lines(Journal(HEAD, ENTRIES[:1], None, torn=True), width=200)
    assert last == (
        "not finished: it runs still, or was ended before its end; its last line is torn; "
        "run pytest --lm-compile again to go on"
    )
    assert len(journal_lines(Journal(HEAD, ()), width=200)) == 2


def test_odd_parents_make_no_circle():
    entries = (Entry(0, "a", (1,)), Entry(1, "b", (0, 7)), Entry(2, "c\nd", (2,)))
    rows = [line.split("  ")[0] or line.strip() for line in journal_lines(Journal({}, entries), width=99)]
    assert [row.strip().split()[0] for row in rows[2:5]] == ["0", "1", "2"]
    assert "2 c d (and 2)" in "\n".join(rows)


def test_a_root_winner_has_no_lineage():
    lines = journal_lines(Journal(HEAD, ENTRIES, {**END, "winner": 0}))
    assert not any(line.startswith("lineage") for line in lines)
