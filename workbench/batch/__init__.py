"""Execute a notebook many times: over a grid of parameters, one process each, unattended and resumable.

`workbench batch` on the command line. A notebook that is executed may call `record`, `cached`, `artifacts` and `exclusive`.
"""

from workbench.batch.inside import artifacts, cached, exclusive, record

__all__ = ["artifacts", "cached", "exclusive", "record"]
