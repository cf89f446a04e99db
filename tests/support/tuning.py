"""The part of OpenAI's API that finetunes, as its reference documents it: files and fine-tuning jobs.

Jobs go through ``states``, one a question; ``fail`` is what the last one says of a job that fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from threading import Lock
from typing import Any

__all__ = ["FineTuningAPI"]


@dataclass
class FineTuningAPI:
    """``files`` by id, ``jobs`` in the order of creation, ``asked`` the method and path of each request.

    ``broken``: paths (ends of them) that answer 500, with how often.
    """

    states: tuple[str, ...] = ("validating_files", "queued", "running", "succeeded")
    fail: str = "The training file has an invalid format."
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def reply(self, method: str, path: str, headers: Message, raw: bytes) -> tuple[int, Any] | None:
        """Return status and body, or None for a path that is not of this API."""
        where = path.split("?")[0].rstrip("/").removeprefix("/v1")
        if not where.startswith(("/files", "/fine_tuning/jobs")):
            return None
        with self._lock:
            self.asked.append((method, where))
            if self.broken.get(f"{method} {where}", 0) > 0:
                self.broken[f"{method} {where}"] -= 1
                return 400, _error("the service is closed")
            if method == "POST" and where == "/files":
                return 200, self._upload(headers, raw)
            if method == "POST" and where == "/fine_tuning/jobs":
                return self._create(json.loads(raw))
            if where == "/fine_tuning/jobs":
                return 200, {"object": "list", "data": self.jobs[::-1], "has_more": False}
            return self._state(where.rpartition("/")[2])

    def _upload(self, headers: Message, raw: bytes) -> dict[str, Any]:
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        parts = {p.get_param("name", header="content-disposition"): p for p in _parts(head + raw)}
        assert parts["purpose"].get_payload(decode=True) == b"fine-tune"
        data = parts["file"].get_payload(decode=True)
        number = f"file-{len(self.files)}"
        self.files[number] = data
        return {
            "id": number,
            "object": "file",
            "bytes": len(data),
            "created_at": 0,
            "filename": parts["file"].get_filename(),
            "purpose": "fine-tune",
            "status": "processed",
        }

    def _create(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if body["training_file"] not in self.files:
            return 400, _error(f"No such file: {body['training_file']}")
        job = {
            "object": "fine_tuning.job",
            "id": f"ftjob-{len(self.jobs)}",
            "model": body["model"],
            "created_at": 0,
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-fake",
            "result_files": [],
            "status": "validating_files",
            "validation_file": None,
            "training_file": body["training_file"],
            "hyperparameters": {"n_epochs": "auto", **(body.get("hyperparameters") or {})},
            "trained_tokens": None,
            "error": None,
            "seed": body.get("seed") or 0,
            "integrations": [],
            "user_provided_suffix": body.get("suffix"),
        }
        self.jobs.append(job)
        job["asked"] = 0
        return 200, _shown(job)

    def _state(self, number: str) -> tuple[int, Any]:
        job = next((job for job in self.jobs if job["id"] == number), None)
        if job is None:
            return 404, _error(f"Could not find fine tune: {number}")
        job["status"] = self.states[min(job["asked"], len(self.states) - 1)]
        job["asked"] += 1
        if job["status"] == "succeeded":
            job["fine_tuned_model"] = f"ft:{job['model']}:org:{job['user_provided_suffix']}:{number}"
        if job["status"] == "failed":
            job["error"] = {"code": "invalid_training_file", "message": self.fail, "param": "training_file"}
        return 200, _shown(job)


def _shown(job: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name != "asked"}


def _parts(raw: bytes) -> list[Any]:
    return list(BytesParser().parsebytes(raw).get_payload())


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
