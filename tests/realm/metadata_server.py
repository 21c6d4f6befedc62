"""A place where a provider publishes its metadata, on loopback; what it says can be changed, and it can fail."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from realm.components import LOOPBACK


class MetadataServer:
    """``text`` is what it answers with ``status``; ``fetches`` counts how often it was asked."""

    def __init__(self, text: str) -> None:
        self.text, self.status, self.fetches = text, 200, 0
        self.location = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.fetches += 1
                body = server.text.encode("utf-8", "surrogateescape")
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(body)))
                if server.location:
                    self.send_header("Location", server.location)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/metadata"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
