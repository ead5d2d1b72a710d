"""The doctor finds what is wrong and every finding that isn't PASS comes with a fix."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from workbench import catalog, ceilings, doctor, machine


def found(name: str, store: Path) -> doctor.Finding:
    (finding,) = [each for each in doctor.examine(store) if each.name == name]
    return finding


def test_whatever_is_not_well_has_a_fix(tmp_path: Path) -> None:
    for finding in doctor.examine(tmp_path):
        assert finding.found
        assert finding.fix or finding.status == "PASS"


def test_a_store_that_does_not_exist_yet_is_judged_by_where_it_will_be(tmp_path: Path) -> None:
    assert found("store folder", tmp_path / "deep" / "runs").status == "PASS"
    assert not (tmp_path / "deep").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert found("store folder", tmp_path).status == "FAIL"


def test_a_full_disk_fails_and_a_nearly_full_one_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for free, status in ((2**20, "FAIL"), (2**30, "WARN"), (2**34, "PASS")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, free=free: usage(2**40, 0, free))
        assert found("disk", tmp_path).status == status


def test_little_memory_warns_and_hardly_any_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    memory = namedtuple("memory", "total available")
    for free, status in ((2**28, "FAIL"), (2**31, "WARN"), (2**33, "PASS")):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: memory(2**34, free))
        assert found("memory", tmp_path).status == status


def test_a_missing_or_old_package_fails_with_its_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=999", "not-installed-anywhere>=1", "typer", "ruff; extra == 'dev'"]
    monkeypatch.setattr(metadata, "requires", lambda _name: wanted)
    assert found("package numpy", tmp_path).fix == "pip install 'numpy>=999'"
    assert found("package not-installed-anywhere", tmp_path).found == "not installed"
    assert "typer" in found("packages", tmp_path).found
    assert "ruff" not in found("packages", tmp_path).found


def test_a_part_that_lacks_its_package_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = catalog.get("compress", "magnitude_prune")
    monkeypatch.setattr(part, "requires", ("no_such_package",))
    finding = found("part compress/magnitude_prune", tmp_path)
    assert (finding.status, finding.fix) == ("WARN", "pip install no_such_package")


def test_a_busy_machine_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for load, status in ((0.0, "PASS"), (1000.0, "WARN")):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, load, load))
        assert found("cores", tmp_path).status == status


def test_a_processor_without_int8_products_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, status in ((["avx2"], "WARN"), ([], "WARN"), (["avx2", "avx512_vnni"], "PASS")):
        monkeypatch.setattr(machine, "facts", lambda flags=flags: {"cpu": "some", "isa": flags})
        assert found("instruction sets", tmp_path).status == status


def test_no_browser_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert found("browser", tmp_path).status == "WARN"
    (tmp_path / "chromium-1234").mkdir()
    assert found("browser", tmp_path).status == "PASS"


def test_ceilings_are_positive_and_complete_and_leave_the_threads_alone() -> None:
    import torch

    threads = torch.get_num_threads()
    figures = ceilings.measure()
    rates = {f"{dtype}_{how}" for dtype in ("float32", "bfloat16", "int8") for how in ("gflops", "row_gflops")}
    assert set(figures) == rates | {"read_gb_per_s", "call_us"}
    assert all(value > 0 for value in figures.values())
    assert torch.get_num_threads() == threads


def test_the_int8_ceiling_is_of_the_product_that_int8_files_make() -> None:
    import numpy as np

    some = (
        np.random.default_rng(1).integers(0, 128, (3, ceilings.MATRIX)).astype(np.uint8)
    )  # no pair of products saturates
    weight = np.random.default_rng(0).integers(-127, 128, (ceilings.MATRIX, ceilings.MATRIX)).astype(np.int8)
    exact = (some.astype(np.int64) - 127) @ weight.astype(np.int64) * 0.02 * 0.02 / 20.0 + 127
    (made,) = ceilings._int8_product()(some)
    assert np.abs(made - exact).max() < 0.51 and made.std() > 1  # rounded to whole numbers


def test_a_dtype_without_instructions_is_measured_on_few_rows() -> None:
    def slow(rows: Any) -> None:
        until = ceilings.CLOCK() + len(rows) * 1e-3
        while ceilings.CLOCK() < until:
            pass

    assert ceilings._rows(slow, [0] * ceilings.MATRIX) == ceilings.FEW_ROWS
    assert ceilings._rows(len, [0] * ceilings.MATRIX) == ceilings.MATRIX


def test_ceilings_of_another_machine_or_a_torn_file_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(ceilings, "measure", lambda: {"call_us": 1.0})
    assert ceilings.known() is None
    assert ceilings.obtain() == ceilings.known()
    file = ceilings.cache_folder() / "ceilings.json"
    file.write_text(file.read_text()[:20])
    assert ceilings.known() is None
    ceilings.obtain()
    monkeypatch.setattr(machine, "facts", lambda: {"cpu": "another", "isa": []})
    assert ceilings.known() is None
