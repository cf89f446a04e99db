"""The values that hold for a run: from the command line, the environment and the ini file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass  # not our own: one module less in every pytest run
from pathlib import Path
from typing import Any, Literal

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.options import CACHE_FOLDER, OPTIONS, Option

__all__ = ["HarnessSettings", "OptionSource", "in_ci"]

OptionSource = Literal["cli", "env", "ini", "default"]
"""Where a value comes from."""


@dataclass(frozen=True, slots=True)
class HarnessSettings:
    """What holds for this run.

    Parameters
    ----------
    rootdir: pytest's.
    record: ``none``, ``new`` or ``all``.
    model, model_source: the model's name and where it was given; ``default`` goes with None.
    max_concurrency: requests in flight at most, of all workers together.
    budget: as given (``200calls``), checked, or None.
    limit, repeat: None where not given.
    cache_dir: absolute.
    report: absolute paths of the reports to write.
    baseline: what ``--lm-baseline`` names, or None; a path in it is relative to ``cwd``, or to ``rootdir``.
    rescore: which saved run the metrics are applied to, or None; a path in it is relative to ``cwd``
        (the rootdir where that is None).
    keep_runs: saved runs that are kept.
    in_ci: the environment says CI.
    on_github: it is GitHub Actions that runs us.
    worker, workers: xdist's id of this worker (None in a process of its own) and their number.
    """

    rootdir: Path
    cache_dir: Path
    compile: bool = False
    update: bool = False
    dry_run: bool = False
    cov: bool = False
    changed: bool = False
    record: Literal["none", "new", "all"] = "new"
    model: str | None = None
    model_source: OptionSource = "default"
    max_concurrency: int = 8
    budget: str | None = None
    limit: int | None = None
    repeat: int | None = None
    seed: int = 0
    record_compile: bool = False
    store_messages: bool = True
    report: tuple[Path, ...] = ()
    baseline: str | None = None
    rescore: str | None = None
    cwd: Path | None = None
    keep_runs: int = 20
    in_ci: bool = False
    on_github: bool = False
    worker: str | None = None
    workers: int = 1

    @classmethod
    def resolve(
        cls,
        rootdir: Path,
        *,
        cli: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        ini: Mapping[str, Any] | None = None,
        worker: str | None = None,
        workers: int = 1,
        cwd: Path | None = None,
    ) -> HarnessSettings:
        """Return what holds: command line, else environment, else ini file, else default.

        Parameters
        ----------
        cli: by option name; None, and False for a flag, mean not given. Text or the value itself.
        env: the environment.
        ini: by ini name (``lm_seed``); None and empty text mean not given.
        cwd: what paths of reports are relative to, unless they are the ini file's (default: the rootdir).

        Raises ConfigurationError that names the source and the text.
        """
        sources = _Sources(cli or {}, env or {}, ini or {})
        found = {option.name: sources.find(option) for option in OPTIONS}
        values = {name: value for name, (value, _) in found.items()}
        _check_together(values)
        ci = in_ci(sources.env)
        if values["rescore"] is not None:
            values["record"] = "none"
        values["record"] = values["record"] or ("none" if ci else "new")
        values["cache_dir"] = rootdir / (values["cache_dir"] or CACHE_FOLDER)
        on_github = values.pop("github") == "auto" and sources.env.get("GITHUB_ACTIONS") == "true"
        base = rootdir if cwd is None or found["report"][1] == "ini" else cwd
        values["report"] = tuple(dict.fromkeys(base / os.path.expanduser(name) for name in values["report"]))
        return cls(
            rootdir=rootdir,
            **values,
            cwd=cwd,
            model_source=found["model"][1],
            in_ci=ci,
            on_github=on_github,
            worker=worker,
            workers=max(workers, 1),
        )

    @property
    def concurrency(self) -> int:
        """Requests in flight at most in this process: its share among the workers, at least 1."""
        if self.workers <= 1:
            return self.max_concurrency
        share, rest = divmod(self.max_concurrency, self.workers)
        return max(1, share + (self._index < rest))

    @property
    def _index(self) -> int:
        digits = (self.worker or "").removeprefix("gw")
        return int(digits) if digits.isdigit() else 0

    @property
    def saves_run(self) -> bool:
        """Whether the run is saved. A replay is not: it can be had again without a call; nor is CI's, whose
        folder is thrown away. ``--lm-report PATH.json`` keeps those too."""
        replay = self.record == "none"
        return self.keep_runs > 0 and not (replay or self.in_ci or self.dry_run or self.rescore)

    @property
    def collects(self) -> bool:
        """Whether something wants the data of every case: a report, GitHub's annotations, or a saved run."""
        return not self.dry_run and (bool(self.report) or self.on_github or self.saves_run)

    @property
    def writes_baseline(self) -> bool:
        """Whether the run may write snapshots."""
        return (self.compile or self.update) and not self.dry_run


def _check_together(values: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for options that exclude or need each other."""
    if values["dry_run"] and not values["compile"]:
        raise ConfigurationError(
            "--lm-dry-run says what compiling could cost: it goes with --lm-compile",
            hint="pytest --lm-compile --lm-dry-run",
        )
    if values["changed"] and (values["compile"] or values["update"]):
        writes = "--lm-compile" if values["compile"] else "--lm-update"
        raise ConfigurationError(f"--lm-changed leaves cases out, and {writes} needs them all")
    if values["rescore"] is not None:
        _check_rescoring(values)


def _check_rescoring(values: Mapping[str, Any]) -> None:
    if values["compile"] or values["update"]:
        raise ConfigurationError(
            "--lm-rescore applies the metrics to a saved run: it neither compiles nor writes snapshots",
            hint="pytest --lm-update alone scores the program again, from stored answers where there are any",
        )
    if values["cov"] or values["changed"]:
        option = "--lm-cov" if values["cov"] else "--lm-changed"
        raise ConfigurationError(f"--lm-rescore runs no program: there is nothing to watch for {option}")


def _each(option: Option, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str):
        given = [part.strip() for line in given.splitlines() for part in line.split(",")]
    return tuple(option.read(str(one)) for one in given if str(one).strip())


class _Sources:
    def __init__(self, cli: Mapping[str, Any], env: Mapping[str, str], ini: Mapping[str, Any]) -> None:
        self.cli = cli
        self.env = env
        self.ini = ini

    def find(self, option: Option) -> tuple[Any, OptionSource]:
        for source, where, given in self._given(option):
            try:
                return (_each(option, given) if option.many else option.read(str(given))), source
            except ValueError as error:
                raise ConfigurationError(f"{where}={given}: {error}") from None
        return option.default, "default"

    def _given(self, option: Option) -> Iterator[tuple[OptionSource, str, Any]]:
        given = self.cli.get(option.name)
        if option.cli and given is not None and given is not False:
            yield "cli", option.switch, given
        if not option.ini:
            return
        for variable in option.variables:
            if self.env.get(variable):
                yield "env", variable, self.env[variable]
        stated = self.ini.get(option.dest)
        if stated not in (None, ""):
            yield "ini", option.dest, stated


def in_ci(env: Mapping[str, str]) -> bool:
    """Return whether the environment says CI: set, and not empty, 0 or false."""
    return env.get("CI", "").strip().lower() not in ("", "0", "false")
