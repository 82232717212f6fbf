"""A client that openapi-python-client makes of the description compiles and hands over a batch."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.gateway.api.kit import row
from tests.gateway.api.test_fuzz import Served, served

__all__ = ["served"]

GENERATOR = shutil.which("openapi-python-client")
_HAND_OVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from made.client import AuthenticatedClient
from made.api.batches import list_batches, read_batch, submit_batch
from made.models import BatchRows

with AuthenticatedClient(base_url=sys.argv[2], token=sys.argv[3]) as client:
    rows = BatchRows.from_dict({"rows": json.loads(sys.argv[4])})
    batch = submit_batch.sync(client=client, body=rows, idempotency_key="made-1")
    again = read_batch.sync(batch.batch_id, client=client)
    listed = list_batches.sync(client=client, limit=1)
    same = again.content_root == batch.content_root and listed.batches[0].batch_id == batch.batch_id
    print(batch.rows_accepted, batch.state.value, same)
"""


@pytest.mark.skipif(GENERATOR is None, reason="openapi-python-client is not installed: pip install it to run this")
def test_it_compiles_and_hands_over_a_batch(served: Served, tmp_path: Path) -> None:
    assert GENERATOR is not None
    described = tmp_path / "openapi.json"
    described.write_bytes(httpx.get(f"{served.url}/schema").content)
    made = subprocess.run(
        [GENERATOR, "generate", "--path", described, "--output-path", tmp_path / "made", "--meta", "none"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = made.stdout + made.stderr
    assert made.returncode == 0, said
    warned = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert all("POST /v1/batches " in line for line in warned), "it knows neither CSV nor NDJSON, and all else"
    python = Path(GENERATOR).with_name("python")
    subprocess.run([python, "-m", "compileall", "-q", tmp_path / "made"], timeout=60, check=True)
    people = json.dumps([row(500), row(501)])
    done = subprocess.run(
        [python, "-c", _HAND_OVER, tmp_path, served.url, served.tokens["makes"], people],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["2", "awaiting_approval", "True"], done.stdout + done.stderr
