"""What a run says while it works, without ``-s``."""

from __future__ import annotations

from types import SimpleNamespace

from pytest_lmprog.lm.tally import TallyCount
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
    # In the main thread: what a thread prints between two tests is nobody's to capture.
    project.test("def test_asks(lm):\n    lm('I was charged twice')\n")
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


class Terminal:
    showfspath = False
    showlongtestinfo = False

    def __init__(self, isatty: bool) -> None:
        self.isatty = isatty
        self._tw = SimpleNamespace(fullwidth=80)
        self.written: list[tuple[str, str]] = []

    def ensure_newline(self) -> None: ...

    def rewrite(self, text: str, erase: bool) -> None:
        self.written.append(("rewrite", text))

    def write_line(self, text: str) -> None:
        self.written.append(("line", text))


def progress(reporter: Terminal | None, times: list[float]) -> CompileProgress:
    plugins = {"terminalreporter": reporter}
    config = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get))
    return CompileProgress(config, "TestTriage", TallyCount, clock=iter([0.0, *times]).__next__)


def events(*phases: str) -> list[ProgressEvent]:
    return [ProgressEvent(phase, i + 1, 10) for i, phase in enumerate(phases)]


def test_a_terminal_line_is_rewritten_ten_times_a_second_at_most() -> None:
    reporter = Terminal(isatty=True)
    show = progress(reporter, [0.0, 0.05, 0.2])
    for event in events("bootstrap", "bootstrap", "bootstrap"):
        show(event)
    show.end("done")
    kinds = [kind for kind, _ in reporter.written]
    assert kinds == ["rewrite", "rewrite", "rewrite", "line"]
    assert reporter.written[1][1].startswith("TestTriage: bootstrap 3/10")
    assert reporter.written[2] == ("rewrite", "done")


def test_elsewhere_a_line_for_each_new_phase_and_one_now_and_then() -> None:
    reporter = Terminal(isatty=False)
    show = progress(reporter, [0.0, 1.0, 2.0, 13.0])
    for event in events("bootstrap", "bootstrap", "search", "search"):
        show(event)
    assert [text.split(",")[0] for _, text in reporter.written] == [
        "TestTriage: bootstrap 1/10",
        "TestTriage: search 3/10",
        "TestTriage: search 4/10",
    ]


def test_without_a_terminal_plugin_nothing_is_said() -> None:
    show = progress(None, [0.0])
    show(events("bootstrap")[0])
    show.end("done")
