"""What is refused before anything starts, and why: wrong in torch, or impossible."""

from __future__ import annotations

from typing import Any

import pytest

from workbench import catalog
from workbench.nouns import ModelCard


def card_of(model: Any, data: Any) -> ModelCard:
    return catalog.make("zoo", model).card(catalog.make("data", data).card())  # type: ignore[attr-defined]


LM = card_of({"use": "tiny_lm", "layers": 4, "heads": 4}, {"use": "python_source", "length": 32, "num_examples": 200})
VIT = card_of({"use": "vit", "layers": 4, "heads": 4}, "digits")
RESNET = card_of({"use": "resnet", "depth": 8}, "digits")


def why_not(layout: dict[str, Any], card: ModelCard, *, processes: int, batch_size: int = 64) -> str:
    part: Any = catalog.make("layout", layout)
    return "; ".join(part.why_not(card, num_processes=processes, batch_size=batch_size))


HYBRID = {"use": "hybrid", "microbatches": 4}


@pytest.mark.parametrize(
    ("layout", "card", "processes", "reason"),
    [
        ({**HYBRID, "replicate": 2, "pipeline": 2}, VIT, 4, "gives other gradients than one process does: use shard=2"),
        ({**HYBRID, "replicate": 2, "tensor": 2, "pipeline": 2}, LM, 8, "use shard=2, which is exact"),
        ({**HYBRID, "replicate": 2, "tensor": 2}, VIT, 4, "use shard=2, which is exact"),
        ({**HYBRID, "shard": 2, "tensor": 2}, VIT, 8, "shard 2 × tensor 2 = 4 processes, the launcher starts 8"),
        ({"use": "tensor"}, VIT, 8, "heads=4 can't be split 8 ways"),
        ({"use": "tensor"}, RESNET, 2, "how to split the layers of resnet isn't known"),
        ({"use": "tensor", "sequence_parallel": True}, VIT, 2, "splits the tokens, and their number isn't known"),
        ({"use": "pipeline"}, RESNET, 2, "how to cut resnet into stages isn't known"),
        ({"use": "pipeline", "microbatches": 8}, VIT, 8, "4 layers don't make 8 stages"),
        ({"use": "pipeline", "microbatches": 2}, VIT, 4, "leave some of 4 stages idle"),
        ({"use": "pipeline", "schedule": "Interleaved1F1B"}, VIT, 2, "stages_per_process > 1 goes with"),
        ({"use": "pipeline", "stages_per_process": 2}, VIT, 2, "stages_per_process > 1 goes with"),
        ({"use": "sharded", "replicate": 3}, VIT, 4, "= 3 processes, the launcher starts 4"),
        ({"use": "data_parallel", "accumulate": 40}, VIT, 2, "batch_size=64 gives some of 2 × 40"),
        ({"use": "sharded", "recompute": True}, RESNET, 2, "recompute needs blocks that are known"),
    ],
)
def test_a_layout_that_is_wrong_or_impossible_is_refused_with_the_reason(
    layout: dict[str, Any], card: ModelCard, processes: int, reason: str
) -> None:
    assert reason in why_not(layout, card, processes=processes)


@pytest.mark.parametrize("schedule", ["InterleavedZeroBubble", "ZBVZeroBubble"])
def test_zero_bubble_schedules_are_not_offered(schedule: str) -> None:
    with pytest.raises(Exception, match="is not one of 1F1B, GPipe, Interleaved1F1B"):
        catalog.make("layout", {**HYBRID, "shard": 2, "pipeline": 2, "schedule": schedule})


def test_a_text_classifier_is_not_cut_where_its_last_stage_would_look_for_padding() -> None:
    card = card_of("tiny_lm", {"use": "python_source", "task": "which_module", "length": 32})
    assert "the last token that isn't padding" in why_not({"use": "pipeline", "microbatches": 2}, card, processes=2)


def test_layers_that_were_reshaped_are_not_split() -> None:
    pruned: Any = catalog.make("compress", "head_prune")
    assert "reshaped" in why_not({"use": "tensor"}, pruned.preview(VIT), processes=2)
    assert not why_not({"use": "sharded"}, pruned.preview(VIT), processes=2)


def test_any_model_trains_by_data_alone() -> None:
    for layout in ("data_parallel", "sharded"):
        assert not why_not({"use": layout}, RESNET, processes=4)
