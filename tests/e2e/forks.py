"""A process that has imported what is slow to import and forks from there, for tests that start many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

__all__ = ["Child", "Forks"]

_SERVE = """
import json, os, signal, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm, pytest, pytest_lmprog.plugin

def child(order):
    os.chdir(order["cwd"])
    os.environ.update(order["env"])
    sys.path.insert(0, order["cwd"])
    file = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1), os.dup2(file, 2)
    code = 3
    try:
        scope = {"__name__": "child"}
        exec(order["code"], scope)
        code = int(scope.get("code", 0))
    except BaseException:
        import traceback
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)

for line in sys.stdin:
    order = json.loads(line)
    if "code" in order:
        pid = os.fork()
        if not pid:
            child(order)
        answer = pid
    else:
        pid, status = os.waitpid(order["wait"], order["flags"])
        answer = os.waitstatus_to_exitcode(status) if pid else None
    print(json.dumps(answer), flush=True)
"""


class Child:
    """A forked process."""

    def __init__(self, forks: Forks, pid: int, out: Path) -> None:
        self._forks, self.pid, self._out = forks, pid, out
        self.code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.code is None:
            self.code = self._forks.ask({"wait": self.pid, "flags": os.WNOHANG})
        return self.code

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        while self.poll() is None:
            time.sleep(0.005)
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """SIGKILL it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    @property
    def text(self) -> str:
        """What it printed."""
        return self._out.read_text(encoding="utf-8")


class Forks:
    """The process that forks; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __enter__(self) -> Self:
        env = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("PYTEST", "OPENAI"))}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env={**env, "OPENAI_API_KEY": "sk-e2e-secret"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, order: Mapping[str, Any]) -> Any:
        """Give an order and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, code: str, cwd: Path, env: Mapping[str, str] | None = None) -> Child:
        """Run ``code`` in a fork, in ``cwd``; what it leaves in ``code`` is its exit code."""
        self._count += 1
        out = self._folder / f"child-{self._count}.txt"
        order = {"code": code, "cwd": str(cwd), "env": dict(env or {}), "out": str(out)}
        return Child(self, self.ask(order), out)

    def pytest(self, project: Any, *args: str, env: Mapping[str, str] | None = None) -> Child:
        """Run pytest in a fork, on a project."""
        code = f"import pytest\ncode = pytest.main({[*args, '-p', 'no:cacheprovider']!r})"
        return self.start(code, project.path, {"OPENAI_API_BASE": project.url, **(env or {})})

    def run(self, project: Any, *args: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run pytest to its end; return its exit code and what it printed."""
        child = self.pytest(project, *args, env=env)
        return child.wait(), child.text
