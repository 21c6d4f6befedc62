"""A browser of the demonstration: enough of one to sign in with forms and cookies."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from html import unescape
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

_FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_ACTION = re.compile(r'<form method="post" action="([^"]+)"')


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Redirects are followed by hand, for the cookies."""


class Visitor:
    """``url`` and ``text`` are those of the page that is open. Cookies go to the host that set them."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
        self._cookies: dict[str, dict[str, str]] = {}
        self.url = self.text = ""

    def open(self, url: str, form: dict[str, str] | None = None) -> None:
        """Raises OSError for what is not answered with a page."""
        for _ in range(10):
            body = None if form is None else urlencode(form).encode()
            host = urlsplit(url).netloc
            request = urllib.request.Request(url, body, self._headers(host))  # noqa: S310  # our own, on loopback
            try:
                answer = self._opener.open(request, timeout=10)
            except urllib.error.HTTPError as error:
                if error.code not in (302, 303):
                    raise
                answer = error
            with answer:
                for header in answer.headers.get_all("Set-Cookie", []):
                    self._cookies.setdefault(host, {}).update(
                        {name: one.value for name, one in SimpleCookie(header).items()}
                    )
                if answer.status not in (302, 303):
                    self.url, self.text = url, answer.read().decode()
                    return
                url, form = urljoin(url, answer.headers["Location"]), None
        raise OSError("too many redirects")

    def send_form(self) -> None:
        """Press the button of the page's form."""
        action = _ACTION.search(self.text)
        if action is None:
            raise OSError(f"no form at {self.url}")
        self.open(unescape(action[1]), {name: unescape(value) for name, value in _FIELD.findall(self.text)})

    def _headers(self, host: str) -> dict[str, str]:
        kept = self._cookies.get(host, {})
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())} if kept else {}
