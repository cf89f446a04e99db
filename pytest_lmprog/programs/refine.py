"""Refine: attempts that learn from those before, by advice to each predictor."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from pytest_lmprog.errors import AnswerError
from pytest_lmprog.programs.attempts import Attempting, Reward, Step
from pytest_lmprog.programs.backtracking import current_frame
from pytest_lmprog.programs.describing import as_text, code_of, described
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import Predict
from pytest_lmprog.signatures import InputField, OutputField, Signature

__all__ = ["OfferFeedback", "Refine"]


class OfferFeedback(Signature):
    """A program was run and its result falls short of the target reward. Find out which of its modules are to
    blame, and give each of these concrete advice for the next run on the same or similar inputs: what went
    wrong, and what to do instead. A module sees nothing but its own inputs and your advice. To a module that
    is not to blame, answer N/A."""

    program_code: str = InputField(desc="the code of the program")
    modules_defn: str = InputField(desc="what each module of the program takes and puts out")
    program_inputs: str = InputField(desc="what the program was given")
    program_trajectory: str = InputField(desc="what each module was given and put out, in order")
    program_outputs: str = InputField(desc="what the program put out")
    reward_code: str = InputField(desc="the code of the reward function")
    target_threshold: float = InputField(desc="the reward to reach")
    reward_value: float = InputField(desc="the reward that the result got")
    reward_feedback: str = InputField(desc="what the reward function said of the result")
    module_names: list[str] = InputField(desc="the modules that need advice")
    discussion: str = OutputField(desc="which module went wrong, and where")
    advice: dict[str, str] = OutputField(desc="for each module by name: its advice, or N/A")


class Refine(Attempting):
    """Runs a module up to ``N`` times like BestOfN; after an attempt that falls short, an LM gives each
    predictor advice, which the next attempt shows to it as the input ``hint_``.

    Parameters
    ----------
    module: the module; its predictors are named ``module...``; the one that advises is ``feedback``.
    N: attempts at most.
    reward_fn: ``f(inputs, prediction)``: a number, or what has ``score`` and ``feedback``. A failed
        ``assert`` is 0.0 and its message the feedback.
    threshold: the reward at which no further attempt is made.
    fail_count: attempts that may end in an error; default ``N``.
    """

    def __init__(
        self,
        module: Module,
        N: int,
        reward_fn: Callable[..., Any],
        threshold: float,
        fail_count: int | None = None,
    ) -> None:
        super().__init__(module, N, reward_fn, threshold, fail_count)
        self.feedback = Predict(OfferFeedback)

    def max_calls(self) -> int:
        """As BestOfN, and advice after each attempt but the last."""
        return super().max_calls() + (self.N - 1) * self.feedback.max_calls()

    def _after(
        self, step: Step, inputs: Mapping[str, Any], prediction: Prediction, reward: Reward
    ) -> Generator[Step, Any, None]:
        names = {id(p): name for name, p in self.module.named_predictors()}
        asked = {
            "program_code": code_of(type(self.module)),
            "modules_defn": described(self.module.named_predictors()),
            "program_inputs": as_text(dict(inputs)),
            "program_trajectory": as_text(_trajectory(step, names)),
            "program_outputs": as_text(dict(prediction)),
            "reward_code": code_of(self.reward_fn),
            "target_threshold": float(self.threshold or 0.0),
            "reward_value": reward.value,
            "reward_feedback": reward.feedback,
            "module_names": list(names.values()),
        }
        settings = {name: step.settings[name] for name in ("rollout",)}
        try:
            advice = (yield Step(self.feedback, asked, settings)).advice
        except AnswerError:
            return  # what cannot be read is no advice
        frame = current_frame()
        if frame is not None:
            frame.hints = {key: advice.get(name, "N/A") for key, name in names.items()}


def _trajectory(step: Step, names: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "module_name": names.get(id(call.predictor), call.name),
            "inputs": dict(call.inputs),
            "outputs": None if call.outputs is None else dict(call.outputs),
        }
        for call in step.trace.calls
    ]
