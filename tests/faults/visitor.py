"""The page's program, and what visitors send to it by hand."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ..conftest import ROOT, TORCHS_OWN

API = "/gradio_api"
# starts of requests
HALVES = (
    b"GET / HTT",
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    b"Content-Type: multipart/form-data; boundary=limit\r\n\r\n--limit\r\nContent-Dis",
    b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
)
# TMP is the page's folder for temporary files
TRICKS = (
    "/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd",
    "//etc/passwd", "/etc/passwd", "/assets/../../../../../etc/passwd", "/etc/passwd%00.png",
    "/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/static/%2fetc%2fpasswd",
    "/static/..%5c..%5c..%5cetc%5cpasswd", "/assets/%00", "/assets//etc/passwd",
    "/static/" + "../" * 30 + "etc/passwd", "/" + "a" * 60_000, "/" + "%2e%2e%2f" * 5000,
    f"{API}/file=/etc/passwd", f"{API}/file=/proc/self/environ", f"{API}/file=http://127.0.0.1:1/",
    f"{API}/file=TMP/", f"{API}/file=TMP/../../etc/passwd", f"{API}/file=file:///etc/passwd",
    f"{API}/file/etc/passwd", f"{API}/proxy=http://127.0.0.1:1/", f"{API}/info", f"{API}/user",
    f"{API}/openapi.json", f"{API}/vibe-code", f"{API}/custom_component/a/client/b/c.js",
    f"{API}/stream/a/b/1/playlist.m3u8", f"{API}/queue/status", f"{API}/upload/../info",
    f"{API}/run/uploaded", f"{API}/call/uploaded/1", "/monitoring", "/docs", "/login", "/svelte/a",
    "http://127.0.0.1:1/", "*",
)  # fmt: skip


class Page(NamedTuple):
    """A page that is shown.

    Attributes:
        port: where it listens.
        pid: of its program.
        temporary: the folder for its temporary files.
        work: the folder that it runs in.
    """

    port: int
    pid: int
    temporary: Path
    work: Path

    def request(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str]:
        """Status and text of an answer; an iterable body goes out in chunks, without a length."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, headers, encode_chunked=_in_chunks(body))
            answered = connection.getresponse()
            return answered.status, answered.read().decode(errors="replace")
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """All that comes back for these bytes, within seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(data)
            said = b""
            try:
                while part := connection.recv(1 << 16):
                    said += part
            except (TimeoutError, ConnectionResetError):
                pass
            return said

    def upload(self, data: bytes, name: str = "a.png") -> tuple[int, str]:
        return self.request("POST", f"{API}/upload", form(data, name), **FORM)

    def join(self, session: str, given: object) -> tuple[int, str]:
        asked = {"data": given, "fn_index": 0, "session_hash": session}
        return self.request("POST", f"{API}/queue/join", json.dumps(asked), **JSON)

    def hear(self, session: str) -> str:
        """What is said to a session: the answer, or what went wrong."""
        _, text = self.request("GET", f"{API}/queue/data?session_hash={session}")
        messages = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        done = [message for message in messages if message["msg"] == "process_completed"]
        return str(done[0]["output"]["data"][1]) if done and done[0]["success"] else text

    def ask(self, data: bytes, name: str = "a.png") -> str:
        """What the page says of a picture; "busy" if it says so."""
        session = uuid4().hex
        status, said = self.upload(data, name)
        if status == 200:
            status, said = self.join(session, [picture(json.loads(said)[0])])
        if status == 503:
            return "busy"
        assert status == 200, said
        return self.hear(session)

    def files(self) -> list[Path]:
        # Path.rglob fails where a folder goes away meanwhile
        found = [one for folder in (self.temporary, self.work) for one in os.walk(folder)]
        paths = [Path(folder) / name for folder, _, names in found for name in names]
        return [path for path in paths if path.name != TORCHS_OWN]

    def settled(self, seconds: float = 10) -> list[Path]:
        """The files that are still there after so many seconds, or none as soon as none is."""
        until = time.monotonic() + seconds
        while self.files() and time.monotonic() < until:
            time.sleep(0.1)
        return self.files()

    def megabytes(self, name: str) -> float:
        """A line of /proc/PID/status: VmRSS is what is in memory, VmHWM its peak."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def listens_at(self) -> set[str]:
        """The addresses of the listening sockets with its port, as /proc has them."""
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                address, port = local.split(":")
                if state == "0A" and int(port, 16) == self.port:
                    found.add(address)
        return found


FORM = {"Content-Type": "multipart/form-data; boundary=limit"}
JSON = {"Content-Type": "application/json"}


def form(data: bytes, name: str = "a.png", field: str = "files") -> bytes:
    head = f'--limit\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--limit--\r\n"


def picture(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _in_chunks(body: object) -> bool:
    return body is not None and not isinstance(body, bytes | str)


@contextmanager
def shown(folder: Path, *words: str) -> Iterator[tuple[Page, Path]]:
    """The page, shown by its script with the shipped weights, and the file of its errors."""
    temporary, work, errors = folder / "temporary", folder / "work", folder / "errors.txt"
    temporary.mkdir(parents=True)
    work.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "scripts/app.py"), "detector=none", f"port={port}"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with (
        errors.open("w") as told,
        subprocess.Popen(
            [*command, *words],
            cwd=work, env=environment, stdout=subprocess.PIPE, stderr=told, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("open "), errors.read_text()
            yield Page(port, process.pid, temporary, work), errors
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert not list(temporary.glob("agegender_*"))
    assert not list(work.iterdir())
