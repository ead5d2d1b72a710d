"""What a model will cost, before anything runs: from its card alone, in microseconds, without torch.

Parameters are counted exactly. The rest of a file (graph, names, scales' bookkeeping) and the time of a call are bands whose
ends come from the figures below, which were read off saved artifacts of this workbench, and from measured ceilings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.nouns import Cost, Layer, ModelCard

WIDTHS = {
    "float32": 4,
    "bfloat16": 2,
    "int8": 1,
    "float8_e4m3fn": 1,
    "int4": 1 / 2,
    "int3": 3 / 8,
    "int2": 1 / 4,
    "int1": 1 / 8,
}  # bytes of one weight
CODED_FLOAT_BITS = 27  # the mantissas of trained floats are noise, their exponents are not
SCALE_BYTES = {
    "int8 dynamic": 5,
    "int8 static": 13,
    "int4 static": 13,
}  # per output channel: scale and zero point (static: the bias's too)
NODE_BYTES = {
    "bfloat16": (0, 800),
    "int8 dynamic": (550, 1050),
    "int8 static": (800, 1900),
    "int4 static": (800, 1900),
}  # per layer, graph only
CODED = "coded zeros cost their position and no value; a dense kernel still multiplies by them once they are decoded"
PACKED_NODE_BYTES = (100, 400)  # the same, of packed weights that a kernel widens; else the graph holds the unpacking:
# Of one or two bits, and of 8-bit floats: in graphs that unpack them while loading, and in programs that do at each call.
FEW_BITS_BYTES = {
    "float8 weights": ((200, 500), (1200, 3300)),
    "ternary weights": ((600, 1400), (4500, 9000)),
    "binary weights": ((600, 1400), (4500, 9000)),
    "binary weights and inputs": ((1300, 2600), (9000, 16_000)),
}
UNPACKING_BYTES = {"int8": (1200, 3300), "int4": (4500, 6500), "int3": (8000, 10200), "int2": (4500, 6500)}
UNPACKING_READS = {
    "int8": (5, 40),
    "float8_e4m3fn": (5, 40),
    "int4": (10, 80),
    "int3": (20, 180),
    "int2": (8, 70),
    "int1": (8, 70),
}  # of the widened weight
ZERO_POINTS, FLOAT_ZERO_POINTS = ", zero points", ", float zero points"  # at the end of a card's precision
FLOAT_ZERO_POINT_BYTES = (1200, 1900)
ZERO_POINT_BYTES = {"int8": (2700, 3300), "int4": (5800, 6800), "int3": (9600, 10800), "int2": (5800, 6800)}
ZEROS = (
    "unstructured zeros change neither bytes nor milliseconds: a dense file stores each zero at full width and a dense "
    "kernel multiplies by it; only nonzero_params falls (remove channels, or choose a format that codes zeros)"
)
NO_CEILINGS = "no latency band: this machine's ceilings aren't measured yet (workbench doctor)"


@dataclass(frozen=True)
class _FormatFigures:
    """What a format adds to the numbers of a model; pairs are (low, high)."""

    layer_bytes: tuple[float, float]  # names and graph of one layer
    fixed_bytes: tuple[float, float]
    layer_calls: tuple[float, float]  # overhead of running one layer, in smallest torch calls (ceiling call_us)
    process_bytes: int  # a fresh process that has opened a tiny model
    folds_batch_norm: bool = (
        False  # into the convolution before it, which gets a bias; else running statistics are kept
    )
    unpacks: bool = False  # packed weights are widened by operations of the graph at each call, not by the kernel
    copies: float = 2.0  # resident bytes for one byte of artifact


FIGURES = {
    "onnx": _FormatFigures((230, 800), (0, 400), (0.2, 2.0), 76_000_000, folds_batch_norm=True),
    "openvino": _FormatFigures((2500, 6500), (0, 12_000), (0.2, 2.0), 110_000_000, folds_batch_norm=True),
    "pt2": _FormatFigures((3900, 7400), (0, 1500), (4.0, 55.0), 345_000_000, unpacks=True),
    "hugging_face": _FormatFigures((130, 450), (0, 900), (4.0, 60.0), 450_000_000),
}


def estimate(cards: Sequence[ModelCard], format_name: str, ceilings: Mapping[str, Any] | None = None) -> list[Cost]:
    """Return the cost before the first step and after each one, for a batch of one on one thread.

    `cards` is what `Job.cards` returns; `ceilings` what `workbench.ceilings.known` returns (None: no latency band).
    """
    return [_cost(card, format_name, ceilings) for card in cards]


def artifact_band(card: ModelCard, format_name: str) -> tuple[int, int] | None:
    """Return (fewest, most) bytes of the files needed to predict; None when the format's overhead isn't known.

    Tables that an architecture bakes in (causal masks, rotary angles) are no parameters, so a card doesn't know them.
    """
    if format_name == "coded":
        return _coded_band(card)
    figures = FIGURES.get(format_name)
    if figures is None:
        return None
    folded = len(_batch_norms(card)) if figures.folds_batch_norm else 0
    num_cast = sum(layer.precision != "float32" and layer.kind != "norm" for layer in card.layers)
    exact = dense_bytes(card, format_name) + _scale_bytes(card)
    low, high = (
        exact + fixed + each * (len(card.layers) - folded) + node * num_cast
        for fixed, each, node in zip(figures.fixed_bytes, figures.layer_bytes, _node_bytes(card, format_name))
    )
    return round(low), round(high)


def _node_bytes(card: ModelCard, format_name: str) -> tuple[int, int]:
    """Return (fewest, most) bytes that a layer's graph gains by its precision."""
    packed = next((layer.precision for layer in card.layers if layer.packed_bytes), None)
    if packed is None:
        return NODE_BYTES.get(card.precision, (0, 0))
    if card.precision in FEW_BITS_BYTES:
        return FEW_BITS_BYTES[card.precision][FIGURES[format_name].unpacks]
    if not FIGURES[format_name].unpacks:
        return PACKED_NODE_BYTES
    (low, high), zeros = UNPACKING_BYTES[packed], (0, 0)
    if card.precision.endswith(ZERO_POINTS):
        zeros = ZERO_POINT_BYTES[packed]
    elif card.precision.endswith(FLOAT_ZERO_POINTS):
        zeros = FLOAT_ZERO_POINT_BYTES
    return low + zeros[0], high + zeros[1]


def dense_bytes(card: ModelCard, format_name: str) -> int:
    """Return the exact bytes of all numbers of the model at the width they are stored with, zeros included."""
    outside = card.num_params - sum(layer.num_params for layer in card.layers)
    parameters = round(outside * WIDTHS["float32"] + sum(_layer_bytes(layer) for layer in card.layers))
    figures = FIGURES.get(format_name)
    if figures is None:
        return parameters
    if figures.folds_batch_norm:  # scale and shift go, a bias comes
        return parameters - sum(layer.weight_shape[0] * int(WIDTHS["float32"]) for layer in _batch_norms(card))
    return parameters + sum(2 * layer.weight_shape[0] * int(WIDTHS[_dtype(layer)]) for layer in _batch_norms(card))


def _batch_norms(card: ModelCard) -> list[Layer]:
    """Return the norms that stand behind a convolution without bias: how every batch-normalised model is written."""
    pairs = zip(card.layers, card.layers[1:])
    return [
        norm
        for conv, norm in pairs
        if norm.kind == "norm" and conv.kind == "conv" and conv.num_params == conv.num_weights
    ]


def nonzero_params(card: ModelCard) -> int:
    """Return the expected number of parameters that are not zero."""
    return card.num_params - sum(round(layer.num_weights * (1 - layer.density)) for layer in card.layers)


def _cost(card: ModelCard, format_name: str, ceilings: Mapping[str, Any] | None) -> Cost:
    band, figures = artifact_band(card, format_name), FIGURES.get(format_name)
    dense = dense_bytes(card, format_name)
    size = (band[0] + band[1]) // 2 if band else dense
    cost = Cost(size, dense, nonzero_params(card), card.macs)
    notes = [_size_note(card, format_name, band)]
    if figures:
        cost = replace(cost, memory_bytes=round(figures.process_bytes + figures.copies * size))
        notes.append("memory: a fresh process with the runtime and the weights; activations come on top")
    if ceilings is None:
        notes.append(NO_CEILINGS)
    elif figures and card.macs is not None:
        low, high = _latency_ms(card, figures, ceilings)
        cost = replace(cost, latency_ms_low=low, latency_ms_high=high)
    else:
        notes.append(f"no latency band: {'operations aren’t known' if figures else f'{format_name} has no figures'}")
    if any(layer.density < 1 for layer in card.layers):
        notes.append(CODED if format_name == "coded" else ZEROS)
    if card.kv_numbers:
        notes.append(_kept_note(card))
    return replace(cost, notes=(*notes, *card.notes))


def _kept_note(card: ModelCard) -> str:
    """Say what a decoder keeps while it writes: no file holds it, every text under way does."""
    computed = "bfloat16" if card.precision == "bfloat16" else "float32"
    is_float, length = card.kv_precision == "float", int(card.inputs[0].shape[1])
    each = round(card.kv_numbers * WIDTHS[computed if is_float else card.kv_precision])
    scales = "" if is_float else ", scales and the newest tokens beside them,"
    return f"while writing, keys and values{scales} take {each:,} bytes a token, {each * length:,} for a text of {length:,}"


def _size_note(card: ModelCard, format_name: str, band: tuple[int, int] | None) -> str:
    if band is None:
        return f"bytes are those of the parameters alone: what {format_name} adds isn't known"
    return (
        f"artifact_bytes is the middle of {band[0]:,} to {band[1]:,}: numbers "
        f"{'and scales ' if _scale_bytes(card) else ''}{'and' if format_name == 'coded' else 'exact,'} graph estimated"
    )


def _computing(card: ModelCard) -> list[Layer]:
    return [layer for layer in card.layers if layer.kind != "norm"]


def _layer_bytes(layer: Layer) -> float:
    """Weights at their stored width; layers of 8 bits and fewer keep 4-byte biases, bfloat16 layers have 2-byte ones."""
    width = WIDTHS[_dtype(layer)]
    biases = layer.num_params - layer.num_weights
    return layer.num_weights * width + biases * (WIDTHS["float32"] if width <= 1 else width)


def _dtype(layer: Layer) -> str:
    """Return what a layer runs in, and is stored in by formats that have no codebooks."""
    return "float32" if layer.precision.startswith("codebook") else layer.precision


def _coded_band(card: ModelCard) -> tuple[int, int]:
    """Return the entropy of positions and of equally frequent values; zeros in rows and columns, and frequent values, save.

    Zeros that come in blocks have one position each block at best.
    """
    total = saved = 1.0 * (card.num_params - sum(layer.num_weights for layer in card.layers)) * CODED_FLOAT_BITS
    for layer in card.layers:
        shares = [share for share in (layer.density, 1 - layer.density) if share]
        shared = layer.precision.startswith("codebook")
        value = math.log2(int(layer.precision.removeprefix("codebook"))) if shared else CODED_FLOAT_BITS
        if layer.packed_bytes:
            value = 8 * layer.packed_bytes / layer.num_weights
        where = -sum(share * math.log2(share) for share in shares)
        total += layer.num_weights * (where + layer.density * value)
        saved += layer.num_weights * (where / layer.zeros_together + layer.density * value)
    return round(0.6 * saved / 8), round(1.1 * total / 8 + 500 + 200 * len(card.layers))


def _scale_bytes(card: ModelCard) -> float:
    """Return what stands beside the integers: scales, zero points, and the padding of packed weights to whole blocks."""
    packed = [layer for layer in card.layers if layer.packed_bytes]
    if packed:
        return sum(layer.packed_bytes - layer.num_weights * WIDTHS[layer.precision] for layer in packed)
    per_channel = SCALE_BYTES.get(card.precision, 0)
    return per_channel * sum(layer.weight_shape[0] for layer in card.layers if layer.precision in ("int8", "int4"))


def _latency_ms(card: ModelCard, figures: _FormatFigures, ceilings: Mapping[str, Any]) -> tuple[float, float]:
    """Roofline: at best every product runs at the peak, at worst at the rate of one row or of reading the weights."""
    best = worst = 0.0
    for layer in card.layers:
        operations = 2 * (layer.macs or 0)
        is_widened = layer.packed_bytes or layer.precision == "int4"  # before the product
        precision = "float32" if is_widened else _dtype(layer)
        best += operations / (ceilings[f"{precision}_gflops"] * 1e9)
        reading = _layer_bytes(layer) / (ceilings["read_gb_per_s"] * 1e9) if layer.macs else 0.0
        worst += max(operations / (ceilings[f"{precision}_row_gflops"] * 1e9), reading)
        if figures.unpacks and layer.packed_bytes:
            widened = layer.num_weights * WIDTHS["float32"] / (ceilings["read_gb_per_s"] * 1e9)
            fewest, most = UNPACKING_READS[layer.precision]
            best, worst = best + fewest * widened, worst + most * widened
    call, num_layers = ceilings["call_us"] * 1e-6, len(_computing(card))
    num_cast = sum(_dtype(layer) != "float32" for layer in _computing(card))  # at worst a cast on either side
    low = call * (1 + num_layers * figures.layer_calls[0])
    high = call * (1 + (num_layers + num_cast) * figures.layer_calls[1])
    low, high = sorted((1e3 * (low + best), 1e3 * (high + worst)))  # some dtypes are quicker for one row than for many
    return low, high
