"""Introspection: an LM compares a good and a bad run of a program and advises its predictors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import CanonicalError
from pytest_lmprog.evaluation.feedback import normalise_feedback
from pytest_lmprog.programs import Module, Predict, Prediction
from pytest_lmprog.programs.describing import as_text, code_of, described
from pytest_lmprog.signatures import Field, InputField, OutputField, Signature
from pytest_lmprog.teleprompt.material.instructions import instructions_of, learners
from pytest_lmprog.teleprompt.plans.simba.buckets import Bucket, Scored

__all__ = ["CompareRuns", "advised", "cut", "introspection", "questions"]

NOT_SHOWN = "not available"
CUT = " [...]"


class CompareRuns(Signature):
    """A program was run several times on the same inputs. You see two of the runs: one that earned a lower
    score and one that earned a higher one. Find out what made the difference, and from it what each module
    should do when it meets inputs like these again.

    Your advice is added to the instructions of the module, and it is all that the module will know of these
    runs: it sees neither the scores, nor the other modules, nor what was right here. So say in one to three
    sentences for what kind of input the advice holds, and what exactly to do or to avoid then. Leave out what
    would hold for any task. Where the tests said why a run falls short, make sure that your advice answers
    that. Where the better run is not available, learn from the worse run alone. To a module that needs no
    advice answer N/A."""

    program_code: str = InputField(desc="the code of the program")
    modules: str = InputField(desc="what each module takes, puts out and is told to do")
    program_inputs: str = InputField(desc="what the program was given in both runs")
    known_answers: str = InputField(desc="what is known to be right for these inputs; no module sees it")
    worse_run: str = InputField(desc="what each module was given and put out, in order, and the result")
    worse_score: str = InputField(desc="from 0 to 1")
    worse_feedback: str = InputField(desc="what the tests said of the worse run")
    better_run: str = InputField(desc="the same of the better run")
    better_score: str = InputField(desc="from 0 to 1")
    better_feedback: str = InputField(desc="what the tests said of the better run")
    discussion: str = OutputField(desc="in short: which module made the difference, and how")


def introspection(program: Module, *, use_feedback: bool) -> Predict:
    """Return the predictor that advises: it has an output for each predictor that may learn, so that the
    names need not be spelt by the LM."""
    signature: type[Signature] = CompareRuns
    if not use_feedback:
        signature = signature.delete_field("worse_feedback").delete_field("better_feedback")
    for name, output in _outputs(program).items():
        desc = f"advice to the module {name}, or N/A"
        signature = signature.append_field(Field(output, "output", str, desc))
    return Predict(signature)


def _outputs(program: Module) -> dict[str, str]:
    """Return the name of the output that advises each predictor that may learn."""
    taken = set(CompareRuns.fields)
    outputs = {}
    for name, _ in learners(program):
        output = "advice_for_" + re.sub(r"\W+", "_", name).strip("_")
        while output in taken:
            output += "_"
        taken.add(output)
        outputs[name] = output
    return outputs


def questions(program: Module, bucket: Bucket, *, use_feedback: bool, limit: int) -> dict[str, Any]:
    """Return the inputs of the predictor that advises.

    ``limit``: characters of a text within a run that are shown; 0: all."""
    worse, better = bucket.worst, bucket.best if bucket.gap > 0 else None
    example = worse.result.example
    asked = {
        "program_code": code_of(type(program)),
        "modules": described(learners(program)),
        "program_inputs": as_text(_shown(example.inputs(), limit)),
        "known_answers": as_text(_shown(example.labels(), limit)),
        "worse_run": _told(worse, program, limit),
        "worse_score": str(round(worse.score, 4)),
        "better_run": NOT_SHOWN if better is None else _told(better, program, limit),
        "better_score": NOT_SHOWN if better is None else str(round(better.score, 4)),
    }
    if use_feedback:
        asked["worse_feedback"] = worse.feedback or "nothing"
        asked["better_feedback"] = NOT_SHOWN if better is None else better.feedback or "nothing"
    return asked


def _told(run: Scored, program: Module, limit: int) -> str:
    """Return what happened in a run, as JSON: the calls of its named predictors, and the result."""
    named = instructions_of(program)
    calls = [
        {
            "module": call.name,
            "inputs": _shown(call.inputs, limit),
            **({"error": call.error} if call.outputs is None else {"outputs": _shown(call.outputs, limit)}),
            **({} if call.rejected is None else {"refused": call.rejected}),
        }
        for call in run.result.trace
        if call.name in named
    ]
    return as_text({"calls": calls, "result": _outcome(run, limit)})


def _outcome(run: Scored, limit: int) -> Any:
    error = run.result.error
    if error is not None:
        return {"error": normalise_feedback(f"{error.kind}: {error.message}")}
    return _shown(run.result.prediction or {}, limit)


def _shown(values: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {name: cut(_plain(value), limit) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """Return the value as plain data, or where it has no such form as text without addresses."""
    try:
        return plain(value)
    except CanonicalError:
        return normalise_feedback(str(value))


def cut(value: Any, limit: int) -> Any:
    """Return a value whose text is longer than ``limit`` (0: none) as text that is cut."""
    text = value if isinstance(value, str) else as_text(value)
    return text[:limit] + CUT if limit and len(text) > limit else value


def advised(program: Module, prediction: Prediction) -> dict[str, str]:
    """Return the new instructions of the predictors that got advice, by name: their own, and the advice."""
    own = instructions_of(program)
    advice = {name: _tidy(prediction.get(output)) for name, output in _outputs(program).items()}
    return {
        name: f"{own[name]}\n\n{text}" if own[name] else text
        for name, text in advice.items()
        if text and text not in own[name]
    }


def _tidy(advice: Any) -> str:
    """Return the advice without trailing space; empty where it is none."""
    text = "\n".join(line.rstrip() for line in str(advice or "").strip().splitlines())
    return "" if re.fullmatch(r"\W*(n\s*/?\s*a|none|nothing|null)?\W*", text, re.IGNORECASE) else text
