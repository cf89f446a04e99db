"""The page shell: self-contained, safe whatever is put in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.reports.page import embedded_json, page, text

HOSTILE = (
    "</script><img src=x onerror=alert(1)><!--\x00\x1b[31mred\x9b\u202egnp\u2028\ud800\U0001f600\r\n'\"&"
)


class Reader(HTMLParser):
    """Notes tags, attributes and text by element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def data_of(html: str) -> object:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_page_is_whole_and_names_nothing_outside_itself():
    html = page("A title", "<p>body</p>", script="var a = 1;", style=".own {}")
    reader = Reader(html)
    assert html.startswith("<!doctype html>")
    assert reader.texts["h1"] == ["A title"]
    assert reader.texts["title"] == ["A title"]
    assert "body" in reader.texts["p"]
    assert ".own {}" in html
    addresses = [
        value
        for _, attributes in reader.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "poster")
    ]
    assert sorted(addresses) == ["#main", "data:,"]
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html.replace("<!doctype", ""))


def test_the_policy_forbids_the_network_and_allows_just_these_scripts():
    html = page("t", "", script="run();")
    policy = next(a["content"] for tag, a in Reader(html).tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert len(scripts) == 2


def test_a_script_that_would_end_its_element_is_refused():
    with pytest.raises(ValueError, match="</script"):
        page("t", "", script="var s = '</SCRIPT>';")


def test_hostile_data_stays_in_its_element_and_comes_back_equal():
    html = page(HOSTILE, text(HOSTILE), data={"value": HOSTILE, HOSTILE: [1, None, 0.5]})
    html.encode("utf-8")
    assert data_of(html) == {"value": HOSTILE, HOSTILE: [1, None, 0.5]}
    reader = Reader(html)
    assert "img" not in [tag for tag, _ in reader.tags]
    assert html.count("</script>") == 3
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]", html)


def test_what_would_be_invisible_or_reorder_a_line_is_shown():
    assert (
        text('<a b="c">\x00\x1b[31m\u202e\ud800') == "&lt;a b=&quot;c&quot;&gt;\\x00\\x1b[31m\\u202e\\ud800"
    )
    assert text("tab\tline\nשלום é 😀") == "tab\tline\nשלום é 😀"
    assert text(3) == "3"


def test_lone_surrogates_in_the_body_do_not_keep_a_page_from_being_written():
    assert "\ufffd" in page("t", "\ud800").encode("utf-8").decode("utf-8")


def test_numbers_that_json_does_not_have_are_refused():
    with pytest.raises(ValueError):
        embedded_json({"score": float("nan")})


@given(
    st.recursive(
        st.text() | st.none() | st.integers() | st.booleans(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_embedded_json_is_safe_and_equal(value):
    dumped = embedded_json(value)
    dumped.encode("utf-8")
    assert json.loads(dumped) == value
    assert not set("<>&\u2028\u2029") & set(dumped)


def test_pages_are_deterministic():
    assert page("t", "b", data={"b": 1, "a": 2}) == page("t", "b", data={"b": 1, "a": 2})
