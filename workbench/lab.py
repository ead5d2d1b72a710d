"""Where the notebooks are, and a copy of them to work in."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import MissingExtra, WorkbenchError

WORKING_COPY = "workbench-notebooks"
# Voila's page would ask a CDN for icons; widgets need the unsafe words: their code and styles come from the kernel.
ONLY_FROM_HERE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)


def notebooks_folder() -> Path:
    """Return the folder of the notebooks: of the checkout, else the one that was installed with the package."""
    package = Path(__file__).parent
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / "00_tour.ipynb").is_file():
            return folder
    raise WorkbenchError(f"no notebooks beside {package}", next_move="install the workbench again: pip install .")


def folder_to_work_in(here: Path) -> Path:
    """Return the checkout's notebooks, or a copy of the installed ones in `here`; what a person changed there is kept."""
    source = notebooks_folder()
    if source.parent != Path(__file__).parent:
        return source
    target = here / WORKING_COPY / "notebooks"  # one deeper: the notebooks keep runs and reports beside their folder
    for notebook in sorted(source.rglob("*.ipynb")):
        copy = target / notebook.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(notebook, copy)
    return target


def voila_command(notebook: Path, further: Sequence[str] = ()) -> list[str]:
    """Return the command that serves a notebook as an app on this machine; raises MissingExtra without Voila."""
    if importlib.util.find_spec("voila") is None:
        raise MissingExtra("the app needs voila", next_move="pip install 'workbench[app]'")
    private = ["--Voila.ip=127.0.0.1", "--Voila.auto_token=True", "--VoilaConfiguration.show_tracebacks=False"]
    offline = f"--Voila.tornado_settings={ {'headers': {'Content-Security-Policy': ONLY_FROM_HERE}} }"
    return [sys.executable, "-m", "voila", str(notebook), *private, offline, *further]
