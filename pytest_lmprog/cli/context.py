"""What every command is given."""

from __future__ import annotations

from pathlib import Path

from pytest_lmprog.cli.output import Output
from pytest_lmprog.cli.project import Project
from pytest_lmprog.cli.targets import shown_path
from pytest_lmprog.records import dataclass

__all__ = ["Context"]


@dataclass(frozen=True, slots=True)
class Context:
    """Where the command runs, the project there, and where its words go."""

    cwd: Path
    project: Project
    out: Output

    @property
    def root(self) -> Path:
        """The project's rootdir."""
        return self.project.root

    def shown(self, path: Path) -> str:
        """Return ``path`` as people are told it: from the rootdir."""
        return shown_path(path, self.root)
