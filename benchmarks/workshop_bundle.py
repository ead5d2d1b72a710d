"""Makes the offline bundle, installs it where no network can be reached, and does a lesson there.

Bars: the zip ≤ 1 GB; it installs; the doctor finds nothing that fails; lesson 01's solution (short version) passes every check.
Needs `unshare` for the room without a network; without it pip is still told to ask no index.

    python benchmarks/workshop_bundle.py [--lesson 01]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from _results import finish

from workbench.lessons import bundle, catalog

MOST_BYTES = 1e9
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh"]
LESSON = """
import json, sys
from pathlib import Path
from workbench.batch.execute import execute
from workbench.lab import notebooks_folder
from workbench.lessons import catalog
from workbench.lessons.progress import Progress
lesson, place = catalog.lesson(sys.argv[1]), Path("notebooks/workshop")
place.mkdir(parents=True)
name = f"{lesson.number}_{lesson.name}.ipynb"
(place / name).write_bytes((notebooks_folder() / "workshop" / "solutions" / name).read_bytes())
execute(place / name, Path(name), parameters=dict(lesson.fast))
kept = Progress(place / "progress.json").record()["exercises"]
print(json.dumps({each.id: kept[each.id]["verdict"] for each in lesson.exercises}))
"""


def offline() -> list[str]:
    """Return the words in front of a command that cut it off from every network; none where the system can't."""
    tried = [*ALONE, "true"]
    return ALONE if shutil.which("unshare") and subprocess.run(tried, capture_output=True).returncode == 0 else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesson", default="01")
    number = catalog.lesson(parser.parse_args().lesson).number
    source = bundle.checkout()
    wanted = bundle.needed(source)
    print(
        f"{len(wanted.packages)} packages, {wanted.num_bytes / 1e9:.2f} GB installed: {wanted.largest(3)}", flush=True
    )
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        begun = time.monotonic()
        made = bundle.make(place / "workshop.zip", say=lambda line: None)
        seconds["make"] = time.monotonic() - begun
        size = made.stat().st_size
        with zipfile.ZipFile(made) as archive:
            archive.extractall(place / "bundle")
        clean = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "LANG": "C.UTF-8"}
        begun = time.monotonic()
        installed = subprocess.run(
            [*offline(), sys.executable, "-I", "install.py", str(place / "class")], cwd=place / "bundle", env=clean
        )
        seconds["install"] = time.monotonic() - begun
        python = place / "class" / ".venv" / "bin" / "python"
        words = [*offline(), str(python), "-m", "workbench.cli", "lesson", "doctor", "--json"]
        doctor = subprocess.run(words, cwd=place / "class", env=clean, capture_output=True, text=True)
        begun = time.monotonic()
        done = subprocess.run(
            [*offline(), str(python), "-c", LESSON, number],
            cwd=place / "class",
            env=clean,
            capture_output=True,
            text=True,
        )
        seconds["lesson"] = time.monotonic() - begun
        print(done.stderr[-2000:], file=sys.stderr)
    verdicts = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    failing = [each["name"] for each in json.loads(doctor.stdout)["findings"] if each["status"] == "FAIL"]
    finish(
        "workshop_bundle",
        {
            f"the zip has {size / 1e6:.0f} MB ≤ {MOST_BYTES / 1e6:.0f}": size <= MOST_BYTES,
            "it installs without an index" + (", in a namespace without a network" if offline() else ""): installed.returncode == 0,
            f"the doctor finds nothing that fails there {failing or ''}": not failing,
            f"lesson {number} passes every check there": bool(verdicts) and set(verdicts.values()) == {"ok"},
        },
        summary=f"{len(wanted.packages)} packages, {size / 1e6:.0f} MB; made in {seconds['make']:.0f} s, installed in {seconds['install']:.0f} s",
        figures={"bytes": size, "installed_bytes": wanted.num_bytes, "verdicts": verdicts, **seconds},
        samples={name: [value] for name, value in seconds.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
