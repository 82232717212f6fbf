"""Where secrets come from: the environment itself, a file that it names, or a command that fetches one from a key
management system (`aws kms decrypt ...`, `vault kv get ...`). Nothing else needs to know which.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from contracts.partner import Manifest
from gateway.settings import SettingsError

MASTER_KEY, DATABASE_URL = "GATEWAY_MASTER_KEY", "DATABASE_URL"
OURS = (MASTER_KEY, DATABASE_URL, "REDIS_URL", "GATEWAY_METRICS_TOKEN")
_TLS = ("ca_pem", "client_pem")
MOST_BYTES = 65_536
COMMAND_S = 30.0
"""How long a command may take."""

Fetch = Callable[[str], str]
"""A secret by what the variable says of it; raises `OSError` or `ValueError`, whose text must say nothing of it."""


def _file(path: str) -> str:
    with Path(path).open("rb") as source:
        found = source.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES} bytes")
    return found.decode().rstrip("\r\n")


def _command(line: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_S, check=True
        )
    except subprocess.CalledProcessError as error:
        raise ValueError(f"ended with status {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"took more than {COMMAND_S:.0f} s") from None
    if not 0 < len(done.stdout) <= MOST_BYTES:
        raise ValueError(f"printed nothing, or more than {MOST_BYTES} bytes")
    return done.stdout.decode().rstrip("\r\n")


WAYS: Mapping[str, Fetch] = {"_FILE": _file, "_COMMAND": _command}
"""By the ending of the variable."""


def all_names(manifests: Mapping[str, Manifest]) -> list[str]:
    """The variables of every secret of an installation."""
    return [*OURS, *(f"{m.slug}_{name}".upper() for m in manifests.values() for name in (*m.credentials, *_TLS))]


def resolved(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The environment with each secret of `names` in its plain variable, wherever it came from; raises `SettingsError`
    that names the variable and never its value.
    """
    found = dict(environment)
    for name in names:
        given = [one for one in (name, *(name + ending for ending in WAYS)) if one in found]
        if len(given) > 1:
            raise SettingsError(f"{' and '.join(given)} are both set: leave one")
        for ending, fetch in WAYS.items():
            if (said := found.pop(name + ending, None)) is None:
                continue
            try:
                found[name] = fetch(said)
            except OSError as error:
                raise SettingsError(f"{name}{ending}: {error.strerror or type(error).__name__}") from None
            except ValueError as error:
                reason = "is no text" if isinstance(error, UnicodeDecodeError) else str(error)
                raise SettingsError(f"{name}{ending}: {reason}") from None
    return found
