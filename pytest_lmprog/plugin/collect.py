"""Collection: which function is a metric of which unit, and the cases that it is parametrized with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError, LmprogError
from pytest_lmprog.evaluation.case_ids import case_ids
from pytest_lmprog.harness.unit import Gate
from pytest_lmprog.plugin import needs
from pytest_lmprog.plugin.cases import Case, CaseExample
from pytest_lmprog.plugin.function_metric import FunctionMetric
from pytest_lmprog.plugin.gate_mark import check_must_pass, read_gate
from pytest_lmprog.plugin.marks import (
    MARK_NAMES,
    ExamplesMark,
    MetricMark,
    ProgramMark,
    RepeatMark,
    check_known,
    closest,
    read_mark,
    where,
)
from pytest_lmprog.plugin.misuse import Refusal
from pytest_lmprog.plugin.run import Run, run_of
from pytest_lmprog.plugin.selection import expect_failed, selects_failed
from pytest_lmprog.plugin.unit_data import UnitData, add_data
from pytest_lmprog.plugin.units import (
    UnitPlan,
    claimed,
    folded,
    model_labels,
    snapshot_path,
)
from pytest_lmprog.programs.making import instantiate
from pytest_lmprog.records import dataclass

__all__ = ["Generation", "begin", "finish"]

_CASE_ARGUMENTS = ("example", "prediction", "trace")


@dataclass(frozen=True)
class Generation:
    """One test function between ``begin`` and ``finish``: what others parametrize comes in between."""

    metafunc: pytest.Metafunc
    plans: tuple[UnitPlan, ...]
    is_metric: bool


def begin(metafunc: pytest.Metafunc) -> Generation:
    """Parametrize a test function with its cases. A mark or dataset that cannot be used fails the
    collection with one message."""
    with _told(metafunc):
        return _begin(metafunc)


def finish(generation: Generation) -> None:
    """Register each parameter set of a metric; by now the user's own parametrize marks have been applied."""
    if generation.is_metric:
        with _told(generation.metafunc):
            _register(generation)


@contextmanager
def _told(metafunc: pytest.Metafunc) -> Iterator[None]:
    try:
        yield
    except LmprogError as error:
        node = metafunc.definition
        place = where(node.obj, node.path, node.config.rootpath)
        raise Refusal(f"{place}: {_qualname(node)}: {error}") from None


def _begin(metafunc: pytest.Metafunc) -> Generation:
    definition = metafunc.definition
    run = run_of(metafunc.config)
    is_metric = any(name in metafunc.fixturenames for name in _CASE_ARGUMENTS)
    _check_marks(definition, is_metric)
    mark = closest(definition, "lm_program")
    if mark is None:
        _require_no_unit_marks(definition)
        return Generation(metafunc, (), False)
    program = read_mark(ProgramMark, mark)
    if not is_metric and "lm_program" not in metafunc.fixturenames:
        return Generation(metafunc, (), False)
    plans = _plans(run, definition, program, is_metric)
    run.functions[definition.nodeid] = plans
    if is_metric:
        _parametrize(metafunc, run, plans)
    elif "lm_program" in metafunc.fixturenames and len(plans) > 1:
        metafunc.parametrize("lm_program", plans, ids=[str(p.label) for p in plans], indirect=True)
    return Generation(metafunc, plans, is_metric)


def _check_marks(definition: Any, is_metric: bool) -> None:
    for mark in definition.iter_markers():
        if mark.name.startswith("lm_"):
            check_known(mark.name)
    for mark in definition.own_markers:
        if mark.name in ("lm_metric", "lm_gate", "lm_repeat") and not is_metric:
            raise ConfigurationError(
                f"{mark.name} is for a metric, and this test requests none of example, prediction and trace"
            )


def _require_no_unit_marks(definition: Any) -> None:
    for name in MARK_NAMES:
        if closest(definition, name) is not None:
            raise ConfigurationError(
                f"{name} without lm_program: there is no program to test",
                hint="@pytest.mark.lm_program(program=...) on the class or function",
            )


# --- units --------------------------------------------------------------------------------------------


def _plans(run: Run, definition: Any, mark: ProgramMark, is_metric: bool) -> tuple[UnitPlan, ...]:
    owner = _owner(definition)
    plans = run.plans.get(owner.nodeid)
    if plans is None:
        plans = run.plans[owner.nodeid] = _new_plans(run, definition, owner, mark)
    if is_metric and not plans[0].cases:
        raise ConfigurationError(
            "lm_program without lm_examples: there are no cases to test",
            hint='@pytest.mark.lm_examples("examples.yaml")',
        )
    return plans


def _owner(definition: Any) -> Any:
    """Return the node that is the unit: the class, or the function if it has a program of its own."""
    own = {mark.name for mark in definition.own_markers}
    cls = definition.getparent(pytest.Class)
    if cls is None or "lm_program" in own:
        return definition
    if "lm_examples" in own:
        raise ConfigurationError(
            "lm_examples on a method of a unit: all metrics of a unit are judged on the same examples",
            hint="give the method an lm_program of its own, which makes it a unit of its own",
        )
    return cls


def _new_plans(run: Run, definition: Any, owner: Any, mark: ProgramMark) -> tuple[UnitPlan, ...]:
    module: Path = definition.path
    program = instantiate(mark.program, "lm_program")
    examples = closest(definition, "lm_examples")
    data = UnitData(run, definition, program, None if examples is None else read_mark(ExamplesMark, examples))
    first = UnitPlan(
        run=run,
        owner=owner.nodeid,
        name=mark.name or owner.name,
        module_id=definition.getparent(pytest.Module).nodeid,
        module_path=module,
        mark=mark,
        program=program,
        snapshot=module,
        teleprompter=mark.teleprompter,
    )
    made = definition.ihook.pytest_lmprog_make_teleprompter(config=definition.config, unit=first.id)
    first.teleprompter = mark.teleprompter if made is None else made
    add_data(first, data)
    return tuple(_for_model(run, first, _qualname(owner), lm, label) for lm, label in _models(mark))


def _models(mark: ProgramMark) -> list[tuple[Any, str | None]]:
    several = isinstance(mark.lm, list | tuple)
    labels = model_labels(mark.lms) if several else [None]
    return list(zip(mark.lms, labels, strict=True))


def _for_model(run: Run, plan: UnitPlan, qualname: str, lm: Any, label: str | None) -> UnitPlan:
    path = snapshot_path(plan.module_path, qualname, plan.mark, label)
    mine = replace(plan, lm=lm, label=label, snapshot=path, metrics={}, gates={}, repeats={}, selected=[])
    mine.shared = type(plan.shared)()
    clash = claimed(run.snapshots, mine)
    if clash is not None:
        raise clash
    run.snapshots[folded(path)] = mine
    run.units[mine.id] = mine
    return mine


def _qualname(node: Any) -> str:
    chain = [n for n in node.listchain() if isinstance(n, pytest.Class | pytest.Function)]
    return ".".join(n.name for n in chain)


# --- cases --------------------------------------------------------------------------------------------


def _parametrize(metafunc: pytest.Metafunc, run: Run, plans: tuple[UnitPlan, ...]) -> None:
    rollouts = _rollouts(metafunc.definition, run)
    name = metafunc.definition.name
    ids = run.case_ids.get(plans[0].owner)
    if ids is None:
        ids = run.case_ids[plans[0].owner] = case_ids(plans[0].cases)
    values, labels = [], []
    for plan in plans:
        prefix = "" if plan.label is None else f"{plan.label}-"
        for example, case_id in list(zip(plan.cases, ids, strict=True))[: run.settings.limit]:
            for rollout in range(rollouts):
                values.append(CaseExample.of(example, Case(plan, example, rollout, name)))
                labels.append(f"{prefix}{case_id}-r{rollout + 1}" if rollouts > 1 else f"{prefix}{case_id}")
    metafunc.parametrize("example", values, ids=labels)


def _rollouts(definition: Any, run: Run) -> int:
    if run.settings.repeat is not None:
        return run.settings.repeat
    mark = closest(definition, "lm_repeat")
    return 1 if mark is None else read_mark(RepeatMark, mark).n


def _register(generation: Generation) -> None:
    metafunc = generation.metafunc
    sets: dict[str, Any] = {}
    for call in metafunc._calls:
        example: Any = call.params["example"]
        name = _metric_name(metafunc.definition.name, call)
        sets.setdefault(name, call)
        case = example.lm_case
        if case.metric != name:
            own = Case(case.unit, case.example, case.rollout, name)
            call.params["example"] = CaseExample.of(case.example, own)
    for plan in generation.plans:
        for name, call in sets.items():
            _add_metric(metafunc, plan, name, call)
    if selects_failed(metafunc.config):
        _expect_failed(metafunc)


def _expect_failed(metafunc: pytest.Metafunc) -> None:
    for call in metafunc._calls:
        example: Any = call.params["example"]
        case = example.lm_case
        metric = case.unit.metrics[case.metric].node_id
        expect_failed(case.unit.run, metric, f"{metafunc.definition.nodeid}[{call.id}]")


def _metric_name(function: str, call: Any) -> str:
    # Our own id came first; the rest is the parameter set, a metric of its own.
    rest = list(call._idlist)[1:]
    return f"{function}[{'-'.join(map(str, rest))}]" if rest else function


def _add_metric(metafunc: pytest.Metafunc, plan: UnitPlan, name: str, call: Any) -> None:
    definition = metafunc.definition
    marks = closest(definition, "lm_metric"), closest(definition, "lm_gate")
    stated = MetricMark() if marks[0] is None else read_mark(MetricMark, marks[0])
    gate = Gate() if marks[1] is None else read_gate(marks[1])
    if gate.must_pass:
        check_must_pass(gate, [example.id for example in plan.cases])
    plan.gates[name] = gate
    plan.repeats[name] = _rollouts(definition, plan.run)
    plan.metrics[name] = FunctionMetric(
        name=name,
        function=_plain_function(metafunc),
        node_id=_metric_id(definition, plan, name),
        cls=metafunc.cls,
        module=metafunc.module,
        arguments=tuple(definition._fixtureinfo.argnames),
        params={k: v for k, v in call.params.items() if k != "example"},
        weight=float(stated.weight),
        optimize=stated.optimize,
        pass_at=gate.pass_at,
        runs_program=not {"prediction", "trace"}.isdisjoint(metafunc.fixturenames),
        is_coroutine=inspect.iscoroutinefunction(metafunc.function),
        bare=needs.is_bare(metafunc),
        needs=needs.of(metafunc),
        shared=plan.shared,
        fixture_functions=needs.functions(metafunc),
        unscored=needs.unscored_by_mark(definition, call),
    )


def _plain_function(metafunc: pytest.Metafunc) -> Any:
    if metafunc.cls is None:
        return metafunc.function
    raw = inspect.getattr_static(metafunc.cls, metafunc.definition.name)
    return raw.__func__ if isinstance(raw, staticmethod | classmethod) else raw


def _metric_id(definition: Any, plan: UnitPlan, name: str) -> str:
    base = definition.nodeid.removesuffix(definition.name)
    inner = name.removeprefix(definition.name).strip("[]")
    parts = [part for part in (plan.label, inner) if part]
    return f"{base}{definition.name}[{'-'.join(parts)}]" if parts else f"{base}{definition.name}"
