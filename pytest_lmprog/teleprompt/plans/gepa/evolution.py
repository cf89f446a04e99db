"""Evolution: GEPA's plan, which begins iterations, takes them in by their order, and keeps the account."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from pytest_lmprog.errors import BudgetExceededError
from pytest_lmprog.evaluation.scores import mean
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, Spent, StopReason
from pytest_lmprog.teleprompt.engine.desk import Plan, Ticket
from pytest_lmprog.teleprompt.engine.minibatches import minibatch
from pytest_lmprog.teleprompt.engine.shortfalls import one_line, shortfalls
from pytest_lmprog.teleprompt.engine.standing import checked_weights
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.gepa import GEPA, validates_on_trainset
from pytest_lmprog.teleprompt.material.hearing import asks_predictors
from pytest_lmprog.teleprompt.material.instructions import learners
from pytest_lmprog.teleprompt.plans.gepa.crossover import Crossover, find_crossover, subsample
from pytest_lmprog.teleprompt.plans.gepa.generation import Lab, Merging, Outcome, Reflecting, Runs
from pytest_lmprog.teleprompt.plans.gepa.population import Member, Population, Wording, wording
from pytest_lmprog.teleprompt.plans.gepa.stats import GEPAResult, statistics

__all__ = ["Evolution"]

_Iteration = Reflecting | Merging


class Evolution:
    """One evolution. Whatever it decides depends on iterations that were taken in, in their order."""

    def __init__(self, settings: GEPA, study: Study) -> None:
        task = study.task
        train, val = list(task.trainset), list(task.validation)
        shared = validates_on_trainset(task)
        start = 0 if shared else len(train)
        examples = train if shared else train + val
        self.lab = Lab(settings, study, examples, range(start, start + len(val)))
        self.settings, self.study = settings, study
        self.budget, self.limit = settings.budget(task), settings.metric_calls(task)
        self.weights = checked_weights(val)
        self.names = [name for name, _ in learners(task.student)]
        self.population = Population()
        self.tried: frozenset[Wording] = frozenset()
        self.rejected: frozenset[tuple[Wording, frozenset[int]]] = frozenset()
        self.candidates: list[Candidate] = []
        self.runs: dict[int, Runs] = {}
        self.counts: dict[int, int] = {}
        self.turns: Counter[int] = Counter()
        self.open: deque[tuple[Ticket, _Iteration]] = deque()
        self.asked: Counter[tuple[int, tuple[int, ...]]] = Counter()
        self.merges: list[Crossover] = []
        self.merges_kept = 0
        self.grew = False
        self.priced = self.made = self.begun = self.batches = 0
        self.unread: list[str] = []
        self.spent = False

    def plan(self) -> Plan[CompileResult]:
        """Evaluate the student, and evolve it."""
        self._expect()
        try:
            yield from self._seed()
        except BudgetExceededError:
            return self._unevaluated()
        yield from self._iterations()
        return self._result()

    def _iterations(self) -> Plan[None]:
        finished: set[Ticket] = set()
        self._begin()
        while self.open:
            finished.add((yield))
            while self.open and self.open[0][0] in finished:
                ticket, iteration = self.open.popleft()
                self._take(iteration, ticket.value())
                self._begin()

    def _expect(self) -> None:
        """Have progress count what asks no LM: metrics that are asked about predictors."""
        task = self.study.task
        if self.settings.use_feedback and asks_predictors(self.study.ranking):
            each = self.settings.batch(task) * self.settings.components(task)
            self.study.desk.expect(self.settings.reflections(task) * each)

    def _seed(self) -> Plan[None]:
        texts = {name: p.signature.instructions for name, p in learners(self.study.task.student)}
        places = self.lab.validation
        runs = yield from self.lab.run(texts, places, "evaluate", number=0)
        price = len(places)
        self._note(Outcome("as written", (), texts, runs, True, price, price))

    def _begin(self) -> None:
        """Begin iterations, as many as may be open."""
        while len(self.open) < self.settings.trials_in_flight:
            iteration = self._next()
            if iteration is None:
                return
            self.begun += 1
            self.grew = False
            if isinstance(iteration, Merging):
                self.merges.append(iteration.crossover)
            else:
                self.batches += 1
                self.asked[iteration.parent.index, iteration.batch] += 1
            self.open.append((self.study.desk.spawn(iteration.plan()), iteration))

    def _next(self) -> _Iteration | None:
        """Return the next iteration, or None where the budget may not suffice for it."""
        counted = self.priced + sum(iteration.price for _, iteration in self.open)
        if self.spent or counted >= self.budget:
            return None
        iteration = self._merging() or self._reflecting()
        reserved = sum(iteration.most for _, iteration in self.open)
        return iteration if self.made + reserved + iteration.most <= self.limit else None

    def _merging(self) -> Merging | None:
        limit = self.settings.max_merge_invocations
        exhausted = limit is not None and self.merges_kept >= limit
        if not (self.settings.use_merge and self.grew) or exhausted:
            return None
        rng = self.lab.rng("merge", self.begun)
        found = find_crossover(self.population, self.merges, self.tried, rng)
        if found is None:
            return None
        first, second = self.population.member(found.first), self.population.member(found.second)
        positions = subsample(first.scores, second.scores, rng)
        sample = tuple(self.lab.validation[position] for position in positions)
        bar = max(self.lab.score(self.runs[member.index], sample) for member in (first, second))
        return Merging(self.lab, self.begun, found, sample, bar)

    def _reflecting(self) -> Reflecting:
        parent = self._parent()
        size = self.settings.reflection_minibatch_size
        count = len(self.study.task.trainset)
        batch = minibatch(count, size, self.batches, lambda epoch: self.lab.rng("minibatch", epoch))
        had = self.runs[parent.index]
        known = {place: had[place] for place in batch if place in had}
        return Reflecting(
            self.lab,
            self.begun,
            self.population,
            self.tried,
            self.rejected,
            parent,
            batch,
            known,
            self._turn(parent),
            self.asked[parent.index, batch],
        )

    def _parent(self) -> Member:
        if self.settings.candidate_selection_strategy == "current_best":
            return self.population.best()
        return self.population.draw(self.lab.rng("parent", self.begun))

    def _turn(self, parent: Member) -> Sequence[str] | Callable[..., Sequence[str]]:
        """Return the predictors to change: each in turn, those of open iterations before it counted."""
        selector = self.settings.component_selector
        if callable(selector):
            return selector
        if selector == "all":
            return self.names
        ahead = sum(iteration.parents == (parent.index,) for _, iteration in self.open)
        return [self.names[(self.turns[parent.index] + ahead) % len(self.names)]]

    def _take(self, iteration: _Iteration, outcome: Outcome) -> None:
        """Take in what came of an iteration."""
        self.spent |= outcome.spent
        self.unread += outcome.unread
        if outcome.parent_runs:
            (parent,) = outcome.parents
            self.runs[parent] = {**self.runs[parent], **outcome.parent_runs}
        if outcome.changed:
            self.turns[outcome.parents[0]] += 1
        self._note(outcome)
        if outcome.kept and isinstance(iteration, Merging):
            self.merges_kept += 1
        elif outcome.kept:
            self.grew = True

    def _note(self, outcome: Outcome) -> None:
        """Take in the child, where there is one: to the candidates, and to the population if it was kept."""
        self.priced += outcome.price
        self.made += outcome.made
        if outcome.texts is None or wording(outcome.texts) in self.tried:
            return  # no child, or one that an iteration before it came to meanwhile
        if outcome.kept:
            self.tried |= {wording(outcome.texts)}
        else:
            self.rejected |= {(wording(outcome.texts), frozenset(outcome.runs))}
        index = len(self.candidates)
        self.runs[index] = outcome.runs
        score = self._join(index, outcome) if outcome.kept else None
        program = self.lab.program(outcome.texts)
        spent = Spent()
        for result in outcome.runs.values():
            spent = spent.plus(result.trace)
        characters = self.study.characters(program)
        self.candidates.append(
            Candidate(index, outcome.label, program, score, characters, outcome.parents, spent)
        )
        self.study.note(self.candidates[-1])
        if score is not None and score == max(m.mean for m in self.population.members):
            self.study.desk.best(score, outcome.label)

    def _join(self, index: int, outcome: Outcome) -> float:
        assert outcome.texts is not None
        places = self.lab.validation
        scores = tuple(self.study.ranking.score(outcome.runs[place]) for place in places)
        total = mean(scores, self.weights)
        self.counts[index] = self.made
        self.population = self.population.plus(Member(index, outcome.texts, scores, total, outcome.parents))
        self.turns[index] = max((self.turns[parent] for parent in outcome.parents), default=0)
        return total

    def _unevaluated(self) -> CompileResult:
        """The budget is spent before the student was evaluated: it is the result, as it is."""
        own = self.study.task.student.copy()
        student = Candidate(0, "as written", own, None, self.study.characters(own))
        note = "the budget was spent before a candidate was evaluated: the program is as written"
        return CompileResult(own, (student,), 0, stopped="budget", notes=(note,))

    def _result(self) -> CompileResult:
        scored = [candidate for candidate in self.candidates if candidate.score is not None]
        winner = max(scored, key=lambda c: (c.score, -c.characters, -c.index))
        stopped: StopReason = "budget" if self.spent else "done"
        result = CompileResult(
            winner.program,
            tuple(self.candidates),
            winner.index,
            winner.score,
            len(self.lab.validation),
            stopped,
            self._notes(winner),
        )
        if self.settings.track_stats:
            winner.program.detailed_results = self._statistics(winner)  # type: ignore[attr-defined]
        return result

    def _statistics(self, winner: Candidate) -> GEPAResult:
        outputs = [
            {member.index: self.runs[member.index][place] for member in self.population.members}
            for place in self.lab.validation
        ]
        return statistics(
            self.population,
            self.candidates,
            winner,
            counts=self.counts,
            outputs=outputs if self.settings.track_best_outputs else None,
            total=self.made,
            seed=self.settings.seed,
        )

    def _notes(self, winner: Candidate) -> tuple[str, ...]:
        runs = self.runs[winner.index]
        places = self.lab.validation
        errors = {place: runs[place].error for place in places}
        failures = {place: error.message for place, error in errors.items() if error is not None}
        notes = [*shortfalls(failures, len(places), winner.score)]
        if self.unread:
            count = len(self.unread)
            what = "1 reflection" if count == 1 else f"{count} reflections"
            notes.append(f"{what} gave no instruction; the first: {one_line(self.unread[0])}")
        return tuple(notes)
