"""Our own operations for unmodified AWS clients: botocore's ``sdk-extras`` files, made of ``extensions.json``.

Every botocore (boto3, the aws command) lays ``service-2.sdk-extras.json`` of a directory of its data path
(``AWS_DATA_PATH``) over the service's model.
"""

from __future__ import annotations

import json
from pathlib import Path

from broker.aws.model import load_extensions, load_service


def write_sdk_extras(directory: Path) -> list[Path]:
    """Write the files below ``directory``, which then is to be on the clients' data path; what was written."""
    written = []
    for service, extension in load_extensions().items():
        file = directory / service / load_service(service).api_version / "service-2.sdk-extras.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": 1.0, "merge": extension}, indent=2) + "\n", encoding="utf-8")
        written.append(file)
    return written
