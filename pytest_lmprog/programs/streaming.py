"""``stream``: a run of a program, as the pieces of its output fields while they arrive."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from pytest_lmprog.errors import UsageError
from pytest_lmprog.lm.streaming import StreamCancelledError
from pytest_lmprog.programs.context import listener
from pytest_lmprog.programs.listening import FieldChunk, Listener, StreamListener, wanted_field

if TYPE_CHECKING:
    from pytest_lmprog.programs.module import Module

__all__ = ["Stream", "stream", "streamify"]


class Stream:
    """A run of a program, to iterate over once with ``for`` or ``async for``: the pieces of its output
    fields, then what the program returned.

    Leaving the loop early (or ``close()``) drops the call in flight. An error of the program is raised in the
    loop, as the program would raise it.
    """

    def __init__(
        self,
        program: Module,
        fields: Sequence[Any] | None,
        args: tuple[Any, ...],
        inputs: Mapping[str, Any],
    ) -> None:
        self._program = program
        self._fields = fields
        self._args = args
        self._inputs = inputs
        self._iterator: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = self._sync()
        return self._iterator

    def __next__(self) -> Any:
        return next(iter(self))

    def close(self) -> None:
        """End the run."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()

    def _sync(self) -> Iterator[Any]:
        events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        heard = Listener(self._program, self._fields, lambda chunk: events.put(("chunk", chunk)))

        def run() -> None:
            listener.set(heard)
            try:
                events.put(("end", self._program(*self._args, **self._inputs)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the stream is read
                events.put(("error", error))

        Thread(target=contextvars.copy_context().run, args=(run,), name="lmprog-stream", daemon=True).start()
        try:
            while True:
                kind, value = events.get()
                if kind == "error":
                    raise value
                yield value
                if kind == "end":
                    return
        finally:
            heard.cancelled.set()

    async def __aiter__(self) -> AsyncIterator[Any]:
        import asyncio

        loop = asyncio.get_running_loop()
        events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

        def put(kind: str, value: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                loop.call_soon_threadsafe(events.put_nowait, (kind, value))

        heard = Listener(self._program, self._fields, lambda chunk: put("chunk", chunk))

        async def run() -> None:
            listener.set(heard)
            try:
                put("end", await self._program.acall(*self._args, **self._inputs))
            except (Exception, StreamCancelledError) as error:  # noqa: BLE001 - raised where the stream is read
                put("error", error)

        task = loop.create_task(run(), context=contextvars.copy_context())
        try:
            while True:
                kind, value = await events.get()
                if kind == "error":
                    raise value
                yield value
                if kind == "end":
                    return
        finally:
            heard.cancelled.set()
            task.cancel()


def stream(program: Module, fields: Sequence[Any] | None = None, /, **inputs: Any) -> Any:
    """Run ``program`` and tell its output fields while they arrive.

    ``stream(program, ["answer"], question="...")`` is a ``Stream``: iterating over it gives FieldChunks,
    which unpack to (field, text), then what the program returned. Without inputs a function is returned
    that takes them: ``stream(program, fields=["answer"])(question="...")``.

    Parameters
    ----------
    program: the program.
    fields: names of output fields (``"answer"``, or ``"classify.answer"`` for one predictor's), or None for
        all.
    """
    if "fields" in inputs and fields is None and not _takes_fields(program):
        fields = inputs.pop("fields")
    _check_fields(program, fields)
    if inputs:
        return Stream(program, fields, (), inputs)
    return lambda *args, **given: Stream(program, fields, args, given)


def _takes_fields(program: Module) -> bool:
    from pytest_lmprog.programs.run import forward_inputs

    return "fields" in (forward_inputs(program) or ())


def _check_fields(program: Module, fields: Sequence[Any] | None) -> None:
    if isinstance(fields, str):
        raise UsageError(f"fields must be a list of names: fields=[{fields!r}]")
    there = {(name, f) for name, p in program.named_predictors() for f in p.signature.output_fields}
    for item in fields or ():
        predictor, wanted = wanted_field(item)
        if not any(f == wanted and predictor in ("", name) for name, f in there):
            known = ", ".join(sorted({f for _, f in there})) or "none"
            raise UsageError(f"no predictor has an output field {item!r}; there are: {known}")


def streamify(
    program: Module,
    status_message_provider: Any = None,
    stream_listeners: Sequence[StreamListener] | None = None,
    include_final_prediction_in_output_stream: bool = True,
    is_async_program: bool = False,
    async_streaming: bool = True,
) -> Callable[..., Any]:
    """Return ``program`` as a function whose calls stream, as DSPy's ``streamify`` does: an async generator
    of FieldChunks (a generator where ``async_streaming`` is False), with the Prediction last."""
    del is_async_program
    if status_message_provider is not None:
        raise UsageError("streamify has no status messages", hint="listen to fields: stream_listeners=[...]")
    fields = None if stream_listeners is None else [_named(program, s) for s in stream_listeners]
    _check_fields(program, fields)

    def chunks(value: Any) -> bool:
        return include_final_prediction_in_output_stream or isinstance(value, FieldChunk)

    def plain(*args: Any, **inputs: Any) -> Iterator[Any]:
        return (value for value in Stream(program, fields, args, inputs) if chunks(value))

    async def awaited(*args: Any, **inputs: Any) -> AsyncIterator[Any]:
        async for value in Stream(program, fields, args, inputs):
            if chunks(value):
                yield value

    return awaited if async_streaming else plain


def _named(program: Module, listener: StreamListener) -> StreamListener:
    if listener.predict is None:
        return listener
    names = {id(p): name for name, p in program.named_predictors()}
    name = names.get(id(listener.predict))
    if name is None:
        raise UsageError(f"{listener.predict!r} is no predictor of the program")
    return StreamListener(listener.signature_field_name, None, name)
