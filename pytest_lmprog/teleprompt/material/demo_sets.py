"""Demo sets: several sets of demos a predictor, bootstrapped side by side, as a plan."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pytest_lmprog.programs import Example
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.bootstrap import BootstrapFewShot
from pytest_lmprog.teleprompt.engine.desk import Plan
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.bootstrapping import Bootstrap, Bootstrapped, all_failures, bootstrap
from pytest_lmprog.teleprompt.material.demos import labeled_program, with_demos
from pytest_lmprog.teleprompt.material.instructions import learners

__all__ = ["DemoSets", "Recipe", "bootstraps", "demo_sets", "recipes"]


@dataclass(frozen=True)
class Recipe:
    """How one set is made: from a bootstrap, of labeled demos (``labeled``), or empty."""

    spec: Bootstrap | None = None
    labeled: int = 0


@dataclass(frozen=True)
class DemoSets:
    """The sets, one a recipe: demos by predictor name, and what fell short. ``notes`` hold whichever wins."""

    found: tuple[Bootstrapped, ...]
    notes: tuple[str, ...] = ()

    def of(self, name: str) -> list[list[Example]]:
        """Return the demos of one predictor, set by set."""
        return [_demos(one, name) for one in self.found]


def bootstraps(count: int, labeled: int) -> int:
    """Return how many of ``count`` sets are bootstrapped."""
    return max(0, count - (2 if labeled else 1))


def recipes(strategy: BootstrapFewShot, trainset: Sequence[Example], count: int, rng: Random) -> list[Recipe]:
    """Return how the sets are made: none, labeled, a bootstrap in the given order, then over shuffles of
    the trainset, each for a random number of demos (DSPy's ``create_n_fewshot_demo_sets``, whose draws
    these are). Without labeled demos a shuffled bootstrap stands in the second place."""
    most = strategy.max_bootstrapped_demos
    made = []
    for place in range(count):
        if place == 0:
            made.append(Recipe())
        elif place == 1 and strategy.max_labeled_demos:
            made.append(Recipe(labeled=strategy.max_labeled_demos))
        elif place == 2:
            made.append(Recipe(strategy.spec(trainset, most, rank=(0, place))))
        else:
            rows = list(trainset)
            rng.shuffle(rows)
            wanted = rng.randint(1, most) if most else 0
            made.append(Recipe(strategy.spec(rows, wanted, rank=(0, place))))
    return made


def demo_sets(study: Study, made: Sequence[Recipe]) -> Plan[DemoSets]:
    """Make the sets, all bootstraps side by side."""
    tickets = {
        place: study.desk.spawn(bootstrap(study, recipe.spec))
        for place, recipe in enumerate(made)
        if recipe.spec is not None
    }
    for _ in tickets:
        yield
    return DemoSets(
        tuple(
            tickets[place].value() if place in tickets else _plain(study, recipe)
            for place, recipe in enumerate(made)
        ),
        all_failures([tickets[place].value() for place in sorted(tickets)]),
    )


def _plain(study: Study, recipe: Recipe) -> Bootstrapped:
    task = study.task
    if not recipe.labeled:
        return Bootstrapped(with_demos(task.student, {}))
    return Bootstrapped(labeled_program(task.student, task.trainset, recipe.labeled, seed=study.seed))


def _demos(found: Bootstrapped, name: str) -> list[Example]:
    predictor = dict(learners(found.program))[name]
    return [demo if isinstance(demo, Example) else Example(demo) for demo in predictor.demos]
