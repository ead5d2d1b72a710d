"""A and B are the session's: picked here or elsewhere, exchanged with one button."""

from __future__ import annotations

import pytest

from tests.widgets.pairs import pruned_run, session_of
from widgets._pick_pair import PickPair, label, pair_problem
from workbench.nouns import Run
from workbench.store import Store


@pytest.fixture
def run(shared_store: Store) -> Run:
    return pruned_run(shared_store)


def test_runs_are_offered_by_recipe_format_and_end_of_id(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    pair = PickPair(session, pump)
    pair.update()
    assert pair.a.options[0] == ("parent of B", "")
    assert (label(run), run.run_id) in pair.b.options
    assert label(run).startswith("prune 70%") and label(run).endswith(run.run_id[-8:])


def test_a_pick_reaches_the_session_and_offering_runs_picks_none(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    pair = PickPair(session, pump)
    pair.update()
    pump.drain()
    assert (session.a, session.b) == ("", "")
    assert "Pick a run as B" in pair_problem(session)
    pair.b.value = run.run_id
    pump.drain()
    assert session.b == run.run_id and session.compared()[0].run_id == run.parent
    assert pair_problem(session) == ""


def test_exchanging_names_the_parent(shared_store: Store, run: Run) -> None:
    session, pump = session_of(shared_store)
    session.b = run.run_id
    pair = PickPair(session, pump)
    pair.update()
    pair.swap.click()
    pump.drain()
    assert (session.a, session.b) == (run.run_id, run.parent)
    assert (pair.a.value, pair.b.value) == (run.run_id, run.parent)


def test_the_model_as_trained_has_no_parent_and_says_so(shared_store: Store, run: Run) -> None:
    session, _ = session_of(shared_store)
    session.b = run.parent
    assert "has no parent" in pair_problem(session)
    session.a = run.parent
    assert "same run" in pair_problem(session)
