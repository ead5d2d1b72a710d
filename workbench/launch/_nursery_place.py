"""Where the warmed parent of this user, environment and code is found, and how it is started.

Linux only: sockets are reached through a descriptor of their folder, so that what was checked is what is used, and a
long path is no problem.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import socket
import stat
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from workbench import __version__
from workbench.errors import WorkbenchError
from workbench.launch._order import ROOT, lasting_environment

ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/accel", "/dev/dxg")  # their libraries don't survive a fork
SECONDS_TO_LISTEN = 20.0  # a new parent listens before it imports anything heavy

# Variables that libraries read once, when they are loaded: another value needs another parent.
READ_ONCE = (
    "ATEN_", "CUDA_", "DNNL_", "GLIBC_", "GOMP_", "HF_", "HOME", "LANG", "LC_", "LD_", "MALLOC_", "MKL_", "OMP_", "ONEDNN_",
    "OPENBLAS_", "ORT_", "PYTHON", "PYTORCH_", "TORCH", "TRANSFORMERS_", "TZ", "XDG_CACHE_HOME",
)  # fmt: skip
SET_BY_US = ("_NUM_THREADS", "ORT_DISABLE_TELEMETRY", "PYTHONUNBUFFERED")
SET_BY_LIBRARIES = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TORCHINDUCTOR_CACHE_DIR")  # while they are imported

# Starts the parent with the code that its client runs, whatever copies of it are installed or lie around.
BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
import workbench
del sys.path[0]
from workbench.launch._nursery import main
main(sys.argv[2])
"""


def why_not_fork() -> str:
    """Return why workers can't be forked on this machine; empty means they can."""
    if sys.platform != "linux":
        return f"forking a warmed parent is safe on Linux only, this is {sys.platform}"
    found = [path for path in ACCELERATORS if os.path.exists(path)]
    return f"an accelerator is present ({found[0]}) and doesn't survive a fork" if found else ""


def key() -> str:
    """Return the name of the parent that fits this process: its installation, its code, its settings of libraries."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(READ_ONCE) and not name.endswith(SET_BY_US + SET_BY_LIBRARIES)
    }
    record = [sys.executable, sys.prefix, sys.version, stamp(), sorted(settings.items()), confinement()]
    return hashlib.sha256(orjson.dumps(record)).hexdigest()[:16]


def stamp() -> list[object]:
    """Return what changes when this library, torch or the set of installed packages does."""
    package = Path(ROOT, "workbench")
    files = sorted([*package.glob("*.py"), *(package / "launch").glob("*.py")])
    facts = [(str(path), found.st_mtime_ns, found.st_size) for path in files for found in [path.stat()]]
    installed = Path(sysconfig.get_paths()["purelib"]).stat().st_mtime_ns
    return [__version__, importlib.metadata.version("torch"), installed, facts]


def confinement() -> list[str]:
    """Return what this process may use: a worker must not escape it by being forked from a freer parent."""
    itself = Path("/proc/self")
    status = [
        line
        for line in (itself / "status").read_text().splitlines()
        if line.startswith(("Umask:", "Groups:", "CapEff:", "Cpus_allowed:", "Mems_allowed:"))
    ]
    spaces = [os.readlink(each) for each in sorted((itself / "ns").iterdir())]
    return [*status, *spaces, *((itself / name).read_text() for name in ("limits", "cgroup")), str(os.nice(0))]


@contextlib.contextmanager
def opened_folder() -> Iterator[int]:
    """Yield a descriptor of the private folder of sockets (WORKBENCH_NURSERY moves it); refuses one that others can enter."""
    named = os.environ.get("WORKBENCH_NURSERY")
    folder = Path(named) if named else Path(tempfile.gettempdir(), f"workbench-{os.getuid()}", "nursery")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        facts = os.fstat(descriptor)
        if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
            raise WorkbenchError(
                f"{folder} must belong to you alone (mode 0700)", next_move=f"chmod 700 {folder}, or remove it"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def inside(folder: int, name: str) -> str:
    """Return a path to `name` in an opened folder."""
    return f"/proc/self/fd/{folder}/{name}"


def connect() -> socket.socket | None:
    """Return a connection to the fitting parent; None when there is none."""
    with opened_folder() as folder:
        return _connected(folder, key())


def _connected(folder: int, name: str) -> socket.socket | None:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(SECONDS_TO_LISTEN)
    try:
        link.connect(inside(folder, f"{name}.sock"))
    except (FileNotFoundError, ConnectionRefusedError):
        link.close()
        return None
    if peer_user(link) != os.getuid():
        link.close()
        raise WorkbenchError("the socket of the warmed parent is served by another user")
    return link


def peer_user(link: socket.socket) -> int:
    """Return the user id of the process at the other end."""
    _, user, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)


def obtain() -> socket.socket:
    """Return a connection to the fitting parent, starting it when there is none; raises WorkbenchError or OSError."""
    with opened_folder() as folder:
        name = key()
        link = _connected(folder, name)
        if link is None:
            started = _start(folder, name)
            until = time.monotonic() + SECONDS_TO_LISTEN
            while (link := _connected(folder, name)) is None:
                code = started.poll()
                if code or time.monotonic() > until:  # code 0: another one was faster, and will listen in a moment
                    how = "didn't listen in time" if code is None else f"ended with exit code {code}"
                    raise WorkbenchError(
                        f"the warmed parent {how}: see {os.readlink(f'/proc/self/fd/{folder}')}/{name}.log"
                    )
                time.sleep(0.01)
        return link


def _start(folder: int, name: str) -> subprocess.Popen[bytes]:
    """Start a parent in a session of its own; it names its folder itself, through the same variable."""
    with open(inside(folder, f"{name}.log"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", BOOT, ROOT, name], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            start_new_session=True, env=lasting_environment(),
        )  # fmt: skip
