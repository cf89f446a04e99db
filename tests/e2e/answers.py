"""Answers of the fake server for the project in these tests: a pure function of the request's body."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.support.server import Reply, failing, last_user_text, request_digest

__all__ = ["plain", "topical", "unconstrained"]

TOPICS = ("account", "billing", "bug", "feature")


def topical(request: dict[str, Any]) -> str | Reply:
    """Answer both predictors: the more demos, the more often right; now and then no JSON at all."""
    rng = random.Random(request_digest(request))
    demos = sum(message["role"] == "assistant" for message in request["messages"])
    if rng.random() < 0.03:
        return "I would rather not say."
    asked = str(request["messages"][0]["content"])
    if "Write a short reply" in asked:
        words = rng.choice(("thank you", "sorry", "we will look", "please wait"))
        return json.dumps(
            {"reasoning": f"step {rng.randint(0, 99)}", "reply": f"{words} {rng.randint(0, 9)}"}
        )
    right = next((t for t in TOPICS if f"about {t}" in last_user_text(request)), "bug")
    topic = right if rng.random() < 0.4 + 0.1 * demos else rng.choice(TOPICS)
    return json.dumps({"topic": topic})


def unconstrained(request: dict[str, Any]) -> str | Reply:
    """The same from an endpoint that refuses ``response_format``."""
    if "response_format" in request:
        return failing(400, "response_format is not supported by this model", "unsupported")
    return topical(request)


def plain(request: dict[str, Any]) -> str:
    """Echo what was asked, with a number that depends on all of the request."""
    return f"{last_user_text(request)[:40]} -> {request_digest(request)[:8]}"
