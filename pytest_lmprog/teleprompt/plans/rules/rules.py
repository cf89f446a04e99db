"""Rules: induced by an LM from a predictor's examples, and added to its instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lmprog.adapters.text import demo_values, output_text, value_text
from pytest_lmprog.errors import LMRequestError
from pytest_lmprog.programs import ChainOfThought, Example, Module, Predict, Prediction
from pytest_lmprog.signatures import Field, InputField, OutputField, Signature
from pytest_lmprog.signatures.kinds import is_rich
from pytest_lmprog.teleprompt.material.demos import comes_from, labeled_demos

__all__ = ["Induction", "example_texts", "ruled"]


class RuleInduction(Signature):
    """Rules that a model can follow are read off examples of a task."""

    examples_text: str = InputField(desc="examples of the task: what goes in, what must come out")
    natural_language_rules: str = OutputField(desc="the rules, one a line")


_ORDER = (
    "Below are examples of a task that language models do. Find {rules} by which their outputs follow from "
    "their inputs, and write {them} down for a model that has not seen the examples. Be brief, say nothing "
    "twice, say what to do and when, and rule on cases like these, not on these very cases."
)


class Induction(Module):
    """Induces rules from examples; where they are longer than the LM's context, from the first half of
    them, again and again.

    Parameters
    ----------
    num_rules: how many rules to ask for.
    most: the most examples that it will be given.
    """

    def __init__(self, num_rules: int, most: int) -> None:
        many = num_rules > 1
        order = _ORDER.format(rules=f"{num_rules} rules" if many else "a rule", them="them" if many else "it")
        self.induce = ChainOfThought(RuleInduction.with_instructions(order))
        self.most = most

    def forward(self, examples: list[str]) -> Prediction:
        """Return a prediction with ``natural_language_rules``. Raises LMRequestError where one example is
        too long."""
        while True:
            try:
                return self.induce(examples_text="\n\n".join(examples))
            except LMRequestError as refused:
                if not refused.context_window or len(examples) == 1:
                    raise
            examples = examples[: len(examples) // 2]

    def max_calls(self) -> int:
        """One induction, and one more for each halving."""
        return self.induce.max_calls() * max(1, self.most.bit_length())


def example_texts(predictor: Predict, rows: Sequence[Example]) -> list[str]:
    """Return the predictor's examples as texts: its demos, then ``rows`` that none of them comes from and
    that have an input and an output of it."""
    signature = predictor.signature
    rest = [row for row in rows if not any(comes_from(demo, row) for demo in predictor.demos)]
    shown = demo_values(signature, [*predictor.demos, *labeled_demos(rest, signature)])
    return [_text(signature, number, values) for number, values in enumerate(shown, 1)]


def _text(signature: type[Signature], number: int, values: Mapping[str, Any]) -> str:
    given = [_input_line(f, values[name]) for name, f in signature.input_fields.items() if name in values]
    due = [f"{n}: {output_text(f, values)}" for n, f in signature.output_fields.items() if n in values]
    return "\n".join([f"Example {number}", "Inputs:", *given, "Outputs:", *due])


def _input_line(field: Field, value: Any) -> str:
    return f"{field.name}: {f'({field.type_text})' if is_rich(field) else value_text(field, value)}"


def ruled(instructions: str, rules: str) -> str:
    """Return the instructions with rules added."""
    return f"{instructions}\n\nKeep to these rules:\n{rules}"
