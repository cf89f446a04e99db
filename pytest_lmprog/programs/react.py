"""ReAct: an agent that thinks, calls a tool, looks at what it gave, and answers in the end."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal

from pytest_lmprog.adapters.chat import ChatAdapter
from pytest_lmprog.adapters.json import JSONAdapter
from pytest_lmprog.adapters.text import json_text
from pytest_lmprog.canonical import plain
from pytest_lmprog.errors import LMRequestError, ParseError, SignatureError, UsageError
from pytest_lmprog.programs.example import Prediction
from pytest_lmprog.programs.flow import Asking, Calling, Flow, Step, awaited, finished
from pytest_lmprog.programs.module import Module
from pytest_lmprog.programs.predict import ChainOfThought, Predict, inputs_by_name
from pytest_lmprog.programs.toolbox import observing, tools_by_name
from pytest_lmprog.signatures import Field, Signature, ensure_signature
from pytest_lmprog.signatures.values.tool import Tool
from pytest_lmprog.signatures.values.tool_calls import ToolCalls

__all__ = ["ReAct"]

_FINISH = "finish"
_SHORTEST = 200
"""Characters below which an observation is not cut any further."""

_PARTS = ("thought", "tool_name", "tool_args", "observation")
_THOUGHT = re.compile(r"thought_(\d+)")


class ReAct(Module):
    """Answers by calling tools, step by step (Yao et al., arXiv:2210.03629).

    In each step ``react`` sees the inputs and the trajectory so far, thinks, and chooses a tool and its
    arguments; what the tool gives is the step's observation. It ends by choosing ``finish``, or after
    ``max_iters`` steps. Then ``extract`` gives the outputs, from the inputs and the trajectory.

    A tool that does not exist, arguments that do not fit, a tool that raises and an answer that cannot be
    read are observations (``Error: ...``) that the LM sees; they end nothing. Calls of tools are recorded
    and replayed like LM calls and are in the trace.

    Where the endpoint says that a request is longer than the model's context, the trajectory is shortened
    by one rule until it fits: whole steps are dropped, the oldest first, but never the last; then the last
    one's observation is cut to its first half, again and again, down to 200 characters. The prompt says
    which steps are missing. Override ``truncate_trajectory`` for another rule.

    Parameters
    ----------
    signature: what is asked: a Signature class or a string.
    tools: functions (typed, with a docstring; plain or ``async``) or ``lmp.Tool``.
    max_iters: the most steps. A call may give another: ``agent(question=..., max_iters=3)``.
    native: offer the tools as the endpoint's own tool calls where the model has them (in words elsewhere).
        Of several calls in one answer each is a step; an answer that calls nothing is the end.

    The prediction has the outputs, ``reasoning`` and ``trajectory``: a dict of ``thought_0``,
    ``tool_name_0``, ``tool_args_0``, ``observation_0``, ``thought_1``, ...
    """

    def __init__(
        self,
        signature: type[Signature] | Signature | str,
        tools: list[Callable[..., Any] | Tool],
        max_iters: int = 20,
        *,
        native: bool = False,
    ) -> None:
        if max_iters < 1:
            raise UsageError(f"max_iters must be 1 or more, not {max_iters}")
        self.signature = ensure_signature(signature)
        for name in ("trajectory", "tools") if native else ("trajectory",):
            if name in self.signature.fields:
                raise SignatureError(f"an agent has a field {name!r} of its own: name yours otherwise")
        self.max_iters = max_iters
        self.tools = tools_by_name(tools, _FINISH)
        self.tools[_FINISH] = _finish(self.signature)
        self.react = Predict(_calling(self.signature) if native else _acting(self.signature, self.tools))
        self.extract = ChainOfThought(_extracting(self.signature))

    @property
    def native(self) -> bool:
        """Whether tools are offered natively where the model has them."""
        return "next_tool_calls" in self.react.signature.output_fields

    def max_calls(self) -> int:
        """One call a step, and one for the outputs."""
        return self.max_iters * self.react.max_calls() + self.extract.max_calls()

    def forward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """Return the outputs of the signature. Takes its inputs by name or position."""
        return finished(self._flow(args, inputs))

    async def aforward(self, /, *args: Any, **inputs: Any) -> Prediction:
        """The same, awaiting the LM and tools that are ``async``."""
        return await awaited(self._flow(args, inputs))

    def truncate_trajectory(self, trajectory: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``trajectory`` shortened by one turn of the rule. Raises ValueError where it cannot be."""
        numbers = _numbers(trajectory)
        if len(numbers) > 1:
            oldest = {f"{part}_{numbers[0]}" for part in _PARTS}
            return {name: value for name, value in trajectory.items() if name not in oldest}
        name = f"observation_{numbers[0]}" if numbers else ""
        shown = _shown(trajectory.get(name, ""))
        if len(shown) <= _SHORTEST:
            raise ValueError("the trajectory cannot be made shorter")
        kept = max(_SHORTEST - len(_CUT), (len(shown.removesuffix(_CUT))) // 2)
        return {**trajectory, name: shown[:kept] + _CUT}

    def _flow(self, args: tuple[Any, ...], given: Mapping[str, Any]) -> Flow:
        inputs = inputs_by_name(self.signature, args, given)
        steps = inputs.pop("max_iters", self.max_iters) if "max_iters" not in self.signature.fields else None
        trajectory: dict[str, Any] = {}
        number = 0
        for _ in range(steps or self.max_iters):
            try:
                chosen, trajectory = yield from self._asked(self.react, inputs, trajectory)
            except ParseError as error:
                wanted = self._salvaged(error)
            else:
                wanted = _wanted(chosen)
            for thought, name, arguments, observed in wanted:
                observation = observed
                if observation is None:
                    observation = yield from self._observed(name, arguments)
                values = (thought, name, plain(arguments), observation)
                trajectory.update({f"{part}_{number}": v for part, v in zip(_PARTS, values, strict=True)})
                number += 1
            if wanted[-1][1] == _FINISH:
                break
        answer, trajectory = yield from self._asked(self.extract, inputs, trajectory)
        return Prediction.of({**answer, "trajectory": trajectory}, inputs)

    def _asked(
        self, predictor: Predict, inputs: Mapping[str, Any], trajectory: dict[str, Any]
    ) -> Generator[Step, Any, tuple[Prediction, dict[str, Any]]]:
        """Ask with the trajectory, shortened as far as need be; return the answer and what was shown."""
        offered = {"tools": list(self.tools.values())} if self.native and predictor is self.react else {}
        while True:
            try:
                answer = yield Asking(predictor, {**inputs, "trajectory": _text(trajectory), **offered})
            except LMRequestError as refused:
                if not refused.context_window:
                    raise
                try:
                    trajectory = dict(self.truncate_trajectory(trajectory))
                except ValueError:
                    raise refused from None
            else:
                return answer, trajectory

    def _observed(self, name: str, arguments: Mapping[str, Any]) -> Generator[Step, Any, Any]:
        tool = self.tools.get(name)
        if tool is None:
            return f"Error: there is no tool {name!r}; the tools are: {', '.join(self.tools)}"
        if name == _FINISH:
            return "Completed."
        return (yield Calling(observing(tool), arguments))

    def _salvaged(self, error: ParseError) -> list[_Wanted]:
        """Return what can be read of an answer that does not fit: thought, tool and arguments, or nothing."""
        nothing: list[_Wanted] = [("", "", {}, f"Error: {error.reason}")]
        if self.native:
            return nothing
        loose = self.react.signature.with_field("next_tool_name", annotation=str)
        loose = loose.with_field("next_thought", default="")
        for adapter in (JSONAdapter(), ChatAdapter()):
            try:
                read = adapter.parse(loose, error.answer)
            except ParseError:
                continue
            return _wanted(read) if read["next_tool_name"] else nothing
        return nothing


_Wanted = tuple[str, str, Mapping[str, Any], Any]
"""A step: its thought, the tool, the arguments, and what is observed without calling it."""


def _wanted(read: Mapping[str, Any]) -> list[_Wanted]:
    """Return the steps that an answer asks for; what comes behind the end is left out."""
    if "next_tool_calls" not in read:
        return [(read["next_thought"], read["next_tool_name"], read["next_tool_args"] or {}, None)]
    calls = [(call.name, call.args) for call in read["next_tool_calls"]] or [(_FINISH, {})]
    names = [name for name, _ in calls]
    end = names.index(_FINISH) + 1 if _FINISH in names else len(calls)
    thoughts = [read["next_thought"] or "", *([""] * len(calls))]
    return [(thought, *call, None) for thought, call in zip(thoughts, calls[:end], strict=False)]


_CUT = " ... (cut to fit the model's context)"


def _numbers(trajectory: Mapping[str, Any]) -> list[int]:
    matches = filter(None, map(_THOUGHT.fullmatch, trajectory))
    return sorted(int(match.group(1)) for match in matches)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json_text(plain(value))


def _text(trajectory: Mapping[str, Any]) -> str:
    """Return the trajectory as it stands in the prompt; says which steps were dropped."""
    numbers = _numbers(trajectory)
    lines = [f"{name}: {_shown(value)}" for name, value in trajectory.items()]
    if numbers and numbers[0]:
        missing = "step 0 is" if numbers[0] == 1 else f"steps 0 to {numbers[0] - 1} are"
        lines.insert(0, f"({missing} left out to fit the model's context)")
    return "\n".join(lines)


def _completed() -> str:
    return "Completed."


def _finish(signature: type[Signature]) -> Tool:
    wanted = _named(signature.output_fields)
    return Tool(_completed, _FINISH, f"Ends the work once all is known that is needed for {wanted}.")


def _named(fields: Mapping[str, Field]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


def _acting(signature: type[Signature], tools: Mapping[str, Tool]) -> type[Signature]:
    offered = "\n".join(f"- {tool.name}{_arguments(tool)}{_described(tool)}" for tool in tools.values())
    instructions = (
        f"{signature.instructions}\n\nWork step by step with tools to find out what is needed for"
        f" {_named(signature.output_fields)}. In each step you see the trajectory so far: your thoughts,"
        " the tools that you called and what they gave. Give your next thought, the name of the tool to call"
        f" next, and its arguments as a JSON object. When you know enough, call {_FINISH}."
        f" The tools are:\n{offered}"
    )
    new = signature.with_instructions(instructions)
    for name in signature.output_fields:
        new = new.delete_field(name)
    added = (
        Field("trajectory"),
        Field("next_thought", "output"),
        Field("next_tool_name", "output", Literal[tuple(tools)]),
        Field("next_tool_args", "output", dict[str, Any]),
    )
    for field in added:
        new = new.append_field(field)
    return new


def _calling(signature: type[Signature]) -> type[Signature]:
    """Return the signature of a step where the tools are offered natively."""
    instructions = (
        f"{signature.instructions}\n\nWork step by step with tools to find out what is needed for"
        f" {_named(signature.output_fields)}. In each step you see the trajectory so far: your thoughts,"
        " the tools that you called and what they gave. Give your next thought and call the tools that you"
        f" need next. When you know enough, call {_FINISH}."
    )
    new = signature.with_instructions(instructions)
    for name in signature.output_fields:
        new = new.delete_field(name)
    added = (
        Field("trajectory"),
        Field("tools", annotation=list[Tool]),
        Field("next_thought", "output"),
        Field("next_tool_calls", "output", ToolCalls),
    )
    for field in added:
        new = new.append_field(field)
    return new


def _arguments(tool: Tool) -> str:
    return f"({json_text(plain(tool.args))[1:-1]})" if tool.args else "()"


def _described(tool: Tool) -> str:
    return f": {' '.join(tool.desc.split())}" if tool.desc else ""


def _extracting(signature: type[Signature]) -> type[Signature]:
    instructions = (
        f"{signature.instructions}\n\nThe trajectory shows what was thought and found out with tools: give"
        f" {_named(signature.output_fields)} by it."
    )
    return signature.with_instructions(instructions).append_field(Field("trajectory"))
