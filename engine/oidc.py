"""OpenID Connect: tokens of an issuer that is trusted, verified by the keys that it publishes.

Signatures are asymmetric only, and must be of the key's own kind; issuer, audience, expiry, time of issue and subject
must be there and right. Keys are fetched when first needed, again when a token names an unknown one, and every hour;
while the issuer is away those known go on serving for a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx
import jwt
import structlog

from persistence.database import Unavailable
from persistence.states import Role

log = structlog.get_logger()

_ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""By the kind of a key, what it may have signed with. Shared secrets are no kind of key here."""

_LEEWAY_SECONDS: Final = 30
_FETCH_SECONDS: Final = 5.0
_SOONEST_SECONDS: Final = 10.0
"""Between two fetches, however many tokens name unknown keys."""

_FRESH_SECONDS: Final = 3600.0
_KEPT_SECONDS: Final = 86_400.0
_MOST_BYTES: Final = 1024 * 1024
_MOST_KEYS: Final = 100
_LONGEST_SUBJECT: Final = 255
_LONGEST_NAME: Final = 80
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Whose tokens count, for whom they have to be meant, and where in them the roles stand."""

    issuer: str
    audience: str
    role_claim: str = "roles"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    issuer: str
    subject: str
    name: str
    roles: frozenset[Role]
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class _Key:
    key: Any
    kind: str


def is_jwt(token: str) -> bool:
    """Whether a token has the form of one of an issuer's, which none of ours has."""
    return token.startswith("eyJ") and token.count(".") == 2


def fault_of_issuer(issuer: str) -> str | None:
    """Why this can't be an issuer's address; None if it can."""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname
        _ = parts.port  # a ValueError where it is none
    except ValueError:
        parts, host = None, None
    if parts is None or not host or parts.query or parts.fragment or parts.username:
        return "should be an address like https://id.example.com/realms/main"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        return "should begin with https://"
    return None


class Issuer:
    """One issuer and its keys."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._http = httpx.AsyncClient(timeout=_FETCH_SECONDS, follow_redirects=False, trust_env=True)
        self._keys: dict[str | None, _Key] = {}
        self._fetched_at = -_KEPT_SECONDS
        self._tried_at = -_KEPT_SECONDS
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections to it."""
        await self._http.aclose()

    async def claims_of(self, token: str) -> Claims | None:
        """What a token says, None if it is not valid here. Raises Unavailable when the keys can't be had."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        key = await self._key(header.get("kid"))
        algorithm = header.get("alg")
        if key is None or not isinstance(algorithm, str) or algorithm not in _ALGORITHMS[key.kind]:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
            return self._claims(claims)
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError) as error:
            log.info("token_of_issuer_refused", reason=type(error).__name__)
            return None

    def _claims(self, claims: Mapping[str, Any]) -> Claims | None:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
            return None
        roles = roles_in(claims, self._settings.role_claim)
        if not roles:
            log.info("token_of_issuer_without_roles", subject=subject, claim=self._settings.role_claim)
            return None
        return Claims(
            self._settings.issuer, subject, _name_in(claims), roles, datetime.fromtimestamp(int(claims["iat"]), UTC)
        )

    async def _key(self, kid: object) -> _Key | None:
        now = time.monotonic()
        is_known = kid in self._keys if isinstance(kid, str) else kid is None
        if (not is_known or now - self._fetched_at > _FRESH_SECONDS) and now - self._tried_at > _SOONEST_SECONDS:
            await self._refresh(now)
        if not self._keys:
            raise Unavailable("the issuer's keys can't be had")
        if kid is None:
            # Without a name there has to be no choice.
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid) if isinstance(kid, str) else None

    async def _refresh(self, asked_at: float) -> None:
        async with self._fetching:
            if self._tried_at >= asked_at:
                return
            try:
                self._keys = await self._fetch()
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, RecursionError) as error:
                log.warning("issuer_away", issuer=self._settings.issuer, error=type(error).__name__)
                if time.monotonic() - self._fetched_at > _KEPT_SECONDS:
                    self._keys = {}
            finally:
                self._tried_at = time.monotonic()

    async def _fetch(self) -> dict[str | None, _Key]:
        issuer = self._settings.issuer
        found = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found["issuer"] != issuer:
            raise ValueError("another issuer answers at this address")
        where = found["jwks_uri"]
        if fault_of_issuer(where.partition("?")[0]):
            raise ValueError("the keys have to be fetched over https")
        keys: dict[str | None, _Key] = {}
        for each in cast("Sequence[dict[str, Any]]", (await self._get(where))["keys"])[:_MOST_KEYS]:
            kind = each.get("kty")
            if kind in _ALGORITHMS and each.get("use", "sig") == "sig":
                try:
                    keys[each.get("kid")] = _Key(jwt.PyJWK(each).key, kind)
                except jwt.PyJWTError as error:
                    log.info("key_of_issuer_skipped", error=str(error))
        if not keys:
            raise ValueError("no key that can be used")
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            if answer.is_redirect:
                raise ValueError("redirected")
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError("too long an answer")
        found = httpx.Response(200, content=body).json()
        if not isinstance(found, dict):
            raise TypeError("not an object")
        return cast("dict[str, Any]", found)


def roles_in(claims: Mapping[str, Any], claim: str) -> frozenset[Role]:
    """The roles that a claim names, a list or a text of words; what is no role of ours means nothing.

    The claim may be named by a path, as in `realm_access.roles`. Upper and lower case are the same, and a role may
    have `lifeos` before it.

    >>> sorted(roles_in({"realm_access": {"roles": ["lifeos-admin", "offline_access"]}}, "realm_access.roles"))
    [<Role.ADMIN: 'ADMIN'>]
    """
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for part in claim.split("."):
            value = cast("Any", value).get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, list):
        return frozenset()
    words = {each.upper() for each in cast("list[Any]", value) if isinstance(each, str)}
    return frozenset(
        role for role in Role if any(word in words for word in (role, *(f"LIFEOS{s}{role}" for s in "-_:")))
    )


def _name_in(claims: Mapping[str, Any]) -> str:
    for claim in ("name", "preferred_username", "email", "sub"):
        value = claims.get(claim)
        if isinstance(value, str):
            name = " ".join("".join(each if each.isprintable() else " " for each in value).split())[:_LONGEST_NAME]
            if name:
                return name
    return "somebody"
