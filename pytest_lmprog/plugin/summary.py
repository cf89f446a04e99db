"""The end of pytest's output: the table of units and metrics, what was written, what is stale."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lmprog.plugin import header, surroundings
from pytest_lmprog.reports.terminal import compile_lines, summary_lines, written_lines

if TYPE_CHECKING:
    from pytest_lmprog.plugin.conclude import Conclusion

__all__ = ["write"]


def write(terminalreporter: Any, conclusion: Conclusion) -> None:
    """Write the summary of a run; nothing where no unit was tested and nothing written."""
    width = terminalreporter._tw.fullwidth
    lines = _lines(conclusion, width)
    if not lines:
        return
    terminalreporter.write_sep("=", "LM programs")
    if _is_distributed(terminalreporter.config):
        models = {result.info.model for result in conclusion.results}
        lines = [*header.lines(terminalreporter.config, models), *lines]
    for line in [*lines, *_annotations(terminalreporter, conclusion)]:
        terminalreporter.write_line(line)


def _lines(conclusion: Conclusion, width: int) -> list[str]:
    session = surroundings.existing_session(conclusion.config)
    compiled = [] if session is None else list(session.compiled.values())
    return [
        *compile_lines(compiled, conclusion.results, width=width),
        *summary_lines(conclusion.results, width=width, verdicts=conclusion.verdict_of or None),
        *written_lines(conclusion.written, width=width),
        *(conclusion.problems if conclusion.interrupted else ()),
        *_kept(conclusion),
    ]


def _annotations(terminalreporter: Any, conclusion: Conclusion) -> list[str]:
    if conclusion.saved is None or not conclusion.settings.on_github:
        return []
    from pytest_lmprog.plugin import github

    return github.lines(conclusion.saved, terminalreporter, conclusion.config.rootpath, os.environ)


def _kept(conclusion: Conclusion) -> list[str]:
    folder = conclusion.config.invocation_params.dir
    lines = list(conclusion.remarks)
    lines += [f"report: {_shown(path, folder)}" for path in conclusion.reports]
    if conclusion.stored is not None:
        number = conclusion.stored.number
        lines.append(f"saved as run {number} (lmprog runs show {number})")
    return lines


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _is_distributed(config: Any) -> bool:
    return bool(config.pluginmanager.has_plugin("dsession"))
