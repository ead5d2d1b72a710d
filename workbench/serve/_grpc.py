"""The protocol's gRPC half: the same models, keys and refusals as on REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from tritonclient.grpc import service_pb2, service_pb2_grpc

from workbench.errors import InvalidInput, WorkbenchError
from workbench.serve import _codec, _told
from workbench.serve._desk import Desk, Visit
from workbench.serve._policy import ADMIN, PREDICT
from workbench.serve.refusal import Refusal

OPEN = ("ServerLive", "ServerReady")  # without a key, as the standard health service
MANAGING = {"RepositoryModelLoad": "load", "RepositoryModelUnload": "unload"}  # as REST calls them
MAX_STREAMS = 256  # calls at once on one connection
FAULT = "UNKNOWN"  # what gRPC tells of a call that raises; it is counted and written down as such


class Server:
    """grpc.aio on one port, with the standard health service."""

    def __init__(self, desk: Desk, host: str, port: int, credentials: Any | None) -> None:
        options = [
            ("grpc.max_receive_message_length", desk.limits.max_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # or two servers would share a port, silently
            ("grpc.max_concurrent_streams", MAX_STREAMS),
        ]
        self.health = HealthServicer()
        self._server = grpc.aio.server(options=options)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_service(desk), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise InvalidInput(
                [f"gRPC can't listen on {address}: {error}"], next_move="choose another --grpc"
            ) from None

    async def start(self) -> None:
        await self._server.start()

    async def say_stopping(self) -> None:
        """Tell whoever watches the standard health service, so that calls go elsewhere."""
        await self.health.enter_graceful_shutdown()

    async def stop(self, seconds: float) -> None:
        """Take no more calls, and give those under way this long."""
        await self._server.stop(seconds)


def credentials(cert: Path | None, key: Path | None, client_ca: Path | None) -> Any | None:
    """Return what TLS needs; None = plain text. With `client_ca` clients must show a certificate of it."""
    if cert is None or key is None:
        return None
    root = None if client_ca is None else client_ca.read_bytes()
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), cert.read_bytes())], root_certificates=root, require_client_auth=root is not None
    )


def _service(desk: Desk) -> Any:
    """Return the servicer: each method of Calls behind admission, the stream of infer beside them."""
    calls = Calls(desk)
    methods: dict[str, Any] = {
        name: _admitted(desk, name, method) for name, method in vars(Calls).items() if name[0].isupper()
    }
    made = type("Service", (service_pb2_grpc.GRPCInferenceServiceServicer,), {})()
    for name, method in methods.items():
        setattr(made, name, method.__get__(calls))
    made.ModelStreamInfer = _Stream(desk, calls).answers  # a method: gRPC looks for an async generator
    return made


def _admitted(desk: Desk, name: str, method: Any) -> Any:
    scope = "" if name in OPEN else ADMIN if name in MANAGING else PREDICT

    async def call(calls: Calls, request: Any, context: Any) -> Any:
        visit, status = desk.begun("grpc", MANAGING.get(name, name), context.peer()), FAULT
        try:
            if scope:
                desk.admit(visit, _authorization(context), scope)
            answer = await method(calls, request, visit)
            status = "OK"
            return answer
        except Refusal as refusal:
            status = refusal.grpc_status
            return await context.abort(getattr(grpc.StatusCode, status), str(refusal))
        finally:
            await desk.ended(visit, status, scope)

    return call


class Calls:
    """One method a call of the protocol; each raises Refusal for what it won't do."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.models = desk, desk.models

    async def ServerLive(self, request: Any, visit: Visit) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, visit: Visit) -> Any:
        return service_pb2.ServerReadyResponse(ready=self.models.is_ready)

    async def ModelReady(self, request: Any, visit: Visit) -> Any:
        self.models.get(request.name, request.version)
        return service_pb2.ModelReadyResponse(ready=True)

    async def ServerMetadata(self, request: Any, visit: Visit) -> Any:
        return service_pb2.ServerMetadataResponse(**_told.server())

    async def ModelMetadata(self, request: Any, visit: Visit) -> Any:
        record = _told.model(self.models, request.name, request.version)
        return json_format.ParseDict(record, service_pb2.ModelMetadataResponse())

    async def ModelConfig(self, request: Any, visit: Visit) -> Any:
        return service_pb2.ModelConfigResponse(config=self.models.get(request.name, request.version).config)

    async def ModelStatistics(self, request: Any, visit: Visit) -> Any:
        record = _told.statistics(self.models, request.name, request.version)
        return json_format.ParseDict(record, service_pb2.ModelStatisticsResponse())

    async def RepositoryIndex(self, request: Any, visit: Visit) -> Any:
        entries = [each for each in self.models.index() if each["state"] == "READY" or not request.ready]
        return json_format.ParseDict({"models": entries}, service_pb2.RepositoryIndexResponse())

    async def RepositoryModelLoad(self, request: Any, visit: Visit) -> Any:
        if request.parameters:
            raise Refusal("invalid", "config and files come from the repository, never from a request")
        visit.model = request.model_name[:100]
        try:
            await self.models.load(request.model_name)
        except Refusal:
            raise
        except WorkbenchError as error:
            raise Refusal("invalid", error.message) from None
        return service_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, visit: Visit) -> Any:
        visit.model = request.model_name[:100]
        await self.models.unload(request.model_name)
        return service_pb2.RepositoryModelUnloadResponse()

    async def ModelInfer(self, request: Any, visit: Visit) -> Any:
        visit.action = "infer"
        served, asked, outputs = await self.desk.infer(
            visit, request.model_name, request.model_version, lambda signature: _codec.from_grpc(request, signature)
        )
        answer = service_pb2.ModelInferResponse(model_name=served.name, model_version=str(served.version), id=asked.id)
        for name, array in outputs.items():
            answer.outputs.add(name=name, datatype=_codec.datatype_of(array), shape=array.shape)
            answer.raw_output_contents.append(np.ascontiguousarray(array).tobytes())
        return answer


class _Stream:
    """Streaming infer: answers in the order of the requests; one that is refused is told and the stream goes on."""

    def __init__(self, desk: Desk, calls: Calls) -> None:
        self.desk, self.calls = desk, calls

    async def answers(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            visit, status = self.desk.begun("grpc", "infer", context.peer()), FAULT
            try:
                self.desk.admit(visit, _authorization(context), PREDICT)
                answer = service_pb2.ModelStreamInferResponse(
                    infer_response=await self.calls.ModelInfer(request, visit)
                )
                status = "OK"
            except Refusal as refusal:
                status = refusal.grpc_status
                if visit.key is None:
                    await context.abort(getattr(grpc.StatusCode, status), str(refusal))
                answer = service_pb2.ModelStreamInferResponse(error_message=str(refusal))
                answer.infer_response.id = request.id
            finally:
                await self.desk.ended(visit, status, PREDICT)
            yield answer


def _authorization(context: Any) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, str) else ""
    return ""
