"""Several attempts at one run, each with answers of its own: what BestOfN and Refine share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from math import isfinite
from typing import Any

from pytest_lmprog.errors import AnswerError, LmprogError, UsageError
from pytest_lmprog.programs.context import context, current
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.trace import Trace, current_trace, tracing
from pytest_lmprog.records import dataclass

__all__ = ["Attempting", "Best", "Plan", "Reward", "Step", "rewarded"]


@dataclass(frozen=True)
class Step:
    """A run of a module that is to be made, noted in a trace of its own first."""

    module: Module
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)

    @contextmanager
    def around(self) -> Iterator[None]:
        """The surroundings of the run; in the end the outer trace has its calls too."""
        outer = current_trace()
        if outer is not None:
            self.trace.names = outer.names
        try:
            with context(**self.settings), tracing(None if outer is None else self.trace):
                yield
        finally:
            if outer is not None:
                outer.extend(self.trace)


Plan = Generator[Step, Any, Prediction]
"""Yields each run, is sent its result (or has its error thrown in), returns the prediction."""


@dataclass(frozen=True)
class Reward:
    """What a reward function said: a number, and in words why."""

    value: float
    feedback: str = ""


@dataclass
class Best:
    """The best attempt so far. All others' calls are marked as rejected: they are no demos."""

    prediction: Prediction | None = None
    reward: float = 0.0
    trace: Trace = field(default_factory=Trace)

    def take(self, prediction: Prediction, reward: float, trace: Trace) -> None:
        """Compare an attempt with the best: the first of equals wins."""
        if self.prediction is None or reward > self.reward:
            self.prediction, self.reward, self.trace, trace = prediction, reward, trace, self.trace
        drop(trace)


def drop(trace: Trace) -> None:
    """Mark the calls of an attempt that was not the best."""
    outer = current_trace()
    if outer is not None:
        for call in trace.calls:
            if call.rejected is None:
                outer.reject(call, "another attempt was better")


class Attempting(Module):
    """Base of modules that run another one up to ``N`` times.

    Attempt i of rollout r is rollout ``r * N + i`` of the module, at temperature 1.0: no two attempts share
    an answer, and a replay gives the same again.
    """

    def __init__(
        self,
        module: Module,
        N: int,
        reward_fn: Callable[..., Any],
        threshold: float | None,
        fail_count: int | None = None,
    ) -> None:
        if isinstance(N, bool) or not isinstance(N, int) or N < 1:
            raise UsageError(f"N must be 1 or more, not {N!r}")
        if not isinstance(module, Module):
            raise UsageError(f"the module to run must be a Module, not {module!r:.80}")
        if not callable(reward_fn):
            raise UsageError(f"reward_fn must be a function of the inputs and the prediction: {reward_fn!r}")
        self.module = module
        self.N = N
        self.reward_fn = reward_fn
        self.threshold = threshold
        self.fail_count = N if fail_count is None else fail_count

    def forward(self, **inputs: Any) -> Prediction:
        """Run the attempts. Raises the error of an attempt where more than ``fail_count`` ended in one,
        or all; errors that are not the program's (no answer, no budget) at once."""
        plan = self._plan(inputs)
        move: Callable[[], Step] = lambda: next(plan)  # noqa: E731
        while True:
            try:
                step = move()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                with step.around():
                    result = step.module(**step.inputs)
            except Exception as error:  # noqa: BLE001 - the plan decides
                move = _throwing(plan, error)
            else:
                move = _sending(plan, result)

    async def aforward(self, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        plan = self._plan(inputs)
        move: Callable[[], Step] = lambda: next(plan)  # noqa: E731
        while True:
            try:
                step = move()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                with step.around():
                    result = await step.module.acall(**step.inputs)
            except Exception as error:  # noqa: BLE001 - the plan decides
                move = _throwing(plan, error)
            else:
                move = _sending(plan, result)

    def max_calls(self) -> int:
        """``N`` runs of the module, and of the reward function where that is one."""
        judged = self.reward_fn.max_calls() if isinstance(self.reward_fn, Module) else 0
        return self.N * (self.module.max_calls() + judged)

    def _plan(self, inputs: Mapping[str, Any]) -> Plan:
        best, failed = Best(), 0
        for attempt in range(self.N):
            step = self._attempt(attempt, inputs)
            try:
                result = yield step
            except Exception as error:
                drop(step.trace)
                failed += 1
                last = attempt == self.N - 1 and best.prediction is None
                if _not_the_programs(error) or failed > self.fail_count or last:
                    raise
                continue
            prediction = result if isinstance(result, Prediction) else Prediction(output=result)
            reward = rewarded(self.reward_fn, inputs, prediction)
            best.take(prediction, reward.value, step.trace)
            if self.threshold is not None and reward.value >= self.threshold:
                break
            if attempt < self.N - 1:
                yield from self._after(step, inputs, prediction, reward)
        assert best.prediction is not None
        return best.prediction

    def _attempt(self, attempt: int, inputs: Mapping[str, Any]) -> Step:
        now = current()
        settings = {"rollout": now.rollout * self.N + attempt, "params": {**now.params, "temperature": 1.0}}
        return Step(self.module, inputs, settings)

    def _after(
        self, step: Step, inputs: Mapping[str, Any], prediction: Prediction, reward: Reward
    ) -> Generator[Step, Any, None]:
        """What is done between an attempt that falls short and the next."""
        del step, inputs, prediction, reward
        yield from ()


def _sending(plan: Plan, result: Any) -> Callable[[], Step]:
    return lambda: plan.send(result)


def _throwing(plan: Plan, error: Exception) -> Callable[[], Step]:
    return lambda: plan.throw(error)


def _not_the_programs(error: Exception) -> bool:
    return isinstance(error, LmprogError) and not isinstance(error, AnswerError)


def rewarded(reward_fn: Callable[..., Any], inputs: Mapping[str, Any], prediction: Prediction) -> Reward:
    """Return the reward: a number or bool, or what has a ``score`` and perhaps ``feedback``. A failed
    ``assert`` is 0.0 and its message the feedback, as in a metric."""
    try:
        said = reward_fn(dict(inputs), prediction)
    except AnswerError:
        raise
    except AssertionError as failure:
        return Reward(0.0, str(failure))
    value = said if isinstance(said, int | float) else getattr(said, "score", getattr(said, "value", said))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"the reward must be a number, not {said!r:.80}") from None
    if not isfinite(number):
        raise UsageError(f"the reward must be a finite number, not {number}")
    return Reward(number, str(getattr(said, "feedback", "") or ""))
