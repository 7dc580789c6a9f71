"""A session of our user, whose header every call bears."""

from base64 import b64encode
from threading import Lock

from tieout.connectors.tryton.settings import SYSTEM, Settings
from tieout.connectors.wire import Client
from tieout.errors import RefusedError, SettingsError


class Session:
    """A session of the user, begun when needed and again when it was refused, by one thread at a time."""

    def __init__(self, client: Client, settings: Settings) -> None:
        """Begin nothing yet."""
        self._client, self._settings = client, settings
        self._header = ""
        self._lock = Lock()

    def header(self) -> str:
        """Return the header of a session."""
        with self._lock:
            if not self._header:
                self._begin()
            return self._header

    def renew(self, refused: str) -> bool:
        """Begin another session unless another thread just did."""
        with self._lock:
            if self._header == refused:
                self._begin()
            return True

    def _begin(self) -> None:
        user, secret = self._settings.user, self._settings.password.get_secret_value()
        body = {"id": 0, "method": "common.db.login", "params": [user, {"password": secret}, "en"]}
        try:
            answer = self._client.read_json("POST", self._settings.path, "the session", json=body)
        except RefusedError as error:
            raise SettingsError(SYSTEM, "the session", error.reason, error.request_id) from None
        told = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(told, list) or len(told) < 2:
            raise SettingsError(SYSTEM, "the session", "user name or password are wrong")
        self._header = "Session " + b64encode(f"{user}:{told[0]}:{told[1]}".encode()).decode()
