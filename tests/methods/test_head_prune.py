"""Head pruning removes whole heads with everything that belongs to them, the ones that matter least."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.methods._context import context, perceptron
from tests.methods.test_channel_prune import example, transformer
from workbench import catalog
from workbench.compress import _heads
from workbench.compress.head_prune import HeadPrune
from workbench.errors import WorkbenchError
from workbench.nouns import Examples
from workbench.train import prunable
from workbench.zoo._describe import card_of as describe


def blocks_of(model: torch.nn.Module) -> list[_heads.Attention]:
    return _heads.of_model(model, [name for name, _ in prunable(model)])


def silence(model: torch.nn.Module, block: _heads.Attention, units: list[int]) -> None:
    """Make what these units add to the stream exactly nothing."""
    with torch.no_grad():
        for unit in units:
            model.get_submodule(block.output).weight[:, list(block.columns(unit))] = 0.0


@pytest.mark.parametrize(("name", "units", "shared"), [("vit", 4, 1), ("bert", 4, 1), ("llama", 2, 2)])
def test_blocks_are_found_by_their_names(name: str, units: int, shared: int) -> None:
    model, _ = transformer(name)
    blocks = blocks_of(model)
    assert [(block.units, block.shared, block.head_width) for block in blocks] == [(units, shared, 8)] * 2


@pytest.mark.parametrize("importance", ["magnitude", "gradient", "activation"])
@pytest.mark.parametrize("name", ["vit", "bert", "llama"])
def test_heads_that_add_nothing_go_and_the_answers_stay(name: str, importance: Any) -> None:
    model, splits = transformer(name)
    for block in blocks_of(model):
        silence(model, block, list(range(0, block.units, 2)))
    before = model(*example(splits, 4)).detach()
    widths = {block.output: model.get_submodule(block.output).in_features for block in blocks_of(model)}
    pruned = HeadPrune(ratio=0.5, importance=importance).run(model, context(splits)).eval()
    if importance != "magnitude" or name != "llama":  # keys and values of silent heads weigh as much as the others'
        torch.testing.assert_close(pruned(*example(splits, 4)), before, atol=1e-5, rtol=1e-4)
    assert {name: pruned.get_submodule(name).in_features * 2 for name in widths} == widths


def test_the_gradient_is_that_of_a_mask_on_the_head() -> None:
    """Σ w · ∂L/∂w over a head's columns of the output layer = ∂L/∂m of a mask m on its input there (eq. 2 of the paper)."""
    model, splits = transformer("vit")
    block = blocks_of(model)[0]
    output = model.get_submodule(block.output)
    mask = torch.ones(block.units, requires_grad=True)
    hook = output.register_forward_pre_hook(lambda _, args: (args[0] * mask.repeat_interleave(block.head_width),))
    targets = torch.from_numpy(splits.train.targets)
    loss = torch.nn.functional.cross_entropy(model(*example(splits, len(targets))), targets, reduction="sum")
    (expected,) = torch.autograd.grad(loss, mask)
    hook.remove()
    found = HeadPrune()._scores(model, [block], context(splits))[0]
    torch.testing.assert_close(found, expected.abs(), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("record", ["vit", "tiny_lm"])
def test_the_card_is_right_beforehand(record: str) -> None:
    data = catalog.make(
        "data", "digits" if record == "vit" else {"use": "python_source", "num_examples": 100, "length": 16}
    )
    part, step = catalog.make("zoo", record), HeadPrune(ratio=0.5, importance="magnitude")
    card = part.card(data.card())
    assert step.why_not(card) == []
    expected = step.preview(card)
    torch.manual_seed(0)
    pruned = step.run(part.build(data.card()).eval(), context(data.load()))
    found = describe(pruned, data.card(), name="found")
    assert {layer.name: layer.weight_shape for layer in expected.layers if layer.prunable} == {
        layer.name: layer.weight_shape for layer in found.layers if layer.prunable
    }
    assert (expected.num_params, expected.macs) == (found.num_params, found.macs)


def test_feed_forward_and_heads_go_one_after_the_other_and_still_export() -> None:
    model, splits = transformer("vit")
    ctx = context(splits)
    pruned = catalog.make("compress", "channel_prune").run(HeadPrune(ratio=0.5).run(model, ctx), ctx).eval()  # type: ignore[attr-defined]
    program = torch.export.export(pruned, tuple(example(splits)), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(*example(splits, 5)), pruned(*example(splits, 5)), atol=1e-5, rtol=1e-4)


def test_a_skipped_layer_keeps_the_heads_of_its_block() -> None:
    model, splits = transformer("vit")
    first, second = blocks_of(model)
    pruned = HeadPrune(ratio=0.5, skip=[first.key]).run(model, context(splits))
    assert (
        pruned.get_submodule(first.query).out_features == 32 and pruned.get_submodule(second.query).out_features == 16
    )


def test_one_head_stays() -> None:
    model, splits = transformer("vit")
    pruned = HeadPrune(ratio=0.99).run(model, context(splits))
    assert {pruned.get_submodule(block.query).out_features for block in blocks_of(pruned)} == {8}


def test_reasons_against_it_are_words() -> None:
    data = catalog.make("data", "digits")
    vit = catalog.make("zoo", "vit").card(data.card())
    assert any("removes none" in reason for reason in HeadPrune(ratio=0.2).why_not(vit))
    assert any(
        "no attention" in reason for reason in HeadPrune().why_not(catalog.make("zoo", "lenet_5").card(data.card()))
    )
    assert any("did you mean" in reason for reason in HeadPrune(skip=["inner.classifer"]).why_not(vit))
    with pytest.raises(WorkbenchError, match="no head"):
        HeadPrune().run(perceptron(), context())


def test_fused_projections_are_left_alone() -> None:
    model, splits = transformer("gpt2")
    with pytest.raises(WorkbenchError, match="no head to remove"):
        HeadPrune().run(model, context(splits))


def test_code_that_fixes_the_number_of_heads_is_told() -> None:
    class Stubborn(torch.nn.Module):
        head_dim = 4

        def __init__(self) -> None:
            super().__init__()
            self.q_proj, self.k_proj, self.v_proj, self.o_proj = (torch.nn.Linear(8, 8) for _ in range(4))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            q, k, v = (each(pixels).view(-1, 2, 4) for each in (self.q_proj, self.k_proj, self.v_proj))
            return self.o_proj((torch.softmax(q @ k.mT, -1) @ v).reshape(-1, 8))

    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = Stubborn(), torch.nn.Linear(8, 3)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.head(self.attention(pixels))

    torch.manual_seed(0)
    ctx = context()
    ctx.data = type(ctx.data)(
        *(
            Examples(dict(part.inputs), part.targets)
            for part in (ctx.data.train, ctx.data.validation, ctx.data.calibration, ctx.data.test)
        )
    )
    with pytest.raises(WorkbenchError, match="fewer heads.*skip"):
        HeadPrune().run(Outer().eval(), ctx)
