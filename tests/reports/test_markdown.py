from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given

from pytest_lmprog.harness.results import CaseOutcome, MetricInfo, UnitInfo
from pytest_lmprog.harness.saved.run import SavedCandidate, SavedRun, SavedUnit, SavedWritten
from pytest_lmprog.harness.verdicts.gates import MetricVerdict
from pytest_lmprog.reports.markdown import COMMENT_LIMIT, markdown_report
from pytest_lmprog.snapshots.text import to_text
from tests.cli.conftest import NEW, OLD
from tests.harness.saved_runs import saved_runs, small_run

cmarkgfm = pytest.importorskip("cmarkgfm")

HOSTILE = [
    "a | b || c",
    "`tick` ``two``",
    "</details></summary></table><script>alert(1)</script>",
    "<!-- comment",
    "@everyone #12 GH-3 https://example.org",
    "one\n\n| two |\n---\n# three\r\n```\nfour",
    "\u202eright to left\u2066 \x1b[31mred\x00",
    "![img](http://x/y.png) [link](javascript:alert(1))",
    "&lt;b&gt; &amp; \\| \\",
    "*bold* _it_ ~~gone~~ $x$ :tada:",
    "",
]


class Page(HTMLParser):
    """What GitHub's renderer makes of it: elements, the rows of every table, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: dict[str, int] = {}
        self.open: list[str] = []
        self.rows: list[int] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if tag not in ("br", "hr", "input"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


def rendered(text: str) -> Page:
    from cmarkgfm.cmark import Options

    page = Page(cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE))
    assert page.open == []
    return page


def outcome(case: str, verdict: str, message: str = "", **more: object) -> CaseOutcome:
    status = {"regression": "fail", "known_miss": "fail", "fixed": "pass", "passed": "pass"}.get(
        verdict, "fail"
    )
    values = {"digest": "0" * 12, "status": status, "verdict": verdict, "message": message, **more}
    return CaseOutcome("tests/test_x.py::TestX", "test_team", case, **values)  # type: ignore[arg-type]


def run(*outcomes: CaseOutcome, verdict: MetricVerdict | None = None, **more: object) -> SavedRun:
    unit = "tests/test_x.py::TestX"
    info = UnitInfo(unit, "TestX", "tests/test_x.py", (MetricInfo("test_team", f"{unit}::test_team", 3),))
    saved = SavedUnit(
        replace(info, **more.pop("info", {})),  # type: ignore[arg-type]
        outcomes=outcomes,
        verdicts={"test_team": verdict or MetricVerdict("passed")},
        **more.pop("unit", {}),  # type: ignore[arg-type]
    )
    return SavedRun((saved,), **{"passed": True, "settings": {"record": "none"}, **more})  # type: ignore[arg-type]


GOOD = tuple(outcome(name, "passed", was=1.0) for name in "abc")


def first(saved: SavedRun) -> str:
    return markdown_report(saved).splitlines()[0]


@pytest.mark.parametrize(
    ("saved", "line"),
    [
        (run(*GOOD), "**LM programs: PASS** 1 metric, 3 cases"),
        (
            run(*GOOD[:2], outcome("c", "regression", was=1.0), passed=False),
            "**LM programs: FAIL** 1 regression",
        ),
        (
            run(*GOOD, verdict=MetricVerdict("failed", ("score 0.5",)), passed=False),
            "**LM programs: FAIL** 1 gate failed",
        ),
        (
            run(
                *GOOD[:2],
                outcome("c", "regressed", was=1.0),
                verdict=MetricVerdict("failed", ("max_regressions is 0",)),
                passed=False,
            ),
            "**LM programs: FAIL** 1 gate failed; 1 case worse than the baseline",
        ),
        (
            run(*GOOD[:2], outcome("c", "regressed", was=1.0)),
            "**LM programs: PASS** 1 case worse than the baseline; 1 metric, 3 cases",
        ),
        (
            run(*GOOD, verdict=MetricVerdict("inconclusive", ("p = 0.3",))),
            "**LM programs: INCONCLUSIVE** 1 metric inconclusive; 1 metric, 3 cases",
        ),
        (
            run(
                *GOOD[:2],
                lost_workers=("gw1",),
                missing=("tests/test_x.py::TestX::test_team[c]",),
                passed=False,
            ),
            "**LM programs: INCOMPLETE** 1 worker died; 1 test without a result",
        ),
        (
            run(*GOOD, passed=False),
            "**LM programs: FAIL** tests other than metrics failed; 1 metric, 3 cases",
        ),
        (
            run(*GOOD, info={"stale": ("x changed",)}, settings={"ci": True}, passed=False),
            "**LM programs: FAIL** 1 stale snapshot",
        ),
        (run(*GOOD, problems=("read-only",), passed=False), "**LM programs: FAIL** 1 problem"),
        (SavedRun(passed=True), "**LM programs: PASS** no metric ran"),
    ],
)
def test_the_first_line_is_the_verdict(saved: SavedRun, line: str) -> None:
    assert first(saved) == line


def test_what_is_missing_is_said_before_the_figures() -> None:
    text = markdown_report(run(*GOOD[:2], lost_workers=("gw1",), missing=("tests/x.py::t[c]",), passed=False))
    assert "> **Lost:** gw1 died while testing." in text
    assert "`tests/x.py::t[c]`" in text
    assert text.index("gw1") < text.index("| unit |")


def test_figures_and_cases() -> None:
    saved = run(
        outcome("a", "regression", "wrong team", was=1.0),
        outcome("b", "fixed", was=0.0),
        outcome("c", "known_miss", "still wrong", was=0.0),
        passed=False,
    )
    text = markdown_report(saved)
    assert "| `tests/test_x.py::TestX` | `test_team` | **FAIL** | 3 | 0.333 | " in text
    assert "| `a` | 1.000 | 0.000 | wrong team |" in text
    assert "1 worse than the baseline: <code>TestX</code> <code>test_team</code>" in text
    order = [text.index(word) for word in ("1 worse", "1 fixed", "1 known miss")]
    assert order == sorted(order)


def test_a_rollout_is_named() -> None:
    saved = run(outcome("a", "regression", was=1.0, rollout=1), info={"repeat": 2}, passed=False)
    assert "| `a` r2 | 1.000 |" in markdown_report(saved)


def test_gate_stale_notes_and_problems_are_said() -> None:
    verdict = MetricVerdict("failed", ("score 0.500 over 3 cases is below min_score 0.8",))
    info = {
        "stale": ("program code: f changed",),
        "snapshot": "tests/x.yaml",
        "notes": ("selected on these",),
    }
    text = markdown_report(run(*GOOD, verdict=verdict, info=info, problems=("disk is full",), passed=False))
    assert "- `TestX` `test_team` **failed**: score 0.500 over 3 cases is below min&#95;score 0.8" in text
    assert "- `tests/x.yaml` is **stale**: program code&#58; f changed" in text
    assert "selected on these" in text
    assert "disk is full" in text


def test_prompt_diff_candidates_written_and_calls() -> None:
    unit = {
        "before": to_text(OLD),
        "after": to_text(NEW),
        "candidates": (
            SavedCandidate(0, "zero-shot", 0.5, 900),
            SavedCandidate(1, "b|c", 0.7, 1200, winner=True),
        ),
        "calls": small_run({"a": "billing"}).units[0].calls,
    }
    written = SavedWritten("u", "pending", "tests/x.new.yaml", ("metric test_team changed",))
    page = rendered(markdown_report(run(*GOOD, unit=unit, written=(written,))))
    assert "Prompt of TestX before and after" in page.text
    assert "person" in page.text
    assert "1 (best) b|c 0.700 1,200" in page.text
    assert "pending: tests/x.new.yaml" in page.text
    assert "1 call, all live, 110 tokens" in page.text


def test_no_diff_of_equal_prompts() -> None:
    text = to_text(OLD)
    assert "before and after" not in markdown_report(run(*GOOD, unit={"before": text, "after": text}))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """Every place that shows foreign text: the page has the elements of a harmless one, and no more."""

    def report(words: str) -> str:
        saved = run(
            outcome(words or "x", "regression", words, was=1.0),
            outcome("e", "error", words, status="error", error=words),
            verdict=MetricVerdict("failed", (words,)),
            info={"stale": (words,), "notes": (words,), "snapshot": words, "name": words or "u"},
            unit={"candidates": (SavedCandidate(0, words, 0.1, 1),)},
            written=(SavedWritten("u", "failed", words, (words,), words),),
            problems=(words,),
            lost_workers=(words,),
            missing=(words,),
            settings={"record": words},
            passed=False,
        )
        return markdown_report(saved)

    page, plain = rendered(report(text)), rendered(report("word"))
    ignored = ("code", "p", "a")
    assert {t: n for t, n in page.tags.items() if t not in ignored} == {
        t: n for t, n in plain.tags.items() if t not in ignored
    }
    assert page.rows == plain.rows
    assert "script" not in page.tags
    assert "img" not in page.tags
    words = re.sub(r"[\s\x00-\x1f\u202e\u2066]+", " ", text).split()
    assert all(word in page.text for word in words if word.isalnum())
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\x00]", report(text))


@given(saved_runs)
def test_any_run_renders(saved: SavedRun) -> None:
    text = markdown_report(saved)
    assert text.startswith("**LM programs: ")
    assert text.endswith("\n")
    rendered(text)


def test_a_mention_mentions_nobody() -> None:
    text = markdown_report(run(outcome("@team", "regression", "ask @octocat now", was=1.0), passed=False))
    assert "@octocat" not in text
    assert "@team" not in text


def test_it_fits_a_comment_with_the_gravest_first() -> None:
    many = [outcome(f"case-{n}", "regression", "long words " * 40, was=1.0) for n in range(3000)]
    units = tuple(replace(run(*many, passed=False).units[0]) for _ in range(8))
    units = tuple(replace(u, info=replace(u.info, id=f"u{n}")) for n, u in enumerate(units))
    units = tuple(replace(u, outcomes=tuple(replace(o, unit=u.info.id) for o in u.outcomes)) for u in units)
    text = markdown_report(SavedRun(units))
    assert len(text) <= COMMENT_LIMIT < 65_536
    assert text.startswith("**LM programs: FAIL** 24,000 regressions")
    assert "and 2,950 more" in text
    assert "*Cut here:" in text
    rendered(text)
    assert len(markdown_report(SavedRun(units), limit=3000)) <= 3000
