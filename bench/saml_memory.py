"""Does memory stay flat? ``python -m bench.saml_memory`` verifies 100,000 responses, each another one, in one process.

Two of three are good ones; the third is hostile: names of elements and attributes that never came before, which an XML
library keeps. After the first tenth the process must not grow by more than the bar.
"""

from __future__ import annotations

import argparse
import base64
import os
import uuid
from pathlib import Path

from bench.saml import make_response, ours

BAR_MEGABYTES = 8.0
_TEMPLATE = make_response()
_GOOD = 64
"""Signed responses that come in turns: signing 100,000 would take longer than verifying them."""


def megabytes() -> float:
    """What the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def hostile() -> str:
    """Refused, but only after it was read."""
    names = (uuid.uuid4().hex for _ in range(40))
    elements = "".join(f'<x{name} a{name}="{name}"/>' for name in names)
    xml = _TEMPLATE.replace(b"</saml:AttributeStatement>", elements.encode() + b"</saml:AttributeStatement>")
    return base64.b64encode(xml).decode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.saml_memory")
    parser.add_argument("--responses", type=int, default=100_000)
    count = parser.parse_args().responses
    take = ours()
    good = [base64.b64encode(make_response(assertion_id=f"_{uuid.uuid4().hex}")).decode() for _ in range(_GOOD)]
    after_a_tenth = 0.0
    for number in range(count):
        hostile_one = number % 3 == 2
        if take(hostile() if hostile_one else good[number % _GOOD]) is hostile_one:
            raise SystemExit("a wrong answer")
        if number == count // 10:
            after_a_tenth = megabytes()
        if number % (count // 10) == 0:
            print(f"{number:8} responses: {megabytes():6.1f} MB", flush=True)
    grown = megabytes() - after_a_tenth
    print(f"{count} responses: {megabytes():.1f} MB, {grown:+.1f} MB since the first tenth; bar {BAR_MEGABYTES} MB")
    if grown > BAR_MEGABYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
