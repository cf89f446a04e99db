"""The JSON report: a saved run as text. ``schema.json`` beside this file describes it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.harness.saved.store import run_json

__all__ = ["json_report", "json_schema"]


def json_report(saved: SavedRun) -> str:
    """Return the report as text: one line of JSON, ``format`` its version."""
    return run_json(saved).decode("utf-8")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of reports and saved runs."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text("utf-8"))
    return schema
