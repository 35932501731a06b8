"""API keys: made here, shown once, and stored only as SHA-256 in one file of the user.

A key is 32 random bytes, so that its hash needs no salt. The file is read at each request: a key that is revoked is
refused at once, also by a running server.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections import defaultdict, deque
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from platformdirs import user_config_dir

from assistant.api.errors import ApiError
from assistant.errors import AssistantError
from domain.files import whole_file

PREFIX = "lw-"
WINDOW_SECONDS = 60.0


def keys_file() -> Path:
    """The file of the keys: in LOREWRIGHT_CONFIG, else in the user's configuration folder."""
    folder = os.environ.get("LOREWRIGHT_CONFIG") or user_config_dir("lorewright", appauthor=False)
    return Path(folder) / "api-keys.json"


def read_keys() -> dict[str, dict[str, str]]:
    """The keys by name: ``{"sha256", "created"}``."""
    path = keys_file()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AssistantError(f"{path} cannot be read: {error}; restore it, or delete it and add keys again.") from None


def add_key(name: str) -> str:
    """Add a key under a name, and return it; it cannot be shown again."""
    if not re.fullmatch(r"\w[\w.@-]{0,63}", name):
        raise AssistantError(f"{name!r} is not a valid name for a key; use at most 64 letters, digits, '.', '-', '@'.")
    key = PREFIX + secrets.token_urlsafe(32)
    with _only_writer():
        keys = read_keys()
        if name in keys:
            raise AssistantError(f"there is a key {name!r} already; choose another name, or revoke it first.")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        _write({**keys, name: {"sha256": _hash(key), "created": created}})
    return key


def revoke_key(name: str) -> None:
    """Delete a key; running servers refuse it from now on."""
    with _only_writer():
        keys = read_keys()
        if name not in keys:
            raise AssistantError(f"there is no key {name!r} (known: {', '.join(keys) or 'none'}).")
        _write({other: kept for other, kept in keys.items() if other != name})


class KeyCheck:
    """Checks the key of each request, and how often it was used in the last minute."""

    def __init__(self, requests_per_minute: int) -> None:
        self.requests_per_minute = requests_per_minute
        """0 means no limit."""
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, authorization: str) -> None:
        """Raises :class:`ApiError` 401 for a missing or unknown key, 429 for one that is used too often."""
        scheme, _, key = authorization.partition(" ")
        hashed = _hash(key.strip()) if scheme.lower() == "bearer" else ""
        known = (name for name, kept in read_keys().items() if hmac.compare_digest(kept["sha256"], hashed))
        if (name := next(known, None)) is None:
            raise ApiError(
                401,
                "the request has no valid API key; send one as: Authorization: Bearer KEY",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        now, times = time.monotonic(), self._times[name]
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if self.requests_per_minute and len(times) >= self.requests_per_minute:
            wait = int(times[0] + WINDOW_SECONDS - now) + 1
            raise ApiError(
                429,
                f"the key {name!r} may send {self.requests_per_minute} requests a minute; wait {wait} seconds.",
                "rate_limit_exceeded",
                headers={"Retry-After": str(wait)},
            )
        times.append(now)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _only_writer() -> FileLock:
    path = keys_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_suffix(".lock"))


def _write(keys: dict[str, dict[str, str]]) -> None:
    with whole_file(keys_file()) as partial:
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(keys, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
