"""A memo says what to take and why, from which runs each figure came, and tells test for the chosen run alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.charts.crafted_runs import crafted_run, with_predictions
from workbench.compare import Budgets, choose, compare_runs
from workbench.errors import InvalidInput
from workbench.memo import Figure, decision_memo
from workbench.nouns import Run

TARGETS = np.arange(900) % 10
SMALL = {"use": "channel_prune", "ratio": 0.5}
LARGE = {"use": "channel_prune", "ratio": 0.2}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """A parent, a small run that lost nothing, a large one that broke 60 answers."""
    broken = np.where(np.arange(900) < 60, (TARGETS + 1) % 10, TARGETS)
    parent = crafted_run(
        "base-01", size=250_000, accuracy=0.97, folder=with_predictions(tmp_path / "a", TARGETS, TARGETS)
    )
    small = crafted_run("small-01", steps=({"use": "train"}, SMALL), parent="base-01", size=70_000, accuracy=0.96, p50=0.04,
                        ratio=(0.8, 0.7, 0.9), folder=with_predictions(tmp_path / "b", TARGETS, TARGETS))  # fmt: skip
    large = crafted_run("large-01", steps=({"use": "train"}, LARGE), parent="base-01", size=200_000, accuracy=0.91,
                        folder=with_predictions(tmp_path / "c", broken, TARGETS))  # fmt: skip
    return [parent, small, large]


def line_of(memo: str, run_id: str) -> str:
    return next(line for line in memo.splitlines() if line.startswith(f"| `{run_id}`"))


def test_it_says_what_to_take_and_why_not_the_others(runs: list[Run]) -> None:
    budgets = Budgets(max_drop=1.0, max_bytes=100_000)
    memo = decision_memo(runs, choose(runs, budgets), budgets=budgets)
    assert "**Take `small-01`**" in memo and "≤ 100,000 bytes" in memo
    against = memo.split("## Alternatives")[1].split("##")[0]
    assert "`large-01`" in against and "budget 100,000 bytes" in against and "`base-01`" in against


def test_only_the_chosen_run_shows_its_test_figure(runs: list[Run]) -> None:
    budgets = Budgets(max_drop=1.0)
    memo = decision_memo(runs, choose(runs, budgets), budgets=budgets)
    assert "(864/900)" in line_of(memo, "small-01")
    assert "/900)" not in line_of(memo, "base-01") and "/900)" not in line_of(memo, "large-01")
    assert all("/149)" in line_of(memo, run.run_id) for run in runs)


def test_a_comparison_of_runs_that_were_not_chosen_keeps_test_out(runs: list[Run]) -> None:
    budgets = Budgets(max_drop=1.0)
    choice = choose(runs, budgets)
    other = decision_memo(runs, choice, budgets=budgets, compared=compare_runs(runs[0], runs[2]))
    assert "Neither is the chosen run" in other and "test examples" not in other
    assert "split test" not in other.split("## Comparison")[1].split("##")[0]
    chosen = decision_memo(runs, choice, budgets=budgets, compared=compare_runs(runs[0], runs[1]))
    assert "900 test examples" in chosen and "cannot be told apart" in chosen
    assert "never measured together" in chosen or "measured" in chosen


def test_every_figure_names_the_runs_it_came_from(runs: list[Run]) -> None:
    budgets = Budgets(max_drop=1.0)
    figures = {"Trade-off": Path("trade off.png"), "Bytes": Figure(Path("bytes.png"), ("small-01",))}
    memo = decision_memo(runs, choose(runs, budgets), budgets=budgets, figures=figures)
    assert "![Trade-off](<trade off.png>)\n\nTrade-off. Drawn from: `base-01`, `small-01`, `large-01`" in memo
    assert "Bytes. Drawn from: `small-01`\n" in memo


def test_conditions_machine_and_limits_are_told(runs: list[Run]) -> None:
    memo = decision_memo(runs, choose(runs, Budgets()), budgets=Budgets())
    assert "threads 1, batch 1" in memo and "100 samples" in memo and "alone" in memo
    assert "Example CPU, 2 cores" in memo and "onnxruntime 1.32.0" in memo
    assert "One seed" in memo and "n = 149" in memo
    assert "none: the most accurate on validation is taken" in memo


def test_nothing_that_fits_is_said(runs: list[Run]) -> None:
    budgets = Budgets(max_bytes=10)
    memo = decision_memo([*runs, crafted_run("bad-01", status="failed")], choose(runs, budgets), budgets=budgets)
    assert "**No run is shown to fit the budgets.**" in memo and "`bad-01` failed" in memo
    assert "/900)" not in memo


def test_a_bar_in_a_name_ends_no_cell(runs: list[Run]) -> None:
    odd = crafted_run("odd-01", model="a|b")
    memo = decision_memo([*runs, odd], choose([*runs, odd], Budgets()), budgets=Budgets())
    assert line_of(memo, "odd-01").replace("\\|", "").count("|") == 10


def test_a_choice_of_other_runs_is_refused(runs: list[Run]) -> None:
    with pytest.raises(InvalidInput, match="large-01, which is not among"):
        decision_memo(runs[:2], choose(runs, Budgets()), budgets=Budgets())
    with pytest.raises(InvalidInput, match="no runs"):
        decision_memo([], choose(runs, Budgets()), budgets=Budgets())
