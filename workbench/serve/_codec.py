"""The protocol's tensors: JSON and binary on REST, raw and typed contents on gRPC, to and from NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from workbench.open_inference import CONTENTS, DATATYPES
from workbench.serve._signature import Signature, Tensor
from workbench.serve.refusal import Refusal

KINDS = {"f": "iuf", "i": "iu", "u": "iu", "b": "b"}  # a dtype's kind → kinds of JSON numbers that it takes


@dataclass(frozen=True)
class Request:
    """An infer request, checked tensor by tensor."""

    inputs: Mapping[str, np.ndarray]
    wanted: tuple[str, ...] = ()  # none: all
    id: str = ""
    binary: frozenset[str] | None = field(default_factory=frozenset)  # outputs wanted as bytes; None = all


def from_rest(header: bytes, tail: memoryview, signature: Signature) -> Request:
    """Return the request of a JSON header and the bytes behind it; raises Refusal with what is wrong."""
    record = json_object(header)
    inputs, at = {}, 0
    for each in _list_of_objects(record, "inputs"):
        name, datatype = _named(each), each.get("datatype")
        if not isinstance(datatype, str):
            raise Refusal("invalid", f"input {name!r} has no datatype")
        shape = _shape(each)
        tensor = signature.check_tensor(name, datatype, shape)
        if name in inputs:
            raise Refusal("invalid", f"input {name!r} is given twice")
        num_bytes = _parameters(each).get("binary_data_size")
        if num_bytes is None:
            inputs[name] = _from_json(each.get("data"), tensor, shape)
            continue
        if "data" in each or type(num_bytes) is not int or not 0 <= num_bytes <= len(tail) - at:
            raise Refusal(
                "invalid", f"input {name!r}: binary_data_size is {num_bytes!r}, {len(tail) - at} bytes are left"
            )
        inputs[name] = _from_bytes(tail[at : at + num_bytes], tensor, shape)
        at += num_bytes
    if at != len(tail):
        raise Refusal("invalid", f"{len(tail) - at} bytes follow the last tensor")
    wanted, binary = _wanted(record)
    request_id = record.get("id", "")
    if not isinstance(request_id, str):
        raise Refusal("invalid", "id is no text")
    return Request(inputs, wanted, request_id, binary)


def to_rest(outputs: Mapping[str, np.ndarray], request: Request, head: dict[str, Any]) -> tuple[bytes, int]:
    """Return the body of an answer and its JSON's length, 0 when all of it is JSON."""
    described, tail = [], []
    for name, array in outputs.items():
        each: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": array.shape}
        if request.binary is None or name in request.binary:
            content = np.ascontiguousarray(array).tobytes()
            each["parameters"] = {"binary_data_size": len(content)}
            tail.append(content)
        else:
            each["data"] = array.ravel() if array.dtype != np.float16 else array.astype(np.float32).ravel()
        described.append(each)
    if request.id:
        head["id"] = request.id
    header = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((header, *tail)), len(header)) if tail else (header, 0)


def from_grpc(message: Any, signature: Signature) -> Request:
    """Return the request of a ModelInferRequest; raises Refusal with what is wrong."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise Refusal("invalid", f"{len(message.inputs)} inputs, but {len(raw)} raw contents")
    inputs: dict[str, np.ndarray] = {}
    for index, each in enumerate(message.inputs):
        tensor = signature.check_tensor(each.name, each.datatype, each.shape)
        if each.name in inputs:
            raise Refusal("invalid", f"input {each.name!r} is given twice")
        if raw and each.HasField("contents"):
            raise Refusal("invalid", f"input {each.name!r} has both raw and typed contents")
        if raw:
            inputs[each.name] = _from_bytes(memoryview(raw[index]), tensor, each.shape)
        else:
            inputs[each.name] = _from_contents(each.contents, tensor, each.shape)
    return Request(inputs, tuple(each.name for each in message.outputs), message.id)


def json_object(content: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Refusal("invalid", f"no JSON: {error}") from None
    if not isinstance(record, dict):
        raise Refusal("invalid", "the body is no JSON object")
    return record


def array_of(data: Any, tensor: Tensor) -> np.ndarray:
    """Return nested lists of numbers as an array of the tensor's dtype; raises Refusal for anything else."""
    try:
        given = np.array(data) if isinstance(data, list) else None
    except ValueError:  # ragged, or deeper than NumPy goes
        given = None
    if given is None or (given.size and given.dtype.kind not in KINDS[tensor.dtype.kind]):
        raise Refusal("invalid", f"{tensor.name!r} needs lists of {tensor.datatype} values, all of one length")
    if tensor.dtype.kind in "iu" and given.size:
        limits = np.iinfo(tensor.dtype)
        if int(given.min()) < limits.min or int(given.max()) > limits.max:
            raise Refusal("invalid", f"{tensor.name!r} holds a value that {tensor.datatype} has no room for")
    with np.errstate(over="ignore"):  # too large for a float becomes infinity, which is checked with the others
        return given.astype(tensor.dtype)


def datatype_of(array: np.ndarray) -> str:
    return DATATYPES[array.dtype.name]


def _from_json(data: Any, tensor: Tensor, shape: Sequence[int]) -> np.ndarray:
    array = array_of(data, tensor)
    if array.size != _count(shape):
        raise Refusal("invalid", f"input {tensor.name!r} of shape {list(shape)} has {array.size} values")
    return array.reshape(shape)


def _from_bytes(content: memoryview, tensor: Tensor, shape: Sequence[int]) -> np.ndarray:
    needed = _count(shape) * tensor.dtype.itemsize
    if len(content) != needed:
        raise Refusal(
            "invalid", f"input {tensor.name!r} of shape {list(shape)} takes {needed} bytes, not {len(content)}"
        )
    if tensor.dtype.kind == "b" and np.frombuffer(content, np.uint8).max(initial=0) > 1:
        raise Refusal("invalid", f"input {tensor.name!r} holds bytes that are neither true nor false")
    return np.frombuffer(content, tensor.dtype).reshape(shape)


def _from_contents(contents: Any, tensor: Tensor, shape: Sequence[int]) -> np.ndarray:
    wanted = CONTENTS.get(tensor.datatype)
    filled = [descriptor.name for descriptor, _ in contents.ListFields()]
    if wanted is None or any(name != wanted for name in filled):
        raise Refusal("invalid", f"input {tensor.name!r} is {tensor.datatype}: its contents are {wanted or 'raw only'}")
    return _from_json(list(getattr(contents, wanted)), tensor, shape)


def _wanted(record: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str] | None]:
    parameters = _parameters(record)
    if parameters.get("sequence_id"):
        raise Refusal("invalid", "no model here keeps a sequence")
    all_binary = bool(parameters.get("binary_data_output", False))
    if "outputs" not in record:
        return (), None if all_binary else frozenset()
    names, binary = [], set()
    for each in _list_of_objects(record, "outputs"):
        name, how = _named(each), _parameters(each)
        if how.get("classification"):
            raise Refusal("invalid", "classification is not offered: ask for the logits")
        names.append(name)
        if how.get("binary_data", all_binary):
            binary.add(name)
    return tuple(names), frozenset(binary)


def _list_of_objects(record: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refusal("invalid", f"{key} is no list of objects")
    return value


def _named(each: Mapping[str, Any]) -> str:
    name = each.get("name")
    if not isinstance(name, str):
        raise Refusal("invalid", "a tensor has no name")
    return name


def _parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    value = record.get("parameters", {})
    if not isinstance(value, dict):
        raise Refusal("invalid", "parameters are no object")
    return value


def _shape(each: Mapping[str, Any]) -> list[int]:
    shape = each.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Refusal("invalid", f"input {each['name']!r} has no shape of whole numbers")
    return shape


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
