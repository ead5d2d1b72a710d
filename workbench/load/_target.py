"""One model on one server, and how it is asked: V2 over REST (http, https) or gRPC (grpc, grpcs)."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from workbench.errors import InvalidInput, WorkbenchError
from workbench.load._open_loop import Refused
from workbench.open_inference import CONTENTS

Ask = Callable[[], Awaitable[None]]
METADATA_SECONDS = 20.0


@dataclass(frozen=True)
class Target:
    """`url` as in http://127.0.0.1:8080 or grpc://127.0.0.1:8081; `request` is a V2 infer request."""

    url: str
    model: str
    request: dict[str, Any]
    token: str = field(default="", repr=False)
    ca: Path | None = None  # of a private certificate authority

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc:
            raise InvalidInput(
                [f"{self.url!r} is no address of a server"],
                next_move="as in http://127.0.0.1:8080 or grpc://127.0.0.1:8081",
            )
        try:
            tensors = [(each["name"], each["shape"], each["datatype"], each["data"]) for each in self.request["inputs"]]
        except (KeyError, TypeError):
            raise InvalidInput(["the request holds no inputs with name, shape, datatype and data"]) from None
        if odd := [f"{name}: datatype {kind}" for name, _, kind, _ in tensors if kind not in CONTENTS]:
            raise InvalidInput(odd, next_move=f"known here: {', '.join(CONTENTS)}")

    @contextlib.asynccontextmanager
    async def opened(self, connections: int) -> AsyncIterator[Ask]:
        """Give a function that asks once and returns when the answer is there; raises WorkbenchError when the server isn't."""
        way = _rest if self.url.startswith("http") else _grpc
        async with way(self, connections) as ask:
            try:
                await ask()
            except (OSError, TimeoutError, Refused) as error:
                raise WorkbenchError(
                    f"{self.url} gives no answer for model {self.model}: {error}",
                    next_move="look at URL, --model and --token",
                ) from None
            yield ask


@contextlib.asynccontextmanager
async def _rest(target: Target, connections: int) -> AsyncIterator[Ask]:
    import aiohttp

    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {target.token}"} if target.token else {}
    )
    content, url = orjson.dumps(target.request), f"{target.url.rstrip('/')}/v2/models/{target.model}/infer"
    trusted = ssl.create_default_context(cafile=str(target.ca)) if target.ca else True
    connector = aiohttp.TCPConnector(limit=connections, ssl=trusted)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(None)
    ) as session:

        async def ask() -> None:
            try:
                async with session.post(url, data=content) as answer:
                    body = await answer.read()
            except aiohttp.ClientError as error:
                raise Refused(type(error).__name__) from None
            if answer.status != 200:
                raise Refused(f"{answer.status} {body[:200].decode(errors='replace')}")

        yield ask


@contextlib.asynccontextmanager
async def _grpc(target: Target, connections: int) -> AsyncIterator[Ask]:
    """One channel carries all calls; `connections` bounds how many are under way."""
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    message = service_pb2.ModelInferRequest(model_name=target.model)
    for each in target.request["inputs"]:
        tensor = message.inputs.add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
        getattr(tensor.contents, CONTENTS[each["datatype"]]).extend(each["data"])
    headers = (("authorization", f"Bearer {target.token}"),) if target.token else ()
    where = urlsplit(target.url).netloc
    if target.url.startswith("grpcs"):
        trusted = grpc.ssl_channel_credentials(target.ca.read_bytes() if target.ca else None)
        channel = grpc.aio.secure_channel(where, trusted)
    else:
        channel = grpc.aio.insecure_channel(where)
    async with channel:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)

        async def ask() -> None:
            try:
                await stub.ModelInfer(message, metadata=headers)
            except grpc.aio.AioRpcError as error:
                raise Refused(f"{error.code().name} {error.details()}") from None

        yield ask


async def made_up_request(url: str, model: str, *, token: str = "", ca: Path | None = None) -> dict[str, Any]:
    """Return a request of one example for what a REST server says of its model: zeros of the types and shapes that it takes."""
    import math

    import aiohttp

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    trusted = ssl.create_default_context(cafile=str(ca)) if ca else True
    place = f"{url.rstrip('/')}/v2/models/{model}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(METADATA_SECONDS)) as session,
            session.get(place, headers=headers, ssl=trusted) as answer,
        ):
            if answer.status != 200:
                raise WorkbenchError(
                    f"{place}: {answer.status} {(await answer.text())[:200]}", next_move="look at --model and --token"
                )
            told = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise WorkbenchError(
            f"{place} does not answer ({type(error).__name__})", next_move="start the server: workbench serve RUN"
        ) from None
    inputs = []
    for each in told["inputs"]:
        shape = [max(1, int(size)) for size in each["shape"]]
        zero = False if each["datatype"] == "BOOL" else 0
        inputs.append(
            {"name": each["name"], "datatype": each["datatype"], "shape": shape, "data": [zero] * math.prod(shape)}
        )
    return {"inputs": inputs}
