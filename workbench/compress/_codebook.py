"""Codebooks of one layer: one-dimensional k-means, and a weight that is read from its codebook while it trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

MOST_ROUNDS = 500


def kmeans(values: np.ndarray, clusters: int, start: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 centroids, sorted; index of each value's own) by Lloyd's algorithm; empty clusters are dropped.

    In one dimension a cluster is a run of the sorted values: means come from running sums, borders from midpoints.
    """
    ordered = np.sort(values.astype(np.float64))
    running = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = _start(ordered, clusters, start, seed)
    for _ in range(MOST_ROUNDS):
        ends = np.concatenate([np.searchsorted(ordered, (centroids[1:] + centroids[:-1]) / 2), [len(ordered)]])
        begins = np.concatenate([[0], ends[:-1]])
        filled = ends > begins
        means = (running[ends] - running[begins])[filled] / (ends - begins)[filled]
        if len(means) == len(centroids) and np.array_equal(means, centroids):
            break
        centroids = means
    borders = (centroids[1:] + centroids[:-1]) / 2
    return centroids, np.searchsorted(borders, values.astype(np.float64), side="right")


def _start(ordered: np.ndarray, clusters: int, start: str, seed: int) -> np.ndarray:
    distinct = np.unique(ordered)
    if len(distinct) <= clusters:
        return distinct
    if start == "linear":
        return np.linspace(ordered[0], ordered[-1], clusters)
    if start == "density":
        return np.unique(np.quantile(ordered, (np.arange(clusters) + 0.5) / clusters))
    random = np.random.default_rng(seed)
    chosen = [float(random.choice(ordered))]
    distance = (ordered - chosen[0]) ** 2
    while len(chosen) < clusters and distance.sum() > 0:
        chosen.append(float(random.choice(ordered, p=distance / distance.sum())))
        distance = np.minimum(distance, (ordered - chosen[-1]) ** 2)
    return np.unique(chosen)


class Shared(nn.Module):
    """A parametrization: weight[i] = codebook[index[i]], or zero where the weight was pruned.

    Autograd then gives a centroid the sum of its weights' gradients, which is eq. 3 of the paper.
    """

    index: Tensor

    def __init__(self, index: Tensor, codebook: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)  # int64, shaped as the weight; 0 = pruned, i = centroid i − 1
        self.first = codebook

    def forward(self, codebook: Tensor) -> Tensor:
        return torch.cat([codebook.new_zeros(1), codebook])[self.index]

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self.first


def share(module: nn.Module, clusters: int, start: str, seed: int, *, name: str = "weight") -> int:
    """Tie a layer's weights (or its bias, by `name`) to a codebook, in place; returns how many numbers moved."""
    weight = module.get_parameter(name).detach()
    flat = weight.cpu().numpy().ravel()
    alive = flat != 0
    centroids, own = kmeans(flat[alive], clusters, start, seed) if alive.any() else (np.zeros(0), np.zeros(0, int))
    index = np.zeros(flat.shape, np.int64)
    index[alive] = own + 1
    codebook = torch.from_numpy(centroids).to(weight.dtype).to(weight.device)
    shared = Shared(torch.from_numpy(index.reshape(weight.shape)).to(weight.device), codebook)
    nn.utils.parametrize.register_parametrization(module, name, shared)
    tied: Tensor = getattr(module, name)
    return int((tied.detach() != weight).sum())


def untie(module: nn.Module, *, name: str = "weight") -> None:
    """Make it an ordinary parameter again, holding the centroids' values."""
    nn.utils.parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    weight = module.get_parameter(name).detach().clone()  # the old one keeps the codebook's gradient
    module.register_parameter(name, nn.Parameter(weight))
