"""Starts, uses and stops a ComfyUI server of our own, without a screen."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import torch
import websocket

from .environment import BASE, FOLDER, locate

START_SECONDS = 180
# Two servers with the same folders may run at a time.
IN_MEMORY = "sqlite:///:memory:"


class ServerError(Exception):
    """A problem that a person must fix, in one sentence."""


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_port(port: int) -> None:
    """Raise ServerError if this port is in use."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ServerError(f"Port {port} is in use; stop what listens there or set PORT=.")


class Server:
    """A running ComfyUI; use as a context manager.

    port: None takes a free one. cpu: None uses a GPU where there is one. log: where its output
    goes. front_end: a folder with another version of the web interface. next_generation: the newer
    of the two ComfyUIs; None for the one that this process uses. base: ComfyUI's own folders.
    database: where it keeps what it knows of files.
    """

    def __init__(
        self,
        port: int | None = None,
        cpu: bool | None = None,
        log: Path = FOLDER / "server.log",
        front_end: Path | None = None,
        next_generation: bool | None = None,
        base: Path = BASE,
        database: str = IN_MEMORY,
    ) -> None:
        if port is not None:
            check_port(port)
        self.port = port or free_port()
        self.cpu = (not torch.cuda.is_available() and not mps()) if cpu is None else cpu
        self.log = log
        self.base = base
        self.database = database
        self.environment = locate(next_generation)
        self.front_end = front_end or self.environment.front_end
        self.process: subprocess.Popen[bytes] | None = None
        self.session = requests.Session()
        self.session.trust_env = False  # requests to this machine need no proxy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start ComfyUI and wait until it answers. Raises ServerError with the end of its log."""
        command = [str(self.environment.python), "main.py", "--port", str(self.port)]
        command += [
            "--base-directory",
            str(self.base),
            "--disable-api-nodes",
            "--disable-auto-launch",
        ]
        command += ["--extra-model-paths-config", str(self.base / "extra_model_paths.yaml")]
        command += ["--database-url", self.database]
        command += ["--cpu"] if self.cpu else []
        command += ["--front-end-root", str(self.front_end)] if self.front_end else []
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.environment.comfyui,
                env=self.environment.variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(f"ComfyUI did not start; the end of its log:\n{self.tail()}")
            with contextlib.suppress(requests.ConnectionError):
                self.get("system_stats")
                return
            time.sleep(0.2)
        self.stop()
        raise ServerError(f"ComfyUI did not answer in {START_SECONDS} s:\n{self.tail()}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def get(self, path: str, **query: Any) -> Any:
        response = self.session.get(f"{self.url}/{path}", params=query, timeout=60)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        return self.session.post(f"{self.url}/{path}", json=body or {}, timeout=60)

    def queue(self, prompt: dict[str, Any], client: str = "") -> str:
        """Put an API-format prompt into the queue; returns its id. Events go to `client`."""
        answer = self.post("prompt", {"prompt": prompt, "client_id": client})
        if answer.status_code != 200:
            raise ServerError(_refusal(answer.json()))
        return answer.json()["prompt_id"]

    def run(
        self, prompt: dict[str, Any], watch: Callable[[str, dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Queue a prompt and wait for its end; returns the outputs by node id.

        `watch(type, data)` is called for every event of the run, such as "progress" and
        "executing". Raises ServerError with the message of the node that failed.
        """
        # Every run gets a new name: the server forgets a name when its first channel closes.
        client = uuid.uuid4().hex
        channel = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={client}",
            timeout=600,
            http_no_proxy=["127.0.0.1"],
        )
        with contextlib.closing(channel):
            prompt_id = self.queue(prompt, client)
            try:
                while not self._ended(channel.recv(), prompt_id, watch):
                    pass
            except (websocket.WebSocketException, OSError) as error:
                raise ServerError(f"ComfyUI stopped answering ({error}):\n{self.tail()}") from error
        entry = self.wait(prompt_id)
        error = _failure(entry)
        if error:
            raise ServerError(error)
        return entry["outputs"]

    def wait(self, prompt_id: str, seconds: float = 600) -> dict[str, Any]:
        """Wait for the end of a run; returns its history entry, which may follow its last event."""
        deadline = time.monotonic() + seconds
        while prompt_id not in (history := self.get(f"history/{prompt_id}")):
            if time.monotonic() > deadline:
                raise ServerError(f"The run did not end in {seconds:.0f} s.")
            time.sleep(0.05)
        return history[prompt_id]

    def _ended(
        self,
        message: Any,
        prompt_id: str,
        watch: Callable[[str, dict[str, Any]], None] | None,
    ) -> bool:
        if message == "":
            raise websocket.WebSocketException("it closed the connection")
        if not isinstance(message, str):  # previews
            return False
        event = json.loads(message)
        if event.get("data", {}).get("prompt_id") != prompt_id:
            return False
        if watch:
            watch(event["type"], event["data"])
        ends = ("execution_success", "execution_error", "execution_interrupted")
        return event["type"] in ends

    def fetch(self, file: dict[str, str]) -> bytes:
        """The bytes of one output file, as `run` names it."""
        response = self.session.get(f"{self.url}/view", params=file, timeout=60)
        response.raise_for_status()
        return response.content


def _failure(entry: dict[str, Any]) -> str | None:
    for kind, data in entry["status"]["messages"]:
        if kind == "execution_error":
            return f"{data['node_type']}: {data['exception_message'].strip()}"
        if kind == "execution_interrupted":
            return "The run was cancelled."
    return None


def _refusal(answer: dict[str, Any]) -> str:
    """Why the server refused a prompt, in one sentence."""
    for node in answer.get("node_errors", {}).values():
        for error in node["errors"]:
            return f"{node['class_type']}: {error['message']} ({error['details']})"
    return str(answer.get("error", answer))


def mps() -> bool:
    return sys.platform == "darwin" and torch.backends.mps.is_available()
