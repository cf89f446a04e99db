"""Datasets: examples in order, with where each came from, so that every error can say file and line."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_lmprog.errors import CanonicalError, DataError, LmprogError, UsageError
from pytest_lmprog.evaluation.inputs import InputNames, program_inputs
from pytest_lmprog.evaluation.readers import read_table
from pytest_lmprog.evaluation.rows import Place, examples_of
from pytest_lmprog.programs.example import Example
from pytest_lmprog.programs.module import Module
from pytest_lmprog.records import dataclass

__all__ = ["Dataset", "dataset_of", "load_dataset"]

Loader = Callable[[Any], Iterable[Mapping[str, Any]] | None]


@dataclass(frozen=True)
class Dataset(Sequence[Example]):
    """Examples in file order.

    Parameters
    ----------
    examples: their inputs are known where the row, the file or the caller named them.
    lines: of each row in its file; for data from Python its number, from 1.
    place: the file, or words for data from Python.
    path: the file, or None.
    """

    examples: tuple[Example, ...]
    lines: tuple[int, ...]
    place: Place
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: Any) -> Any:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def splits(self) -> dict[str | None, int]:
        """Number of rows by split, in order of first appearance; None for rows without one."""
        counts: dict[str | None, int] = {}
        for example in self.examples:
            counts[example.split] = counts.get(example.split, 0) + 1
        return counts

    def split(self, name: str | None) -> Dataset:
        """Return the rows of one split (all for None). Raises DataError, listing those present, if it
        has none."""
        if name is None:
            return self
        keep = [i for i, example in enumerate(self.examples) if example.split == name]
        return self._only(keep) if keep else self._no_split(name)

    def _no_split(self, name: str) -> Dataset:
        present = self.splits
        if set(present) == {None}:
            raise self.place.about(f"no row has a split, so there is none named {name!r}")
        shown = ", ".join(f"{key or 'without a split'} ({n})" for key, n in present.items())
        near = difflib.get_close_matches(name, [key for key in present if key], n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        raise self.place.about(f"no row has the split {name!r}; there are: {shown}", hint)

    def limited(self, n: int | None) -> Dataset:
        """Return the first ``n`` rows (all for None)."""
        if n is None:
            return self
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UsageError(f"a limit must be an integer of 1 or more, not {n!r}")
        return self if n >= len(self) else self._only(range(n))

    def _only(self, keep: Sequence[int]) -> Dataset:
        return replace(
            self,
            examples=tuple(self.examples[i] for i in keep),
            lines=tuple(self.lines[i] for i in keep),
        )

    def with_inputs(self, names: Iterable[str]) -> Dataset:
        """Return the rows with the fields ``names`` as their inputs, whatever they were before.

        Raises DataError for a row that lacks one, and for two rows without ids whose inputs are equal."""
        wanted = InputNames.given(names)
        return self._checked([wanted for _ in self.examples])

    def for_program(self, program: Module, *, distinct: bool = True) -> Dataset:
        """Return the rows with their inputs known: those that row, file or caller named, else the fields
        named like the parameters of the program's ``forward``.

        Raises DataError for a row that lacks a field which the program needs, for inputs that the program
        does not take, for a program whose parameters do not name its inputs (``**kwargs``), and, if ids are
        to be ``distinct``, for two rows without ids whose inputs are equal."""
        own = program_inputs(program)
        named = {names: own.merged(names, self.place) for names in {e.input_names for e in self.examples}}
        return self._checked([named[e.input_names] for e in self.examples], distinct)

    def _checked(self, wanted: Sequence[InputNames], distinct: bool = True) -> Dataset:
        ids: dict[str, int] = {}
        ready = []
        for row, names, line in zip(self.examples, wanted, self.lines, strict=True):
            example = names.applied(row, self.place, line)
            if distinct:
                self._check_identity(example, line, ids)
            ready.append(example)
        return replace(self, examples=tuple(ready))

    def _check_identity(self, example: Example, line: int, ids: dict[str, int]) -> None:
        try:
            id_ = example.id
            if not self.place.is_file:
                example.digest()
        except CanonicalError as error:
            raise self.place.error(f"a value that cannot be compared and stored: {error}", line) from None
        first = ids.setdefault(id_, line)
        if first != line:
            also = self.place.row(first)
            problem = (
                f"the inputs are those of {also}" if not example.has_given_id else f"the id is that of {also}"
            )
            hint = "give each of them an 'id', or remove one" if not example.has_given_id else None
            raise self.place.error(problem, line, hint)


def load_dataset(
    source: Any, *, base: Path, inputs: Iterable[str] | str | None = None, loader: Loader | None = None
) -> Dataset:
    """Load examples.

    Parameters
    ----------
    source: a path to YAML, JSON, JSONL or CSV, a list of Example or dict, or a callable returning one.
    base: the folder that a relative path starts from.
    inputs: names of the input fields, over those of the file and its rows.
    loader: asked first: returns rows for ``source``, or None to leave it to the built-in readers.

    Raises DataError, with file and line, for anything that cannot be used.
    """
    rows = loader(source) if loader is not None else None
    data = _loaded(source, base) if rows is None else dataset_of(rows, name=f"the examples of {source!r:.80}")
    return data if inputs is None else data.with_inputs([inputs] if isinstance(inputs, str) else inputs)


def _loaded(source: Any, base: Path) -> Dataset:
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str | os.PathLike):
        return _from_file(base / Path(source))
    if callable(source):
        return _from_callable(source, base)
    return dataset_of(source)


def _from_file(path: Path) -> Dataset:
    place = Place(_shown(path), is_file=True)
    table = read_table(path, place.name)
    examples, lines = examples_of(table.rows, place)
    data = Dataset(tuple(examples), tuple(lines), place, path)
    return data if table.inputs is None else data.with_inputs(table.inputs)


def _shown(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(path)


def _from_callable(source: Callable[[], Any], base: Path) -> Dataset:
    name = getattr(source, "__qualname__", None) or type(source).__name__
    if inspect.iscoroutinefunction(source) or inspect.isasyncgenfunction(source):
        raise DataError(
            f"the examples of {name}(): a coroutine cannot be awaited here", hint="use a plain function"
        )
    try:
        made = source()
    except LmprogError:
        raise
    except Exception as error:
        raise DataError(f"the examples of {name}(): it raised {type(error).__name__}: {error}") from error
    if isinstance(made, str | os.PathLike | Dataset):
        return _loaded(made, base)
    return dataset_of(made, name=f"the examples of {name}()")


def dataset_of(rows: Any, *, name: str = "the examples") -> Dataset:
    """Return a Dataset of rows from Python: Examples or dicts, in any iterable. ``name`` is for messages."""
    place = Place(name, is_file=False)
    if inspect.isawaitable(rows) or isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        close = getattr(rows, "close", None)
        if inspect.iscoroutine(rows) and close is not None:
            close()
        raise place.about(
            f"a list of Examples or dicts is needed, not {type(rows).__name__}",
            "a source is a path, such a list, or a function that returns one",
        )
    examples, lines = examples_of(enumerate(rows, 1), place)
    if not examples:
        raise place.about("there are none", "a dataset needs one row or more")
    return Dataset(tuple(examples), tuple(lines), place)
