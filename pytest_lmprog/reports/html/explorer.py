"""The frame of the table of cases and of the trace viewer; the script fills both."""

from __future__ import annotations

from pytest_lmprog.harness.saved.run import SavedRun
from pytest_lmprog.reports.page import text

__all__ = ["explorer"]

_FRAME = """<section class="cases" aria-labelledby="cases">
<h2 id="cases">Cases</h2>
<noscript><p class="remark warn">The table of cases and the traces need JavaScript.</p></noscript>
<div id="explorer" hidden>
<div class="filters" role="search" aria-label="Filter the cases">
<label class="search"><span class="sr">Search ids, inputs, answers and feedback</span>
<input id="search" type="search" placeholder="Search ids, inputs, answers, feedback   /"
 autocomplete="off" spellcheck="false"></label>
{selects}
<button type="button" id="reset" class="quiet">Clear</button>
</div>
<div id="kinds" class="kinds" role="group" aria-label="Verdicts"></div>
<p id="shown" class="muted" role="status" aria-live="polite"></p>
<div id="viewport" class="viewport" tabindex="-1">
<table id="rows" class="rows" role="grid" aria-labelledby="cases">
<colgroup></colgroup><thead></thead><tbody></tbody></table>
<p id="none" class="none" hidden>No case is left by these filters.</p>
</div>
<p class="muted keys"><kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> next, previous
<kbd>Enter</kbd> open the trace <kbd>Esc</kbd> close</p>
</div>
</section>
<div id="trace" class="trace" role="dialog" aria-labelledby="trace-title" tabindex="-1" hidden></div>"""


def explorer(saved: SavedRun) -> str:
    """Return the table's frame with the filters that this run has a use for."""
    if not any(unit.outcomes or unit.cases for unit in saved.units):
        return '<section class="cases"><h2 id="cases">Cases</h2><p class="muted">No case ran.</p></section>'
    units = [(str(number), unit.info.name) for number, unit in enumerate(saved.units)]
    metrics = sorted({metric.name for unit in saved.units for metric in unit.info.metrics})
    examples = [example for unit in saved.units for example in unit.examples]
    splits = sorted({example.split for example in examples if example.split})
    tags = sorted({tag for example in examples for tag in example.tags})
    selects = (
        _select("unit", "All units", units),
        _select("metric", "Any metric", [(name, name) for name in metrics]),
        _select("split", "Any split", [(name, name) for name in splits]),
        _select("tag", "Any tag", [(name, name) for name in tags], least=1),
    )
    return _FRAME.format(selects="\n".join(select for select in selects if select))


def _select(name: str, everything: str, choices: list[tuple[str, str]], *, least: int = 2) -> str:
    """A choice between fewer than ``least`` values is none."""
    if len(choices) < least:
        return ""
    options = "".join(f'<option value="{text(value)}">{text(label)}</option>' for value, label in choices)
    return (
        f'<label><span class="sr">{name.title()}</span><select id="by-{name}" data-by="{name}">'
        f'<option value="">{everything}</option>{options}</select></label>'
    )
