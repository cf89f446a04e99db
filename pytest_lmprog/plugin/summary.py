"""The end of pytest's output: the table of units and metrics, what was written, what is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_lmprog.plugin import header

if TYPE_CHECKING:
    from pytest_lmprog.plugin.conclude import Conclusion

__all__ = ["write"]


def write(terminalreporter: Any, conclusion: Conclusion) -> None:
    """Write the summary of a run; nothing where no unit was tested and no call made."""
    from pytest_lmprog.reports.terminal import summary_lines

    width = terminalreporter._tw.fullwidth
    found = summary_lines(conclusion.results, conclusion.verdicts, conclusion.written, width=width)
    if not found:
        return
    terminalreporter.write_sep("=", "LM programs")
    if _is_distributed(terminalreporter.config):
        for line in header.lines(terminalreporter.config):
            terminalreporter.write_line(line)
    for line in found:
        terminalreporter.write_line(line)


def _is_distributed(config: Any) -> bool:
    return bool(config.pluginmanager.has_plugin("dsession"))
