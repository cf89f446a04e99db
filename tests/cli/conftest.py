from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_lmprog.cli import main
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.artifact import CaseBaseline, MetricBaseline, Snapshot
from tests.snapshots.strategies import triage

OLD = triage()
WORDS = "Decide which person should handle a support ticket."
CLASSIFY = OLD.predictors["classify"]
MESSAGES = ({"role": "system", "content": f"{WORDS}\n"}, *CLASSIFY.messages[1:])
NEW = triage(
    predictors={"classify": replace(CLASSIFY, instructions=WORDS, messages=MESSAGES)},
    baseline={
        "test_team": MetricBaseline(
            1.0, 2, {"refund-1": CaseBaseline("pass", "aaaa"), "login-1": CaseBaseline("pass", "bbbb")}
        )
    },
)


class Workplace:
    """A project with snapshots, and ``lmprog`` in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys
        (root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def path(self, unit: str = "TestTriage", module: str = "test_support") -> Path:
        return self.root / "tests" / store.SNAPSHOT_FOLDER / module / f"{unit}.yaml"

    def accepted(
        self, unit: str = "TestTriage", module: str = "test_support", snapshot: Snapshot = OLD
    ) -> Path:
        store.write_accepted(self.path(unit, module), snapshot)
        return self.path(unit, module)

    def pending(
        self, unit: str = "TestTriage", module: str = "test_support", snapshot: Snapshot = NEW
    ) -> Path:
        return store.write_pending(self.path(unit, module), snapshot)

    def both(self, unit: str = "TestTriage", module: str = "test_support") -> Path:
        self.accepted(unit, module)
        return self.pending(unit, module)

    def files(self) -> dict[str, bytes]:
        found = sorted(p for p in self.root.rglob("*") if p.is_file())
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in found}

    def run(self, *args: str, cwd: str = ".") -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main(["-C", str(self.root / cwd), *args])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> Workplace:
    for name in ("PYTEST_ADDOPTS", "PYTEST_LMPROG_CACHE_DIR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Workplace(tmp_path, capsys)
