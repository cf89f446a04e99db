"""A difference as Markdown, HTML and JSON: what they show, and that nothing in it can act."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from pytest_lmprog.reports.diff.html import diff_fragment, diff_page
from pytest_lmprog.reports.diff.json import diff_plain
from pytest_lmprog.reports.diff.markdown import diff_markdown
from pytest_lmprog.reports.markdown_text import code, plain
from pytest_lmprog.snapshots.artifact import CaseBaseline, FieldSnapshot, MetricBaseline
from pytest_lmprog.snapshots.diff import diff
from tests.snapshots.strategies import snapshots, texts, triage

EVIL = (
    "</pre></details><script>alert(1)</script>\n\n| a | **b** | @octocat #12 `x` ``` "
    "<!-- \x1b[2J \u202e\n=== &lt;"
)
OLD = triage()
CLASSIFY = OLD.predictors["classify"]
CASES = {f"case-{i}": CaseBaseline("pass" if i < 30 else "fail", "aaaa") for i in range(60)}
WORSE = {name: replace(case, status="fail") for name, case in CASES.items()}


def changed(**parts):
    return replace(OLD, predictors={"classify": replace(CLASSIFY, **parts)})


def hostile():
    """A snapshot with hostile text wherever users or models may put some."""
    predictor = replace(
        CLASSIFY,
        instructions=EVIL,
        fields=(FieldSnapshot(EVIL, "input", EVIL, desc=EVIL),),
        demos=({EVIL: EVIL, "list": [EVIL, 1]},),
        messages=(),
        adapter=EVIL,
    )
    header = replace(OLD.header, program=EVIL, libraries={EVIL: EVIL}, changed_since_compile=(EVIL,))
    metric = MetricBaseline(0.0, 1, {EVIL: CaseBaseline("error", "ffff", error=EVIL)})
    return replace(OLD, header=header, predictors={EVIL: predictor}, baseline={EVIL: metric})


class Elements(HTMLParser):
    """The names of all elements, and whether each was closed in order."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.balanced = True
        self.feed(text)
        self.close()
        self.balanced &= not self.open

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.balanced &= bool(self.open) and self.open.pop() == tag


def outside_of_code(text: str) -> str:
    """Markdown without what neither Markdown nor mentions work in."""
    text = re.sub(r"<pre>.*?</pre>", "", text, flags=re.S)
    return re.sub(r"<code>.*?</code>|`[^`]*`", "", text)


def test_markdown_shows_scores_words_and_demos():
    new = replace(
        changed(instructions="Decide which person should handle a support ticket.", demos=()),
        baseline={"test_team": MetricBaseline(0.0, 60, WORSE)},
    )
    old = replace(OLD, baseline={"test_team": MetricBaseline(0.5, 60, CASES)})
    text = diff_markdown(diff(old, new), title="TestTriage", notes=["edited"])
    assert text.startswith(
        "### TestTriage\n\n**score 0.500 → 0.000 (-0.500), flips 30 of 60: 30 regressed**\n\n> edited\n\n"
    )
    assert "| `test_team` | 0.500 | 0.000 | -0.500 | 30 of 60: 30 regressed |\n" in text
    assert "<pre>Decide which <del>team</del><ins>person</ins> should handle a support ticket.</pre>" in text
    assert "<details><summary>demos 1 → 0: 1 removed</summary>" in text
    assert "- and 10 more regressed" in text
    assert "more regressed" not in diff_markdown(diff(old, new), full=True)


def test_markdown_wraps_what_github_would_not():
    text = diff_markdown(diff(OLD, changed(instructions="word " * 200)))
    assert max(len(row) for row in text.split("\n")) < 140


def test_markdown_of_nothing():
    assert diff_markdown(diff(OLD, triage()), title="x") == "### x\n\nNo difference.\n"


def test_markdown_is_cut_between_blocks():
    text = diff_markdown(diff(None, hostile()), most=600)
    assert len(text) < 700
    assert text.endswith("`lmprog diff` shows all of it.*\n")


@pytest.mark.parametrize("pair", [(OLD, hostile()), (None, hostile()), (hostile(), OLD)])
def test_hostile_text_stays_text_in_markdown(pair):
    text = diff_markdown(diff(*pair), title=EVIL, notes=[EVIL])
    elements = Elements(text)
    assert elements.balanced
    assert elements.names <= {"pre", "code", "del", "ins", "details", "summary", "b", "i"}
    assert "@octocat" not in outside_of_code(text)
    assert "\x1b" not in text
    assert "\u202e" not in text
    table = [row for row in text.split("\n") if row.startswith("| ")]
    assert {row.count("|") for row in table} == {6}


@pytest.mark.parametrize("pair", [(OLD, hostile()), (None, hostile()), (hostile(), OLD)])
def test_hostile_text_stays_text_in_html(pair):
    text = diff_page(EVIL, [(EVIL, diff(*pair), [EVIL])])
    elements = Elements(text)
    assert elements.balanced
    assert "alert(1)</script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert html.escape("<script>alert(1)</script>") in text


@given(snapshots, snapshots)
@settings(deadline=None, max_examples=30)
def test_any_difference_in_every_form(old, new):
    found = diff(old, new)
    for text in (diff_markdown(found, most=10**9), diff_fragment(found)):
        assert Elements(text).balanced
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert json.loads(json.dumps(diff_plain(found), allow_nan=False)) == diff_plain(found)


@given(texts)
def test_code_spans_hold_in_a_table_and_show_the_text(text):
    shown = code(text)
    assert "|" not in shown
    assert "\n" not in shown
    if shown.startswith("`"):
        assert shown[1:-1] == (text if len(text) <= 200 else f"{text[:197]}...")
    else:
        assert "<code>" in shown
        assert not set("*_`@[<") & set(html.unescape(re.sub(r"&#\d+;|</?code>", "", shown)))


def test_plain_text_mentions_nobody():
    assert plain("ask @octocat about *this*") == "ask &#64;<!-- -->octocat about &#42;this&#42;"


def test_a_page_is_whole():
    page = diff_page(
        "Two", [("a", diff(OLD, changed(instructions="Decide.")), []), ("b", diff(None, OLD), [])]
    )
    assert page.startswith("<!doctype html>")
    assert page.count('class="lm-diff"') == 2
    assert ".lmd-words" in page
    assert "<p>No difference.</p>" in diff_page("None", [])


def test_white_space_that_changed_can_be_seen():
    text = diff_fragment(diff(changed(instructions="one two"), changed(instructions="one  two")))
    assert "<del>␣</del><ins>␣␣</ins>" in text
    assert "<ins>␣␣</ins>" in diff_markdown(
        diff(changed(instructions="one two"), changed(instructions="one  two"))
    )


def test_a_long_field_is_told_by_word_in_every_form():
    def described(last: str):
        return changed(fields=(FieldSnapshot("ticket", "input", "str", desc="*long* " * 60 + last),))

    found = diff(described("wrong|"), described("right|"))
    assert "<del>wrong</del><ins>right</ins>" in diff_fragment(found)
    markdown = diff_markdown(found)
    assert "<del>wrong</del><ins>right</ins>&#124;</code>" in markdown
    assert "*long*" not in markdown


def test_huge_text_is_cut_unless_in_full():
    new = changed(instructions="x" * 1_000_000)
    assert len(diff_fragment(diff(OLD, new))) < 10_000
    assert len(diff_fragment(diff(OLD, new), full=True)) > 1_000_000
