"""What a run says while it works, without ``-s``."""

from __future__ import annotations

from types import SimpleNamespace

from pytest_lmprog.lm.scope import TallyCount
from pytest_lmprog.plugin.progress import CompileProgress
from pytest_lmprog.teleprompt.base import ProgressEvent


def test_notices_of_what_takes_long_are_seen_past_the_capturing(project) -> None:
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text().replace(
            "def answer(request):\n",
            "def answer(request):\n"
            "    from pytest_lmprog.lm.notices import notify\n"
            "    notify('fetching something large')\n"
            "    print('this is captured')\n",
        )
    )
    project.test()
    result = project.run_apart()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lmprog: fetching something large"])
    assert "this is captured" not in result.stdout.str()


class Reporter:
    isatty = False

    def __init__(self) -> None:
        self._tw = SimpleNamespace(fullwidth=80)
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        pass

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def test_plain_lines_are_few_however_often_the_phases_alternate() -> None:
    reporter, now = Reporter(), [0.0]
    plugins = {"terminalreporter": reporter}
    config = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get))
    progress = CompileProgress(config, "TestTriage", TallyCount, clock=lambda: now[0])  # type: ignore[arg-type]
    for step in range(1, 200):
        now[0] = step * 0.1
        progress(ProgressEvent("bootstrap" if step % 2 else "evaluate", step, 400))
    assert len(reporter.lines) == 3
    assert "left" not in reporter.lines[0]  # one run tells nothing of the pace
    assert reporter.lines[-1].endswith("left")
