"""What users import from the folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pytest_lmprog.evaluation as evaluation


def test_every_public_name_is_there() -> None:
    for name in evaluation.__all__:
        assert getattr(evaluation, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = evaluation.nothing  # type: ignore[attr-defined]


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys; from pytest_lmprog.evaluation import Evaluate, load_dataset, exact_match, as_metric\n"
        "import pytest_lmprog.evaluation.leakage, pytest_lmprog.evaluation.statistics\n"
        "heavy = {'yaml', 'csv', 'concurrent.futures', 'litellm', 'diskcache', 'pytest'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
