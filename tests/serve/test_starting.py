"""Files of TLS that can't be used are told before a port is opened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.serve import certificates
from workbench.errors import InvalidInput
from workbench.serve import server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    certificates.write(folder)
    (folder / "garbage.pem").write_text("no certificate\n")
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "locked.key").write_bytes(key.private_bytes(*form, locked))
    return folder


@pytest.mark.parametrize(
    ("cert", "key", "authority", "told"),
    [
        ("garbage.pem", "server.key", None, "no certificate and its key"),
        ("server.pem", "client.key", None, "no certificate and its key"),
        ("server.pem", "locked.key", None, "without a password"),
        ("server.pem", "server.key", "garbage.pem", "garbage.pem is no certificate"),
    ],
)
def test_tls_files_that_do_not_fit_are_said(
    folder: Path, cert: str, key: str, authority: str | None, told: str
) -> None:
    settings = server.Settings(
        tls_cert=folder / cert, tls_key=folder / key, client_ca=folder / authority if authority else None
    )
    with pytest.raises(InvalidInput, match=told):
        asyncio.run(server.serve(settings, lambda started: None))


def test_tls_files_that_fit_are_taken(folder: Path) -> None:
    files = {"tls_cert": folder / "server.pem", "tls_key": folder / "server.key", "client_ca": folder / "ca.pem"}
    assert server._tls_problems(server.Settings(**files)) == []  # type: ignore[arg-type]
