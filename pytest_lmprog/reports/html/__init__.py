"""The HTML report: one file that says the verdict first and lets every case be looked at."""

from __future__ import annotations

from pytest_lmprog.reports.html.report import html_report

__all__ = ["html_report"]
