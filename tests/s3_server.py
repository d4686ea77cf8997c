"""A store on 127.0.0.1 that speaks as much of S3 as results need: put, get, head, delete, list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BytesIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class Server(ThreadingHTTPServer):
    """The store, its one bucket, and what was asked of it. full: it takes no object any more."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.full = False

    @property
    def host(self) -> str:
        """Its address, as `endpoint_override` takes it."""
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request after another."""

    protocol_version = "HTTP/1.1"
    # One packet for an answer, at once: else each waits for the other side's acknowledgement.
    wbufsize, disable_nagle_algorithm = 1 << 16, True
    server: Server

    def handle_expect_100(self) -> bool:
        """Let the body come, which waits for this word."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def do_HEAD(self) -> None:
        self._object()

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._note("LIST")
            self._list(query.get("prefix", [""])[0])
        else:
            self._object()

    def do_PUT(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = _joined(self.rfile)
        else:
            content = self.rfile.read(int(self.headers["Content-Length"]))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            content = _joined(BytesIO(content))
        self._note("PUT")
        if self._bucket() != BUCKET:
            self._fail(404, "NoSuchBucket")
        elif self.server.full:
            self._fail(403, "QuotaExceeded")
        else:
            self.server.objects[self._key()] = content
            self._answer(200, b"", ETag='"1"')

    def do_DELETE(self) -> None:
        self._note("DELETE")
        self.server.objects.pop(self._key(), None)
        self._answer(204, b"")

    def _object(self) -> None:
        self._note(self.command)
        content = self.server.objects.get(self._key())
        if content is None:
            self._fail(404, "NoSuchKey")
        else:
            self._answer(200, content, **{"Last-Modified": formatdate(usegmt=True)})

    def _list(self, prefix: str) -> None:
        """List what begins so, what lies deeper as folders."""
        inner = {key: key[len(prefix) :] for key in self.server.objects if key.startswith(prefix)}
        files = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, name in inner.items()
            if "/" not in name
        )
        folders = {name.partition("/")[0] for name in inner.values() if "/" in name}
        deeper = "".join(
            f"<CommonPrefixes><Prefix>{escape(prefix + name)}/</Prefix></CommonPrefixes>"
            for name in folders
        )
        if self._bucket() != BUCKET:
            self._fail(404, "NoSuchBucket")
            return
        text = f"<ListBucketResult><Name>{BUCKET}</Name>{files}{deeper}</ListBucketResult>"
        self._answer(200, text.encode())

    def _bucket(self) -> str:
        return urlsplit(self.path).path.split("/")[1]

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _note(self, what: str) -> None:
        self.server.asked.append((what, self._key()))

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


def _joined(chunked: BufferedIOBase) -> bytes:
    """Read a body that comes in chunks, HTTP's or S3's own, each with its length before it."""
    content = b""
    while length := int(chunked.readline().partition(b";")[0], 16):
        content += chunked.read(length)
        chunked.readline()
    while chunked.readline().strip():
        pass  # checksums
    return content


@contextmanager
def serving() -> Iterator[Server]:
    """Run a store as long as the context lasts."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
