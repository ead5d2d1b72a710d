"""CPU seconds per GB to sign, verify, encrypt and decrypt an artifact of 256 MB of random weights.

Bars: sign and verify ≥ 0.4 GB, encrypt ≥ 0.3 GB, decrypt in memory ≥ 0.5 GB per CPU second, system time included: on a disk in
memory most of the cost is making room for the bytes, not the cipher.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _results import finish, median

from workbench.protect import audit, encrypt, keys, sign

NUM_FILES, FILE_BYTES, REPEATS, LINES = 4, 64 * 2**20, 3, 500
BARS = {"sign": 0.4, "verify": 0.4, "encrypt": 0.3, "decrypt in memory": 0.5}  # GB per CPU second


def cpu_seconds(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return time.process_time() - before


def main() -> None:
    took: dict[str, list[float]] = {name: [] for name in BARS}
    with tempfile.TemporaryDirectory(prefix="workbench-protect-") as scratch:
        root = Path(scratch)
        folder = root / "artifact"
        folder.mkdir()
        (folder / "card.json").write_text(json.dumps({"schema": 1}))
        for number in range(NUM_FILES):
            (folder / f"weights-{number}.safetensors").write_bytes(os.urandom(FILE_BYTES))
        keys.create(root / "keys")
        sign.sign(folder, root / "keys")  # imports
        for repeat in range(REPEATS):
            secret = root / f"secret-{repeat}"
            took["sign"].append(cpu_seconds(lambda: sign.sign(folder, root / "keys")))
            took["verify"].append(cpu_seconds(lambda: sign.verify(folder, root / "keys")))
            took["encrypt"].append(cpu_seconds(lambda target=secret: encrypt.encrypt(folder, target, root / "keys")))
            took["decrypt in memory"].append(
                cpu_seconds(lambda source=secret: encrypt.decrypted(source, root / "keys"))
            )
        writer = audit.Audit(root / "audit.jsonl", root / "keys")
        line_us = [1e6 * cpu_seconds(lambda: writer.append("predict", model="m", examples=1)) for _ in range(LINES)]
    gigabytes = NUM_FILES * FILE_BYTES / 1e9
    rates = {name: gigabytes / median(values) for name, values in took.items()}
    finish(
        "protect_speed",
        {f"{name}: ≥ {bar} GB per CPU second": rates[name] >= bar for name, bar in BARS.items()},
        summary=", ".join(f"{name} {rate:.2f}" for name, rate in rates.items())
        + f" GB per CPU s; an audit line {median(line_us):.0f} us",
        figures={**{f"{name}_gb_per_cpu_s": rate for name, rate in rates.items()}, "audit_line_us": median(line_us)},
        samples={**took, "audit_line_us": line_us},
        threads=os.cpu_count() or 1,
    )


if __name__ == "__main__":
    main()
