from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.lm.redaction import (
    Scrubber,
    environment_secrets,
    is_secret_name,
    secrets_in,
    secrets_in_headers,
    secrets_in_url,
    secrets_of,
)

secrets = st.lists(st.text(min_size=6, max_size=12), min_size=1, max_size=4)


@given(values=secrets, between=st.text(max_size=5))
def test_no_secret_is_left(values, between):
    text = between.join([*values, *reversed(values)])
    scrubbed = Scrubber(values)(text).replace("[secret]", "\0")
    assert not any(value in scrubbed for value in values if "\0" not in value)


def test_the_longest_secret_goes_first():
    assert Scrubber(["abcdef", "abcdefgh"])("abcdefgh") == "[secret]"


def test_short_values_are_left_alone():
    assert Scrubber(["short", ""])("a short word") == "a short word"
    assert not Scrubber(["short"])
    assert Scrubber(["longer"])


def test_data_is_scrubbed_in_depth():
    scrub = Scrubber(["secret-1"])
    assert scrub.data({"a": ["secret-1", 5, {"b": "x secret-1"}]}) == {
        "a": ["[secret]", 5, {"b": "x [secret]"}]
    }


def test_scrubbers_add_up_and_never_show_their_values():
    both = Scrubber(["secret-1"]) | Scrubber(["secret-2"])
    assert both("secret-1 secret-2") == "[secret] [secret]"
    assert "secret-" not in repr(both)


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "X-Api-Key",
        "azure_ad_token",
        "aws_secret_access_key",
        "aws_access_key_id",
        "vertex_credentials",
        "password",
        "client_secret",
        "Authorization",
        "private_key",
        "auth",
    ],
)
def test_names_of_secrets(name: str):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "max_completion_tokens",
        "stop_token",
        "eos_token",
        "temperature",
        "seed",
        "top_k",
        "tokens",
        "budget_tokens",
        "thinking",
        "monkey",
        "keyboard",
        "logit_bias",
        "extra_body",
    ],
)
def test_names_of_parameters(name: str):
    assert not is_secret_name(name)


def test_the_environment_gives_what_is_named_like_a_key():
    environ = {
        "OPENAI_API_KEY": "openai-value",
        "HF_TOKEN": "hf-value",
        "DB_PASSWORD": "pass-value",
        "SOME_KEY": "a-long-enough-value",
        "SORT_KEY": "billing",
        "PATH": "/usr/bin",
        "TINY_TOKEN": "abc",
    }
    assert environment_secrets(environ) == {"openai-value", "hf-value", "pass-value", "a-long-enough-value"}


def test_secrets_in_values_headers_and_addresses():
    assert secrets_in("Bearer abcdef") == {"Bearer abcdef", "abcdef"}
    assert secrets_in({"a": ["x1", {"b": b"x2"}]}) == {"x1", "x2"}
    assert secrets_in(5) == secrets_in([]) == frozenset()
    assert secrets_in_headers({"X-Key": "k1", "Content-Type": "application/json"}) == {"k1"}
    found = secrets_in_url("https://ada:p%40ss@host/v1?key=va%2Flue&b=")
    assert {"ada", "p%40ss", "p@ss", "va%2Flue", "va/lue"} <= found
    assert "host" not in found
    assert secrets_in_url(None) == secrets_in_url("http://[bad") == frozenset()


def test_secrets_of_anything(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_API_KEY", "from-the-environment")

    class Known:
        secrets = frozenset({"from-the-lm"})

    assert secrets_of(Known())("from-the-lm from-the-environment") == "[secret] [secret]"
    assert secrets_of(None)("from-the-lm") == "from-the-lm"
