"""What is published holds: requests made from the OpenAPI document, infer included, never meet a 5xx or an undocumented answer."""

from __future__ import annotations

import http.client
import json
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from tests.serve.conftest import Running

load_all_checks()
# Ours reads no Content-Type (Triton's client sends none) and refuses tensors that only a model's own signature rules out.
CHOSEN = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]

FIXED = {"name": "digits", "version": "1"}  # or hardly a request would come as far as the tensors


def document(running: Running) -> dict[str, Any]:
    connection = http.client.HTTPConnection(running.server.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/openapi.json")
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def test_every_route_is_published(running: Running) -> None:
    paths = document(running)["paths"]
    assert "/v2/models/{name}/infer" in paths and "/v2/models/{name}/versions/{version}/infer" in paths
    assert "requestBody" in paths["/v2/models/{name}/infer"]["post"] and "/predict" in paths


def test_requests_made_from_the_document_find_what_it_says(running: Running) -> None:
    schema = schemathesis.openapi.from_dict(document(running))
    num_cases = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @_given(operation)
        def ask(case: Any) -> None:
            nonlocal num_cases
            num_cases += 1
            given = {name: value for name, value in FIXED.items() if name in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **given}
            case.call_and_validate(
                base_url=running.server.url, headers=running.headers(), checks=CHOSEN, excluded_checks=[]
            )

        if operation.path != "/v2/repository/models/{name}/unload":  # other tests want their models
            ask()
    assert num_cases > 60


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
