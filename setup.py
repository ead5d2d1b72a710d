"""Everything is declared in pyproject.toml; this only takes the notebooks along into a wheel, as package data."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNotebooks(build_py):
    """Copies the notebooks, and the lessons' sources, to `workbench/notebooks/`; an editable install reads them in place."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        found = [path for ending in ("ipynb", "py") for path in sorted(Path("notebooks").rglob(f"*.{ending}"))]
        for notebook in found:
            if ".ipynb_checkpoints" not in notebook.parts:
                target = Path(self.build_lib, "workbench", notebook)
                self.mkpath(str(target.parent))
                self.copy_file(str(notebook), str(target))


setup(cmdclass={"build_py": WithNotebooks})
