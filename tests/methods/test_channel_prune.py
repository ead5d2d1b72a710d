"""Channel pruning really removes channels, consistently, and leaves alone what can't go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tests.methods._channels import residual
from tests.methods._context import Perceptron, card_of, context, images, num_params, perceptron, token_rows
from workbench.compress._channels import convert_conv1d, dependency_graph, kept_width, removable_groups
from workbench.compress.channel_prune import ChannelPrune
from workbench.errors import WorkbenchError
from workbench.nouns import Splits


class Wrapped(nn.Module):
    """A transformers model behind one input name, returning logits."""

    def __init__(self, inner: nn.Module, theirs: str) -> None:
        super().__init__()
        self.inner, self.theirs = inner, theirs

    def predict(self, given: torch.Tensor) -> torch.Tensor:
        return self.inner(**{self.theirs: given}).logits


class WrappedImages(Wrapped):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.predict(pixels)


class WrappedTokens(Wrapped):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.predict(tokens)


def transformer(name: str) -> tuple[nn.Module, Splits]:
    """A tiny random model of transformers, with data that fits it."""
    import transformers

    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    words: dict[str, Any] = {"vocab_size": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if name == "vit":
        config = transformers.ViTConfig(**small, image_size=8, patch_size=4, num_channels=1, num_labels=3)
        return WrappedImages(transformers.ViTForImageClassification(config), "pixel_values").eval(), images()
    if name == "resnet":
        config = transformers.ResNetConfig(
            num_channels=1, embedding_size=16, hidden_sizes=[16, 32], depths=[1, 2], layer_type="basic", num_labels=3
        )
        return WrappedImages(transformers.ResNetForImageClassification(config), "pixel_values").eval(), images(
            extent=32
        )
    if name == "bert":
        model: nn.Module = transformers.BertForMaskedLM(transformers.BertConfig(**small, **words))
    elif name == "gpt2":
        config = transformers.GPT2Config(n_positions=16, n_embd=32, n_layer=2, n_head=4, use_cache=False, **words)
        model = transformers.GPT2LMHeadModel(config)
    else:
        model = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(**small, **words, num_key_value_heads=2, use_cache=False)
        )
    return WrappedTokens(model, "input_ids").eval(), token_rows()


def example(splits: Splits, count: int = 2) -> list[torch.Tensor]:
    return [torch.from_numpy(array[:count]) for array in splits.train.inputs.values()]


def test_widths_halve_and_parameters_follow() -> None:
    model = ChannelPrune(ratio=0.5, round_to=8).run(perceptron(), context())
    assert [tuple(model.get_submodule(name).weight.shape) for name in ("fc1", "fc2", "fc3")] == [(8, 8), (8, 8), (3, 8)]
    assert num_params(model) == num_params(Perceptron((8, 8, 8, 3)))
    assert model.fc1.out_features == 8 and model.fc3.in_features == 8


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "kept"),
    [(64, 0.5, 8, 32), (50, 0.5, 8, 24), (20, 0.5, 8, 8), (6, 0.5, 8, 6), (16, 0.9, 8, 8), (300, 0.5, 1, 150), (9, 0.01, 8, 8)],
)  # fmt: skip
def test_widths_are_rounded_to_the_nearest_multiple_and_never_to_nothing(
    width: int, ratio: float, round_to: int, kept: int
) -> None:
    assert kept_width(width, ratio, round_to) == kept


def test_the_strongest_units_stay_in_order() -> None:
    """Strength by hand: the squared weights into and out of a unit."""
    model = perceptron()
    strength = model.fc1.weight.detach().pow(2).sum(1) + model.fc2.weight.detach().pow(2).sum(0)
    expected = model.fc1.weight.detach()[strength.argsort()[8:].sort().values]
    pruned = ChannelPrune(ratio=0.5, skip=["fc3"]).run(model, context())
    assert torch.equal(pruned.fc1.weight, expected)


def test_gradient_importance_is_the_summed_first_order_change_per_batch() -> None:
    ctx, model = context(), perceptron()
    scores = torch.zeros(16)
    data = ctx.data.train  # 48 examples: one batch
    loss = cross_entropy(
        model(torch.from_numpy(data.inputs["pixels"])), torch.from_numpy(data.targets), reduction="sum"
    )
    into, out_of = torch.autograd.grad(loss, [model.fc1.weight, model.fc2.weight])
    scores = (into * model.fc1.weight).sum(1).abs() + (out_of * model.fc2.weight).sum(0).abs()
    expected = model.fc1.weight.detach()[scores.argsort()[8:].sort().values]
    by_gradient = ChannelPrune(ratio=0.5, importance="gradient", skip=["fc3"]).run(model, ctx)
    by_magnitude = ChannelPrune(ratio=0.5, skip=["fc3"]).run(perceptron(), ctx)
    assert torch.equal(by_gradient.fc1.weight, expected)
    assert not torch.equal(by_gradient.fc1.weight, by_magnitude.fc1.weight)
    assert all(parameter.grad is None for parameter in by_gradient.parameters())


def test_removing_dead_units_changes_no_output() -> None:
    model = perceptron()
    with torch.no_grad():
        for dead in (3, 4, 7, 9, 10, 12, 13, 15):
            model.fc1.weight[dead], model.fc1.bias[dead], model.fc2.weight[:, dead] = 0.0, 0.0, 0.0
    before = model(torch.eye(8))
    pruned = ChannelPrune(ratio=0.5, skip=["fc3"]).run(model, context())
    assert pruned.fc1.out_features == 8
    torch.testing.assert_close(pruned(torch.eye(8)), before)


def test_a_residual_sum_shrinks_on_both_sides_alike() -> None:
    model = ChannelPrune(ratio=0.5).run(residual(), context(images()))
    assert (
        model.stem.out_channels == model.conv2.out_channels == model.norm0.num_features == model.conv1.in_channels == 8
    )
    assert model.conv1.out_channels == model.norm1.num_features == model.conv2.in_channels == 16  # 24 × 0.5 → 16
    assert model.head.in_features == 8 * 64


def test_what_is_removed_is_what_no_longer_is_read() -> None:
    """The narrow network equals the wide one whose readers ignore the removed channels."""
    data = images()
    wide = residual()
    graph = dependency_graph(wide, {"pixels": torch.from_numpy(data.train.inputs["pixels"][:2])})
    group = next(each for each in removable_groups(graph, []) if wide.stem in [item.dep.target.module for item in each])
    narrow = residual()
    graph = dependency_graph(narrow, {"pixels": torch.from_numpy(data.train.inputs["pixels"][:2])})
    root = dict(narrow.named_modules())[next(n for n, m in wide.named_modules() if m is group[0].dep.target.module)]
    graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, [0, 3, 5]).prune()
    with torch.no_grad():
        for channel in (0, 3, 5):
            wide.conv1.weight[:, channel] = 0.0
            wide.head.weight[:, channel * 64 : (channel + 1) * 64] = 0.0
    torch.testing.assert_close(narrow(*example(data)), wide(*example(data)))


def test_a_skipped_layer_keeps_all_its_weights() -> None:
    before = residual()
    with pytest.raises(WorkbenchError, match="removed nothing"):  # conv1 touches both groups of this network
        ChannelPrune(ratio=0.5, skip=["conv1"]).run(residual(), context(images()))
    pruned = ChannelPrune(ratio=0.5, skip=["stem"]).run(residual(), context(images()))
    assert torch.equal(pruned.stem.weight, before.stem.weight)
    assert pruned.conv1.out_channels == 16 and pruned.conv1.in_channels == 16


@pytest.mark.parametrize("name", ["resnet", "vit", "bert", "llama", "gpt2"])
def test_models_of_transformers_shrink_and_answer_in_the_same_shape(name: str) -> None:
    model, splits = transformer(name)
    size, wanted = num_params(model), model(*example(splits, 3)).shape
    pruned = ChannelPrune(ratio=0.5).run(model, context(splits))
    assert num_params(pruned) < 0.9 * size
    assert pruned(*example(splits, 3)).shape == wanted, "any batch size"
    assert pruned(*example(splits, 1)).shape[0] == 1


@pytest.mark.parametrize("name", ["vit", "bert", "llama", "gpt2"])
def test_in_transformers_only_the_feed_forward_width_goes(name: str) -> None:
    model, splits = transformer(name)
    convert_conv1d(model)
    before = {key: tuple(value.shape) for key, value in model.named_parameters()}
    after = {
        key: tuple(value.shape) for key, value in ChannelPrune(ratio=0.5).run(model, context(splits)).named_parameters()
    }
    changed = {key for key in before if before[key] != after[key]}
    assert changed
    assert all(
        any(piece in key for piece in ("mlp", "intermediate", "output.dense", "predictions.transform"))
        for key in changed
    )
    assert not any("attention" in key or "attn" in key or "embed" in key for key in changed)


class Attending(nn.Module):
    """One attention block without embeddings: projection, attention and feed-forward, each added to the stream."""

    def __init__(self, attends: bool) -> None:
        super().__init__()
        self.attends = attends
        self.project, self.norm, self.query = nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 16)
        self.out, self.up, self.down, self.head = (
            nn.Linear(16, 16),
            nn.Linear(16, 32),
            nn.Linear(32, 16),
            nn.Linear(16, 3),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        stream = self.project(pixels[:, None] * torch.ones(1, 4, 1))
        seen = self.query(self.norm(stream))
        mixed = nn.functional.scaled_dot_product_attention(seen, seen, seen) if self.attends else seen
        stream = stream + self.out(mixed)
        return self.head((stream + self.down(self.up(stream).relu())).mean(1))


@pytest.mark.parametrize(("attends", "stream"), [(True, 16), (False, 8)])
def test_layer_norms_shrink_unless_there_is_attention(attends: bool, stream: int) -> None:
    torch.manual_seed(0)
    model = ChannelPrune(ratio=0.5).run(Attending(attends).eval(), context())
    assert model.norm.weight.shape == (stream,) and model.project.out_features == stream
    assert model.up.out_features == 16 and model.down.in_features == 16


def test_conv1d_becomes_an_equal_linear_layer() -> None:
    model, splits = transformer("gpt2")
    before = model(*example(splits))
    assert convert_conv1d(model) == 8
    torch.testing.assert_close(model(*example(splits)), before)


@pytest.mark.parametrize("name", ["resnet", "vit", "llama"])
def test_the_narrower_model_still_exports_with_a_free_batch(name: str) -> None:
    model, splits = transformer(name)
    pruned = ChannelPrune(ratio=0.5).run(model, context(splits)).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(pruned, tuple(example(splits)), dynamic_shapes=({0: batch},))
    given = example(splits, 5)
    torch.testing.assert_close(program.module()(*given), pruned(*given), atol=1e-5, rtol=1e-4)


def test_the_narrower_model_still_trains() -> None:
    ctx = context()
    model = ChannelPrune(ratio=0.5).run(perceptron(), ctx)
    before = model.fc1.weight.detach().clone()
    ctx.train(model, epochs=1)
    assert not torch.equal(model.fc1.weight, before)


def test_grouped_convolutions_are_left_alone_and_depthwise_ones_follow() -> None:
    torch.manual_seed(0)
    pieces = [
        nn.Conv2d(1, 16, 3),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.Conv2d(16, 32, 1),
        nn.Conv2d(32, 32, 3, groups=2),
    ]
    model = nn.Sequential(*pieces, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3)).eval()
    shapes = [tuple(layer.weight.shape) for layer in pieces]
    model.forward = lambda pixels: nn.Sequential.forward(model, pixels)  # type: ignore[method-assign,assignment]
    ChannelPrune(ratio=0.5).run(model, context(images()))
    assert [tuple(layer.weight.shape) for layer in pieces] == [(8, 1, 3, 3), (8, 1, 3, 3), (32, 8, 1, 1), shapes[3]]


def test_nothing_removed_raises_and_says_what_to_try() -> None:
    with pytest.raises(WorkbenchError, match=r"removed nothing.*round_to=64.*lower round_to"):
        ChannelPrune(ratio=0.5, round_to=64).run(perceptron(), context())


def test_code_that_fixes_a_width_is_told_with_advice() -> None:
    class Stubborn(Perceptron):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.fc3(self.fc2(self.fc1(pixels).view(-1, 16)).relu())

    torch.manual_seed(0)
    with pytest.raises(WorkbenchError, match="does not run with fewer channels.*skip"):
        ChannelPrune(ratio=0.5).run(Stubborn().eval(), context())


def test_reasons_against_it_are_words() -> None:
    card = card_of(perceptron())
    assert ChannelPrune().why_not(card) == []
    assert "did you mean 'fc1'" in " ".join(ChannelPrune(skip=["fc11"]).why_not(card))
    unlabelled = card_of(perceptron(), task="unlabelled")
    assert any("labels" in reason for reason in ChannelPrune(importance="gradient").why_not(unlabelled))
    assert ChannelPrune().why_not(unlabelled) == []
