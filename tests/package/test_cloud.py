"""The container and the InferenceService are what their readers accept, and the server's own command line takes the command."""

from __future__ import annotations

import json
import re

import jsonschema
import typer
import yaml

from workbench.cli import app
from workbench.package import _cloud

NAME = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
PROBE = {
    "type": "object",
    "properties": {
        "httpGet": {
            "type": "object",
            "required": ["port"],
            "properties": {"path": {"type": "string"}, "port": PORT},
            "additionalProperties": False,
        },
        "periodSeconds": {"type": "integer", "minimum": 1},
    },
    "additionalProperties": False,
}
QUANTITY = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^\d+(m|Mi|Gi)?$"}}
CONTAINER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": NAME, "image": {"type": "string", "minLength": 1}, "readinessProbe": PROBE, "livenessProbe": PROBE,
        "ports": {"type": "array", "items": {"type": "object", "required": ["containerPort"], "properties": {"containerPort": PORT, "protocol": {"enum": ["TCP", "UDP", "SCTP"]}}, "additionalProperties": False}},
        "resources": {"type": "object", "properties": {"requests": QUANTITY, "limits": QUANTITY}, "additionalProperties": False},
        "securityContext": {"type": "object", "properties": {"runAsNonRoot": {"type": "boolean"}, "runAsUser": {"type": "integer"}, "allowPrivilegeEscalation": {"type": "boolean"}}, "additionalProperties": False},
        "volumeMounts": {"type": "array", "items": {"type": "object", "required": ["name", "mountPath"], "properties": {"name": NAME, "mountPath": {"type": "string"}, "readOnly": {"type": "boolean"}}, "additionalProperties": False}},
    },
    "additionalProperties": False,
}  # fmt: skip
VOLUME = {"type": "object", "required": ["name"], "properties": {"name": NAME, "secret": {"type": "object", "properties": {"secretName": NAME}, "additionalProperties": False}}, "additionalProperties": False}  # fmt: skip
SERVICE = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "serving.kserve.io/v1beta1"},
        "kind": {"const": "InferenceService"},
        "metadata": {"type": "object", "required": ["name"], "properties": {"name": NAME}, "additionalProperties": False},
        "spec": {
            "type": "object", "required": ["predictor"], "additionalProperties": False,
            "properties": {"predictor": {"type": "object", "additionalProperties": False, "properties": {
                "minReplicas": {"type": "integer", "minimum": 0}, "containers": {"type": "array", "items": CONTAINER, "minItems": 1},
                "volumes": {"type": "array", "items": VOLUME}}}},
        },
    },
    "additionalProperties": False,
}  # fmt: skip


def test_the_inference_service_fits_its_schema() -> None:
    """The part of KServe's v1beta1 schema that is used, strict: a misspelt field would be dropped silently by a cluster."""
    service = yaml.safe_load(_cloud.inference_service("digits_small", "registry.example/digits:1"))
    jsonschema.validate(service, SERVICE)
    predictor = service["spec"]["predictor"]
    assert {mount["name"] for mount in predictor["containers"][0]["volumeMounts"]} <= {
        volume["name"] for volume in predictor["volumes"]
    }


def test_the_containers_command_is_one_that_the_server_takes() -> None:
    lines = [line for line in _cloud.containerfile("digits").splitlines() if line and not line.startswith("#")]
    assert [line.split()[0] for line in lines] == ["FROM", "ARG", "COPY", "RUN", "USER", "EXPOSE", "CMD"]
    program, verb, *words = json.loads(lines[-1].removeprefix("CMD "))
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    taken = command.make_context(verb, list(words), resilient_parsing=False).params
    assert program == "workbench" and taken["what"] == ["digits=/model/artifact"] and taken["host"] == "0.0.0.0"
    assert re.fullmatch(r"USER [1-9]\d*", lines[4]), "not root"
    assert f"EXPOSE {taken['http']} {taken['grpc']}" in lines
