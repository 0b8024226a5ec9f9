"""A bad web server, for tests of what is fetched."""

import gzip
import hashlib
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ccsr.datasets.remote import RemoteFile


class Wicked:
    """A server on loopback whose files arrive as badly as they are asked to.

    `files` are the bodies by path; `ways` says how a path is served: a list with one way for each
    request in turn, the last for all that follow.
    """

    def __init__(self):
        self.files, self.ways, self.asked, self.ranges = {}, {}, Counter(), []
        self.retry_after, self.silence = "0", threading.Event()
        wicked = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                wicked.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who asked has hung up
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def put(self, path, body, *ways):
        self.files[path], self.ways[path] = body, ways or ("well",)

    def file(self, path, body, *ways):
        self.put(f"/{path}", body, *ways)
        return RemoteFile(hashlib.sha256(body).hexdigest(), len(body), path, f"{self.url}/{path}")

    def answer(self, to):
        path = to.path
        ways = self.ways.get(path, ("404",))
        way = ways[min(self.asked[path], len(ways) - 1)]
        self.asked[path] += 1
        wanted = re.fullmatch(r"bytes=(\d+)-", to.headers.get("Range", ""))
        self.ranges.append(int(wanted[1]) if wanted else None)
        if way.isdecimal():
            self.head(to, int(way), {"Retry-After": self.retry_after, "Content-Length": "0"})
        elif way.startswith("to "):
            self.head(to, 302, {"Location": way.removeprefix("to "), "Content-Length": "0"})
        elif way == "silent":
            self.silence.wait(20)
        elif way == "endless":
            self.head(to, 200, {"Transfer-Encoding": "chunked"})
            for _ in range(1000):
                to.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        else:
            start = int(wanted[1]) if wanted and "no ranges" not in way else 0
            self.send(to, self.files[path], start, way)

    def send(self, to, body, start, way):
        if "packed" in way:
            body = gzip.compress(body)
        part = bytes(len(body) - start) if "another" in way else body[start:]
        length = len(part)
        if "says less" in way:
            length //= 2
            part = part[:length]
        if "says more" in way:
            length += 1000
        if "breaks" in way:
            part = part[: len(part) // 2]
        to.close_connection = length != len(part)
        headers = {"Content-Length": str(length)}
        if "packed" in way:
            headers["Content-Encoding"] = "gzip"
        if start:
            first = 0 if "other range" in way else start
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        self.head(to, 206 if start else 200, headers)
        to.wfile.write(part)

    @staticmethod
    def head(to, code, headers):
        to.send_response(code)
        for name, value in headers.items():
            to.send_header(name, value)
        to.end_headers()

    def close(self):
        self.silence.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
