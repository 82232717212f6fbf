"""A secret comes from its variable, from a file or from a command, and a message about it never holds it."""

from __future__ import annotations

import base64
import shlex
import sys
from pathlib import Path

import pytest

from gateway.cli.common import MANIFESTS
from gateway.security.sources import MOST_BYTES, all_names, resolved
from gateway.settings import SettingsError
from tests.conftest import MASTER_KEY
from tests.gateway.program import run
from tests.gateway.test_witness import environment

NAMES = all_names(MANIFESTS)


def command(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def test_each_secret_may_come_from_a_file_or_a_command(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("-----BEGIN X-----\na\n-----END X-----\n")
    given = {name + "_FILE": str(kept) for name in NAMES} | {"OTHER_FILE": "x", "GATEWAY_INSTANCE": "10"}
    text = "-----BEGIN X-----\na\n-----END X-----"
    want = dict.fromkeys(NAMES, text) | {"OTHER_FILE": "x", "GATEWAY_INSTANCE": "10"}
    assert resolved(given, NAMES) == want
    assert resolved({"DATABASE_URL_COMMAND": command("print('a b')")}, NAMES) == {"DATABASE_URL": "a b"}
    assert resolved({"DATABASE_URL_FILE": "x"}, ("REDIS_URL",)) == {"DATABASE_URL_FILE": "x"}, "not asked for"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"REDIS_URL": "s3cret", "REDIS_URL_FILE": "s3cret"}, "REDIS_URL and REDIS_URL_FILE are both set"),
        ({"REDIS_URL_FILE": "/none/at/all"}, "REDIS_URL_FILE: No such file"),
        ({"REDIS_URL_FILE": "/"}, "REDIS_URL_FILE: Is a directory"),
        ({"REDIS_URL_COMMAND": "none-of-this-name"}, "REDIS_URL_COMMAND: No such file"),
        ({"REDIS_URL_COMMAND": command("print('s3cret'); raise SystemExit(3)")}, "ended with status 3"),
        ({"REDIS_URL_COMMAND": command("")}, "printed nothing"),
        ({"REDIS_URL_COMMAND": command(f"print('s' * {MOST_BYTES})")}, "more than"),
        ({"REDIS_URL_COMMAND": command(r"import os; os.write(1, b'\xff\xfe')")}, "is no text"),
    ],
)
def test_what_does_not_come_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        resolved(given, NAMES)
    assert "s3cret" not in str(raised.value) and raised.value.__cause__ is None


def test_a_file_of_any_size_is_bounded(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(SettingsError, match="more than"):
        resolved({"REDIS_URL_FILE": str(kept)}, NAMES)


def test_commands_take_them_so(database: str, tmp_path: Path) -> None:
    given = environment(database, MASTER_KEY)
    (tmp_path / "url").write_text(given.pop("DATABASE_URL") + "\n")
    key = base64.b64encode(MASTER_KEY).decode()
    del given["GATEWAY_MASTER_KEY"]
    given |= {"DATABASE_URL_FILE": str(tmp_path / "url"), "GATEWAY_MASTER_KEY_COMMAND": command(f"print({key!r})")}
    assert '"state":"active"' in run("keys", "status", "--json", **given)
    other = base64.b64encode(bytes(32)).decode()
    given["GATEWAY_MASTER_KEY_COMMAND"] = command(f"print({other!r})")
    assert "not the key" in run("clients", "list", status=2, **given), "a key from elsewhere is looked at as well"
