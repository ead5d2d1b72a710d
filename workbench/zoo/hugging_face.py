"""A checkpoint in transformers' form: a local folder, or an id on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidInput
from workbench.nouns import DataCard, ModelCard, TensorSpec
from workbench.params import param
from workbench.part import Model
from workbench.zoo import _checkpoint, _checkpoint_card, _checkpoint_fit

if TYPE_CHECKING:
    from torch import nn


class HuggingFace(Model):
    """Safetensors only; code that a checkpoint brings along is never run. A head of another size is made anew.

    Pictures are resized, and normalised as preprocessor_config.json says, inside the model.
    """

    title = "Hugging Face checkpoint"
    source = "transformers' Auto classes"
    licence = "the checkpoint's own"
    requires = ("transformers", "safetensors", "huggingface_hub")
    tasks = ("image-classification", "text-classification", "language-modelling", "unlabelled")
    pretrained = True
    renamed = {"source": "checkpoint"}  # `source` is what every part says of itself

    checkpoint: str = param(..., help="Folder that save_pretrained wrote, or an id on the hub (owner/name)")
    revision: str = param("main", help="Branch, tag or commit on the hub; name a commit to pin it")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Save a tiny random ResNet for ten classes."""
        from transformers import ResNetConfig, ResNetForImageClassification

        config = ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        config.num_labels = 10
        ResNetForImageClassification(config).save_pretrained(folder / "tiny_resnet")
        return {"checkpoint": str(folder / "tiny_resnet")}

    @property
    def card_needs_module(self) -> bool:  # type: ignore[override]
        """Only well-known architectures call their modules as their tensors are called."""
        try:
            return not _checkpoint_card.is_known(self._read())
        except InvalidInput:
            return True  # why_not says what is wrong with it

    def why_not(self, data: DataCard) -> list[str]:
        try:
            checkpoint = self._read()
        except InvalidInput as error:
            return super().why_not(data) + list(error.problems)
        return super().why_not(data) + _checkpoint_fit.why_not(checkpoint, data)

    def card(self, data: DataCard) -> ModelCard:
        """Return the card from names and shapes alone, or, for less known architectures, from the built module."""
        checkpoint = self._read()
        facts: dict[str, Any] = {
            "name": self.name(), "licence": checkpoint.licence, "source": checkpoint.source, "library": "transformers",
            "pretrained": True, "notes": _checkpoint_fit.notes(checkpoint, data),
            "kv_numbers": _checkpoint_card.kv_numbers(checkpoint.config) if data.task == "language-modelling" else 0,
        }  # fmt: skip
        if not _checkpoint_card.is_known(checkpoint):
            from workbench.zoo._describe import card_of

            return card_of(self.build(data), data, **facts)
        role = _checkpoint_fit.role(checkpoint, data)
        layers = _checkpoint_card.layers(
            checkpoint, data, role=role, seen_size=_checkpoint_fit.seen_size(checkpoint, data)
        )
        shape = _checkpoint_fit.output_shape(checkpoint, data)
        outputs = (TensorSpec("logits", "float32", ("batch", *shape)),)
        num_params = sum(layer.num_params for layer in layers)
        return ModelCard(
            task=data.task, inputs=data.inputs, outputs=outputs, layers=layers, num_params=num_params, **facts,
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo import _checkpoint_load

        folder = _checkpoint.folder_with_weights(self.checkpoint, self.revision)
        return _checkpoint_load.load(self._read(), folder, data)

    def source_files(self) -> list[Path]:
        return _checkpoint.files(self.checkpoint)

    def _read(self) -> _checkpoint.Checkpoint:
        return _checkpoint.read(self.checkpoint, self.revision)
