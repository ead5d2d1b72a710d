"""The routes and what is published about them: bodies, answers and refusals, infer included."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

SUMMARY = "Open Inference Protocol V2, with /predict and /export as short ways in"
REFUSALS = {
    "400": "the request is wrong", "401": "no key, or one that is not known, expired or revoked",
    "403": "the key's scopes don't cover this", "404": "no such model, version or path", "408": "the body came too slowly",
    "413": "too large", "415": "a content-encoding that is not known", "429": "too many", "503": "not ready",
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    "type": "array", "items": {"anyOf": [{"type": ["number", "boolean"]}, {"type": "array", "items": {}}]}
}  # fmt: skip
PARAMETERS = {"type": "object", "additionalProperties": {"type": ["boolean", "integer", "string", "number"]}}
INPUT = {
    "type": "object", "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"}, "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"enum": ["BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]},
        "parameters": PARAMETERS, "data": NUMBERS,
    },
}  # fmt: skip
OUTPUT = {
    "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "parameters": PARAMETERS}
}  # fmt: skip
INFER = {
    "type": "object", "required": ["inputs"],
    "properties": {
        "id": {"type": "string"}, "parameters": PARAMETERS, "inputs": {"type": "array", "items": INPUT, "minItems": 1},
        "outputs": {"type": "array", "items": OUTPUT},
    },
}  # fmt: skip
INFERRED = {
    "type": "object", "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "id": {"type": "string"}, "model_name": {"type": "string"}, "model_version": {"type": "string"},
        "outputs": {"type": "array", "items": {
            "type": "object", "required": ["name", "shape", "datatype"],
            "properties": {"name": {"type": "string"}, "datatype": {"type": "string"}, "data": {"type": "array"},
                           "shape": {"type": "array", "items": {"type": "integer"}}, "parameters": PARAMETERS},
        }},
    },
}  # fmt: skip
PREDICT = {
    "type": "object", "required": ["input"],
    "properties": {
        "input": {"anyOf": [NUMBERS, {"type": "object", "additionalProperties": NUMBERS}]}, "model": {"type": "string"}
    },
}  # fmt: skip
GENERATE = {
    "type": "object",
    "properties": {
        "text_input": {"type": "string", "minLength": 1}, "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "parameters": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "max_tokens": {"type": "integer", "minimum": 1}, "temperature": {"type": "number", "minimum": 0, "maximum": 100},
                "top_k": {"type": "integer", "minimum": 1}, "seed": {"type": "integer", "minimum": 0},
            },
        },
    },
}  # fmt: skip
GENERATED = {"type": "object", "required": ["model_name", "text_output", "tokens", "finish_reason"]}
PREDICTED = {"type": "object", "required": ["output"], "properties": {"output": {}}}
OBJECT = {"type": "object"}
FILE = {"type": "string", "format": "binary"}


def _extra(
    answer: dict[str, Any], *, body: dict[str, Any] | None = None, optional: bool = False, binary: bool = False
) -> dict[str, Any]:
    """Return what a route publishes; `binary` bodies may carry tensors behind their JSON."""
    told = [("application/json", answer)]
    if binary:
        told.append(("application/octet-stream", FILE))
    published: dict[str, Any] = {
        "responses": {"200": {"description": "done", "content": {kind: {"schema": schema} for kind, schema in told}}}
    }
    if body is not None:
        published["requestBody"] = {"required": not optional, "content": {"application/json": {"schema": body}}}
    return {"openapi_extra": published}


_MODEL, _INFER = _extra(OBJECT), _extra(INFERRED, body=INFER, binary=True)
_GENERATE, _STREAM = _extra(GENERATED, body=GENERATE), _extra(GENERATED, body=GENERATE)
_STREAM["openapi_extra"]["responses"]["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
_EXPORT: dict[str, Any] = _extra(OBJECT)
_EXPORT["openapi_extra"]["responses"]["200"]["content"] = {"application/octet-stream": {"schema": FILE}}
_EXPORT["openapi_extra"]["parameters"] = [{"name": "model", "in": "query", "schema": {"type": "string"}}]
_METRICS: dict[str, Any] = _extra(OBJECT)
_METRICS["openapi_extra"]["responses"]["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
# path, method, method of Routes, what is published
ROUTES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("/v2/health/live", "GET", "live", _MODEL),
    ("/v2/health/ready", "GET", "ready", _MODEL),
    ("/v2", "GET", "server", _MODEL),
    ("/v2/models/stats", "GET", "stats", _MODEL),
    *(
        (f"/v2/models/{{name}}{version}{path}", method, function, extra)
        for version in ("", "/versions/{version}")
        for path, method, function, extra in (
            ("/infer", "POST", "infer", _INFER),
            ("/generate", "POST", "generate", _GENERATE),
            ("/generate_stream", "POST", "generate_stream", _STREAM),
            ("", "GET", "model", _MODEL),
            ("/ready", "GET", "model_ready", _MODEL),
            ("/config", "GET", "config", _MODEL),
            ("/stats", "GET", "stats", _MODEL),
        )
    ),
    ("/v2/repository/index", "POST", "index", _extra({"type": "array", "items": OBJECT}, body=OBJECT, optional=True)),
    ("/v2/repository/models/{name}/load", "POST", "load", _extra(OBJECT, body=OBJECT, optional=True)),
    ("/v2/repository/models/{name}/unload", "POST", "unload", _extra(OBJECT, body=OBJECT, optional=True)),
    ("/predict", "POST", "predict", _extra(PREDICTED, body=PREDICT)),
    ("/export", "GET", "export", _EXPORT),
    ("/metrics", "GET", "metrics", _METRICS),
)


def described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the refusals that every route may give."""
    from fastapi.openapi.utils import get_openapi

    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    document["components"] = {
        "schemas": {"Error": error},
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for status, why in REFUSALS.items():
                operation["responses"][status] = {"description": why, "content": content}
            operation["security"] = [{"key": []}]
    app.openapi_schema = document
    return document
