"""Clients of AWS's own kind that know our operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from realm.server import NOBODY, REGION, BrokerServer, Keys

from broker.aws.sdk_extras import write_sdk_extras


def own_client(models: Path, server: BrokerServer, service: str, keys: Keys = NOBODY) -> Any:
    """A boto3 client without retries, its data path leading to our files below ``models``."""
    if not (models / service).exists():
        write_sdk_extras(models)
    inner = botocore.session.Session()
    inner.set_config_variable("data_path", str(models))
    return boto3.session.Session(botocore_session=inner, region_name=REGION).client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
