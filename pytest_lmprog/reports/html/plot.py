"""The candidates of a compile: a plot of score against cost, and the same as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lmprog.harness.saved.run import SavedCandidate, SavedUnit
from pytest_lmprog.reports import figures
from pytest_lmprog.reports.page import text

__all__ = ["candidates"]

_AXES = (
    ("cost", "USD a run of the program"),
    ("tokens", "tokens a run of the program"),
    ("calls", "calls a run of the program"),
    ("characters", "characters of its prompts"),
)


def candidates(unit: SavedUnit) -> str:
    """Return plot and table; nothing where the unit was not compiled."""
    if not unit.candidates:
        return ""
    return (
        f'<details class="compile" open><summary>Compile: {figures.count(len(unit.candidates), "candidate")}'
        f"{_compiled(unit.compiled)}</summary>"
        f'<div class="candidates">{_plot(unit.candidates)}{_table(unit.candidates)}</div></details>'
    )


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


def _axis(scored: Sequence[SavedCandidate]) -> tuple[str, str]:
    """Return the first measure of cost that is known of every scored candidate, and tells some apart."""
    known = [axis for axis in _AXES if all(getattr(c, axis[0]) is not None for c in scored)]
    return next((axis for axis in known if len({getattr(c, axis[0]) for c in scored}) > 1), known[0])


def _plot(tried: Sequence[SavedCandidate]) -> str:
    scored = [candidate for candidate in tried if candidate.score is not None]
    if not scored:
        return '<p class="muted">No candidate was evaluated fully.</p>'
    name, words = _axis(scored)
    across = _scale([float(getattr(c, name)) for c in scored], floor=0.0)
    up = _scale([c.score or 0.0 for c in scored], roof=1.0)
    places = {c.index: (across.place(getattr(c, name)), up.place(c.score or 0.0)) for c in scored}
    winner = next((c for c in scored if c.winner), None)
    best = f", candidate {winner.index} won with {figures.score(winner.score)}" if winner else ""
    label = text(f"Score against {words}: {figures.count(len(scored), 'candidate')}{best}")
    return (
        f'<figure class="plot"><div class="yticks" aria-hidden="true">{_labels(up, "bottom")}</div>'
        f'<svg role="img" aria-label="{label}">{"".join(_grid(across, up))}'
        f"{''.join(_points(scored, places, name))}</svg>"
        f'<div class="xticks" aria-hidden="true">{_labels(across, "left")}</div>'
        f"<figcaption>Score against {text(words)}</figcaption></figure>"
    )


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
    scored: Sequence[SavedCandidate], places: Mapping[int, tuple[float, float]], measure: str
) -> Iterator[str]:
    named: dict[tuple[int, int], list[SavedCandidate]] = {}
    for candidate in sorted(scored, key=lambda c: (c.winner, c.index)):  # the winner is drawn last, on top
        x, y = places[candidate.index]
        kind = "point winner" if candidate.winner else "point"
        cost = _measure(candidate, measure)
        title = text(f"{candidate.index} {candidate.label}: {figures.score(candidate.score)}, {cost}")
        radius = 7 if candidate.winner else 5
        place = f'cx="{x:.2f}%" cy="{100 - y:.2f}%" r="{radius}"'
        yield f'<circle class="{kind}" {place}><title>{title}</title></circle>'
        named.setdefault((round(x), round(y)), []).append(candidate)
    for (x_near, y_near), group in named.items():
        anchor = ' text-anchor="end" dx="-10"' if x_near > 88 else ' dx="10"'
        label = text(figures.listed([str(candidate.index) for candidate in group], 4))
        anchor += ' class="winner"' if any(candidate.winner for candidate in group) else ""
        yield f'<text x="{x_near}%" y="{100 - y_near}%" dy="4"{anchor}>{label}</text>'


def _measure(candidate: SavedCandidate, name: str) -> str:
    value = getattr(candidate, name)
    if value is None:
        return "-"
    return f"${value:.6f}".rstrip("0").rstrip(".") if name == "cost" else f"{value:,.4g} {name}"


def _table(tried: Sequence[SavedCandidate]) -> str:
    head = "<th>Candidate</th>" + "".join(
        f'<th class="num">{name}</th>' for name in ("score", "calls", "tokens", "USD", "characters")
    )
    rows = "".join(_row(candidate) for candidate in tried)
    return (
        '<div class="scroll"><table><caption class="sr">Candidates; calls, tokens and USD are means of one '
        f"run of the program</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(candidate: SavedCandidate) -> str:
    kind = ' class="winner"' if candidate.winner else ""
    won = ' <span class="badge good">winner</span>' if candidate.winner else ""
    score = figures.score(candidate.score) if candidate.score is not None else "not scored"
    cells = [score, _number(candidate.calls), _number(candidate.tokens)]
    cells += ["-" if candidate.cost is None else f"{candidate.cost:.6f}", f"{candidate.characters:,}"]
    figures_cells = "".join(f'<td class="num">{cell}</td>' for cell in cells)
    return f"<tr{kind}><td>{candidate.index} {text(candidate.label)}{won}</td>{figures_cells}</tr>"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:,.1f}"
