"""Execute a notebook many times: over a grid of parameters, one process each, unattended and resumable.

`workbench batch` on the command line; from Python `run`, `start`, `load` and `aggregate`. A notebook that is executed may call
`record`, `table`, `cached`, `artifacts` and `exclusive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.batch.inside import artifacts, cached, exclusive, record, table

if TYPE_CHECKING:
    from workbench.batch.api import BatchResult, aggregate, load, run, start

__all__ = ["BatchResult", "aggregate", "artifacts", "cached", "exclusive", "load", "record", "run", "start", "table"]


def __getattr__(name: str) -> Any:
    """Import what starts batches when it is asked for: a notebook that only records shall not wait for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from workbench.batch import api

    return getattr(api, name)
