"""One compile of MIPROv2, as a plan: demos and proposals, then trials over their combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import CallBound, CompileResult, CompileTask
from pytest_lmprog.teleprompt.engine.calls import student_bound, teacher_bound
from pytest_lmprog.teleprompt.engine.desk import Plan
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.demo_sets import DemoSets, Recipe, bootstraps, demo_sets, recipes
from pytest_lmprog.teleprompt.material.demos import with_demos
from pytest_lmprog.teleprompt.material.instructions import learners, with_instructions
from pytest_lmprog.teleprompt.mipro import MIPROv2, Sizes
from pytest_lmprog.teleprompt.plans.mipro.combination import Made
from pytest_lmprog.teleprompt.plans.mipro.proposing import Proposer, asks
from pytest_lmprog.teleprompt.plans.mipro.tpe import Point, Space
from pytest_lmprog.teleprompt.plans.mipro.trials import Schedule, Trials

__all__ = ["Choices", "MIPROSearch", "Pool", "bound"]


def bound(settings: MIPROv2, task: CompileTask) -> CallBound:
    """Return the most runs and calls of a compile."""
    sizes = settings.sizes(task)
    strategy = settings.bootstrapper()
    sets = bootstraps(_sets(settings, sizes), strategy.max_labeled_demos)
    demos = teacher_bound(task, sets * strategy.bound(task).runs)
    asked = asks(_proposer(settings, sizes, 0), task.student, len(task.trainset))
    runs = sizes.examples + _schedule(settings, sizes, 0).runs(sizes.examples)
    return demos + CallBound(asked, asked * _calls_of_an_ask()) + student_bound(task, runs)


def _calls_of_an_ask() -> int:
    from pytest_lmprog.programs import Predict

    return Predict("question -> answer").max_calls()


def _sets(settings: MIPROv2, sizes: Sizes) -> int:
    """Return how many sets of demos are made: without a use for them, none."""
    if not settings.zero_shot:
        return sizes.demo_sets
    return sizes.instructions if settings.fewshot_aware_proposer and sizes.instructions > 1 else 0


def _schedule(settings: MIPROv2, sizes: Sizes, seed: int) -> Schedule:
    return Schedule(
        sizes.trials, sizes.batch, settings.minibatch_full_eval_steps, settings.trials_in_flight, seed
    )


def _proposer(settings: MIPROv2, sizes: Sizes, seed: int) -> Proposer:
    return Proposer(
        sizes.instructions,
        settings.prompt_model,
        settings.init_temperature,
        seed,
        settings.view_data_batch_size,
        settings.data_aware_proposer,
        settings.program_aware_proposer,
        settings.tip_aware_proposer,
        settings.fewshot_aware_proposer,
    )


@dataclass(frozen=True)
class Pool:
    """Distinct sets of demos of one predictor, each with what is to be told of it."""

    sets: tuple[tuple[Example, ...], ...]
    notes: tuple[tuple[str, ...], ...]
    own: int
    """The place of those that the student has."""


@dataclass(frozen=True)
class Choices:
    """What there is to choose from, by predictor name: instructions, and sets of demos (empty where
    demos are not searched)."""

    student: Module
    instructions: Mapping[str, Sequence[str]]
    pools: Mapping[str, Pool]

    def space(self) -> Space:
        """Return how many choices there are of each."""
        space = {}
        for name, instructions in self.instructions.items():
            space[f"{name}: instruction"] = len(instructions)
            if name in self.pools:
                space[f"{name}: demos"] = len(self.pools[name].sets)
        return space

    def own(self) -> Point:
        """Return the student's own instructions and demos as a point."""
        chosen = {f"{name}: demos": pool.own for name, pool in self.pools.items()}
        return {name: chosen.get(name, 0) for name in self.space()}

    def make(self, point: Point) -> Made:
        """Return the program of a point."""
        chosen = {n: texts[point[f"{n}: instruction"]] for n, texts in self.instructions.items()}
        program = with_instructions(self.student, chosen)
        if not self.pools:
            return Made(self._label(point), program)
        places = {name: point[f"{name}: demos"] for name in self.pools}
        program = with_demos(program, {name: self.pools[name].sets[place] for name, place in places.items()})
        notes = [note for name, place in places.items() for note in self.pools[name].notes[place]]
        return Made(self._label(point), program, tuple(dict.fromkeys(notes)))

    def _label(self, point: Point) -> str:
        if len(self.instructions) == 1:
            return ", ".join(f"{key.rpartition(': ')[2]} {place}" for key, place in point.items())
        return "; ".join(self._label_of(name, point) for name in self.instructions)

    def _label_of(self, name: str, point: Point) -> str:
        shown = f"{name}: instruction {point[f'{name}: instruction']}"
        return f"{shown}, demos {point[f'{name}: demos']}" if name in self.pools else shown


class MIPROSearch:
    """One compile: what is made, and what is known of its scores.

    The draws are DSPy's for the same seed: of the validation examples, then of the demo sets."""

    def __init__(self, settings: MIPROv2, study: Study) -> None:
        self.settings = settings
        self.study = study
        self.sizes = settings.sizes(study.task)
        self.seed = settings.seed + study.seed
        self._rng = Random(self.seed)
        self._notes: tuple[str, ...] = ()
        if settings.task_model is not None:
            study = replace(study, settings={**study.settings, "lm": settings.task_model})
        self.tasked = study
        examples = self._examples(study.task)
        self.trials = Trials(study, examples, _schedule(settings, self.sizes, self.seed))

    def _examples(self, task: CompileTask) -> Sequence[Example]:
        """Return the validation examples: with ``auto`` a sample, in their order."""
        if self.settings.auto is None:
            return task.validation
        drawn = self._rng.sample(range(len(task.validation)), self.sizes.examples)
        return [task.validation[position] for position in sorted(drawn)]

    def plan(self) -> Plan[CompileResult]:
        """Make what there is to choose from while the program as it is is evaluated; then search."""
        try:
            yield from self._run()
        except BudgetExceededError:
            return replace(self._result(), stopped="budget")
        return self._result()

    def _result(self) -> CompileResult:
        """Return the winner, with what is to be told whichever wins."""
        result = self.trials.result()
        return replace(result, notes=tuple(dict.fromkeys([*self._notes, *result.notes])))

    def _run(self) -> Plan[None]:
        self.trials.begin(Made("default", self.study.task.student.copy()))
        preparing = self.study.desk.spawn(self._prepared())
        prepared = False
        while not prepared or self.trials.running:
            ticket = yield
            if ticket is preparing:
                prepared = True
                self._open(ticket.value())
            else:
                self.trials.record(ticket)

    def _open(self, choices: Choices) -> None:
        space = choices.space()
        sampler = self.settings.sampler(space, self.seed)
        self.trials.open(space, sampler, choices.make, begun=choices.own())

    def _prepared(self) -> Plan[Choices]:
        """Make demos, and find out what proposals are grounded in, side by side; then propose."""
        proposer = _proposer(self.settings, self.sizes, self.seed)
        making = self.study.desk.spawn(demo_sets(self.tasked, self._recipes()))
        grounding = self.study.desk.spawn(proposer.grounds(self.study))
        yield
        yield
        made: DemoSets = making.value()
        names = [name for name, _ in learners(self.study.task.student)]
        sets = {name: made.of(name) for name in names}
        proposed = yield from proposer.propose(self.study, grounding.value(), sets)
        pools = {} if self.settings.zero_shot else {name: self._pool(name, made) for name in names}
        self._notes = (*made.notes, *proposed.notes)
        return Choices(self.study.task.student, proposed.instructions, pools)

    def _recipes(self) -> list[Recipe]:
        task = self.study.task
        if not learners(task.student):
            return []
        count = _sets(self.settings, self.sizes)
        return recipes(self.settings.bootstrapper(), task.trainset, count, self._rng)

    def _pool(self, name: str, made: DemoSets) -> Pool:
        """Return the distinct sets of a predictor; the student's own is one of them."""
        own = dict(learners(self.study.task.student))[name].demos
        listed = [*made.of(name), [d if isinstance(d, Example) else Example(d) for d in own]]
        notes = [*(found.notes for found in made.found), ()]
        places = [place for place, demos in enumerate(listed) if _first(listed, demos) == place]
        return Pool(
            tuple(tuple(listed[place]) for place in places),
            tuple(notes[place] for place in places),
            places.index(_first(listed, listed[-1])),
        )


def _first(sets: Sequence[Sequence[Example]], wanted: Sequence[Example]) -> int:
    """Return the place of the first set with the same demos as ``wanted``."""
    plain = [dict(demo) for demo in wanted]
    return next(place for place, demos in enumerate(sets) if [dict(demo) for demo in demos] == plain)
