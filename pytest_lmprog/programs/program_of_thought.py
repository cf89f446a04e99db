"""ProgramOfThought: the LM writes code, a sandbox runs it, the LM reads the answer off its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_lmprog.adapters.lenient import unfenced
from pytest_lmprog.errors import CodeError, UsageError
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.flow import Asking, Calling, Flow, awaited, finished
from pytest_lmprog.programs.interpreter import CodeRun, PythonInterpreter
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import ChainOfThought, inputs_by_name
from pytest_lmprog.programs.recorded import recorded
from pytest_lmprog.signatures import Field, Signature, ensure_signature

__all__ = ["ProgramOfThought"]

_MOST_TIMEOUTS = 2
"""Times that code may run out of time before no more is tried: the third would fare no better."""


class ProgramOfThought(Module):
    """Answers by code that the LM writes (Chen et al., arXiv:2211.12588).

    ``code_generate`` writes Python code that computes the outputs from the inputs, which are its variables.
    It runs in the sandbox of the extra ``sandbox``, never in this process. Where it fails,
    ``code_regenerate`` is shown the code and the error and writes it anew, until code has run
    ``max_iters`` times (or its time was up twice). ``generate_output`` reads the outputs off what the code
    gave. Runs of code are recorded and replayed as calls of tools are, under the name ``python``.

    Parameters
    ----------
    signature: what is asked: a Signature class or a string.
    max_iters: the most times that code is written and run.
    interpreter: runs the code; by default a ``PythonInterpreter()``.

    Raises CodeError, which counts as the program's failure, where no code ran to its end.
    """

    def __init__(
        self,
        signature: type[Signature] | Signature | str,
        max_iters: int = 3,
        interpreter: PythonInterpreter | None = None,
    ) -> None:
        if max_iters < 1:
            raise UsageError(f"max_iters must be 1 or more, not {max_iters}")
        self.signature = ensure_signature(signature)
        self.max_iters = max_iters
        self.interpreter = interpreter or PythonInterpreter()
        self.code_generate = ChainOfThought(_generating(self.signature))
        self.code_regenerate = ChainOfThought(_regenerating(self.signature))
        self.generate_output = ChainOfThought(_answering(self.signature))

    def max_calls(self) -> int:
        """The code is written ``max_iters`` times at most and its output read once."""
        again = (self.max_iters - 1) * self.code_regenerate.max_calls()
        return self.code_generate.max_calls() + again + self.generate_output.max_calls()

    def forward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """Return the outputs of the signature. Takes its inputs by name or position."""
        return finished(self._flow(inputs_by_name(self.signature, args, inputs)))

    async def aforward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """The same, awaiting the LM."""
        return await awaited(self._flow(inputs_by_name(self.signature, args, inputs)))

    def _flow(self, inputs: Mapping[str, Any]) -> Flow:
        written = yield Asking(self.code_generate, inputs)
        timeouts = 0
        for attempt in range(1, self.max_iters + 1):
            code = unfenced(written.generated_code or "")
            given = {"code": code, "variables": self._variables(inputs)}
            done: CodeRun = yield Calling(self._run, {**given, "outputs": list(self.signature.output_fields)})
            if done.error is None:
                found = {"final_generated_code": code, "code_output": done.output}
                answer: Prediction = yield Asking(self.generate_output, {**inputs, **found})
                return answer
            timeouts += done.timed_out
            if attempt == self.max_iters or timeouts == _MOST_TIMEOUTS:
                break
            failed = {"previous_code": code, "error": done.error}
            written = yield Asking(self.code_regenerate, {**inputs, **failed})
        times = "once" if attempt == 1 else f"{attempt} times"
        raise CodeError(
            f"the generated code failed {times}, the last time with: {done.error}",
            code=code,
            reason=done.error or "",
        )

    def _variables(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.signature.input_fields
        return {name: fields[name].to_plain(value) for name, value in inputs.items() if name in fields}

    @property
    def _run(self) -> Any:
        interpreter = self.interpreter

        def python(code: str, variables: dict[str, Any], outputs: list[str]) -> CodeRun:
            return interpreter.run(code, variables, outputs)

        return recorded(python, name="python", files=())


def _named(fields: Mapping[str, Field]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


def _code_field(role: str, name: str, desc: str) -> Field:
    return Field(desc=desc).changed(name=name, role=role, annotation=str)


def _coding(signature: type[Signature], opening: str) -> str:
    answer = ", ".join(f'"{name}": ...' for name in signature.output_fields)
    return (
        f"{signature.instructions}\n\n{opening} The inputs ({_named(signature.input_fields)}) are variables"
        f" of the code. The code ends with the call final_answer({{{answer}}}), which gives the outputs"
        f" ({_named(signature.output_fields)}). Only modules of Python's standard library such as math, re,"
        " json, datetime and itertools can be imported; there are no files and no network."
    )


def _generating(signature: type[Signature]) -> type[Signature]:
    opening = "Do not answer yourself: write Python code that computes the answer."
    written = _code_field("output", "generated_code", "Python code that computes the answer")
    return _changed(signature, _coding(signature, opening), written)


def _regenerating(signature: type[Signature]) -> type[Signature]:
    opening = "The Python code that was to compute the answer failed. Write it anew without the error."
    return _changed(
        signature,
        _coding(signature, opening),
        _code_field("input", "previous_code", "the code that failed"),
        _code_field("input", "error", "how it failed"),
        _code_field("output", "generated_code", "Python code that computes the answer"),
    )


def _answering(signature: type[Signature]) -> type[Signature]:
    instructions = (
        f"{signature.instructions}\n\nPython code has computed the answer: give the outputs"
        f" ({_named(signature.output_fields)}) as its output says."
    )
    answering = signature.with_instructions(instructions)
    answering = answering.append_field(
        _code_field("input", "final_generated_code", "code that computes the answer")
    )
    return answering.append_field(_code_field("input", "code_output", "what the code gave"))


def _changed(signature: type[Signature], instructions: str, *fields: Field) -> type[Signature]:
    """Return the signature with its inputs only, then ``fields``."""
    new = signature.with_instructions(instructions)
    for name in signature.output_fields:
        new = new.delete_field(name)
    for field in fields:
        new = new.append_field(field)
    return new
