"""Recorded functions: tools and retrievers whose calls are cached, recorded and replayed as LM calls are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pytest_lmprog.canonical import digest, digest_bytes, plain
from pytest_lmprog.errors import CanonicalError, LmprogError, UsageError
from pytest_lmprog.lm.calling import Caller, note_call
from pytest_lmprog.lm.calls import CallError, CallRequest, CallResult
from pytest_lmprog.lm.scope import current_scope, use_scope
from pytest_lmprog.lm.stores.memory import MemoryStore
from pytest_lmprog.programs.results import ResultForm
from pytest_lmprog.programs.trace import tracing

if TYPE_CHECKING:
    from pytest_lmprog.lm.scope import AnswerStore

__all__ = ["Recording", "recorded", "recording_of"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MARK = "__lmprog_recording__"


@overload
def recorded(function: _F, /) -> _F: ...
@overload
def recorded(
    function: None = None,
    /,
    *,
    name: str | None = None,
    version: str | int = "",
    fingerprint: Callable[[], Any] | str | None = None,
    files: Sequence[str | Path] | None = None,
    errors: tuple[type[Exception], ...] = (),
    ignore: Iterable[str] = (),
    cache: bool = True,
) -> Callable[[_F], _F]: ...
@overload
def recorded(
    function: _F,
    /,
    *,
    name: str | None = None,
    version: str | int = "",
    fingerprint: Callable[[], Any] | str | None = None,
    files: Sequence[str | Path] | None = None,
    errors: tuple[type[Exception], ...] = (),
    ignore: Iterable[str] = (),
    cache: bool = True,
) -> _F: ...
def recorded(function: Any = None, /, **options: Any) -> Any:
    """Make a function's calls cached, recorded and replayed exactly like LM calls, and part of the trace.

    ``@recorded``, ``@recorded(name=...)`` or ``recorded(client.search, name="search")``, on a function, a
    coroutine function, a method or any callable whose arguments and result have a JSON form. What it
    returns, live or replayed, is made from that form by the return annotation (dataclasses, pydantic
    models, tuples, ``Prediction``, ...); without one it is plain data. Errors are raised anew each time and
    are not stored, but for those named in ``errors``.

    Parameters
    ----------
    name: what it is called in recordings and traces; by default its qualified name. A renamed function
        keeps its recordings under its old name.
    version: change it where the recorded results no longer hold.
    fingerprint: a function that returns a digest of the data behind it (or that digest): where it changes,
        snapshots are stale and cached results are not used. An object's ``fingerprint()`` is used by itself.
    files: data files behind it, relative to its module's folder; ``()`` says that there is none.
    errors: exceptions that are a result (``(ToolError,)``); a replay raises them with the recorded message.
    ignore: parameters that don't change the result and are not recorded (clients, loggers).
    cache: False calls it wherever no recording answers.

    Raises UsageError for what cannot be recorded: a generator, or an argument or result without JSON form.
    """
    if function is None:
        return lambda given: recorded(given, **options)
    if recording_of(function) is not None and not options:
        return function
    return _wrapped(Recording(function, **options))


def recording_of(function: Any) -> Recording | None:
    """Return how ``function`` is recorded, or None where it is not."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Recording) else None


class Recording:
    """How one function is recorded: its name, its parameters, the way of its calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        version: str | int = "",
        fingerprint: Callable[[], Any] | str | None = None,
        files: Sequence[str | Path] | None = None,
        errors: tuple[type[Exception], ...] = (),
        ignore: Iterable[str] = (),
        cache: bool = True,
    ) -> None:
        _check(function)
        self.function = function
        self.given_name = name
        self.version = str(version)
        self.errors = (errors,) if isinstance(errors, type) else tuple(errors)
        self._fingerprint = fingerprint
        self._files = None if files is None else tuple(map(Path, files))
        self._ignore = frozenset([ignore] if isinstance(ignore, str) else ignore)
        self.form = ResultForm(function)
        self._signature = inspect.signature(function)
        self._cache = cache
        self._store: AnswerStore = MemoryStore()
        self._caller = self._caller_for(None)

    @property
    def is_async(self) -> bool:
        """Whether calling it gives an awaitable."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - an instance's own
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    @property
    def name(self) -> str:
        """The name that people see: ``search``."""
        return self.given_name or self.qualified_name(None).rpartition(".")[2]

    def qualified_name(self, owner: Any) -> str:
        """The name in recordings; ``owner`` is the object whose method is called."""
        if self.given_name is not None:
            return self.given_name
        function = self.function
        own = type(function)
        name = getattr(function, "__qualname__", None) or own.__qualname__
        if owner is None and isinstance(function, MethodType):
            owner = function.__self__
        if owner is None or isinstance(owner, type):
            return f"{getattr(function, '__module__', None) or own.__module__}.{name}"
        return f"{type(owner).__module__}.{type(owner).__qualname__}.{name.rpartition('.')[2]}"

    def fingerprint(self, owner: Any = None) -> str | None:
        """Return the digest of the data behind the function: of its files and of what its fingerprint says;
        None where nothing is declared. Raises OSError for a file that is not there."""
        parts: list[Any] = []
        if self._files is not None:
            parts.append([digest_bytes(self._file(path).read_bytes()) for path in self._files])
        if self._fingerprint is not None:
            parts.append(str(self._fingerprint() if callable(self._fingerprint) else self._fingerprint))
        own = owner if owner is not None else getattr(self.function, "__self__", self.function)
        declared = getattr(own, "fingerprint", None)
        if callable(declared) and not isinstance(own, type):
            parts.append(str(declared()))
        return digest(parts) if parts else None

    def _file(self, path: Path) -> Path:
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return Path(code.co_filename).parent / path if isinstance(code, CodeType) else path

    def identity(self, owner: Any = None) -> str:
        """Return what the cache key is bound to: a digest of the function's code and data."""
        function = getattr(self.function, "__func__", self.function)
        code = getattr(inspect.unwrap(function), "__code__", None)
        kind = type(self.function)
        shown = _code_digest(code) if isinstance(code, CodeType) else f"{kind.__module__}.{kind.__qualname__}"
        return digest([shown, self.fingerprint(owner)])[:32]

    def request(self, owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallRequest:
        """Return the request of a call. Raises TypeError for arguments that the function does not take,
        UsageError for one without a JSON form."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[0 if owner is None else 1 :])
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        kept = {name: value for name, value in arguments.items() if name not in self._ignore}
        return CallRequest(self.qualified_name(owner), self._plain(kept), self.version)

    def _plain(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {name: plain(value, name) for name, value in arguments.items()}
        except CanonicalError as error:
            raise UsageError(
                f"a call of {self.name}() cannot be recorded: argument {error}",
                hint='leave an argument that does not change the result out: @lmp.recorded(ignore=["..."])',
            ) from None

    def _caller_for(self, owner: Any) -> Caller:
        return Caller(functools.partial(self.identity, owner), self._store, self._cache)

    def caller(self, owner: Any) -> Caller:
        """Return the way of the calls of a method of ``owner``, or of the function."""
        return self._caller if owner is None else self._caller_for(owner)

    def result_of(self, run: Callable[[], Any]) -> CallResult:
        """Run the function; return its result in plain form, or an error that counts as one."""
        try:
            with _alone():
                return CallResult(self._plain_result(run()))
        except LmprogError:
            raise
        except self.errors as error:
            return CallResult(error=self._kept_error(error))

    async def aresult_of(self, run: Callable[[], Awaitable[Any]]) -> CallResult:
        """The same, awaiting."""
        try:
            with _alone():
                return CallResult(self._plain_result(await run()))
        except LmprogError:
            raise
        except self.errors as error:
            return CallResult(error=self._kept_error(error))

    def _kept_error(self, error: Exception) -> CallError:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind in self.errors)
        only = error.args[0] if len(error.args) == 1 else None
        return CallError(kind, only if isinstance(only, str) else str(error))

    def _plain_result(self, value: Any) -> Any:
        try:
            return self.form.plain(value)
        except CanonicalError as error:
            where = f" at {error.path}" if getattr(error, "path", "") else ""
            raise UsageError(
                f"{self.name}() returned what cannot be recorded{where}: {error.message}",
                hint="return plain data, dataclasses or pydantic models",
            ) from None

    def outcome(self, request: CallRequest, result: CallResult) -> Any:
        """Note a call in the trace and return its result, or raise its error."""
        error = result.error
        value = None if error is not None else self.form.restored(result.value)
        note_call(self.name, request, value, result)
        if error is not None:
            raise self._raised(error)
        return value

    def _raised(self, error: CallError) -> Exception:
        kind = next((k for k in self.errors if k.__name__ == error.kind), None)
        if kind is None:
            return UsageError(
                f"{self.name}() is recorded with the error {error.kind}: {error.message}",
                hint=f"name it again: @lmp.recorded(errors=({error.kind},)), or record with --lm-record=all",
            )
        return kind(error.message)


def _check(function: Any) -> None:
    if not callable(function) or isinstance(function, type):
        raise UsageError(f"recorded takes a function, not {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{function.__name__}() is a generator, which cannot be recorded", hint="return a list"
        )


@contextmanager
def _alone() -> Iterator[None]:
    """What a recorded function does inside is its own: a replay does not run it, so its LM calls are not in
    the trace and don't count against ``max_calls``."""
    scope = current_scope()
    with tracing(None), use_scope(scope.for_run(scope.label, None)):
        yield


@functools.lru_cache(maxsize=1024)
def _code_digest(code: CodeType) -> str:
    inner = [_code_digest(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return digest_bytes(repr((code.co_code, inner, code.co_names, code.co_varnames)).encode())


def _wrapped(recording: Recording) -> Any:
    function = recording.function
    is_method = isinstance(function, FunctionType) and _takes_self(function)
    wrapper: Any = (_async_wrapper if recording.is_async else _wrapper)(recording, is_method)
    functools.update_wrapper(wrapper, function)
    wrapper.__name__ = getattr(function, "__name__", recording.name)
    wrapper.__signature__ = recording._signature
    setattr(wrapper, _MARK, recording)
    return wrapper


def _takes_self(function: FunctionType) -> bool:
    """Whether it is a method: defined in a class, with the object (or class) as its first argument."""
    within = function.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), None)
    return bool(within) and not within.endswith("<locals>") and first in ("self", "cls")


def _wrapper(recording: Recording, is_method: bool) -> Callable[..., Any]:
    function = recording.function

    def call(*args: Any, **kwargs: Any) -> Any:
        owner = args[0] if is_method and args else None
        request = recording.request(owner, args, kwargs)
        found = recording.caller(owner).call(
            request, lambda: recording.result_of(lambda: function(*args, **kwargs))
        )
        return recording.outcome(request, found)

    return call


def _async_wrapper(recording: Recording, is_method: bool) -> Callable[..., Any]:
    function = recording.function

    async def call(*args: Any, **kwargs: Any) -> Any:
        owner = args[0] if is_method and args else None
        request = recording.request(owner, args, kwargs)
        found = await recording.caller(owner).acall(
            request, lambda: recording.aresult_of(lambda: function(*args, **kwargs))
        )
        return recording.outcome(request, found)

    return call
