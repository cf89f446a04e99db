"""What an LM was given, sorted: what can change an answer, what only carries it, what is secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError, ConfigurationError
from pytest_lmprog.lm.redaction import is_secret_name, secrets_in, secrets_in_headers, secrets_in_url
from pytest_lmprog.records import dataclass

__all__ = ["Options", "checked_params", "endpoint_of", "sort_options"]

_HEADERS = frozenset({"extra_headers", "headers", "default_headers"})
_CARRIERS = _HEADERS | {
    "api_base",
    "base_url",
    "client",
    "extra_query",
    "http_client",
    "max_retries",
    "metadata",
    "num_retries",
    "proxy",
    "request_timeout",
    "ssl_certificate",
    "ssl_verify",
    "timeout",
    "user",
}
_ADDRESSES = frozenset(
    {
        "api_version",
        "aws_bedrock_runtime_endpoint",
        "aws_profile_name",
        "aws_region_name",
        "aws_role_name",
        "aws_session_name",
        "deployment_id",
        "organization",
        "project",
        "vertex_location",
        "vertex_project",
    }
)
_OF_A_CALL = {
    "cache": "give it to the LM: LM(..., cache=False)",
    "caching": "give it to the LM: LM(..., cache=False)",
    "messages": "messages are given with each call",
    "model": "the model is the LM's first argument",
    "n": "ask for samples where they are used: Predict(..., n=3) or lm(prompt, n=3)",
    "response_format": "it follows from the signature; lm(prompt, response_format=...) sets it",
    "rollout": "ask for samples where they are used: Predict(..., n=3) or lm(prompt, n=3)",
    "stream": "answers are stored whole; there is no streaming",
    "stream_options": "answers are stored whole; there is no streaming",
    "tools": "tools are given with each call",
}


@dataclass(frozen=True)
class Options:
    """Options of an LM, sorted.

    Parameters
    ----------
    params: enter requests, and so keys. Plain data, no None values.
    carried: go to the transport only (headers, credentials, proxies).
    address: say whom to ask (region, API version); part of the endpoint, not of requests.
    secrets: values to keep out of everything written.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    carried: Mapping[str, Any] = field(default_factory=dict, repr=False)
    address: Mapping[str, Any] = field(default_factory=dict)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@lru_cache(maxsize=1024)
def _kind(name: str) -> str:
    if name in _OF_A_CALL:
        return "call"
    if name in _ADDRESSES:
        return "address"
    if name in _CARRIERS or is_secret_name(name):
        return "carried"
    return "param"


def sort_options(given: Mapping[str, Any]) -> Options:
    """Sort what an LM was given. Raises ConfigurationError for what is no option of an LM, and
    CanonicalError for a value that cannot be part of a key."""
    sorted_: dict[str, dict[str, Any]] = {"param": {}, "carried": {}, "address": {}}
    for name, value in given.items():
        kind = _kind(name)
        if kind == "call":
            raise ConfigurationError(f"{name!r} is no option of an LM", hint=_OF_A_CALL[name])
        if value is not None:
            sorted_[kind][name] = value
    secrets = _secrets(sorted_["carried"])
    return Options(_plain(sorted_["param"]), sorted_["carried"], _plain(sorted_["address"]), secrets)


def checked_params(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of one call as they enter its request: no None values.

    Raises ConfigurationError for an option that belongs to the LM (it would change keys, or be lost)."""
    for name in given:
        kind = _kind(name)
        if kind != "param":
            raise ConfigurationError(
                f"{name!r} is no parameter of a request",
                hint=_OF_A_CALL.get(name) or f"give it to the LM: lm.copy({name}=...)",
            )
    return {name: value for name, value in given.items() if value is not None}


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: plain(value, name) for name, value in params.items()}
    except CanonicalError as error:
        raise CanonicalError(f"{error.args[0]}: it cannot be part of a key", path="LM option") from None


def _secrets(carried: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    for name, value in carried.items():
        if name in _HEADERS and isinstance(value, Mapping):
            found |= secrets_in_headers(value)
        elif name == "extra_query":
            found |= secrets_in(value)
        elif name in ("base_url", "proxy", "api_base") and isinstance(value, str):
            found |= secrets_in_url(value)
        elif is_secret_name(name):
            found |= secrets_in(value)
    return frozenset(found)


def endpoint_of(api_base: str | None, address: Mapping[str, Any]) -> str:
    """Return the address part of a cache key: ``api_base`` without user info, query and fragment, in one
    spelling, and the options that say whom to ask; ``""`` for a provider's own address.

    Raises ConfigurationError for an ``api_base`` that is no http(s) address."""
    base = "" if api_base is None else _without_secrets(api_base)
    return base + "".join(f"?{name}={address[name]}" for name in sorted(address))


def _without_secrets(api_base: str) -> str:
    hint = 'give it like api_base="http://127.0.0.1:8000/v1"'
    try:
        parts = urlsplit(api_base.strip())
        port = parts.port
    except ValueError:
        raise ConfigurationError("api_base is not an address", hint=hint) from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("api_base must begin with http:// or https:// and name a host", hint=hint)
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    return urlunsplit((scheme, host, re.sub(r"/+$", "", parts.path), "", ""))
