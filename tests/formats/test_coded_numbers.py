"""The coder behind `model.coded`: bit for bit, near the bound of its own model, and never garbage."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.formats import _coded_reader as reader
from workbench.formats import _coded_writer as writer
from workbench.formats._coded_grid import CodedGrid

GRAPH = b"\x08\x0a graph of a model\n with lines"


def sparse(shape: tuple[int, ...], density: float, num_values: int, seed: int = 0) -> np.ndarray:
    """Return an array with `density` non-zeros that take `num_values` values, some far more often than others."""
    random = np.random.default_rng(seed)
    array, flags = np.zeros(shape, np.float32), random.random(shape) < density
    shares = np.exp(-np.linspace(0, 3, num_values))
    array[flags] = random.choice(random.normal(size=num_values), size=flags.sum(), p=shares / shares.sum())
    return array


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def special() -> np.ndarray:
    return np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-45, -1e-45, 3.4e38], np.float32)


INTEGERS = np.random.default_rng(2).binomial(15, 0.5, (40, 70)).astype(np.uint8)
SCALES = np.random.default_rng(3).uniform(0.01, 0.1, (40, 3)).astype(np.float16).astype(np.float32)
TENSORS = {
    "pruned and shared": sparse((40, 70), 0.1, 16),
    "shared, dense": sparse((40, 70), 1.0, 16),
    "256 values": sparse((100, 100), 0.9, 256),
    "257 values": sparse((100, 100), 0.9, 257),
    "all zeros, an empty codebook": np.zeros((30, 20), np.float32),
    "one value only": np.full((30, 20), 0.25, np.float32),
    "one value and zeros": sparse((30, 20), 0.3, 1),
    "one number": np.array([1.5], np.float32),
    "one zero": np.zeros(1, np.float32),
    "a scalar": np.array(2.5, np.float32),
    "no number at all": np.zeros((0, 4), np.float32),
    "floats": floats(33, 17),
    "floats, pruned": floats(60, 50) * (sparse((60, 50), 0.2, 3) != 0),
    "bfloat16 in float32": (floats(64, 64).view(np.uint32) & 0xFFFF0000).view(np.float32),
    "a convolution": sparse((8, 4, 3, 3), 0.4, 12),
    "a column": floats(500, 1),
    "NaN, infinities, minus zero": special(),
    "turned": np.ascontiguousarray(floats(5, 9).T),
}


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_comes_back_bit_for_bit(name: str) -> None:
    graph, tensors, _ = reader.read(writer.write(GRAPH, {name: TENSORS[name]}))
    assert graph == GRAPH
    assert same_bits(tensors[name], TENSORS[name])


def test_all_tensors_of_one_file_come_back_in_their_order() -> None:
    graph, tensors, _ = reader.read(writer.write(GRAPH, TENSORS))
    assert list(tensors) == list(TENSORS)
    assert all(same_bits(tensors[name], array) for name, array in TENSORS.items())


def test_a_file_may_hold_no_tensor() -> None:
    assert reader.read(writer.write(GRAPH, {})) == (GRAPH, {}, {})


def test_a_large_tensor_comes_back_and_takes_about_its_entropy() -> None:
    array = sparse((1500, 1000), 0.05, 16)
    data = writer.write(b"", {"w": array})
    _, tensors, costs = reader.read(data)
    assert same_bits(tensors["w"], array)
    assert len(data) < 1.02 * writer.shannon_bits(array) / 8
    assert costs["w"].num_bytes == pytest.approx(len(data), rel=0.02)


def recorded(array: np.ndarray, num_lanes: int) -> writer.Recorder:
    coder, flags = writer.Recorder(num_lanes), array != 0
    matrix = reader.matrix_shape(array.shape)
    reader.positions(coder, matrix, int(flags.sum()), flags.reshape(matrix))
    values, indices = np.unique(array[flags], return_inverse=True)
    reader.symbols(coder, len(values), len(indices), indices)
    return coder


def test_a_state_at_the_very_limit_gives_a_word_away() -> None:
    """From 2^16, an event of probability 2^-8 leads to 2^24: another such would lead to 2^32, which is no state any more."""
    zero, given = np.array([1 << 7]), np.array([False])
    coder = writer.Recorder(1)
    for _ in range(2):
        coder.flags(zero, given)
    states, words = coder.coded(b"")
    assert len(words) == 1
    lanes = reader.Lanes(states, words)
    assert [bool(lanes.flags(zero, None)[0]) for _ in range(2)] == [False] * 2
    assert lanes.states.tolist() == [reader.LOW] and lanes.position == 1


@pytest.mark.parametrize("density", [0.03, 0.3, 1.0])
@pytest.mark.parametrize("num_lanes", [1, 8, 64])
def test_coding_is_within_one_per_cent_of_what_its_model_asks_for(density: float, num_lanes: int) -> None:
    coder = recorded(sparse((300, 100) if num_lanes < 64 else (1000, 300), density, 16), num_lanes)
    states, words = coder.coded(b"")
    assert states.nbytes + words.nbytes <= 1.01 * coder.model_bits() / 8 + 4 * num_lanes


@pytest.mark.parametrize(("shape", "density"), [((300, 64), 0.05), ((300, 100), 0.5), ((1000, 300), 0.1)])
def test_the_lanes_chosen_for_a_file_stay_within_one_per_cent_too(shape: tuple[int, int], density: float) -> None:
    array = sparse(shape, density, 16)
    chosen = writer._plan(array)
    coder = recorded(array, writer._num_lanes(len(chosen.raw), chosen.bits / 8))
    hidden = chosen.raw[: 2 * coder.num_lanes]
    states, words = coder.coded(hidden)
    assert states.nbytes + words.nbytes - len(hidden) <= 1.01 * coder.model_bits() / 8


def test_dead_rows_and_columns_cost_next_to_nothing() -> None:
    """The context is what pays: half the rows and half the columns hold nothing."""
    array = sparse((300, 200), 0.2, 4)
    array[::2] = 0
    array[:, ::2] = 0
    _, _, costs = reader.read(writer.write(b"", {"w": array}))
    share = np.count_nonzero(array) / array.size
    order_0 = -array.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert costs["w"].positions < 0.72 * order_0


GRIDS = {
    "symmetric, whole rows": CodedGrid(INTEGERS, SCALES[:, :1], None, 4, None, turned=False, half=False),
    "groups, the last one short": CodedGrid(INTEGERS, SCALES, None, 4, 32, turned=True, half=True),
    "zero points": CodedGrid(INTEGERS, SCALES, INTEGERS[:, :3], 4, 32, turned=True, half=False),
    "zero points between integers": CodedGrid(INTEGERS, SCALES, SCALES * 60, 4, 32, turned=False, half=True),
}


@pytest.mark.parametrize("name", GRIDS)
def test_integers_of_a_grid_come_back_as_the_floats_that_they_stand_for(name: str) -> None:
    grid, other = GRIDS[name], floats(7)
    tensors = {"w": grid.values(), "b": other}
    graph, found, costs = reader.read(writer.write(GRAPH, tensors, {"w": grid}))
    assert graph == GRAPH and same_bits(found["w"], tensors["w"]) and same_bits(found["b"], other)
    zeros = np.full(SCALES.shape, 8.0) if grid.zeros is None else grid.zeros
    wide = [np.repeat(each.astype(np.float32), grid.group or 70, axis=1)[:, :70] for each in (zeros, grid.scales)]
    expected = (grid.integers.astype(np.float32) - wide[0][:, :70]) * wide[1]
    assert np.array_equal(found["w"].T if grid.turned else found["w"], expected)
    assert costs["w"].grid_bits == 4 and costs["w"].codebook == 8 * len(grid.raw)
    assert costs["w"].indices < 1.04 * grid.bits + 200


def test_shared_values_that_float16_holds_take_two_bytes_each() -> None:
    exact = sparse((40, 70), 0.5, 200)
    rounded = exact.astype(np.float16).astype(np.float32)
    (_, _, long), (_, tensors, short) = (reader.read(writer.write(b"", {"w": each})) for each in (exact, rounded))
    assert same_bits(tensors["w"], rounded)
    assert (long["w"].codebook, short["w"].codebook) == (32 * long["w"].num_values, 16 * short["w"].num_values)


def test_costs_add_up_to_the_file() -> None:
    data = writer.write(GRAPH, TENSORS)
    header = int.from_bytes(data[reader.FIXED - 4 : reader.FIXED], "little")
    _, _, costs = reader.read(data)
    assert sum(cost.num_bytes for cost in costs.values()) == pytest.approx(len(data) - reader.FIXED - header, rel=0.01)


def whole() -> bytes:
    return writer.write(GRAPH, {"w": sparse((10, 12), 0.3, 4), "b": floats(10), "dead": np.zeros(9, np.float32)})


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    data = whole()
    for end in range(len(data)):
        with pytest.raises(reader.BadFile):
            reader.read(data[:end])
    with pytest.raises(reader.BadFile):
        reader.read(data + b"\0")


def test_no_flipped_bit_gives_garbage() -> None:
    data = whole()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(reader.BadFile):
            reader.read(bytes(flipped))


def test_a_crafted_header_is_refused_before_memory_is_taken() -> None:
    import struct
    import zlib

    def file(line: bytes) -> bytes:
        header = zlib.compress(line, wbits=-zlib.MAX_WBITS)
        return reader.MAGIC + bytes(reader.DIGEST) + struct.pack("<I", len(header)) + header

    def header(lanes: int, kind: str) -> bytes:
        return f'{{"lanes":{lanes},"words":0,"hidden":0,"raw":0,"tensors":[["w",[1000000,1000000],1,"{kind}"]]}}\n'.encode()

    some = [header(lanes, kind) for lanes in (-1, 0, 1) for kind in ("c1", "h1", "c16", "i4/0", "i4", "i", "")]
    for line in (b"[]\n", b"{}\n", b"not json\n", *some):
        with pytest.raises(reader.BadFile):
            reader.read(file(line) + bytes(4))


def test_the_reader_needs_numpy_alone() -> None:
    tree = ast.parse(Path(reader.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name not in sys.stdlib_module_names} == {"numpy"}
