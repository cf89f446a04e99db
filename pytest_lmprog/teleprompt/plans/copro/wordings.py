"""Wordings: the instructions of a predictor with the label of its last output; proposed by an LM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.evaluation.scores import CaseResult
from pytest_lmprog.lm.types import LanguageModel
from pytest_lmprog.programs import Module, Predict
from pytest_lmprog.records import dataclass
from pytest_lmprog.signatures import Field, InputField, OutputField, Signature
from pytest_lmprog.teleprompt.engine.desk import Job
from pytest_lmprog.teleprompt.engine.study import Study
from pytest_lmprog.teleprompt.material.instructions import learners

__all__ = ["Proposer", "Wording", "proposed", "proposer_calls", "with_wording", "wordings_of"]


@dataclass(frozen=True, slots=True)
class Wording:
    """What is optimized of one predictor. ``prefix`` is None where the prompt shows none."""

    instruction: str
    prefix: str | None = None


class BetterInstruction(Signature):
    """You write instructions for language models. Given the instructions that a model works by now, write
    better ones: with them a capable model does the same task well. Be inventive."""

    basic_instruction: str = InputField(desc="the instructions as they are now")
    proposed_instruction: str = OutputField(desc="the better instructions, complete")
    proposed_prefix_for_output_field: str = OutputField(
        desc="a few words that label the last field of the model's answer and set it going"
    )


class InstructionAfterAttempts(Signature):
    """You write instructions for language models. Given instructions that were tried before and the score
    that each came to, from the worst to the best, write new ones that score higher than all of them. Be
    inventive."""

    attempted_instructions: str = InputField(desc="what was tried; a higher score is better")
    proposed_instruction: str = OutputField(desc="the new instructions, complete")
    proposed_prefix_for_output_field: str = OutputField(
        desc="a few words that label the last field of the model's answer and set it going"
    )


def proposer_calls() -> int:
    """Return the most LM calls of one proposal."""
    return max(Predict(BetterInstruction).max_calls(), Predict(InstructionAfterAttempts).max_calls())


@dataclass(frozen=True)
class Proposer:
    """Asks for wordings: each proposal is a rollout of its own.

    Parameters
    ----------
    lm: instead of the student's.
    temperature: of the proposals.
    """

    study: Study
    lm: LanguageModel | None
    temperature: float

    def first(self, wording: Wording, rollout: int) -> Job:
        """Return the job that improves on ``wording``."""
        return self._job(BetterInstruction, {"basic_instruction": wording.instruction}, rollout)

    def next(self, attempts: Sequence[tuple[Wording, float]], rollout: int) -> Job:
        """Return the job that is shown ``attempts`` with their scores, from the worst to the best."""
        shown = [_attempt(number, *attempt) for number, attempt in enumerate(attempts, 1)]
        return self._job(InstructionAfterAttempts, {"attempted_instructions": "\n\n".join(shown)}, rollout)

    def _job(self, signature: type[Signature], inputs: Mapping[str, Any], rollout: int) -> Job:
        return self.study.ask_job(
            Predict(signature), inputs, lm=self.lm, rollout=rollout, temperature=self.temperature
        )


def _attempt(number: int, wording: Wording, score: float) -> str:
    prefix = "" if wording.prefix is None else f"\nPrefix {number}: {wording.prefix}"
    return f"Instruction {number}: {wording.instruction}{prefix}\nScore {number}: {100 * score:.2f}"


def proposed(result: CaseResult, now: Wording) -> Wording | None:
    """Return the wording that was answered, or None: the answer cannot be read or has no instruction.

    Without a prefix in it, that of ``now`` stays."""
    if result.prediction is None:
        return None
    answer = result.prediction
    instruction = _bare(answer.proposed_instruction)
    prefix = " ".join(_bare(answer.proposed_prefix_for_output_field).split())
    return Wording(instruction, prefix or now.prefix) if instruction else None


def _bare(text: str) -> str:
    return text.strip().strip('"').strip()


def wordings_of(program: Module) -> dict[str, Wording]:
    """Return the wording of each predictor that may change, by its name."""
    return {
        name: Wording(predictor.signature.instructions, _last_output(predictor.signature).prefix)
        for name, predictor in learners(program)
    }


def with_wording(program: Module, name: str, wording: Wording) -> Module:
    """Return a copy of ``program`` in which the predictor ``name`` has this wording."""

    def edit(path: str, predictor: Predict) -> Predict:
        return predictor.with_signature(_worded(predictor.signature, wording)) if path == name else predictor

    return program.with_predictors(edit)


def _worded(signature: type[Signature], wording: Wording) -> type[Signature]:
    last = _last_output(signature)
    new = signature.with_instructions(wording.instruction)
    return new if wording.prefix == last.prefix else new.with_field(last.name, prefix=wording.prefix)


def _last_output(signature: type[Signature]) -> Field:
    return list(signature.output_fields.values())[-1]
