"""Tokens as Procore hands them out: short-lived access, and refresh tokens that work once."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import urlencode

from tieout.sandbox.procore.store import USER, Store
from tieout.sandbox.procore.wire import Answer, Refusal

ACCESS_SECONDS = 5400
CODE_SECONDS = 600
FOR_EVER = 1e12
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


def refused(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})


def authorize(store: Store, asked: dict[str, str]) -> Answer:
    """Give a code to whoever asks: the sandbox's person has already said yes."""
    if asked.get("client_id") != store.get("contractor")["client_id"]:
        raise refused(401, "invalid_client", "Client authentication failed due to unknown client")
    code = _issue(store, "code", "user", CODE_SECONDS)
    target = asked.get("redirect_uri") or OUT_OF_BAND
    if target == OUT_OF_BAND:
        return Answer({"code": code})
    query = {"code": code} | ({"state": asked["state"]} if "state" in asked else {})
    return Answer({}, status=302, headers={"Location": f"{target}?{urlencode(query)}"})


def token(store: Store, asked: dict[str, Any], authorization: str) -> Answer:
    """Answer `POST /oauth/token` for the three grants; the client may name itself in the body or in the header."""
    _check_client(store, asked, authorization)
    grant = asked.get("grant_type")
    if grant == "client_credentials":
        return Answer(_reply(store, "service"))
    if grant == "refresh_token":
        owner = _spend(store, "refresh", str(asked.get("refresh_token", "")))
        return Answer(_reply(store, owner) | {"refresh_token": _issue(store, "refresh", owner, FOR_EVER)})
    if grant == "authorization_code":
        owner = _spend(store, "code", str(asked.get("code", "")))
        return Answer(_reply(store, owner) | {"refresh_token": _issue(store, "refresh", owner, FOR_EVER)})
    raise refused(400, "unsupported_grant_type", "The authorization grant type is not supported")


def info(store: Store, authorization: str) -> Answer:
    row = _find(store, authorization)
    left = int(row["expires_at"] - store.seconds())
    return Answer(
        {
            "resource_owner_id": owner_id(store),
            "scopes": [],
            "expires_in_seconds": left,
            "application": {"uid": store.get("contractor")["client_id"]},
            "created_at": int(row["created_at"]),
        }
    )


def revoke(store: Store, asked: dict[str, Any]) -> Answer:
    """Forget the token; the answer is 200 whether there was one or not."""
    store.write("delete from tokens where token = ?", (str(asked.get("token", "")),))
    return Answer({})


def owner_of(store: Store, authorization: str) -> str:
    """Say whose bearer token it is, `service` or `user`; one that is unknown or over is refused."""
    return str(_find(store, authorization)["owner"])


def expire_all(store: Store) -> int:
    """End every access token now, as the server may at any time."""
    rows = store.rows("select token from tokens where kind = 'access'")
    store.write("delete from tokens where kind = 'access'")
    return len(rows)


def owner_id(store: Store) -> int:
    return int(store.all(USER)[0]["id"])


def _check_client(store: Store, asked: dict[str, Any], authorization: str) -> None:
    client_id, secret = asked.get("client_id"), asked.get("client_secret")
    if authorization.startswith("Basic "):
        try:
            decoded = base64.b64decode(authorization[6:]).decode()
        except ValueError:
            decoded = ""
        client_id, _, secret = decoded.partition(":")
    ours = store.get("contractor")
    if not secrets.compare_digest(f"{client_id}:{secret}", f"{ours['client_id']}:{ours['client_secret']}"):
        raise refused(401, "invalid_client", "Client authentication failed due to unknown client")


def _reply(store: Store, owner: str) -> dict[str, Any]:
    return {
        "access_token": _issue(store, "access", owner, ACCESS_SECONDS),
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
        "created_at": int(store.seconds()),
    }


def _issue(store: Store, kind: str, owner: str, lives: float) -> str:
    text, now = secrets.token_urlsafe(32), store.seconds()
    store.write("insert into tokens values (?, ?, ?, ?, ?)", (text, kind, owner, now, now + lives))
    return text


def _spend(store: Store, kind: str, text: str) -> str:
    rows = store.rows("select * from tokens where token = ? and kind = ?", (text, kind))
    store.write("delete from tokens where token = ? and kind = ?", (text, kind))
    if not rows or rows[0]["expires_at"] <= store.seconds():
        what = "refresh token" if kind == "refresh" else "authorization grant"
        raise refused(401 if kind == "refresh" else 400, "invalid_grant", f"The {what} is invalid")
    return str(rows[0]["owner"])


def _find(store: Store, authorization: str) -> Any:
    scheme, _, text = authorization.partition(" ")
    rows = store.rows("select * from tokens where token = ? and kind = 'access'", (text.strip(),))
    if scheme.lower() != "bearer" or not rows or rows[0]["expires_at"] <= store.seconds():
        raise refused(401, "invalid_token", "The access token is invalid")
    return rows[0]
