"""Install the workbench from this folder, without a network: python install.py [FOLDER]

FOLDER (default: workshop) gets the environment and, when a lesson is first opened, the notebooks. Needs nothing but Python.
"""

import hashlib
import json
import platform
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def problems(manifest):
    """Return why this bundle can't be installed here."""
    found = []
    running = "{}.{}".format(*sys.version_info[:2])
    if running != manifest["python"]:
        found.append(
            f"it is for Python {manifest['python']}, this is {running}: run it with python{manifest['python']}"
        )
    if sysconfig.get_platform() != manifest["platform"]:
        found.append(
            f"it is for {manifest['platform']}, this is {sysconfig.get_platform()}: ask for a bundle made there"
        )
    for name, expected in manifest["files"].items():
        path = HERE / name
        if not path.is_file():
            found.append(f"{name} is missing: unpack the zip again")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            found.append(f"{name} is damaged: copy the zip again")
    return found


def main():
    """Make the environment, install from the wheels, say what comes next."""
    manifest = json.loads((HERE / "manifest.json").read_text())
    found = problems(manifest)
    if found:
        print(*found, sep="\n", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "workshop").resolve()
    print(f"installing {len(manifest['files'])} packages into {folder}", flush=True)
    venv.create(folder / ".venv", with_pip=False, clear=True)
    windows = platform.system() == "Windows"
    python = folder / ".venv" / ("Scripts/python.exe" if windows else "bin/python")
    wheels = HERE / "wheels"
    pip = next(wheels.glob("pip-*.whl")) / "pip"
    offline = ["--no-index", "--no-cache-dir", "--disable-pip-version-check", "--find-links", str(wheels)]
    done = subprocess.run([str(python), str(pip), "install", "--quiet", *offline, *manifest["requirements"]])
    if done.returncode:
        print("pip could not install: see above", file=sys.stderr)
        return 1
    program = python.with_name("workbench")
    print(f"done. Next:\n  cd {folder}\n  {program} lesson doctor\n  {program} lesson start 1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
