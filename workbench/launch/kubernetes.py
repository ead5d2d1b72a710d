"""Hand a job to Kubernetes: one indexed Job, an agent in each pod, processes under it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workbench.launch import _host, _order, _polled
from workbench.launch._several import OverNodes
from workbench.launch._worker import Worker
from workbench.params import param


class Kubernetes(OverNodes):
    """The image holds this library; the store is a volume that all pods mount under the same path as here."""

    title = "Kubernetes"
    source = "batch/v1 Job, completionMode Indexed; torch.distributed.run in each pod"

    image: str = param(..., help="Image with this library, as in registry/workbench:0.1")
    claim: str = param(..., help="Persistent volume claim that holds the store (ReadWriteMany)")
    memory: str = param("", help="Of a pod, as in 64Gi; empty = no request")
    gpus: int = param(0, help="Accelerators of each pod (nvidia.com/gpu)", ge=0, le=64)
    namespace: str = param("default", help="Where the job is made")

    @classmethod
    def sample(cls, folder: Path) -> dict[str, Any]:
        return {"image": "workbench:0.1", "claim": "runs"}

    def why_not(self) -> list[str]:
        return _polled.absent("kubectl", self.name())

    def preview(self, draft: Path, store: Path) -> str:
        import yaml

        return yaml.safe_dump_all(self._manifest(draft, store), sort_keys=False, allow_unicode=True)

    def submit(self, draft: Path, store: Path) -> Worker:
        self.note_hosts(draft, store)
        _order.note_start(_order.order(draft, store, self.threads), "kubernetes", f"{self.nodes} pods")
        at, name = ["kubectl", f"--namespace={self.namespace}"], _name(draft)
        _polled.called([*at, "apply", "-f", "-"], given=self.preview(draft, store))
        conditions = "jsonpath={.metadata.name} {.status.conditions[*].type}"
        ask = [*at, "get", "job", name, "--ignore-not-found", "-o", conditions]
        return _polled.Polled(
            draft, ask, [*at, "delete", "job,service", name, "--wait=false"], gone=("Complete", "Failed")
        )

    def _manifest(self, draft: Path, store: Path) -> list[dict[str, Any]]:
        name, root = _name(draft), str(store.absolute())
        limits: dict[str, Any] = {"cpu": self.nproc * self.threads}
        limits |= {"memory": self.memory} if self.memory else {}
        limits |= {"nvidia.com/gpu": self.gpus} if self.gpus else {}
        container = {
            "name": "agent", "image": self.image,
            "command": ["sh", "-c", f'exec python -m {_host.__name__} "$0" "$JOB_COMPLETION_INDEX" ""', str(draft.absolute())],
            "env": [{"name": _host.MEET, "value": f"{name}-0.{name}:{self.port}"}],
            "resources": {"limits": limits},
            "volumeMounts": [{"name": "store", "mountPath": root}],
        }  # fmt: skip
        pod = {
            "subdomain": name, "restartPolicy": "OnFailure", "containers": [container],
            "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": self.claim}}],
        }  # fmt: skip
        head = {"name": name, "namespace": self.namespace, "labels": {"app": name}}
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": head,
             "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"job-name": name}}},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": head,
             "spec": {"completions": self.nodes, "parallelism": self.nodes, "completionMode": "Indexed",
                      "backoffLimit": self.nodes * (self.restarts + 1),
                      "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}},
        ]  # fmt: skip


def _name(draft: Path) -> str:
    """Return the run's id as names in a cluster go: small letters, digits, hyphens, at most 52 of them."""
    run_id = draft.name.rpartition("draft-")[2].lower()
    return f"wb-{re.sub(r'[^a-z0-9]+', '-', run_id)}"[-52:].strip("-")
