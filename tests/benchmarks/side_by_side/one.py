"""One optimizer on one side, in a process of its own; run by ``__main__``.

The text of ``PROGRAM`` and of every optimizer is the same for both sides: only the imports differ.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from typing import Any

PROGRAM = """
class Route(dspy.Signature):
    \"\"\"Decide what the customer of a bank wants.\"\"\"
    text: str = dspy.InputField()
    intent: Literal[INTENTS] = dspy.OutputField()

class Router(dspy.Module):
    def __init__(self):
        self.route = dspy.Predict(Route)
    def forward(self, text):
        return self.route(text=text)

def right(example, prediction, trace=None):
    return float(prediction.intent == example.intent)

def explained(example, prediction, trace=None, pred_name=None, pred_trace=None):
    good = prediction.intent == example.intent
    said = "right" if good else f"the customer wants {example.intent}, not {prediction.intent}"
    return dspy.Prediction(score=float(good), feedback=said)
"""

OPTIMIZERS = {
    "zero-shot": "None",
    "LabeledFewShot": "LabeledFewShot(k=16), dict()",
    "BootstrapFewShot": "BootstrapFewShot(metric=right, max_bootstrapped_demos=4, "
    "max_labeled_demos=16), dict()",
    "RandomSearch": "BootstrapFewShotWithRandomSearch(metric=right, max_bootstrapped_demos=4, "
    "max_labeled_demos=16, num_candidate_programs=4, num_threads=4), dict(valset=val)",
    "MIPROv2": "MIPROv2(metric=right, prompt_model=writer, auto=None, num_candidates=5, "
    "max_bootstrapped_demos=4, max_labeled_demos=16, num_threads=4, seed=9), dict(valset=val, num_trials=8, "
    "minibatch=True, minibatch_size=25, minibatch_full_eval_steps=4)",
    "COPRO": "COPRO(metric=right, prompt_model=writer, breadth=4, depth=2), "
    "dict(eval_kwargs=dict(num_threads=4, display_progress=False, display_table=0))",
    "GEPA": "GEPA(metric=explained, max_metric_calls=200, reflection_lm=writer, num_threads=4, "
    "seed=0), dict(valset=val)",
}


def main() -> None:
    """Compile and test as told on the command line, and print one line of JSON."""
    given = json.loads(sys.argv[1])
    names = _names(given)
    exec(compile(PROGRAM, "program", "exec", dont_inherit=True), names)
    names["dspy"].settings.lm("Say hello.")  # what is imported for a first call is no part of compiling
    before, start = _count(given), time.perf_counter()
    program = _compiled(given["optimizer"], names)
    seconds, compiled = time.perf_counter() - start, _count(given)
    right, errors = _tested(program, names, given["threads"])
    result = {"seconds": seconds, "calls": compiled - before, "right": right, "errors": errors}
    print("side: " + json.dumps({**result, "test_calls": _count(given) - compiled}))


def _names(given: dict[str, Any]) -> dict[str, Any]:
    """The globals of the program and of the optimizers' texts."""
    from importlib import import_module
    from typing import Literal

    dspy = import_module(given["package"])
    lm_class = dspy.LM
    if given["package"] == "dspy":
        dspy.configure(max_errors=10**6)  # it stops after 10 answers that it cannot read
        lm_class = _with_schemas(dspy.LM)
    address = {"api_base": given["url"], "api_key": "none", "temperature": 0.0}
    # An answer takes 15 tokens.
    dspy.configure(lm=lm_class("openai/smollm2", max_tokens=40, **address), adapter=dspy.JSONAdapter())
    writer = lm_class("openai/smollm2", max_tokens=400, **address)
    rows = {
        split: [
            dspy.Example(text=row["text"], intent=row["intent"]).with_inputs("text")
            for row in given["rows"][split]
        ]
        for split in ("train", "val", "test")
    }
    teleprompt = import_module(given["package"] + ".teleprompt")
    classes = {text.partition("(")[0] for text in OPTIMIZERS.values() if "(" in text}
    strategies = {name: getattr(teleprompt, name) for name in classes}
    return {
        **strategies,
        "dspy": dspy,
        "writer": writer,
        "Literal": Literal,
        "INTENTS": tuple(given["intents"]),
        "__name__": "program",
        **rows,
    }


def _with_schemas(base: Any) -> Any:
    """DSPy's LM, told that the server constrains answers to a schema.

    It believes so of the models in its list only, and would ask this one for JSON in words.
    """

    class Constrained(base):  # type: ignore[misc]
        supports_response_schema = True
        supported_params = frozenset({"response_format", "temperature", "max_tokens"})

    return Constrained


def _compiled(optimizer: str, names: dict[str, Any]) -> Any:
    student = names["Router"]()
    made = eval(OPTIMIZERS[optimizer], names)
    if made is None:
        return student
    strategy, arguments = made
    return strategy.compile(student, trainset=names["train"], **arguments)


def _tested(program: Any, names: dict[str, Any], threads: int) -> tuple[list[int], int]:
    """Return for each test row whether it is right, and how many ended in an error."""
    from concurrent.futures import ThreadPoolExecutor

    dspy = names["dspy"]
    lm, adapter = dspy.settings.lm, dspy.settings.adapter

    def one(row: Any) -> int | None:
        try:
            with dspy.context(lm=lm, adapter=adapter):
                return int(program(text=row.text).intent == row.intent)
        except Exception:  # noqa: BLE001 - whatever a side raises for an answer that it cannot read
            return None

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(one, names["test"]))
    return [one or 0 for one in found], sum(one is None for one in found)


def _count(given: dict[str, Any]) -> int:
    with urllib.request.urlopen(given["counter"]) as answer:
        return int(answer.read())


if __name__ == "__main__":
    main()
