"""A browser without a window: it keeps cookies, follows redirects, fills in forms, and says where a form comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

_MESSAGES = {"SAMLResponse", "SAMLRequest"}


@dataclass(slots=True)
class PageForm:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.link = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(found.get("action", ""), found.get("method", "get").lower()))
        elif tag in ("input", "button", "select") and self.forms and found.get("name"):
            self.forms[-1].fields[found["name"]] = found.get("value", "")
        elif tag == "a" and "data-follow" in found:
            self.link = found["href"]


class Headless:
    """``url`` and ``text`` are those of the page that is open."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self.url, self.text, self.status = "", "", 0

    def open(self, url: str) -> Headless:
        return self._ask("GET", urljoin(self.url, url))

    def send(self, form: PageForm, **fields: str) -> Headless:
        """Send a form of the page that is open."""
        target = urljoin(self.url, form.action)
        here, there = urlsplit(self.url), urlsplit(target)
        origin = f"{here.scheme}://{here.netloc}"
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin" if same else "cross-site"}
        values = form.fields | fields
        if form.method == "get":
            return self._ask("GET", target, params=values)
        return self._ask("POST", target, data=values, headers=headers)

    def form(self, *names: str) -> PageForm:
        """The form that has these fields."""
        for form in self.forms():
            if set(names) <= form.fields.keys():
                return form
        raise AssertionError(f"no form with {names} at {self.url}: {self.text[:600]}")

    def forms(self) -> list[PageForm]:
        return _Reader(self.text).forms

    def pass_on(self) -> Headless:
        """What scripts do: forms and links that carry a message are sent, until a page is for people."""
        for _ in range(10):
            page = _Reader(self.text)
            carrying = [form for form in page.forms if _MESSAGES & form.fields.keys()]
            if carrying:
                self.send(carrying[0])
            elif page.link:
                self.open(page.link)
            else:
                return self
        raise AssertionError(f"still under way at {self.url}")

    def sign_in(self, user: str, password: str) -> Headless:
        """At the provider's form."""
        form = self.form("password")
        name = "username" if "username" in form.fields else "user"
        return self.send(form, **{name: user, "password": password}).pass_on()

    def _ask(self, method: str, url: str, **more: Any) -> Headless:
        for _ in range(10):
            answer = self._session.request(method, url, allow_redirects=False, timeout=30, **more)
            for cookie in self._session.cookies:
                cookie.secure = False  # browsers send Secure cookies to loopback without TLS too
            if not answer.is_redirect:
                self.url, self.text, self.status = answer.url, answer.text, answer.status_code
                return self
            method, url, more = "GET", urljoin(url, answer.headers["Location"]), {}
        raise AssertionError(f"too many redirects: {url}")
