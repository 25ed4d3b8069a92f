"""The file of API keys: who may ask a server what. It holds hashes, never the keys themselves."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Numbers from here on the server refuses to read: seconds and rates that no clock can count.
MOST = 1e15
SCOPES = ("infer", "read", "manage", "admin")


def make(
    name: str = "",
    scopes: Sequence[str] = ("infer",),
    models: Sequence[str] = ("*",),
    expires_in: float | None = None,
    requests_per_second: float | None = None,
    burst: float | None = None,
) -> tuple[str, dict[str, Any]]:
    """A new key and its row for the file.

    Args:
        name: str, for people; shown by `maas keys list`.
        scopes: of "infer" (ask models), "read" (see models and metrics), "manage" (load and unload models) and
            "admin" (everything).
        models: names of models the key is for; `*` stands for any text.
        expires_in: seconds from now; None: it does not expire.
        requests_per_second: most requests a second, on average; None: no limit.
        burst: most requests at once under `requests_per_second`; default one second's worth.

    Returns:
        `(text, row)`: the key, which is stored nowhere, and what the file keeps of it.

    Raises:
        ValueError: for a scope that does not exist, an empty list or a number that is not above 0 and below 1e15.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"a scope must be one of {', '.join(SCOPES)}, received {scope!r}")
    for pattern in models:
        if not re.fullmatch(r"[A-Za-z0-9_.*-]{1,128}", pattern):
            raise ValueError(f"a model must be a name, * in it for any text, received {pattern!r}")
    if not scopes or not models:
        raise ValueError(f"a key needs at least one scope and one model, received {scopes!r} and {models!r}")
    numbers = {"expires_in": expires_in, "requests_per_second": requests_per_second, "burst": burst}
    for key, value in numbers.items():
        if value is not None and not 0 < value < MOST:
            raise ValueError(f"{key} must be a number above 0 and below 1e15, received {value!r}")
    if burst is not None and requests_per_second is None:
        raise ValueError(f"burst needs requests_per_second, received burst={burst!r} alone")
    if len(name) > 128 or not name.isprintable():
        raise ValueError(f"the name of a key must be at most 128 printable characters, received {name!r}")
    identity = secrets.token_hex(6)
    text = f"maas_{identity}_{secrets.token_urlsafe(32)}"
    now = int(time.time())
    expires = None if expires_in is None else math.ceil(now + expires_in)
    if expires is not None and expires >= MOST:
        raise ValueError(f"expires_in must end below 1e15 seconds since 1970, received {expires_in!r}")
    row = {
        "id": identity,
        "name": name,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "scopes": list(dict.fromkeys(scopes)),
        "models": list(dict.fromkeys(models)),
        "created": now,
        "expires": expires,
        "requests_per_second": requests_per_second,
        "burst": burst,
    }
    return text, row


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of a file of keys.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a file of keys.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        rows = content["keys"]
        if not all(isinstance(row["id"], str) for row in rows):
            raise TypeError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"this is not a file of API keys, received {os.fspath(path)!r}") from None
    return rows


def add(path: str | os.PathLike[str], row: dict[str, Any]) -> None:
    """Adds a row to the file, which is made if there is none."""
    with _changing(path) as rows:
        rows.append(row)


def revoke(path: str | os.PathLike[str], identity: str) -> None:
    """Takes the key with this id, or the only one of this name, off the file.

    Raises:
        ValueError: if there is no such key, or more than one.
    """
    with _changing(path) as rows:
        found = [row for row in rows if identity in (row["id"], row.get("name") or None)]
        if len(found) != 1:
            raise ValueError(f"expected the id or the name of one key, received {identity!r} ({len(found)} keys)")
        rows.remove(found[0])


@contextlib.contextmanager
def _changing(path: str | os.PathLike[str]) -> Iterator[list[dict[str, Any]]]:
    # Imported here: it brings the file formats, and a server that only makes a key should be quick.
    from maas.saving.atomic import atomic_write

    # The file is replaced, so a server sees the old or the new one; the lock keeps two commands apart.
    path = Path(os.path.realpath(path))
    lock = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = read(path) if path.exists() else []
        yield rows
        new = not path.exists()
        with atomic_write(path) as file:
            if new:
                os.fchmod(file.fileno(), 0o600)
            file.write(json.dumps({"version": 1, "keys": rows}, indent=1).encode())
    finally:
        os.close(lock)
