"""What MIPROv2's proposer asks: signatures, and the tips that make its proposals differ."""

from __future__ import annotations

from pytest_lmprog.signatures import InputField, OutputField, Signature

__all__ = [
    "TIPS",
    "DescribeModule",
    "DescribeProgram",
    "ObserveRows",
    "ProposeInstruction",
    "SummarizeObservations",
]

TIPS = {
    "none": "",
    "creative": "Feel free to be creative in how you word the instruction.",
    "simple": "Keep the instruction short and clear.",
    "description": "Make the instruction detailed and informative.",
    "high_stakes": "Put the task into a situation in which much depends on solving it correctly.",
    "persona": 'Give the model a role that suits the task ("You are a ...").',
}
"""Tips by name (arXiv:2406.11695, appendix)."""


class ObserveRows(Signature):
    """Look at these rows of a dataset and write down what holds for most or all of them: topics, content,
    wording, length, form of the answers. Make an educated guess at the task that the dataset is for. Where
    earlier observations are given, add only what is new; if they cover everything, answer COMPLETE."""

    examples: str = InputField(desc="rows of the dataset")
    prior_observations: str = InputField(desc="what was observed of other rows")
    observations: str = OutputField(desc="what holds for most or all of the rows")


class SummarizeObservations(Signature):
    """Sum up these observations about a dataset in two or three sentences. Keep only what matters most."""

    observations: str = InputField(desc="observations about the dataset")
    summary: str = OutputField(desc="two or three sentences")


class DescribeProgram(Signature):
    """This program solves a task by calls to a language model. Describe the task that it is meant to solve,
    and how it goes about it."""

    program_code: str = InputField(desc="the program's code, and what each of its modules takes and puts out")
    program_example: str = InputField(desc="what it is given and should put out, once")
    program_description: str = OutputField(desc="the task, and how the program solves it")


class DescribeModule(Signature):
    """This program solves a task by calls to a language model. Describe what one of its modules is for."""

    program_code: str = InputField(desc="the program's code, and what each of its modules takes and puts out")
    program_description: str = InputField(desc="what the program does")
    module: str = InputField(desc="the module to describe")
    module_description: str = OutputField(desc="the module's part in the program")


class ProposeInstruction(Signature):
    """A language model is to solve a task. Use what is known of the task to write a new instruction for the
    model that makes it solve the task better than the present one does. Answer with the instruction only."""

    dataset_description: str = InputField(desc="what the data looks like")
    program_code: str = InputField(desc="the program that the instruction is for")
    program_description: str = InputField(desc="what the program does")
    module: str = InputField(desc="the module of the program that is to be instructed")
    module_description: str = InputField(desc="what that module is for")
    task_demos: str = InputField(desc="inputs and outputs of the module")
    basic_instruction: str = InputField(desc="the present instruction")
    tip: str = InputField(desc="how to go about the new instruction")
    proposed_instruction: str = OutputField(desc="the new instruction")
