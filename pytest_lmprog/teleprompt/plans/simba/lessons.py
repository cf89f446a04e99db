"""Lessons: which program learns what from a bucket of runs: a demo or a rule. Pure, but for the draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from random import Random
from typing import Literal

from pytest_lmprog.programs import Example, Module, Predict
from pytest_lmprog.records import dataclass
from pytest_lmprog.teleprompt.material.demos import comes_from, last_demos
from pytest_lmprog.teleprompt.material.instructions import learners
from pytest_lmprog.teleprompt.plans.simba.buckets import Batch, Bucket
from pytest_lmprog.teleprompt.plans.simba.introspection import cut
from pytest_lmprog.teleprompt.plans.simba.pool import Member, Pool
from pytest_lmprog.teleprompt.simba import SIMBA

__all__ = ["Lesson", "drawn_lesson", "poisson", "thinned"]

ROOM = 3
"""Demos at which some are dropped where no demos are added (``max_demos=0``), as in DSPy."""

Kind = Literal["demo", "rule"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the ``pupil`` (the program of ``source``, some demos dropped) is to learn: ``demos`` by
    predictor, or a rule from the ``bucket``. ``place``: its number among the lessons drawn."""

    place: int
    kind: Kind
    bucket: Bucket
    source: Member
    pupil: Module
    demos: Mapping[str, Example] = field(default_factory=dict)

    def with_demos(self) -> Module:
        """Return the pupil with the demos behind its own. One from the same example is replaced."""
        example = self.bucket.best.result.example

        def edit(name: str, predictor: Predict) -> Predict:
            if name not in self.demos:
                return predictor
            others = [demo for demo in predictor.demos if not comes_from(demo, example)]
            return predictor.with_demos([*others, self.demos[name]])

        return self.pupil.with_predictors(edit)


def drawn_lesson(settings: SIMBA, pool: Pool, batch: Batch, place: int, *, rng: Random) -> Lesson | None:
    """Return what the bucket at ``place`` teaches, or None: who learns, how many demos it loses and what it
    learns are drawn; where what was drawn cannot be taught, the other is."""
    bucket = batch.buckets[place]
    source = pool.draw(rng, settings.num_candidates, settings.temperature_for_candidates)
    pupil = thinned(source.program, settings.max_demos or ROOM, rng)
    for kind in _kinds(settings, rng):
        if kind == "rule" and batch.teaches_rule(bucket):
            return Lesson(place, kind, bucket, source, pupil)
        if kind == "demo" and batch.teaches_demo(bucket):
            demos = _demos(bucket, pupil, settings.demo_input_field_maxlen)
            if demos:
                return Lesson(place, kind, bucket, source, pupil, demos)
    return None


def _kinds(settings: SIMBA, rng: Random) -> tuple[Kind, ...]:
    """Return what may be taught, what was drawn first."""
    if not settings.max_demos:
        return ("rule",)
    return ("demo", "rule") if rng.random() < 0.5 else ("rule", "demo")


def thinned(program: Module, room: int, rng: Random) -> Module:
    """Return the program without some demos, the same places in every predictor: as many as a Poisson
    variable of mean demos / room says, and at least one where it is full."""
    pupils = {name for name, _ in learners(program)}
    held = max((len(p.demos) for name, p in program.named_predictors() if name in pupils), default=0)
    count = min(held, max(poisson(rng, held / room), int(held >= room)))
    dropped = {rng.randrange(held) for _ in range(count)}

    def edit(name: str, predictor: Predict) -> Predict:
        if name not in pupils:
            return predictor
        return predictor.with_demos(d for place, d in enumerate(predictor.demos) if place not in dropped)

    return program.with_predictors(edit) if dropped else program


def poisson(rng: Random, mean: float) -> int:
    """Draw from the Poisson distribution (Knuth, The Art of Computer Programming, vol. 2, 3.4.1)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _demos(bucket: Bucket, pupil: Module, limit: int) -> dict[str, Example]:
    run = bucket.best.result
    known = dict(learners(pupil))
    demos = last_demos(run.trace, run.example, known)
    return {name: _cut_inputs(demo, known[name], limit) for name, demo in demos.items()}


def _cut_inputs(demo: Example, predictor: Predict, limit: int) -> Example:
    """Return the demo, its input texts cut: values of other types stay whole, so that they keep theirs."""
    inputs = predictor.signature.input_fields
    texts = {name: demo[name] for name in inputs if isinstance(demo.get(name), str)}
    return demo.copy(**{name: cut(text, limit) for name, text in texts.items()})
