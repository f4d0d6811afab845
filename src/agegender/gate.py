"""What comes in to the page: from where, to which places, how much and within what time."""

import asyncio
import json
import re
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias

import h11
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST = 20 << 20  # bytes of an upload
SMALL = 1 << 16  # bytes of any other request
ROOM = 64  # uploads on disk, those included that are still coming in
LEFT_OVER = 120  # seconds after which an upload goes that nobody asks about
WHOLE_WITHIN = 20.0  # seconds for a request to come in, and for the first or next one to begin
CONNECTIONS = 512  # half of the files that a process may open on most machines
# of everything that the page loads; its own scripts are partly inline and made at run time
POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
API = "/gradio_api"
UPLOAD, JOIN = f"{API}/upload", f"{API}/queue/join"
# all that the page asks for; gradio has more: proxies, files, recordings, an editor of its code
PLACES = (
    r"/|/config|/favicon\.ico|/manifest\.json|/theme\.css|/(assets|static)/.+"
    rf"|{API}/(upload|startup-events|queue/(join|data)|heartbeat/\w+)"
)

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Gate:
    """Lets in what the page itself asks for; takes uploads in place of gradio.

    Gradio's own uploads have no limit in all, stay when a client goes away in their middle, and lie
    where their content says: of two clients with one picture, the first answered deletes both's.
    Here each has a random place, and the name that a client gives is not used. Answers tell the
    browser to refuse whatever the page would load from, or send to, another host.

    Args:
        app: the ASGI application that answers.
        folder: where uploads come to.
    """

    def __init__(self, app: App, folder: Path) -> None:
        self.app = RequestBodyLimitMiddleware(app, SMALL)
        self.folder = folder
        self.upload = re.compile(rf"{re.escape(str(folder))}/upload_[0-9a-f]{{32}}/picture")
        self.places = re.compile(rf"{PLACES}|{API}/file={self.upload.pattern}")
        limit = LARGEST + SMALL  # the file and what is around it
        self.uploads = Starlette(
            routes=[Route(UPLOAD, self.take, methods=["POST"], max_body_size=limit)]
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        began = False

        async def with_policy(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = [*message["headers"], (b"content-security-policy", POLICY)]
                message = {**message, "headers": headers}
            await send(message)

        answer: App = self.app
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != headers.get("host"):
                answer = PlainTextResponse("another page may not send anything here", 403)
            elif not self.places.fullmatch(scope["path"]):
                answer = PlainTextResponse("there is nothing at this place", 404)
            elif scope["path"] == UPLOAD:
                answer = self.uploads
            elif scope["path"] == JOIN and scope["method"] == "POST":
                answer = RequestBodyLimitMiddleware(self.join, SMALL)
        try:
            await answer(scope, receive, with_policy)
        except RuntimeError:  # of gradio within an answer, about a session that it does not know
            if not began:
                raise
            await send({"type": "http.response.body", "body": b""})

    async def take(self, request: Request) -> Response:
        """Store the one file of a form, and answer with its path."""
        if len(list(self.folder.glob("upload_*"))) >= ROOM:
            return PlainTextResponse("busy: too many pictures wait; try again later", 503)
        place = self.folder / f"upload_{token_hex(16)}"
        place.mkdir()
        try:
            async with request.form(max_files=1, max_fields=0) as form:
                file = form.get("files")
                if not isinstance(file, UploadFile):
                    raise HTTPException(400, "the form has no file called files")
                with (place / "picture").open("wb") as kept:
                    await run_in_threadpool(shutil.copyfileobj, file.file, kept)
        except BaseException as error:
            shutil.rmtree(place)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=400)  # nobody reads it
            raise
        asyncio.get_running_loop().call_later(LEFT_OVER, shutil.rmtree, place, True)
        return JSONResponse([str(place / "picture")])

    async def join(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand on a question about an upload; gradio would fetch any address in its place."""
        try:
            asked = json.loads(await Request(scope, receive).body())
            asked["data"] = [given and self._uploaded(given["path"]) for given in asked["data"]]
        except ClientDisconnect:
            return
        except (ValueError, TypeError, KeyError, RecursionError):
            await PlainTextResponse("not a question of this page", 400)(scope, receive, send)
            return
        whole = {"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}
        parts = iter([whole])

        async def receive_again() -> Message:
            return next(parts, None) or await receive()

        await self.app(scope, receive_again, send)

    def _uploaded(self, path: str) -> dict[str, Any]:
        if not self.upload.fullmatch(path):
            raise ValueError(f"{path} was not uploaded")
        return {"path": path, "meta": {"_type": "gradio.FileData"}}


class InTime(H11Protocol):
    """Ends a connection whose client does not send a whole request in time.

    Uvicorn waits for one without an end.
    """

    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._stop_if_whole()

    def on_response_complete(self) -> None:
        self._expect()
        super().on_response_complete()
        self._stop_if_whole()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._stop()
        self.timer = self.loop.call_later(WHOLE_WITHIN, self._end)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def _stop_if_whole(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop()

    def _end(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # nothing was answered yet
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        self.transport.close()


def limit(config: Config) -> None:
    """Have a server that runs already end slow connections, and have only so many at once."""
    config.http_protocol_class = InTime
    config.limit_concurrency = CONNECTIONS
