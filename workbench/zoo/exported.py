"""A model that was exported by torch.export into a .pt2 file, such as one taken in by `workbench.adopt`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ArtifactError
from workbench.nouns import DataCard, ModelCard
from workbench.params import param
from workbench.part import Model

if TYPE_CHECKING:
    from torch import nn


class Exported(Model):
    """A fixed graph: linear and convolution layers are modules again; dropout stays off, batch statistics stay fixed."""

    title = "Exported program (.pt2)"
    source = "torch.export, PyTorch 2"
    licence = "unknown: your own model"
    tasks = ("image-classification", "text-classification", "table-classification", "language-modelling", "unlabelled")
    pretrained = True
    card_needs_module = True

    path: str = param(..., help="The .pt2 file; its inputs are the data's, by order")
    sha256: str = param("", help="Hash that the file must have; empty = not checked")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        """Export a linear classifier of 8 × 8 pictures."""
        import torch

        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
        batch = torch.export.Dim("batch")
        program = torch.export.export(model, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
        torch.export.save(program, str(folder / "tiny.pt2"))
        return {"path": str(folder / "tiny.pt2")}

    def why_not(self, data: DataCard) -> list[str]:
        reasons = super().why_not(data)
        if not self._file.is_file():
            reasons.append(f"no file {self.path!r} (relative paths start at {str(Path.cwd())!r})")
        return reasons

    def card(self, data: DataCard) -> ModelCard:
        """Return the card of the opened program: this imports torch."""
        from workbench.zoo._describe import card_of

        return card_of(
            self.build(data), data, name=self.name(), licence=self.licence, source=self.path, pretrained=True,
            notes=("a fixed graph: dropout stays off, batch statistics stay as they were when it was exported",),
        )  # fmt: skip

    def build(self, data: DataCard) -> nn.Module:
        from workbench.zoo._revive import revive
        from workbench.zoo._wrapped import Wrapped

        if self.sha256 and hashlib.sha256(self._file.read_bytes()).hexdigest() != self.sha256:
            raise ArtifactError(f"{self.path} is not the file that was adopted", next_move="adopt the model again")
        module, names = revive(self._file), [spec.name for spec in data.inputs]
        taken = [node.target for node in module.graph.nodes if node.op == "placeholder"]
        return module if taken == names else Wrapped(module, names)

    def source_files(self) -> list[Path]:
        return [self._file] if self._file.is_file() else []

    @property
    def _file(self) -> Path:
        return Path(self.path).expanduser()
