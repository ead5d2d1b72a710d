"""A container that serves the packaged model, and the KServe InferenceService that runs it; both answer with a key only."""

from __future__ import annotations

import json

from workbench import __version__

HTTP, GRPC, USER = 8080, 8081, 10001
KEYS = "/keys/api_keys.json"
SECRET = "api-keys"  # of the cluster: kubectl create secret generic api-keys --from-file=api_keys.json


def containerfile(name: str) -> str:
    """Return the text of a Containerfile; its server runs as nobody special, with the model read-only."""
    command = [
        "workbench",
        "serve",
        f"{name}=/model/artifact",
        "--host",
        "0.0.0.0",
        "--http",
        str(HTTP),
        "--grpc",
        str(GRPC),
        "--keys",
        KEYS,
    ]
    return f"""# docker build -t {name} -f Containerfile .
# docker run --read-only --tmpfs /tmp -p {HTTP}:{HTTP} -p {GRPC}:{GRPC} -v $PWD/keys:/keys:ro {name}
# Keys: workbench apikeys add keys/api_keys.json --name app
FROM python:3.11-slim
# A version on your index, or the path of a wheel beside this file
ARG WORKBENCH="workbench[serve]=={__version__}"
COPY . /model
RUN pip install --no-cache-dir -r /model/requirements.txt "${{WORKBENCH}}"
USER {USER}
EXPOSE {HTTP} {GRPC}
CMD {json.dumps(command)}
"""


def inference_service(name: str, image: str) -> str:
    """Return the YAML of a KServe InferenceService (v1beta1) whose predictor is that container."""
    import yaml

    probe = {"httpGet": {"path": "/v2/health/ready", "port": HTTP}}
    container = {
        "name": "kserve-container",
        "image": image,
        "ports": [{"containerPort": HTTP, "protocol": "TCP"}],
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/v2/health/live", "port": HTTP}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": SECRET, "mountPath": "/keys", "readOnly": True}],
    }
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name.replace("_", "-")},
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "containers": [container],
                "volumes": [{"name": SECRET, "secret": {"secretName": SECRET}}],
            }
        },
    }
    return str(yaml.safe_dump(service, sort_keys=False))
