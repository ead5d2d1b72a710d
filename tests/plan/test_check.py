"""A planned layout is simulated on the real model: state is what was counted, and the rest is near what was estimated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli import app
from workbench.errors import Cancelled, InvalidInput
from workbench.plan import _config, architecture, check
from workbench.plan.training import Layout, Wanted

STATE = ("parameters", "optimizer")
SMALL = {"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 512, "vocab_size": 512, "max_position_embeddings": 256, "tie_word_embeddings": False}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("small")
    (folder / "config.json").write_text(json.dumps(SMALL))
    return str(folder)


def test_a_stage_of_shards_and_split_layers_holds_what_was_planned(small: str) -> None:
    """Every axis at once, on the command line."""
    words = [
        "plan",
        small,
        "--devices",
        "8",
        "--batch",
        "32",
        "--layout",
        "tensor=2 shard=2 pipeline=2",
        "--check",
        "--json",
    ]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)["checked"]
    assert found["layout"]["pipeline"] == found["layout"]["tensor"] == found["layout"]["shard"] == 2
    planned, simulated = found["planned"], found["simulated"]
    for part in STATE:
        assert simulated[part] == pytest.approx(planned[part], rel=0.01)
    assert (
        found["difference"] == pytest.approx(sum(simulated.values()) / sum(planned.values()) - 1)
        and abs(found["difference"]) < 0.3
    )
    assert 0 < found["own_bytes"] < 2**30 and found["cpu_seconds"] < 60
    assert "backward 3 of 3" in ended.stderr, (
        "the first stage has two in flight, and one more when the first is through"
    )


def test_experts_are_simulated_whichever_tokens_they_would_get(tmp_path: Path) -> None:
    """Mixtral in a sharded pipeline: 4 experts of which a token takes 2, on more shards than there are experts."""
    experts = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, **experts}))
    running = check.Check(str(tmp_path), Wanted(32, 256), Layout(1, 8, 1, 2, False))
    found = running.follow()
    for part in STATE:
        assert found.simulated[part] == pytest.approx(found.planned[part], rel=0.01)
    assert abs(found.difference) < 0.3


def test_a_check_that_was_stopped_says_so(small: str) -> None:
    running = check.Check(small, Wanted(8, 256), Layout(1, 8, 1, 1, False))
    running.stop()
    with pytest.raises(Cancelled):
        running.follow()


@pytest.mark.parametrize(("name", "layout", "reason"), [
    ("mixtral-8x7b", Layout(1, 2, 4, 1, False), "how mixtral splits by tensors"), ("gpt2", Layout(1, 1, 4, 1, False), "splits by tensors"),
])  # fmt: skip
def test_what_can_not_be_simulated_is_refused_before_a_process_starts(name: str, layout: Layout, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check.Check(name, Wanted(64, 512), layout)


def test_a_layout_that_can_not_be_simulated_is_refused_with_the_best_one_that_can() -> None:
    ended = CliRunner().invoke(app, ["plan", "mixtral-8x7b", "--devices", "64", "--check"])
    assert ended.exit_code == 2 and "how mixtral splits by tensors" in ended.output
    assert "--layout 'shard=4 pipeline=16'" in ended.output


def test_an_unknown_layout_is_refused_with_near_ones(small: str) -> None:
    ended = CliRunner().invoke(app, ["plan", small, "--devices", "8", "--layout", "shard=16", "--check"])
    assert ended.exit_code == 2 and "near are 'shard=8'" in ended.output
    ended = CliRunner().invoke(app, ["plan", small, "--serve", "--check"])
    assert ended.exit_code == 2 and "leave one out" in ended.output


@pytest.mark.parametrize("name", [name for name in architecture.known() if name != "gpt-3"])
def test_a_known_model_is_built_with_the_sizes_that_are_planned(name: str) -> None:
    """What transformers reads of the config is what the planner has."""
    model = architecture.known()[name]
    again = architecture.from_config(_config.from_architecture(model), name)
    sizes: Any = ("hidden", "layers", "ffn", "vocabulary", "q_width", "kv_width", "num_params", "active_params")
    assert {each: getattr(again, each) for each in sizes} == {each: getattr(model, each) for each in sizes}


def test_a_folder_is_simulated_by_its_own_configuration(small: str) -> None:
    assert _config.config_of(small) == SMALL == _config.config_of(str(Path(small) / "config.json"))
