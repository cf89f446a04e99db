"""A budget of live calls, tokens or USD that is never exceeded, also with many calls in flight.

Before a live call its upper bound is reserved; when the answer is there, what it really took is
settled and the rest given back. A call whose bound does not fit waits while others are in flight
(they will take less than their bounds) and is refused when nothing more can come back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from threading import Condition
from typing import Any

from pytest_lmprog.canonical import canonical_json
from pytest_lmprog.errors import BudgetExceededError, ConfigurationError
from pytest_lmprog.lm.types import LMRequest, LMResponse, Usage
from pytest_lmprog.records import dataclass

__all__ = ["Amount", "Budget", "Price", "Reservation"]

FIRST_COMPLETION_BOUND = 4096
"""Completion tokens assumed of a call without ``max_tokens``. No endpoint promises a bound there; twice the
longest answer so far is assumed where that is more."""

_TOKENS_A_MESSAGE = 16
"""What chat templates add to a message (role, separators), generously."""

_UNITS = {"call": "calls", "calls": "calls", "token": "tokens", "tokens": "tokens", "usd": "usd"}
_PART = re.compile(r"(\d[\d_]*(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)")
_HINT = 'write it like "200calls", "50000tokens" or "1.5usd"; several are separated by commas'
_UNBOUNDED = "give the LM max_tokens: without it, a long answer must be reckoned with"


@dataclass(frozen=True, slots=True)
class Price:
    """USD a token, for prompt and completion."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Amount:
    """What calls take: number, tokens (prompt and completion), USD."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.usd - other.usd)


class Budget:
    """Limits on live calls; thread-safe. None means no limit.

    Parameters
    ----------
    calls, tokens, usd: the limits.
    price: returns the price of a model, or None where it is unknown; needed for a limit in USD.
    """

    def __init__(
        self,
        *,
        calls: int | None = None,
        tokens: int | None = None,
        usd: float | None = None,
        price: Callable[[str], Price | None] | None = None,
    ) -> None:
        self.limits: Mapping[str, float] = {
            unit: limit
            for unit, limit in (("calls", calls), ("tokens", tokens), ("usd", usd))
            if limit is not None
        }
        self._price = price
        self._spent = Amount()
        self._reserved = Amount()
        self._in_flight = 0
        self._longest_answer = 0
        self._exhausted = False
        self._changed = Condition()

    @classmethod
    def parse(cls, text: str, *, price: Callable[[str], Price | None] | None = None) -> Budget:
        """Read ``"200calls"``, ``"50000 tokens"``, ``"1.5usd"`` or several with commas between.

        Raises ConfigurationError for anything else.
        """
        limits: dict[str, Any] = {}
        for part in text.split(","):
            unit, limit = _parse_part(part.strip(), text)
            if unit in limits:
                raise ConfigurationError(f"the budget {text!r} limits {unit} twice", hint=_HINT)
            limits[unit] = limit
        return cls(**limits, price=price)

    @property
    def spent(self) -> Amount:
        """What finished calls took."""
        with self._changed:
            return self._spent

    @property
    def exhausted(self) -> bool:
        """A call was refused; from then on every call is, so that a stop is a stop."""
        return self._exhausted

    def __str__(self) -> str:
        return ", ".join(f"{limit:.9g} {unit}" for unit, limit in self.limits.items()) or "no limit"

    def reserve(self, request: LMRequest) -> Reservation:
        """Set aside the upper bound of ``request``; waits while calls in flight may still give some back.

        Raises BudgetExceededError where it does not fit, ConfigurationError where a limit in USD meets
        a model without a known price.
        """
        with self._changed:
            while (reservation := self._try(request)) is None:
                self._changed.wait()
            return reservation

    def try_reserve(self, request: LMRequest) -> Reservation | None:
        """The same, but returns None instead of waiting, for an event loop."""
        with self._changed:
            return self._try(request)

    def _try(self, request: LMRequest) -> Reservation | None:
        price = self._price_of(request.model)
        bound = self._bound(request, price)
        over = self._first_exceeded(self._spent + bound)
        if self._exhausted or over is not None:
            self._exhausted = True
            self._changed.notify_all()
            raise self._refusal(request, bound, over)
        if self._first_exceeded(self._spent + self._reserved + bound) is not None:
            return None
        self._reserved += bound
        self._in_flight += 1
        return Reservation(self, bound, price)

    def _first_exceeded(self, amount: Amount) -> str | None:
        slack = 1e-9  # sums of prices are not exact
        return next((u for u, limit in self.limits.items() if getattr(amount, u) > limit + slack), None)

    def _price_of(self, model: str) -> Price:
        if "usd" not in self.limits:
            return Price(0.0, 0.0)
        price = self._price(model) if self._price is not None else None
        if price is None:
            raise ConfigurationError(
                f"a budget in USD cannot be kept for {model}: its price is not known",
                hint='give the budget in calls or tokens, e.g. "200calls"',
            )
        return price

    def _bound(self, request: LMRequest, price: Price) -> Amount:
        prompt, completion = _prompt_bound(request), self._completion_bound(request.params)
        return Amount(1, prompt + completion, prompt * price.prompt + completion * price.completion)

    def _completion_bound(self, params: Mapping[str, Any]) -> int:
        assumed = max(FIRST_COMPLETION_BOUND, 2 * self._longest_answer)
        answers = params.get("n")
        return (_stated_maximum(params) or assumed) * (answers if isinstance(answers, int) else 1)

    def _refusal(self, request: LMRequest, bound: Amount, over: str | None) -> BudgetExceededError:
        unit = over or min(self.limits)
        spent, limit = getattr(self._spent, unit), self.limits[unit]
        return BudgetExceededError(
            f"the budget of {self} does not cover another call to {request.model}"
            f" ({spent:.9g} of {limit:.9g} {unit} spent; the call may take {getattr(bound, unit):.9g})",
            hint=_UNBOUNDED if unit != "calls" and not _stated_maximum(request.params) else None,
        )

    def _settle(self, bound: Amount, taken: Amount, completion_tokens: int) -> None:
        with self._changed:
            self._reserved -= bound
            self._in_flight -= 1
            if not self._in_flight:
                self._reserved = Amount()  # no rounding is carried along
            self._spent += taken
            self._longest_answer = max(self._longest_answer, completion_tokens)
            self._changed.notify_all()


class Reservation:
    """What a call in flight may take. End it once, with ``settle`` or ``release``; more is ignored."""

    __slots__ = ("_budget", "_open", "_price", "bound")

    def __init__(self, budget: Budget, bound: Amount, price: Price) -> None:
        self._budget = budget
        self._price = price
        self._open = True
        self.bound = bound

    def settle(self, response: LMResponse) -> None:
        """Charge what the answer took: its usage and cost, or the bound where it does not tell."""
        usage, cost = response.usage, response.cost
        if usage is None:
            taken = Amount(1, self.bound.tokens, self.bound.usd if cost is None else cost)
        else:
            taken = Amount(1, usage.total_tokens, self._cost(usage) if cost is None else cost)
        self._end(taken, 0 if usage is None else usage.completion_tokens)

    def release(self) -> None:
        """Charge nothing: the call was not made, or was refused without an answer."""
        self._end(Amount(), 0)

    def _cost(self, usage: Usage) -> float:
        return usage.prompt_tokens * self._price.prompt + usage.completion_tokens * self._price.completion

    def _end(self, taken: Amount, completion_tokens: int) -> None:
        if self._open:
            self._open = False
            self._budget._settle(self.bound, taken, completion_tokens)


def _stated_maximum(params: Mapping[str, Any]) -> int | None:
    stated = [params.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return max((value for value in stated if isinstance(value, int)), default=None)


def _prompt_bound(request: LMRequest) -> int:
    """Bytes are an upper bound of tokens: a token of every tokenizer in use stands for a byte or more."""
    sent = [list(request.messages), request.response_format, list(request.tools)]
    return len(canonical_json(sent)) + _TOKENS_A_MESSAGE * (len(request.messages) + 1)


def _parse_part(part: str, text: str) -> tuple[str, float | int]:
    match = _PART.fullmatch(part)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"the budget {text!r} cannot be read (at {part!r})", hint=_HINT)
    if unit == "usd":
        return unit, float(match[1])
    if "." in match[1]:
        raise ConfigurationError(f"the budget {text!r} asks for a part of a {unit[:-1]}", hint=_HINT)
    return unit, int(match[1])
