"""What is removed follows a target, activations or the blocks of the machine, and the card knows it beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.methods._channels import residual
from tests.methods._context import card_of, context, images, num_params, perceptron
from workbench import catalog
from workbench.compress.channel_prune import ChannelPrune
from workbench.counting import macs_of
from workbench.zoo._describe import card_of as describe


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_for_a_chain_the_card_is_known_beforehand(ratio: float) -> None:
    step = ChannelPrune(ratio=ratio, round_to=4)
    expected = step.preview(card_of(perceptron()))
    found = card_of(step.run(perceptron(), context()))
    assert [layer.weight_shape for layer in expected.layers] == [layer.weight_shape for layer in found.layers]
    assert [layer.num_params for layer in expected.layers] == [layer.num_params for layer in found.layers]
    assert expected.num_params == found.num_params
    assert expected.structure == "reshaped" and any("estimate" in note for note in expected.notes)


def test_for_a_residual_network_too_where_widths_agree() -> None:
    step = ChannelPrune(ratio=0.5)
    expected = step.preview(card_of(residual(), images()))
    found = card_of(step.run(residual(), context(images())), images())
    assert expected.num_params == found.num_params
    assert expected.macs == found.macs


@pytest.mark.parametrize("record", ["lenet_5", "small_cnn", {"use": "resnet", "depth": 8}, "vit"])
def test_for_the_zoo_the_card_is_right_beforehand(record: Any) -> None:
    """The job judges later steps and formats, and estimates sizes, by this card alone."""
    data = catalog.make("data", "digits")
    part, step = catalog.make("zoo", record), ChannelPrune(ratio=0.4)
    expected = step.preview(part.card(data.card()))
    torch.manual_seed(0)
    pruned = step.run(part.build(data.card()).eval(), context(data.load()))
    found = describe(pruned, data.card(), name="found")
    shapes = {layer.name: layer.weight_shape for layer in found.layers if layer.prunable}
    assert {layer.name: layer.weight_shape for layer in expected.layers if layer.prunable} == shapes
    assert (expected.num_params, expected.macs) == (found.num_params, found.macs)


@pytest.mark.parametrize("target", ["macs", "params"])
def test_a_target_is_met_by_the_smallest_share_of_channels(target: str) -> None:
    batch = {"pixels": torch.zeros(2, 1, 8, 8)}

    def cost(model: nn.Module) -> int:
        return sum(macs_of(model, batch)[1].values()) if target == "macs" else num_params(model)

    model = ChannelPrune(ratio=0.5, target=target, round_to=1).run(residual(), context(images()))  # type: ignore[arg-type]
    removed = 1 - cost(model) / cost(residual())
    assert 0.5 <= removed < 0.62, "one channel less would not do"


@pytest.mark.parametrize("record", ["lenet_5", {"use": "resnet", "depth": 8}, "vit"])
def test_for_the_zoo_a_target_is_met_as_the_card_says_beforehand(record: Any) -> None:
    data = catalog.make("data", "digits")
    part, step = catalog.make("zoo", record), ChannelPrune(ratio=0.3, target="macs", round_to=4)
    card = part.card(data.card())
    expected = step.preview(card)
    torch.manual_seed(0)
    pruned = step.run(part.build(data.card()).eval(), context(data.load()))
    assert describe(pruned, data.card(), name="found").macs == expected.macs
    assert 1 - expected.macs / card.macs >= 0.3


def test_a_target_out_of_reach_is_refused_with_what_can_be_reached() -> None:
    reasons = ChannelPrune(ratio=0.95, target="params", round_to=16).why_not(card_of(perceptron()))
    assert any("at most 0%" in reason and "round_to=16" in reason for reason in reasons)


def test_channels_whose_readers_see_nothing_go_first() -> None:
    """Eight units of fc1 are always off (ReLU of a large negative bias); by magnitude they would stay, being the largest."""
    model = perceptron()
    with torch.no_grad():
        model.fc1.weight[:8] *= 10
        model.fc1.bias[:8] = -1000.0
    kept = model.fc1.weight[8:].clone()
    pruned = ChannelPrune(importance="activation").run(model, context())
    assert torch.equal(pruned.fc1.weight, kept)


def test_activations_of_images_reach_flattened_and_convolved_readers() -> None:
    model = residual()
    with torch.no_grad():
        model.norm1.weight[:12] = 0.0
        model.norm1.bias[:12] = -1.0  # conv1's first channels are zero behind the ReLU
    kept = model.conv1.bias[12:].clone()
    pruned = ChannelPrune(importance="activation", round_to=12).run(model, context(images()))
    assert torch.equal(pruned.conv1.bias, kept)


def test_widths_can_follow_the_blocks_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, block in ((["avx2", "avx512f"], 16), (["avx2"], 8)):
        monkeypatch.setattr("workbench.machine.facts", lambda flags=flags: {"isa": flags})
        assert ChannelPrune(ratio=0.3, round_to=0)._kept(0.3)(64) % block == 0
        assert ChannelPrune(ratio=0.5, round_to=0)._kept(0.5)(16) == (16 if block == 16 else 8)
