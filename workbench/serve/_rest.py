"""The protocol's REST half, with /predict and /export as short ways in."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import workbench
from workbench.errors import WorkbenchError
from workbench.serve import _body, _codec, _generating, _openapi, _told
from workbench.serve._desk import Desk
from workbench.serve._policy import ADMIN, PREDICT
from workbench.serve._signature import Signature
from workbench.serve.refusal import Refusal

LENGTH = "inference-header-content-length"
OPEN = ("/v2/health/live", "/v2/health/ready", "/openapi.json")  # without a key: they tell nothing of the models
JSON = "application/json"
INFER = re.compile(r"/v2/models/(?P<name>[^/]+)(/versions/(?P<version>[^/]+))?/infer")


def app(desk: Desk) -> Any:
    """Return the ASGI application, admission included."""
    inner = FastAPI(
        title="Workbench", version=workbench.__version__, docs_url=None, redoc_url=None, summary=_openapi.SUMMARY
    )
    routes = Routes(desk)
    for path, method, name, extra in _openapi.ROUTES:
        inner.add_api_route(
            path, getattr(routes, name), methods=[method], response_model=None, operation_id=f"{name}{path}", **extra
        )
    inner.add_exception_handler(HTTPException, _no_route)
    inner.add_exception_handler(Refusal, _refused)
    inner.add_exception_handler(ClientDisconnect, _gone)
    inner.openapi = lambda: _openapi.described(inner)  # type: ignore[method-assign]
    return Admission(inner, routes)


class Admission:
    """Asks for the key before anything else is looked at, turns refusals into answers, and counts."""

    def __init__(self, inner: Any, routes: Routes) -> None:
        self.inner, self.routes, self.desk = inner, routes, routes.desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        path, status = scope["path"], 500
        needed = "" if path in OPEN else needed_scope(path)
        peer = scope["client"][0] if scope["client"] else ""
        visit = scope["state"]["visit"] = self.desk.begun("rest", path.rsplit("/", 1)[-1][:40], peer)

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if needed:
                self.desk.admit(visit, _header(scope, b"authorization"), needed)
            found = INFER.fullmatch(path) if scope["method"] == "POST" else None
            if found is None:
                await self.inner(scope, receive, sent)
            else:  # past FastAPI's own routing, which takes longer than a small model
                answer = await self.routes.infer(Request(scope, receive), found["name"], found["version"] or "")
                await answer(scope, receive, sent)
        except ClientDisconnect:
            status = 499  # nobody is left to be told; what proxies write for it
        except Refusal as refusal:
            await (await _refused(None, refusal))(scope, receive, sent)
        finally:
            await self.desk.ended(visit, str(status), needed)


class Routes:
    """One method a route; each raises Refusal for what it won't do."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.models = desk, desk.models

    async def live(self) -> Response:
        return _json({"live": True})

    async def ready(self) -> Response:
        return _json({"ready": self.models.is_ready}, 200 if self.models.is_ready else 503)

    async def server(self) -> Response:
        return _json(_told.server())

    async def model(self, name: str, version: str = "") -> Response:
        return _json(_told.model(self.models, name, version))

    async def model_ready(self, name: str, version: str = "") -> Response:
        self.models.get(name, version)
        return _json({"name": name, "ready": True})

    async def config(self, name: str, version: str = "") -> Response:
        return _json(_told.config(self.models.get(name, version)))

    async def stats(self, name: str = "", version: str = "") -> Response:
        return _json(_told.statistics(self.models, name, version))

    async def infer(self, request: Request, name: str, version: str = "") -> Response:
        body = await _body.read(request, self.desk.limits)
        header, tail = _split(body, request.headers.get(LENGTH))
        visit = request.state.visit
        served, asked, outputs = await self.desk.infer(
            visit, name, version, lambda signature: _codec.from_rest(header, tail, signature)
        )
        content, length = _codec.to_rest(
            outputs, asked, {"model_name": served.name, "model_version": str(served.version)}
        )
        if not length:
            return Response(content, media_type=JSON)
        return Response(content, headers={LENGTH: str(length)}, media_type="application/octet-stream")

    async def generate(self, request: Request, name: str, version: str = "") -> Response:
        """Return a whole text: `{"text_input": …, "parameters": {"max_tokens": …}}`."""
        served, begun = await self._generation(request, name, version)
        pieces = [piece async for piece in begun]
        text = "".join(piece["text_output"] for piece in pieces)
        tokens = [piece["token"] for piece in pieces]
        return _json({**served, "text_output": text, "tokens": tokens, "finish_reason": pieces[-1]["finish_reason"]})

    async def generate_stream(self, request: Request, name: str, version: str = "") -> Response:
        """Return the same token by token, as server-sent events."""
        served, begun = await self._generation(request, name, version)

        async def events() -> AsyncIterator[bytes]:
            async with contextlib.aclosing(begun):
                async for piece in begun:
                    yield b"data: " + orjson.dumps({**served, **piece}) + b"\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _generation(self, request: Request, name: str, version: str) -> tuple[dict[str, str], Any]:
        record = _codec.json_object(await _body.read(request, self.desk.limits))
        served = self.models.get(name, version)
        request.state.visit.model, request.state.visit.version = served.name, str(served.version)
        if served.generator is None:
            raise Refusal(
                "invalid", f"{name!r} does not generate text: that takes a language model in format hugging_face"
            )
        begun = await served.generator.begin(_generating.wish(record), self.desk.limits.generate_seconds)
        return {"model_name": served.name, "model_version": str(served.version)}, begun

    async def predict(self, request: Request) -> Response:
        """`{"input": …}` → `{"output": …}`: nested lists, or an object of them by name where there are several."""
        record = _codec.json_object(await _body.read(request, self.desk.limits))
        visit = request.state.visit
        visit.action = "infer"
        name = record.get("model", "") or self.models.default()
        if not isinstance(name, str):
            raise Refusal("invalid", "model is no text")
        _, _, outputs = await self.desk.infer(visit, name, "", lambda signature: _plain(record, signature))
        only = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
        return Response(orjson.dumps({"output": only}, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)

    async def export(self, request: Request) -> Response:
        """Return the ONNX file of a served model, with its sha256."""
        served = self.models.get(request.query_params.get("model") or self.models.default())
        request.state.visit.model = served.name
        if served.card["format"] != "onnx" or "model.onnx.data" in served.card["files"]:
            raise Refusal("unknown", f"{served.name!r} is no single ONNX file: it is {served.card['format']}")
        if served.is_encrypted:
            raise Refusal("forbidden", f"{served.name!r} is encrypted: it leaves this server only as it lies on disk")
        content = await asyncio.to_thread((served.folder / "model.onnx").read_bytes)
        digest = (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()
        if digest != served.card["files"]["model.onnx"]["sha256"]:
            raise Refusal("unknown", f"the file of {served.name!r} was changed since it was loaded")
        named = f'attachment; filename="{served.name}.onnx"'
        headers = {"content-disposition": named, "x-content-sha256": digest}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def index(self, request: Request) -> Response:
        body = await _body.read(request, self.desk.limits)
        only_ready = bool(body) and bool(_codec.json_object(body).get("ready"))
        return _json([each for each in self.models.index() if each["state"] == "READY" or not only_ready])

    async def load(self, request: Request, name: str) -> Response:
        body = await _body.read(request, self.desk.limits)
        if body and _codec.json_object(body).get("parameters"):
            raise Refusal("invalid", "config and files come from the repository, never from a request")
        request.state.visit.model = await self._changed(self.models.load(name), name)
        return _json({"name": name, "state": "READY"})

    async def unload(self, request: Request, name: str) -> Response:
        await _body.read(request, self.desk.limits)
        request.state.visit.model = await self._changed(self.models.unload(name), name)
        return _json({"name": name, "state": "UNAVAILABLE"})

    async def metrics(self) -> Response:
        return Response(self.desk.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _changed(self, work: Any, name: str) -> str:
        """Wait for it; what can't be opened is the repository's fault, and told as a refusal."""
        try:
            await work
        except Refusal:
            raise
        except WorkbenchError as error:
            raise Refusal("invalid", error.message) from None
        return name


def needed_scope(path: str) -> str:
    return ADMIN if path.startswith("/v2/repository/models/") or path == "/export" else PREDICT


def _plain(record: dict[str, Any], signature: Signature) -> _codec.Request:
    given = record.get("input")
    if not isinstance(given, dict):
        given = {next(iter(signature.inputs)): given}
    inputs = {}
    for name, data in given.items():
        tensor = signature.inputs.get(name)
        if tensor is None:
            raise Refusal("invalid", f"no input {name!r}; there are {', '.join(signature.inputs)}")
        inputs[name] = _codec.array_of(data, tensor)
        signature.check_tensor(name, tensor.datatype, inputs[name].shape)
    return _codec.Request(inputs)


def _split(body: bytes, told: str | None) -> tuple[bytes, memoryview]:
    """Return the JSON and the bytes behind it; `told` is the header that says how long the JSON is."""
    if told is None:
        return body, memoryview(b"")
    if not (told.isascii() and told.isdigit()) or int(told) > len(body):
        raise Refusal("invalid", f"Inference-Header-Content-Length is {told[:30]!r}, the body has {len(body)} bytes")
    return body[: int(told)], memoryview(body)[int(told) :]


def _header(scope: Any, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return ""


def _json(record: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(record), status, media_type=JSON)


async def _refused(_: Any, refusal: Any) -> Response:
    headers = {"www-authenticate": "Bearer"} if refusal.http_status == 401 else {}
    headers |= {"retry-after": "1"} if refusal.http_status == 429 else {}
    return Response(orjson.dumps({"error": str(refusal)}), refusal.http_status, headers, media_type=JSON)


async def _no_route(_: Any, error: Any) -> Response:
    return _json({"error": str(error.detail)}, error.status_code)


async def _gone(_: Any, __: Any) -> Response:
    """Nobody is left to be told; the number is what proxies write for it."""
    return Response(status_code=499)
