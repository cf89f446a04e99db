"""Climb: the steps of SIMBA, as a plan: sample, learn, score; in the end evaluate the best of each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from pytest_lmprog.errors import BudgetExceededError, CompileError
from pytest_lmprog.evaluation.scores import CaseResult, mean
from pytest_lmprog.programs import Example, Module
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.base import Candidate, CompileResult, Spent
from pytest_lmprog.teleprompt.engine.calls import teacher_calls
from pytest_lmprog.teleprompt.engine.desk import Job, Plan
from pytest_lmprog.teleprompt.engine.driver import MAX_CAUSES
from pytest_lmprog.teleprompt.engine.gathering import gathered, scored
from pytest_lmprog.teleprompt.engine.race import Proposal, Race
from pytest_lmprog.teleprompt.engine.seeds import seeded
from pytest_lmprog.teleprompt.engine.standing import checked_weights
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.engine.verdict import best_so_far, verdict
from pytest_lmprog.teleprompt.material.demos import without_example
from pytest_lmprog.teleprompt.material.instructions import with_instructions
from pytest_lmprog.teleprompt.material.teacher import on_lm
from pytest_lmprog.teleprompt.plans.simba.buckets import Scored, batch_of_runs
from pytest_lmprog.teleprompt.plans.simba.introspection import advised, introspection, questions
from pytest_lmprog.teleprompt.plans.simba.lessons import Lesson, drawn_lesson
from pytest_lmprog.teleprompt.plans.simba.pool import Member, Pool, batch_of
from pytest_lmprog.teleprompt.simba import SIMBA

__all__ = ["Climb"]

HOPELESS = 10
"""Runs of the first mini-batch after which a program that has met nothing but errors is given up."""


@dataclass(frozen=True)
class Grown:
    """A program that learnt its lesson, and its runs on the mini-batch."""

    lesson: Lesson
    program: Module
    results: Sequence[CaseResult]


@dataclass
class Climb:
    """One compile with SIMBA.

    Within a step all runs of the mini-batch go side by side, then each lesson by itself (advice, then the
    runs of the new program). What is drawn depends on the seed, the step and scores alone.
    """

    settings: SIMBA
    study: Study
    pool: Pool = field(default_factory=Pool)

    def __post_init__(self) -> None:
        task = self.study.task
        checked_weights(task.trainset)
        self.race = Race(self.study, task.validation)
        self.student = Member(0, "student", task.student.copy(), self.study)
        self.pool.add(self.student)
        self.best_of_steps = [self.student]
        self._size = self.settings.batch_size(task)
        self._advisor = introspection(task.student, use_feedback=self.settings.use_feedback)
        self._highest = 0.0
        self._taught: list[CaseResult] = []
        self._asked: dict[tuple[int, int], CaseResult] = {}

    def plan(self) -> Plan[CompileResult]:
        """Climb, then evaluate the best of the steps."""
        try:
            for step in range(self.settings.max_steps):
                yield from self._step(step)
            yield from self._validate()
        except BudgetExceededError:
            result = self._so_far()
        else:
            result = verdict(self.race, unraced=self._unraced())
        return replace(result, notes=(*self._notes(), *result.notes))

    def _step(self, step: int) -> Plan[None]:
        batch = batch_of(self.study.task.trainset, self._size, seed=self.study.seed, step=step)
        runs = yield from self._sampled(step, batch)
        if step == 0:
            self._judge_student(batch, runs)
        lessons = self._lessons(step, runs)
        grown = yield from self._grown(step, batch, lessons)
        members = [self._joined(step, batch, one) for one in grown if not self.pool.knows(one.program)]
        if members:
            self.best_of_steps.append(max(members, key=Member.place))

    def _sampled(self, step: int, batch: Sequence[Example]) -> Plan[list[list[Scored]]]:
        """Return the runs of each example, in the order of their rollouts."""
        rng, settings = seeded(self.study.seed, "sample", step), self.settings
        jobs = []
        for rollout in range(settings.num_candidates):
            for example in batch:
                member = self.pool.draw(rng, settings.num_candidates, settings.temperature_for_sampling)
                jobs.append(self._job(member.program, example, rollout))
        results = yield from gathered(self.study, jobs)
        if self._is_taught:
            self._taught += results[: len(batch)]
        runs = [self._scored(result) for result in results]
        self._highest = max(self._highest, *(run.score for run in runs))
        return [runs[place :: len(batch)] for place in range(len(batch))]

    @property
    def _is_taught(self) -> bool:
        return self.settings.is_taught(self.study.task)

    def _job(self, program: Module, example: Example, rollout: int) -> Job:
        if rollout == 0 and self._is_taught:
            return self._teacher_job(program, example)
        return self.study.student_job(without_example(program, example), example, "sample", rollout=rollout)

    def _teacher_job(self, program: Module, example: Example) -> Job:
        """Return the run of the teacher, scored as the student's: a program of its own, or this one on
        its LM or with its settings."""
        task = self.study.task
        if isinstance(task.teacher, Module):
            program = task.teacher
        elif task.teacher is not None:
            program = on_lm(program, task.teacher)
        job = self.study.student_job(without_example(program, example), example, "sample")
        settings = {**self.study.settings, **(self.settings.teacher_settings or {})}
        return replace(job, max_calls=teacher_calls(task), settings=settings)

    def _scored(self, result: CaseResult) -> Scored:
        ranking = self.study.ranking
        said = ranking.feedback(result) if self.settings.use_feedback else ""
        return Scored(result, ranking.score(result), said)

    def _judge_student(self, batch: Sequence[Example], runs: Sequence[Sequence[Scored]]) -> None:
        """Score the student by its runs of the first mini-batch: as new programs by rollout 0, or where a
        teacher has taken that by the others. Raises CompileError where all runs ended in an error."""
        self._check_hope([run.result for of_one in runs for run in of_one])
        own = [of_one[1:] if self._is_taught else of_one[:1] for of_one in runs]
        if own[0]:
            weights = [example.weight for example in batch for _ in own[0]]
            self.student.score = mean([run.score for of_one in own for run in of_one], weights)
        for run in (run for of_one in own for run in of_one):
            self.student.spent = self.student.spent.plus(run.result.trace)

    def _check_hope(self, results: Sequence[CaseResult]) -> None:
        errors = [result for result in results if result.error is not None]
        if len(results) < HOPELESS or len(errors) < len(results):
            return
        told = dict.fromkeys(f"{e.example.id}: {e.error.kind}: {e.error.message}" for e in errors if e.error)
        causes = "\n  ".join(list(told)[:MAX_CAUSES])
        raise CompileError(
            f"all {len(results)} runs on the first mini-batch ended in an error:\n  {causes}",
            hint="run the program on one example alone to see what is wrong",
        )

    def _lessons(self, step: int, runs: Sequence[Sequence[Scored]]) -> list[Lesson]:
        """Return what the mini-batch teaches, the most promising first."""
        batch = batch_of_runs(runs)
        lessons = []
        for place in range(len(batch.buckets)):
            rng = seeded(self.study.seed, "lesson", step, place)
            lesson = drawn_lesson(self.settings, self.pool, batch, place, rng=rng)
            if lesson is not None:
                lessons.append(lesson)
        return lessons

    def _grown(self, step: int, batch: Sequence[Example], lessons: Sequence[Lesson]) -> Plan[list[Grown]]:
        """Return the programs that learnt something new, in the order of their lessons. Lessons beyond
        those wanted take the place of such as came to nothing."""
        wanted = most = self.settings.num_candidates + 1
        grown: list[Grown] = []
        asked = 0
        while lessons and wanted:
            wave, lessons = lessons[:wanted], lessons[wanted:]
            asked += sum(lesson.kind == "rule" for lesson in wave)
            tickets = [self.study.desk.spawn(self._grow(step, lesson, batch)) for lesson in wave]
            for _ in tickets:
                yield
            grown += [one for ticket in tickets if (one := ticket.value()) is not None]
            wanted = most - len(grown)
        self.study.desk.expect(asked - len(batch) + (len(grown) - most) * len(batch))
        return grown

    def _grow(self, step: int, lesson: Lesson, batch: Sequence[Example]) -> Plan[Grown | None]:
        program = lesson.with_demos() if lesson.kind == "demo" else (yield from self._ruled(step, lesson))
        if program is None or self.pool.knows(program):
            return None
        results = yield from scored(self.study, program, batch)
        return Grown(lesson, program, results)

    def _ruled(self, step: int, lesson: Lesson) -> Plan[Module | None]:
        """Return the pupil with advice, or None where there was none that could be read."""
        settings = self.settings
        inputs = questions(
            lesson.pupil,
            lesson.bucket,
            use_feedback=settings.use_feedback,
            limit=settings.demo_input_field_maxlen,
        )
        job = self.study.ask_job(self._advisor, inputs, lm=settings.prompt_model)
        (result,) = yield from gathered(self.study, [job])
        self._asked[step, lesson.place] = result
        instructions = {} if result.prediction is None else advised(lesson.pupil, result.prediction)
        return with_instructions(lesson.pupil, instructions) if instructions else None

    def _joined(self, step: int, batch: Sequence[Example], grown: Grown) -> Member:
        """Take a new program into the pool."""
        spent = Spent()
        for result in grown.results:
            spent = spent.plus(result.trace)
        scores = [self.study.ranking.score(result) for result in grown.results]
        member = Member(
            len(self.pool.members),
            f"step {step + 1}, {grown.lesson.kind}",
            grown.program,
            self.study,
            score=mean(scores, [example.weight for example in batch]),
            parents=(grown.lesson.source.index,),
            spent=spent,
        )
        self.pool.add(member)
        return member

    def _validate(self) -> Plan[None]:
        """Race the best of the steps, thinned evenly where there are many, on the validation examples."""
        last, spread = len(self.best_of_steps) - 1, self.settings.num_candidates
        places = dict.fromkeys(round(number * last / spread) for number in range(spread + 1))
        less = len(places) - self.settings.finalists()
        self.study.desk.expect(less * len(self.race.examples))
        for place in places:
            one = self.best_of_steps[place]
            self.race.enter(Proposal(one.index, one.label, one.program, one.parents, spent=one.spent))
        for candidate in self._unraced():
            self.study.note(candidate)
        while self.race.running:
            self.race.record((yield))

    def _unraced(self) -> list[Candidate]:
        return [self._candidate(m) for m in self.pool.members if m.index not in self.race.entries]

    def _candidate(self, member: Member) -> Candidate:
        return Candidate(
            member.index, member.label, member.program, None, member.characters, member.parents, member.spent
        )

    def _so_far(self) -> CompileResult:
        """The budget is spent: the best that was validated, else the best by its mini-batch."""
        best = max(self.pool.members, key=Member.place)
        told = "as written" if best is self.student else "the best on its mini-batch"
        return best_so_far(self.race, self._candidate(best), unraced=self._unraced(), told=told)

    def _notes(self) -> tuple[str, ...]:
        """Return what is to be told whoever wins."""
        settings, rows = self.settings, len(self.study.task.trainset)
        notes = []
        if settings.bsize > rows:
            notes.append(f"bsize is {settings.bsize} and the trainset has {rows}: a mini-batch is all of it")
        asked = [self._asked[key] for key in sorted(self._asked)]
        notes += _failures(self._taught, "runs of the teacher ended in an error")
        notes += _failures(asked, "pieces of advice could not be read")
        if len(self.pool.members) == 1 and self.student.score is not None:
            why = "no run scored above 0" if self._highest == 0 else "no runs differed"
            notes.append(f"nothing could be learnt from the trainset ({why}): the program is as written")
        return tuple(notes)


def _failures(results: Sequence[CaseResult], what: str) -> list[str]:
    """Return a note where there are results and each of them is an error."""
    errors = [result.error for result in results if result.error is not None]
    if not errors or len(errors) < len(results):
        return []
    return [f"all {len(errors)} {what}: {errors[0].kind}: {errors[0].message}"]
