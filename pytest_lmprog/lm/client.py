"""LM: a language model by name, reached through litellm or embedded in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.lm.limiter import DEFAULT_IN_FLIGHT, Limiter
from pytest_lmprog.lm.model import PipelineLM
from pytest_lmprog.lm.options import Options, endpoint_of, sort_options
from pytest_lmprog.lm.pipeline import Pipeline
from pytest_lmprog.lm.redaction import Scrubber, environment_secrets, secrets_in, secrets_in_url
from pytest_lmprog.lm.retry import RetryPolicy
from pytest_lmprog.lm.stores import open_store
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.lm.types import LMRequest, LMResponse

if TYPE_CHECKING:
    from pytest_lmprog.lm.scope import AnswerStore
    from pytest_lmprog.lm.transport import Transport

__all__ = ["LM"]

DEFAULT_TIMEOUT = 120.0
DEFAULT_RETRIES = 3


class LM(PipelineLM):
    """A language model.

    Parameters
    ----------
    model: litellm's model string (``"openai/gpt-4o-mini"``), ``"local/smollm2-135m"`` for the embedded
        model, or ``"local/path/to/model.gguf"``.
    api_base: address of the endpoint, where it is not the provider's own.
    api_key: the key, where it is not in the environment (``OPENAI_API_KEY``, ...).
    temperature, max_tokens: sampling parameters of every request; a call's own are over them.
    timeout: seconds to wait for one answer (default 120).
    num_retries: how often a failed request is asked again, where that may help.
    cache: False asks the model anew for every call that no recording answers.
    endpoint: a name for the address, to tell apart two that answer differently or to unite two that don't.
    cache_dir: folder of an on-disk cache; without it answers are kept in memory. (Under pytest the
        harness's cache is used instead.)
    max_concurrency: requests in flight at most, where the harness does not say.
    provider_options: sampling parameters by any name (``seed``, ``top_p``, ``extra_body``), which are part of
        keys, and options of the connection (``extra_headers``, ``api_version``, ``aws_secret_access_key``),
        which are not.

    It does not change after construction; ``copy`` returns a changed one, which shares cache and limit.
    Nothing is imported, opened or asked before the first live call.
    Raises ConfigurationError for options that make no sense.
    """

    __slots__ = ("_given",)

    _given: Mapping[str, Any]

    def __init__(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float | None = None,
        num_retries: int = DEFAULT_RETRIES,
        cache: bool = True,
        endpoint: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        max_concurrency: int | None = None,
        **provider_options: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        options = given.pop("provider_options")
        self._build({**given, **options}, None)

    def _build(self, given: Mapping[str, Any], base: LM | None) -> None:
        settings = _Settings.read(given)
        model = _checked_model(settings.model)
        sorted_ = sort_options(settings.sampling)
        secrets = sorted_.secrets | secrets_in(settings.api_key) | secrets_in_url(settings.api_base)
        transport, address = _reach(model, settings, sorted_, secrets)
        same_cache = base is not None and base._given.get("cache_dir") == given.get("cache_dir")
        same_limit = base is not None and base._given.get("max_concurrency") == given.get("max_concurrency")
        pipeline = Pipeline(
            transport,
            address=address,
            store=base._pipeline.store if base and same_cache else _own_store(settings.cache_dir),
            limiter=base._pipeline.limiter if base and same_limit else Limiter(settings.max_concurrency),
            retry=RetryPolicy(settings.num_retries),
            scrubber=_scrubber(secrets),
            reuse=settings.cache,
            learned=base._pipeline.learned if base else {},
        )
        self._set(
            _given=dict(given),
            _model=_shown_name(model),
            _params=sorted_.params,
            _pipeline=pipeline,
            _secrets=secrets,
        )

    def copy(self, **changes: Any) -> Self:
        """Return an LM with some options changed; None takes an option back to its default."""
        new = object.__new__(type(self))
        new._build({**self._given, **changes}, self)
        return new

    def __repr__(self) -> str:
        where = "" if self._model.startswith("local/") else self.endpoint
        shown = {**({"endpoint": where} if where else {}), **self._params}
        text = "".join(f", {name}={value!r}" for name, value in shown.items())
        return self._pipeline.scrubber()(f"LM({self._model!r}{text})")


class _Settings:
    """The arguments of an LM, checked. What is left is sampling parameters and provider options."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.model = given.pop("model")
        self.api_base = given.pop("base_url", None) or given.pop("api_base", None) or None
        given.pop("api_base", None)
        self.api_key = given.pop("api_key", None)
        self.timeout = _number("timeout", given.pop("timeout", None), DEFAULT_TIMEOUT, above=0)
        self.num_retries = _count("num_retries", given.pop("num_retries", None), DEFAULT_RETRIES, least=0)
        cache = given.pop("cache", True)
        self.cache = True if cache is None else bool(cache)
        self.endpoint = given.pop("endpoint", None)
        self.cache_dir = given.pop("cache_dir", None)
        limit = given.pop("max_concurrency", None)
        self.max_concurrency = _count("max_concurrency", limit, DEFAULT_IN_FLIGHT, least=1)
        self.sampling = given

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> _Settings:
        """Check the arguments. Raises ConfigurationError, naming the one that is wrong."""
        settings = cls(dict(given))
        sampling = settings.sampling
        if sampling.get("temperature") is not None:
            _number("temperature", sampling["temperature"], 0.0, least=0)
        if sampling.get("max_tokens") is not None:
            _count("max_tokens", sampling["max_tokens"], 1, least=1)
        for name in ("api_base", "api_key", "endpoint"):
            value = getattr(settings, name)
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} must be text, not {type(value).__name__}")
        return settings


def _number(
    name: str, value: Any, default: float, *, least: float | None = None, above: float | None = None
) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ConfigurationError(f"{name} must be a number, not {value!r}")
    if (least is not None and value < least) or (above is not None and value <= above):
        raise ConfigurationError(
            f"{name} must be {'above' if least is None else 'at least'} 0, not {value!r}"
        )
    return float(value)


def _count(name: str, value: Any, default: int, *, least: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} must be a whole number of {least} or more, not {value!r}")
    return value


def _checked_model(model: Any) -> str:
    hint = "a name is like 'openai/gpt-4o-mini', or 'local/smollm2-135m' for the embedded model"
    if not isinstance(model, str):
        raise ConfigurationError(f"a model is named by text, not by {type(model).__name__}", hint=hint)
    if not model or model != model.strip() or not model.isprintable() or model.endswith("/"):
        raise ConfigurationError(f"{model!r} is no model name", hint=hint)
    return model


def _shown_name(model: str) -> str:
    """A model file outside the project is named by its file name: no machine's paths in keys."""
    file = model.removeprefix("local/")
    if file == model or not (Path(file).is_absolute() or file.startswith("~")):
        return model
    return f"local/{Path(file).name}"


def _reach(
    model: str, settings: _Settings, options: Options, secrets: frozenset[str]
) -> tuple[Transport, Callable[[], str]]:
    """Return the transport to ``model`` and what tells the endpoint's identity."""
    named = settings.endpoint
    if model.startswith("local/"):
        from pytest_lmprog.lm.local import embedded

        if settings.api_base is not None:
            raise ConfigurationError(
                f"{model} runs in this process and takes no api_base",
                hint='an OpenAI-compatible server is LM("openai/NAME", api_base="http://...")',
            )
        transport, weights = embedded(model, timeout=settings.timeout)
        return transport, weights if named is None else lambda: named
    endpoint = endpoint_of(settings.api_base or _environment_base(model), options.address)
    identity = endpoint if named is None else named
    return _Lazy(model, settings, options, endpoint, _scrubber(secrets)), lambda: identity


def _environment_base(model: str) -> str | None:
    """Return the address that litellm would take from the environment."""
    provider = model.partition("/")[0] if "/" in model else "openai"
    prefix = "".join(c if c.isalnum() else "_" for c in provider).upper()
    named = (os.environ.get(f"{prefix}_{suffix}") for suffix in ("BASE_URL", "API_BASE"))
    return next((value for value in named if value), None)


class _Lazy:
    """A transport over litellm whose module is imported when it is first used."""

    def __init__(self, model: str, settings: _Settings, options: Options, where: str, scrubber: Any) -> None:
        self._model = model
        self._settings = settings
        self._options = options
        self._where = where
        self._scrubber = scrubber
        self._transport: Transport | None = None

    def ask(self, request: LMRequest) -> LMResponse:
        """Answer ``request`` with one attempt."""
        if self._transport is None:
            self._transport = self._made()
        return self._transport.ask(request)

    def _made(self) -> Transport:
        from pytest_lmprog.lm.litellm_client import LiteLLMTransport, Target

        settings, options = self._settings, self._options
        key = settings.api_key
        if key == "" and settings.api_base is not None:
            key = "none"  # a server without keys; litellm would look for one in the environment
        target = Target(self._model, settings.api_base, key)
        return LiteLLMTransport(
            lambda: target,
            timeout=settings.timeout,
            options={**options.address, **options.carried},
            scrubber=self._scrubber,
            where=self._where,
        )


def _own_store(cache_dir: str | os.PathLike[str] | None) -> AnswerStore:
    return MemoryStore() if cache_dir is None else open_store(Path(cache_dir))


def _scrubber(secrets: frozenset[str]) -> Any:
    return lambda: Scrubber(secrets | environment_secrets())
