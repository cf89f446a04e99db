"""What a predictor is asked when its output was refused: its own signature with the past output and the
message, as in the paper on LM assertions (arXiv:2312.13382)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pytest_lmprog.programs.backtracking import Visit
from pytest_lmprog.signatures import Field, Signature
from pytest_lmprog.signatures.fields import MISSING

__all__ = ["demo_fields", "hinted_signature", "retry_inputs", "retry_signature"]

PAST = "past output with errors"
INSTRUCTIONS = "some instructions you must satisfy"


def retry_signature(signature: type[Signature]) -> type[Signature]:
    """Return ``signature`` with an input ``past_<output>`` for each output and one ``instructions``, behind
    its own inputs. A name that is taken gets a trailing underscore."""
    return _retry(signature)[0]


def retry_inputs(signature: type[Signature], refused: Visit) -> dict[str, Any]:
    """Return the further inputs: what ``refused`` put out, and the messages, a line each."""
    _, past, instructions = _retry(signature)
    outputs = refused.prediction
    assert outputs is not None
    shown = {name: outputs[output] for output, name in past.items()}
    return {**shown, instructions: "\n".join(refused.messages)}


def demo_fields(signature: type[Signature], demo: Mapping[str, Any]) -> Mapping[str, Field]:
    """Return the fields that ``demo`` may have: those of ``signature``, and where it shows how a refused
    output was mended (a counterexample) also those of a retry."""
    if len(demo) <= len(signature.output_fields):
        return signature.fields
    retry, past, instructions = _retry(signature)
    whole = instructions in demo and all(name in demo for name in past.values())
    return retry.fields if whole else signature.fields


@lru_cache(maxsize=256)
def hinted_signature(signature: type[Signature]) -> type[Signature]:
    """Return ``signature`` with the input ``hint_`` behind its own (see ``Refine``)."""
    if "hint_" in signature.fields:
        return signature
    hint = Field("hint_", "input", str, "a hint to this module from an earlier run")
    return signature.append_field(hint).with_instructions(signature.instructions)


@lru_cache(maxsize=256)
def _retry(signature: type[Signature]) -> tuple[type[Signature], Mapping[str, str], str]:
    """Return the signature, the name of the past of each output, and that of the instructions."""
    new, past = signature, {}
    for name, field in signature.output_fields.items():
        past[name] = _free(f"past_{name}", new)
        label = (field.prefix or name.replace("_", " ").title()).strip().rstrip(":")
        new = new.append_field(
            field.changed(
                name=past[name],
                role="input",
                desc=PAST,
                prefix=f"Past {label}:",
                default=MISSING,
                constraints=(),
            )
        )
    instructions = _free("instructions", new)
    new = new.append_field(Field(instructions, "input", str, INSTRUCTIONS, "Instructions:"))
    if new.instructions != signature.instructions:  # it was made from the field names: keep it
        new = new.with_instructions(signature.instructions)
    return new, past, instructions


def _free(name: str, signature: type[Signature]) -> str:
    while name in signature.fields:
        name += "_"
    return name
