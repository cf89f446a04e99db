"""Patterns as grammars take them match what they matched."""

from __future__ import annotations

import re

import pytest

from pytest_lmprog.lm.local.patterns import grammar_form, grammar_pattern

TEXTS = ["12.ab", "a12b", "12", "", "x$", "A-3", "no", "a b", "123"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("^[A-Z]{2}$", "^[A-Z]{2}$"),
        (r"^\d{2}\.\w+$", r"^[0-9]{2}\.[A-Za-z0-9_]+$"),
        (r"[\d-]{3}", "^.*([0-9-]{3}).*$"),
        ("^[0-9]{2}", "^([0-9]{2}).*$"),
        ("b$", "^.*(b)$"),
        (r"\$", r"^.*(\$).*$"),
        (r"\s", r"^.*([ \t\n\r]).*$"),
    ],
)
def test_patterns(pattern: str, wanted: str) -> None:
    assert grammar_pattern(pattern) == wanted
    for text in TEXTS:
        assert bool(re.search(wanted, text)) == bool(re.search(pattern, text))


def test_a_form_is_changed_in_its_patterns_only() -> None:
    form = {"schema": {"properties": {"pattern": {"type": "string", "pattern": "a", "enum": ["pattern"]}}}}
    changed = {"type": "string", "pattern": "^.*(a).*$", "enum": ["pattern"]}
    assert grammar_form(form) == {"schema": {"properties": {"pattern": changed}}}
    assert grammar_form(None) is None
