"""Which options of an LM are part of requests, and which are secrets that never are."""

from __future__ import annotations

from pytest_lmprog.lm.options import sort_options


def test_the_query_of_an_address_is_no_part_of_requests_and_its_values_are_secrets():
    options = sort_options({"extra_query": {"key": "query-5417"}, "top_p": 0.5})
    assert options.params == {"top_p": 0.5}
    assert "query-5417" in options.secrets
