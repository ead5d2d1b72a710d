"""CPU seconds to import the library and to list its parts, each in a fresh interpreter.

Bars: `import workbench` ≤ 0.3 s and without torch; `workbench parts` ≤ 0.5 s.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from _results import finish, median

REPEATS = 7


def cpu_seconds(command: list[str]) -> float:
    """Return user and system seconds of one command, its interpreter's own start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    commands = {
        "nothing": [sys.executable, "-c", "pass"],
        "import workbench": [sys.executable, "-c", "import workbench, workbench.bench, workbench.catalog"],
        "workbench parts": [sys.executable, "-m", "workbench.cli", "parts"],
    }
    for command in commands.values():
        cpu_seconds(command)  # byte code is written the first time
    took = {name: [cpu_seconds(command) for _ in range(REPEATS)] for name, command in commands.items()}
    middle = {name: median(values) for name, values in took.items()}
    asked = "import workbench, workbench.bench, workbench.catalog, sys; print('torch' in sys.modules)"
    with_torch = subprocess.run(
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True
    ).stdout.strip()
    finish(
        "import_time",
        {
            "import workbench takes ≤ 0.3 CPU seconds": middle["import workbench"] <= 0.3,
            "import workbench loads no torch": with_torch == "False",
            "workbench parts takes ≤ 0.5 CPU seconds": middle["workbench parts"] <= 0.5,
        },
        summary=", ".join(f"{name} {value:.3f} s" for name, value in middle.items()),
        figures=middle,
        samples=took,
    )


if __name__ == "__main__":
    main()
