"""A company is built, used and taken down again, by at least 150 calls of boto3 and the aws command."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from realm.company import build
from realm.server import BrokerServer, serving


@pytest.mark.timeout(300)
def test_a_company(make_broker: Callable[..., BrokerServer], broker_store: str) -> None:
    with serving(make_broker(settings={"server.workers": 2}, store_url=broker_store)) as broker:
        assert build(broker) >= 150
