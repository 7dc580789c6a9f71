"""A service account's access token."""

import re
from collections.abc import Callable
from threading import Lock

from tieout.connectors.procore.settings import SYSTEM, Settings
from tieout.connectors.wire import Client
from tieout.errors import RefusedError, SettingsError


class Token:
    """A service account's access token, fetched when needed and renewed before it ends, by one thread at a time."""

    def __init__(self, login: Client, settings: Settings, clock: Callable[[], float]) -> None:
        """Fetch nothing yet."""
        self._login, self._settings, self._clock = login, settings, clock
        self._header, self._ends_at = "", 0.0
        self._lock = Lock()

    def header(self) -> str:
        """Return the header with a token that is still good for a while."""
        with self._lock:
            if self._clock() >= self._ends_at:
                self._fetch()
            return self._header

    def renew(self, refused: str) -> bool:
        """Fetch another token unless another thread just did."""
        with self._lock:
            if self._header == refused:
                self._fetch()
            return True

    def _fetch(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        asked_at = self._clock()
        try:
            answer = self._login.read_json("POST", "/oauth/token", "the access token", data=form)
        except RefusedError as error:
            raise SettingsError(SYSTEM, "the access token", error.reason, error.request_id) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise SettingsError(SYSTEM, "the access token", "the login address answered without a token")
        lifetime = answer.get("expires_in")
        lifetime = float(lifetime) if isinstance(lifetime, int | float) else 0.0
        self._header, self._ends_at = f"Bearer {token}", asked_at + lifetime - min(60.0, lifetime / 10)
