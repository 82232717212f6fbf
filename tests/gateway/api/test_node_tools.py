"""Tools that read the description: a linter finds no error in it, and TypeScript made of it compiles and hands over a
batch. They come from npm: full runs alone, and skipped aloud where they cannot be had.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.gateway.api.kit import row
from tests.gateway.api.test_fuzz import Served, served
from tests.mock_partners.sdk.conftest import install

__all__ = ["served"]

LINTER = ("@redocly/cli@1.34.5",)
COMPILER = ("openapi-typescript@7.4.4", "openapi-fetch@0.13.4", "typescript@5.6.3")
OFF = {"info-license": "off", "operation-4xx-response": "off"}
"""There is no licence to name, and every operation describes its refusals as `default`."""
HAND_OVER = """
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [url, token, said] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const body: components["schemas"]["BatchRows"] = JSON.parse(said!);
const { data, error } = await client.POST("/v1/batches", {
  params: { header: { "Idempotency-Key": "typed-1" } },
  headers: { "Content-Type": "application/json" },
  body,
});
if (data === undefined) throw new Error(error.code);
const { data: again } = await client.GET("/v1/batches/{batch_id}", { params: { path: { batch_id: data.batch_id } } });
console.log(data.rows_accepted, data.state, again?.content_root === data.content_root);
"""


def _packages(long: bool, folder: Path, what: str, *names: str) -> Path:
    if not long:
        pytest.skip(f"{what} was NOT run: it takes npm and half a minute, so full runs only (--long)")
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(f"{what} was NOT run: no node and npm on this machine")
    (folder / "package.json").write_text('{"type": "module"}')
    command = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *names)
    install(f"{what} was NOT run", *command, cwd=folder)
    return folder / "node_modules" / ".bin"


def _run(*command: str | Path, cwd: Path, limit_s: float = 120.0) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=limit_s, check=False,
        env=os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3_000:]
    return done.stdout + done.stderr


def test_the_linter_finds_nothing(served: Served, long: bool, tmp_path: Path) -> None:
    tools = _packages(long, tmp_path, "Redocly's linter", *LINTER)
    (tmp_path / "redocly.yaml").write_text(json.dumps({"extends": ["recommended"], "rules": OFF}))
    (tmp_path / "openapi.json").write_bytes(httpx.get(f"{served.url}/schema").content)
    said = _run(tools / "redocly", "lint", "openapi.json", "--format=summary", cwd=tmp_path)
    assert "Your API description is valid" in said and "warning" not in said, said


def test_typescript_compiles_strictly_and_hands_over_a_batch(served: Served, long: bool, tmp_path: Path) -> None:
    tools = _packages(long, tmp_path, "openapi-typescript", *COMPILER)
    (tmp_path / "openapi.json").write_bytes(httpx.get(f"{served.url}/schema").content)
    _run(tools / "openapi-typescript", "openapi.json", "-o", "api.ts", cwd=tmp_path)
    (tmp_path / "core.ts").write_text(f"declare const process: {{ argv: string[] }};\n{HAND_OVER}")
    strict = ("--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext")
    _run(tools / "tsc", *strict, "core.ts", cwd=tmp_path)
    rows = json.dumps({"rows": [row(600), row(601)]})
    said = _run("node", "core.js", served.url, served.tokens["makes"], rows, cwd=tmp_path)
    assert said.split() == ["2", "awaiting_approval", "true"], said
