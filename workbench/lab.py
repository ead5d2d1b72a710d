"""Where the notebooks are, and a copy of them to work in."""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.errors import WorkbenchError

WORKING_COPY = "workbench-notebooks"


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
