"""A server on a loopback socket that answers exactly the bytes a test wants, and counts what it is asked."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager

DRIP_SECONDS = 0.02


def http(body=b"{}", *headers, status="200 OK", length=None):
    """An answer as bytes. ``length``: what Content-Length says, if not the truth; "" leaves it out."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length != "":
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def as_json(value, *headers):
    return http(json.dumps(value).encode(), *headers)


def drip(*pieces):
    """The pieces one after the other, slowly, for as long as the client stays."""

    def answer(connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(DRIP_SECONDS)

    return answer


def hang(connection):
    """Says nothing until the client gives up."""
    while connection.recv(4_096):
        pass


class Loopback:
    """``answers``: path -> bytes, or a function of the connection; ``None`` is the path of all others."""

    def __init__(self, answers, *, context=None, host="127.0.0.1", port=0, before_tls=None):
        self.answers, self.requests, self.connections = answers, [], 0
        self._context, self._before_tls = context, before_tls
        self._listener = socket.create_server((host, port))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path="/", host="127.0.0.1"):
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def paths(self):
        return [request.split(" ")[1] for request in self.requests]

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(5)
            try:
                if self._before_tls:
                    self._before_tls(connection)
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
                with connection:
                    self._answer(connection)
            except OSError:
                pass  # the client hung up, as it should

    def _answer(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(4_096)
            if not received:
                return
            request += received
        self.requests.append(request.decode())
        answer = self.answers.get(self.paths()[-1], self.answers.get(None))
        if callable(answer):
            answer(connection)
        else:
            connection.sendall(answer)


@contextmanager
def serving(answers, **options):
    server = Loopback(answers, **options)
    try:
        yield server
    finally:
        server.close()


def tls(authority, *names, **options):
    """A server context with a certificate of ``authority`` for ``names``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(*names, **options)
    certificate.configure_cert(context)
    return context, certificate
