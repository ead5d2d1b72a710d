"""Counting examples and joules: what is kept, what is said, and counters written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from handmade import HandmadeContext, kept

from workbench.catalog import make
from workbench.errors import WorkbenchError
from workbench.measure import _meters


def model(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.ones((3, 4), np.float32)


def test_throughput_keeps_every_window_of_every_process(tmp_path: Path) -> None:
    ctx = HandmadeContext(tmp_path, {"this": model})
    (found,) = make("measure", {"use": "throughput", "batch": 8, "windows": 3, "restarts": 2}).measure(ctx)  # type: ignore[attr-defined]
    rates = kept(ctx, found.samples_in)["rates"]
    assert rates.shape == (2, 3) and found.n == 6 and ctx.fresh_calls == 2
    assert found.lo < found.value < found.hi and found.value == pytest.approx(np.exp(np.median(np.log(rates))))
    assert (found.conditions["batch"], found.conditions["measured_alone"], found.conditions["load1"]) == (8, True, 0.5)


def test_a_batch_counts_as_its_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A call that takes 10 ms gives 100 examples a second one by one, and 800 in batches of 8."""
    from workbench.measure import _rate

    monkeypatch.setattr(_rate, "sample", lambda *_: 0.01)
    ctx = HandmadeContext(tmp_path, {"this": model})
    for batch, expected in ((1, 100), (8, 800)):
        (found,) = make("measure", {"use": "throughput", "batch": batch, "windows": 3}).measure(ctx)  # type: ignore[attr-defined]
        assert found.value == pytest.approx(expected)
        assert found.conditions["calls_per_window"] == [2, 2, 2]


def test_an_estimate_of_energy_says_that_it_is_one(tmp_path: Path) -> None:
    ctx = HandmadeContext(tmp_path, {"this": model})
    record = {"use": "energy", "counter": "estimate", "watts_per_core": 7.0, "seconds": 0.02, "restarts": 1}
    (found,) = make("measure", record).measure(ctx)  # type: ignore[attr-defined]
    assert (
        found.conditions["estimated"] is True and found.conditions["source"] == "estimate: CPU seconds × 7 W per core"
    )
    assert any("estimate" in text for text in ctx.said)
    assert kept(ctx, found.samples_in)["joules"].shape == (1, 4) and found.value > 0


def test_an_estimate_is_cpu_seconds_times_watts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """2 calls of 8 examples that use 0.5 CPU seconds at 4 W are 2 J over 16 examples."""
    clock = iter(np.arange(100) * 0.5)
    monkeypatch.setattr(_meters.time, "process_time", lambda: float(next(clock)))
    monkeypatch.setattr(_meters, "sample", lambda *_: 0.01)
    ctx = HandmadeContext(tmp_path, {"this": model})
    record = {"use": "energy", "counter": "estimate", "watts_per_core": 4.0, "seconds": 0.02, "batch": 8}
    (found,) = make("measure", record).measure(ctx)  # type: ignore[attr-defined]
    assert found.value == pytest.approx(2 / 16) and found.conditions["calls_per_window"] == [2, 2, 2]


def zone(root: Path, name: str, *, called: str, microjoules: int, wraps_at: int = 10_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{called}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{wraps_at}\n")
    return folder


def test_only_packages_are_counted_once(tmp_path: Path) -> None:
    """Cores and memory are part of a package, psys is all of it again."""
    package = zone(tmp_path, "intel-rapl:0", called="package-0", microjoules=5)
    zone(tmp_path, "intel-rapl:0:0", called="core", microjoules=5)
    zone(tmp_path, "intel-rapl:1", called="psys", microjoules=5)
    assert _meters.rapl_zones(tmp_path) == [package]
    assert _meters.rapl_zones(tmp_path / "nothing") == []


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    one = zone(tmp_path, "intel-rapl:0", called="package-0", microjoules=9_000_000)
    other = zone(tmp_path, "intel-rapl:1", called="package-1", microjoules=0)
    meter = _meters.Rapl([one, other])
    (one / "energy_uj").write_text("9500000")
    (other / "energy_uj").write_text("250000")
    assert meter.joules() == pytest.approx(0.75)
    (one / "energy_uj").write_text("499999")  # 500,001 to the end, and on
    assert meter.joules() == pytest.approx(1.75)


def test_a_readable_counter_is_preferred_to_an_estimate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        _meters, "rapl_zones", lambda: [zone(tmp_path, "intel-rapl:0", called="package-0", microjoules=1)]
    )
    monkeypatch.setattr(_meters, "cards_in_use", lambda: None)
    assert [meter.says for meter in _meters.meters("auto", 5.0)] == [_meters.Rapl.says]
    assert _meters.meters("estimate", 5.0)[0].says.startswith("estimate")


class FakeLibrary:
    """The part of pynvml that is used: two cards, we have work on the second."""

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return handle * 1500


def test_cards_are_counted_in_joules(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = _meters.Nvml(FakeLibrary(), [1, 2])
    assert cards.joules() == pytest.approx(4.5)
    monkeypatch.setattr(_meters, "rapl_zones", list)
    monkeypatch.setattr(_meters, "cards_in_use", lambda: cards)
    assert _meters.meters("auto", 5.0) == [cards]


@pytest.mark.parametrize("source", ["rapl", "nvml"])
def test_a_counter_asked_for_by_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(_meters, "rapl_zones", list)
    monkeypatch.setattr(_meters, "cards_in_use", lambda: None)
    with pytest.raises(WorkbenchError, match=f"energy from {source}"):
        _meters.meters(source, 5.0)


def test_a_counter_that_stands_still_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    still = zone(tmp_path, "intel-rapl:0", called="package-0", microjoules=1)
    monkeypatch.setattr(_meters, "rapl_zones", lambda: [still])
    monkeypatch.setattr(_meters, "cards_in_use", lambda: None)
    ctx = HandmadeContext(tmp_path / "run", {"this": model})
    with pytest.raises(WorkbenchError, match="stood still"):
        make("measure", {"use": "energy", "seconds": 0.02}).measure(ctx)  # type: ignore[attr-defined]
