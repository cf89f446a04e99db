"""Which LM a unit is tested with, and the temperature that the harness gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.hooks import Hooks
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.lm.types import Capabilities, LanguageModel, LMRequest, LMResponse, Message
from pytest_lmprog.programs.context import current

if TYPE_CHECKING:
    from pytest_lmprog.lm.budget import Price
    from pytest_lmprog.lm.redaction import Scrubber
    from pytest_lmprog.programs import Predict

__all__ = ["Models", "at_zero", "temperature"]

_HINT = (
    "pytest --lm-model=openai/gpt-4o-mini (or local/smollm2-135m, which needs no key), or in the ini file: "
    "lm_model = openai/gpt-4o-mini"
)


class Models:
    """The LMs of a session. A model that is named is made once, so that all units share it."""

    def __init__(self, settings: HarnessSettings, hooks: Hooks) -> None:
        self._settings = settings
        self._hooks = hooks
        self._named: dict[str, LanguageModel] = {}
        self._default: LanguageModel | None = None
        self._used: list[LanguageModel] = []
        self._scrubber: Scrubber | None = None
        self._lock = Lock()

    def choose(
        self,
        mark: LanguageModel | str | None = None,
        fixture: Callable[[], LanguageModel | str] | None = None,
    ) -> LanguageModel:
        """Return the LM: the mark's, else ``--lm-model``, an overridden ``lm`` fixture's, the hook's, that of
        environment, ini file, ``configure``.

        Raises ConfigurationError, with a line to copy, where there is none.
        """
        if mark is not None:
            return self._made(mark, "lm_program(lm=...)")
        if self._settings.model_source == "cli" or fixture is None:
            return self.default()
        return self._made(fixture(), "the fixture lm")

    def default(self) -> LanguageModel:
        """Return the LM of the session: what the ``lm`` fixture gives where nobody overrides it."""
        lm = self.default_if_any()
        if lm is None:
            raise ConfigurationError("there is no LM to test with", hint=_HINT)
        return lm

    def default_if_any(self) -> LanguageModel | None:
        """Return the LM of the session, or None where none is configured."""
        with self._lock:
            if self._default is None:
                self._default = self._find_default()
            return self._default

    def _find_default(self) -> LanguageModel | None:
        name = self._settings.model
        if name is not None and self._settings.model_source == "cli":
            return self.named(name)
        made = self._hooks.make_lm(name)
        if made is not None:
            return self._made(made, "pytest_lmprog_make_lm")
        if name is not None:
            return self.named(name)
        configured = current().lm
        return None if configured is None else self._taken(configured)

    def named(self, name: str) -> LanguageModel:
        """Return the LM called ``name``. The hook may make it, if it makes what is asked for."""
        if name not in self._named:
            made = self._hooks.make_lm(name)
            fits = isinstance(made, LanguageModel) and made.model == name
            self._named[name] = self._taken(made if made is not None and fits else _litellm(name))
        return self._named[name]

    def _made(self, given: Any, where: str) -> LanguageModel:
        if isinstance(given, str):
            return self.named(given)
        if not isinstance(given, LanguageModel):
            raise ConfigurationError(
                f"{where} must be an LM or a model's name, not {type(given).__name__}: {given!r:.80}",
                hint='lmp.LM("openai/gpt-4o-mini")',
            )
        return self._taken(given)

    def _taken(self, lm: LanguageModel) -> LanguageModel:
        """Note the LM, whose secrets are to be scrubbed, and return it at temperature 0."""
        self._used.append(lm)
        self._scrubber = None
        return at_zero(lm)

    def scrub(self, text: str) -> str:
        """Return ``text`` without the keys that the LMs know of and those of the environment."""
        if self._scrubber is None:
            from pytest_lmprog.lm.redaction import secrets_of

            self._scrubber = reduce(or_, map(secrets_of, self._used), secrets_of(None))
        return self._scrubber(text)

    @staticmethod
    def price(model: str) -> Price | None:
        """Return the price of a model, or None where it is not known."""
        from pytest_lmprog.lm.litellm_client import price_of

        return price_of(model)


def _litellm(name: str) -> LanguageModel:
    from pytest_lmprog.lm.client import LM

    return LM(name)


def at_zero(lm: LanguageModel) -> LanguageModel:
    """Return ``lm`` with temperature 0 where it sets none itself, so that tests repeat."""
    probe = lm.request(({"role": "user", "content": ""},))
    if "temperature" in probe.params:
        return lm
    from pytest_lmprog.lm.client import LM

    return lm.copy(temperature=0) if isinstance(lm, LM) else _AtZero(lm)


def temperature(lm: LanguageModel, predictor: Predict) -> Any:
    """Return the temperature that ``predictor`` is asked at: its own, else that of its LM, else of ``lm``."""
    asked = predictor.lm or lm
    params = asked.request(({"role": "user", "content": ""},), **predictor.params).params
    return params.get("temperature")


class _AtZero:
    """Any LM, asked at temperature 0 unless a request says otherwise."""

    def __init__(self, lm: LanguageModel) -> None:
        self._lm = lm
        self.complete: Callable[[LMRequest], LMResponse] = lm.complete
        self.acomplete: Any = lm.acomplete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lm, name)

    @property
    def model(self) -> str:
        """The model's name."""
        return self._lm.model

    @property
    def endpoint(self) -> str:
        """The address part of the cache key."""
        return self._lm.endpoint

    def request(
        self,
        messages: tuple[Message, ...],
        *,
        response_format: Mapping[str, Any] | None = None,
        tools: tuple[Mapping[str, Any], ...] = (),
        rollout: int = 0,
        **params: Any,
    ) -> LMRequest:
        """Build the request, at temperature 0 unless ``params`` say otherwise."""
        params = {"temperature": 0, **params}
        return self._lm.request(
            messages, response_format=response_format, tools=tools, rollout=rollout, **params
        )

    def capabilities(self) -> Capabilities:
        """What is known of the model."""
        return self._lm.capabilities()

    def learn(self, capabilities: Capabilities) -> None:
        """Take note of what was found out."""
        self._lm.learn(capabilities)
