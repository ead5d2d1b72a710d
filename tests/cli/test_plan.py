"""The commands for models past this machine, as somebody types them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from workbench.cli import app


def said(*words: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == code, ended.output
    return ended.output


def test_a_plan_is_a_table_and_a_record() -> None:
    told = said("plan", "llama-3-70b", "--devices", "64", "--price", "2.5")
    assert "legal layouts" in told and "shard=" in told and "limited by" in told
    found = json.loads(said("plan", "llama-3-70b", "--devices", "64", "--price", "2.5", "--json"))
    first = found["layouts"][0]
    assert first["fits"] and sum(first["memory"].values()) == first["memory_bytes"]
    assert first["cost"] == pytest.approx(first["step_seconds"] * 64 * 2.5 / 3600)
    assert {"usable", "efficiency", "bandwidth", "overlap"} <= set(found["assumed"])


def test_serving_is_planned_at_each_precision() -> None:
    assert "ms a token" in said("plan", "llama-3-8b", "--serve", "--devices", "1")
    ways = json.loads(said("plan", "llama-3-8b", "--serve", "--devices", "1", "--json"))["ways"]
    assert {way["precision"] for way in ways} == {"float32", "bfloat16", "int8", "int4"}


def test_hardware_is_chosen_and_refused_with_reasons() -> None:
    told = said("hardware", "llama-3-8b", "--latency", "20", "--price", "h100=2.5")
    assert told.index("NVIDIA H100") < told.index("NVIDIA T4") and "qubits" in told
    answers = json.loads(said("hardware", "llama-3-8b", "--json"))["answers"]
    assert any(answer["why_not"] for answer in answers) and any(answer["served"] for answer in answers)


def test_a_checkpoint_is_inspected() -> None:
    assert "405,853,388,800 parameters" in said("inspect", "llama-3-405b")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("plan", "llama-3-8"), "did you mean"), (("plan", "llama-3-8b", "--device", "h10"), "did you mean"),
        (("plan", "llama-3-8b", "--precision", "int3"), "none of"), (("plan", "llama-3-8b", "--optimizer", "x"), "none of"),
        (("hardware", "llama-3-8b", "--price", "h100"), "DEVICE=PRICE"), (("hardware", "llama-3-8b", "--precision", "x"), "none of"),
        (("inspect", "nowhere"), "no model"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_ends_with_two(words: tuple[str, ...], reason: str) -> None:
    assert reason in said(*words, code=2)
