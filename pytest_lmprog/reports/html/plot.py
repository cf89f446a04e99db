"""The candidates of a compile: plots of score against cost and calls, and the same as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pytest_lmprog.harness.fit import SplitScore
from pytest_lmprog.harness.saved.run import SavedCandidate, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.fit import saved_splits, split_text
from pytest_lmprog.reports.page import text

__all__ = ["candidates"]

_AXES = (
    ("cost", "USD a run of the program"),
    ("tokens", "tokens a run of the program"),
    ("calls", "calls a run of the program"),
    ("characters", "characters of its prompts"),
)


def candidates(unit: SavedUnit) -> str:
    """Return plots and table; nothing where the unit was not compiled."""
    if not unit.candidates:
        return ""
    return (
        f'<details class="compile" open><summary>Compile: {figures.count(len(unit.candidates), "candidate")}'
        f"{_compiled(unit.compiled)}</summary>"
        f'{_splits(unit)}<div class="candidates">{_plots(unit.candidates)}'
        f"{_table(unit.candidates)}</div></details>"
    )


def _splits(unit: SavedUnit) -> str:
    """Return the scores on training, validation and test examples, side by side."""
    found = saved_splits(unit)
    if not found:
        return ""
    head = "".join(f'<th class="num">{split.split}</th>' for split in found)
    cells = "".join(f'<td class="num">{_split(split)}</td>' for split in found)
    notes = "".join(f"<div>{split.split}: {text(split.note)}</div>" for split in found if split.note)
    said = f'<tr class="said"><td colspan="{len(found) + 1}" class="muted">{notes}</td></tr>' if notes else ""
    return (
        '<div class="scroll"><table class="splits"><thead><tr><th>Compiled program</th>'
        f"{head}</tr></thead><tbody><tr><td>score, 95 % interval (examples)</td>{cells}</tr>{said}"
        "</tbody></table></div>"
    )


def _split(found: SplitScore) -> str:
    if found.score is None:
        return figures.NONE
    rest = split_text(found, dash="\u2013").partition(" ")[2]
    return f'<strong>{figures.score(found.score)}</strong> <span class="muted">{rest}</span>'


def _compiled(compiled: Mapping[str, Any] | None) -> str:
    if not compiled:
        return ""
    said: list[str] = []
    if compiled.get("score") is not None:
        said.append(f"best {figures.score(compiled['score'])}")
    if compiled.get("validated_on"):
        said.append(f"on {figures.count(compiled['validated_on'], 'example')}")
    if compiled.get("stopped") not in (None, "done"):
        said.append(f"stopped: {compiled['stopped']}")
    return f' <small class="muted">{text(", ".join(said))}</small>' if said else ""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to percents of an axis."""

    low: float
    high: float
    step: float

    def place(self, value: float) -> float:
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        return [self.low + self.step * n for n in range(count + 1)]


def _scale(values: Sequence[float], *, floor: float | None = None, roof: float = math.inf) -> _Scale:
    """Return a scale with 2 to 7 round ticks around ``values``."""
    low, high = min(values) if floor is None else floor, max(values)
    spread = max((high - low) or abs(high) or 1.0, abs(high) * 1e-6, 1e-9)
    power = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * 5 >= spread)
    bottom = math.floor(low / step + 1e-9) * step
    bottom = max(0.0, min(bottom, roof - step))
    top = max(math.ceil(high / step - 1e-9) * step, bottom + step)
    return _Scale(bottom, min(top, max(roof, high)), step)


Values = Mapping[int, float]
"""What stands across a plot, by candidate."""


def _plots(tried: Sequence[SavedCandidate]) -> str:
    scored = [candidate for candidate in tried if candidate.score is not None]
    if not scored:
        return '<p class="muted">No candidate was evaluated fully.</p>'
    if len(scored) == 1:
        return ""  # a point alone is above nothing
    name, words = _axis(scored)
    costs = {c.index: float(getattr(c, name)) for c in scored}
    plots = _plot(scored, costs, words, lambda c: _measure(c, name))
    calls = _calls_so_far(tried)
    if len({calls[c.index] for c in scored}) > 1:
        plots += _plot(scored, calls, _CALLS, lambda c: f"{calls[c.index]:,.0f} calls so far", best=True)
    return f'<div class="plots">{plots}</div>'


_CALLS = "LM calls that evaluated candidates so far, in their order"


def _calls_so_far(tried: Sequence[SavedCandidate]) -> Values:
    """Return, for each candidate, the calls that evaluated it and those before it. Proposals are not among
    them: they belong to no candidate."""
    totals = accumulate(round((c.calls or 0.0) * c.runs) for c in tried)
    return {c.index: float(total) for c, total in zip(tried, totals, strict=True)}


def _axis(scored: Sequence[SavedCandidate]) -> tuple[str, str]:
    """Return the first measure of cost that is known of every scored candidate, and tells some apart."""
    known = [axis for axis in _AXES if all(getattr(c, axis[0]) is not None for c in scored)]
    return next((axis for axis in known if len({getattr(c, axis[0]) for c in scored}) > 1), known[0])


def _plot(
    scored: Sequence[SavedCandidate],
    values: Values,
    words: str,
    told: Callable[[SavedCandidate], str],
    *,
    best: bool = False,
) -> str:
    """Return a plot of scores against ``values``. ``told``: a candidate's value in words; ``best``: draw a
    line of the best score so far."""
    across = _scale([values[c.index] for c in scored], floor=0.0)
    up = _scale([c.score or 0.0 for c in scored], roof=1.0)
    places = {c.index: (across.place(values[c.index]), up.place(c.score or 0.0)) for c in scored}
    winner = next((c for c in scored if c.winner), None)
    won = f", candidate {winner.index} won with {figures.score(winner.score)}" if winner else ""
    label = text(f"Score against {words}: {figures.count(len(scored), 'candidate')}{won}")
    line = "".join(_best(scored, places)) if best else ""
    return (
        f'<figure class="plot"><div class="yticks" aria-hidden="true">{_labels(up, "bottom")}</div>'
        f'<svg role="img" aria-label="{label}">{"".join(_grid(across, up))}{line}'
        f"{''.join(_points(scored, places, told, above=best))}</svg>"
        f'<div class="xticks" aria-hidden="true">{_labels(across, "left")}</div>'
        f"<figcaption>Score against {text(words)}</figcaption></figure>"
    )


def _best(scored: Sequence[SavedCandidate], places: Mapping[int, tuple[float, float]]) -> Iterator[str]:
    """Yield the line of the best score so far: across to where it is beaten, then up."""
    best: tuple[float, float] | None = None
    for candidate in scored:
        x, y = places[candidate.index]
        if best is not None:
            yield _segment(best[0], best[1], x, best[1])
            if y > best[1]:
                yield _segment(x, best[1], x, y)
        best = (x, y if best is None else max(y, best[1]))


def _segment(x1: float, y1: float, x2: float, y2: float) -> str:
    place = f'x1="{x1:.2f}%" y1="{100 - y1:.2f}%" x2="{x2:.2f}%" y2="{100 - y2:.2f}%"'
    return f'<line class="best" {place}></line>'


def _labels(scale: _Scale, side: str) -> str:
    return "".join(
        f'<span style="{side}:{scale.place(tick):.2f}%">{_tick(tick, scale.step)}</span>'
        for tick in scale.ticks
    )


def _tick(value: float, step: float) -> str:
    """Return a tick with as many digits as the step needs."""
    digits = next(n for n in range(12) if n == 11 or abs(step - round(step, n)) < step * 1e-6)
    return f"{value:,.{digits}f}"


def _grid(across: _Scale, up: _Scale) -> Iterator[str]:
    for tick in up.ticks:
        y = f"{100 - up.place(tick):.2f}%"
        yield f'<line class="grid" x1="0%" x2="100%" y1="{y}" y2="{y}"></line>'
    for tick in across.ticks:
        x = f"{across.place(tick):.2f}%"
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="0%" y2="100%"></line>'


def _points(
    scored: Sequence[SavedCandidate],
    places: Mapping[int, tuple[float, float]],
    told: Callable[[SavedCandidate], str],
    *,
    above: bool,
) -> Iterator[str]:
    """Yield the points and their numbers, ``above`` them or beside."""
    named: dict[tuple[int, int], list[SavedCandidate]] = {}
    for candidate in sorted(scored, key=lambda c: (c.winner, c.index)):  # the winner is drawn last, on top
        x, y = places[candidate.index]
        kind = "point winner" if candidate.winner else "point"
        title = text(
            f"{candidate.index} {candidate.label}: {figures.score(candidate.score)}, {told(candidate)}"
        )
        radius = 7 if candidate.winner else 5
        place = f'cx="{x:.2f}%" cy="{100 - y:.2f}%" r="{radius}"'
        yield f'<circle class="{kind}" {place}><title>{title}</title></circle>'
        named.setdefault((round(x), round(y)), []).append(candidate)
    for (x_near, y_near), group in named.items():
        anchor = ' text-anchor="end" dx="-10" dy="4"' if x_near > 88 else ' dx="10" dy="4"'
        anchor = ' text-anchor="middle" dy="-10"' if above else anchor
        label = text(figures.listed([str(c.index) for c in sorted(group, key=lambda c: c.index)], 4))
        anchor += ' class="winner"' if any(candidate.winner for candidate in group) else ""
        yield f'<text x="{x_near}%" y="{100 - y_near}%"{anchor}>{label}</text>'


def _measure(candidate: SavedCandidate, name: str) -> str:
    value = getattr(candidate, name)
    if value is None:
        return "-"
    return f"${value:.6f}".rstrip("0").rstrip(".") if name == "cost" else f"{value:,.4g} {name}"


def _table(tried: Sequence[SavedCandidate]) -> str:
    made = any(candidate.parents for candidate in tried)
    head = "<th>Candidate</th>" + ("<th>made from</th>" if made else "")
    head += "".join(
        f'<th class="num">{name}</th>' for name in ("score", "calls", "tokens", "USD", "characters")
    )
    rows = "".join(_row(candidate, made=made) for candidate in tried)
    return (
        '<div class="scroll"><table><caption class="sr">Candidates; calls, tokens and USD are means of one '
        f"run of the program</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(candidate: SavedCandidate, *, made: bool) -> str:
    kind = ' class="winner"' if candidate.winner else ""
    won = ' <span class="badge good">winner</span>' if candidate.winner else ""
    score = figures.score(candidate.score) if candidate.score is not None else "not scored"
    cells = [score, _number(candidate.calls), _number(candidate.tokens)]
    cells += ["-" if candidate.cost is None else f"{candidate.cost:.6f}", f"{candidate.characters:,}"]
    figures_cells = "".join(f'<td class="num">{cell}</td>' for cell in cells)
    parents = ", ".join(map(str, candidate.parents)) or figures.NONE
    figures_cells = (f"<td>{parents}</td>" if made else "") + figures_cells
    return f"<tr{kind}><td>{candidate.index} {text(candidate.label)}{won}</td>{figures_cells}</tr>"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:,.1f}"
