"""Warnings of a run as a whole, in pytest's warnings summary, at the place that they are about."""

from __future__ import annotations

import warnings

import pytest
from _pytest.config import apply_warning_filters

from pytest_lmprog.errors import LmprogWarning

__all__ = ["warn"]


def warn(config: pytest.Config, text: str, *, path: str = "lmprog", node_id: str = "") -> None:
    """Show ``text`` under pytest's and the user's filters. ``-W error`` raises it as LmprogWarning.

    ``Config.issue_config_time_warning`` does the same, but always at the line of ours that calls it.

    Parameters
    ----------
    path: the file that it is about, relative to the rootdir.
    node_id: what it is about, where that is a unit or a test.
    """
    if config.pluginmanager.is_blocked("warnings"):
        return
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always", LmprogWarning)
        apply_warning_filters(
            config.getini("filterwarnings"), config.known_args_namespace.pythonwarnings or []
        )
        warnings.warn_explicit(LmprogWarning(text), LmprogWarning, path, 1)
    for record in records:
        shown = warnings.WarningMessage(record.message, record.category, path, 1, line="")
        told = {"warning_message": shown, "when": "config", "nodeid": node_id, "location": (path, 1, "")}
        config.hook.pytest_warning_recorded.call_historic(kwargs=told)
