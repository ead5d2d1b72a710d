"""Starts JupyterLab or Voila on a free loopback port, in folders that nobody else uses."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from workbench.lab import voila_command

SERVER_SECONDS = 60
LAB_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # draw all cells, also far below
}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path

    def address(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?token={self.token}"


@contextlib.contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """Yield a server that is ready; it and its kernels are gone afterwards."""
    lab = Lab(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16), folder / "notebooks")
    lab.root.mkdir()
    with _serving(_command(lab), folder, f"{lab.url}/api/status?token={lab.token}"):
        yield lab


@contextlib.contextmanager
def running_voila(folder: Path, notebook: Path) -> Iterator[str]:
    """Yield the address of a page that shows `notebook` as an app, the way `workbench app` serves it."""
    url, token = f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16)
    further = ["--no-browser", f"--port={urlparse(url).port}", f"--token={token}"]
    with _serving(voila_command(notebook, further), folder, f"{url}/voila/api/status?token={token}"):
        yield f"{url}/?token={token}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def _serving(command: list[str], folder: Path, answers_at: str) -> Iterator[None]:
    log_path = folder / "server.log"
    with log_path.open("w") as log:
        server = subprocess.Popen(
            command, env=_environment(folder / "jupyter"), stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_ready(server, answers_at, log_path)
            yield
        finally:
            server.send_signal(signal.SIGTERM)  # the server ends its kernels
            server.wait(timeout=60)


def _command(lab: Lab) -> list[str]:
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": urlparse(lab.url).port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": lab.root,
        "ServerApp.allow_root": True,
        "ServerApp.open_browser": False,
        "IdentityProvider.token": lab.token,
        "ServerApp.terminals_enabled": False,
        "LabApp.expose_app_in_browser": True,
    }
    return [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]


def _environment(folder: Path) -> dict[str, str]:
    settings = folder / "settings"
    for name, values in LAB_SETTINGS.items():
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    own = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": settings,
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
    }
    return os.environ | {name: str(path) for name, path in own.items()}


def _wait_until_ready(server: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the server ended: {log.read_text()[-2000:]}"
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return  # it answers, and that is all that is asked
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"the server wasn't ready in {SERVER_SECONDS} s: {log.read_text()[-2000:]}")
