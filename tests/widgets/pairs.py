"""A store with a small model as trained and the same with most weights gone: answers flip."""

from __future__ import annotations

from tests.conftest import small_job
from widgets.pump import Pump
from widgets.session import Session
from workbench.bench import carry_out
from workbench.nouns import Run
from workbench.store import Store

TRAIN = {"use": "train", "epochs": 15}
SMALL = {"model": {"use": "lenet_300_100", "hidden_1": 16, "hidden_2": 8}, "steps": [TRAIN]}
METRICS = [{"use": "size"}, {"use": "quality"}]


def pruned_run(store: Store, **changes: object) -> Run:
    """Return the run of a pruned model; its parent is made before it."""
    steps = [TRAIN, {"use": "magnitude_prune", "sparsity": 0.7}]
    return carry_out(small_job(**{"steps": steps, "metrics": METRICS, **changes}), store)


def session_of(store: Store, **picked: object) -> tuple[Session, Pump]:
    """Return a session that has looked at a store, with a pump that nothing runs but `drain`."""
    session = Session(store.root, **{**SMALL, **picked})
    session.refresh()
    return session, Pump()
