"""Keeps what was picked beside the runs, so that a restarted kernel or server loses no recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from widgets.session import KEPT, Session
from workbench.errors import InvalidInput
from workbench.store import disk_errors, write_json

if TYPE_CHECKING:
    from widgets.pump import Pump

FILE = ".session.json"


def restored(store_folder: str | Path, picked: Mapping[str, Any]) -> Session:
    """Return the session that was kept for the same request, else a new one with what the cell picked."""
    session = Session(store_folder, **picked)
    try:
        record = json.loads((Path(store_folder) / FILE).read_text())
        if record.get("asked_for") == _plain(picked):
            session.take({**record["session"], "store_folder": str(store_folder)})
    except (FileNotFoundError, json.JSONDecodeError, KeyError, AttributeError, InvalidInput):
        pass  # none kept, or by another version: what the cell picked stands
    return session


def keep_from_now_on(session: Session, pump: Pump) -> None:
    """Write the session after each change; many changes in a row are one write."""
    session.observe(lambda _: pump.do(_keep, session, key="keep the session"), names=list(KEPT))


def _keep(session: Session) -> None:
    root = session.store.root
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        write_json(root / FILE, {"asked_for": _plain(session.asked_for), "session": session.to_json()})


def _plain(picked: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(picked), default=str))
