"""Tokens of an OpenID Connect issuer: verified to the letter, and as revocable as our own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import ConnectionClosed

import engine.oidc
from engine.oidc import Issuer, OidcSettings, fault_of_issuer, roles_in
from persistence.database import Unavailable
from serving.errors import StartError
from serving.settings import Settings
from tests.security.house import House, house
from tests.security.issuer import AUDIENCE, KEYS, STRANGER, IssuerHere, issuing, published

ME = "{viewer {id name roles}}"


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerHere]:
    async with issuing() as opened:
        yield opened


@pytest.fixture
async def trusting(issuer: IssuerHere) -> AsyncIterator[Issuer]:
    opened = Issuer(OidcSettings(issuer.url, AUDIENCE))
    yield opened
    await opened.close()


@pytest.fixture
async def home(dsn: str, tmp_path: Path, issuer: IssuerHere) -> AsyncIterator[House]:
    async with house(dsn, tmp_path, oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as opened:
        yield opened


# ── what is valid ──


@pytest.mark.parametrize("alg", KEYS)
async def test_a_token_of_the_issuer_is_valid_whatever_it_signs_with(issuer: IssuerHere, trusting: Issuer, alg: str):
    claims = await trusting.claims_of(issuer.token(alg=alg))

    assert claims is not None
    assert (claims.issuer, claims.subject, claims.name, claims.roles) == (issuer.url, "ada", "Ada", {"SUBMITTER"})


@pytest.mark.parametrize("audience", [AUDIENCE, ["other", AUDIENCE]])
async def test_it_has_to_be_meant_for_us_among_others(issuer: IssuerHere, trusting: Issuer, audience: Any):
    assert await trusting.claims_of(issuer.token(aud=audience)) is not None


def forged(issuer: IssuerHere, header: dict[str, Any], secret: bytes | None) -> str:
    """A token written by hand."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600, "roles": ["ADMIN"]}
    text = f"{part(header)}.{part(claims)}"
    signature = b"" if secret is None else hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def pem() -> bytes:
    return KEYS["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


NOW = int(time.time())
INVALID: dict[str, Callable[[IssuerHere], str]] = {
    "of another key": lambda issuer: issuer.token(key=STRANGER),
    "of another key by another name": lambda issuer: issuer.token(key=STRANGER, kid="unheard of"),
    "of another issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "of an issuer that only looks the same": lambda issuer: issuer.token(iss=issuer.url + "/"),
    "for somebody else": lambda issuer: issuer.token(aud="other"),
    "for nobody": lambda issuer: issuer.token(aud=None),
    "expired": lambda issuer: issuer.token(exp=NOW - 120),
    "without an end": lambda issuer: issuer.token(exp=None),
    "not valid yet": lambda issuer: issuer.token(nbf=NOW + 86_400),
    "of the future": lambda issuer: issuer.token(iat=NOW + 86_400),
    "of no time": lambda issuer: issuer.token(iat=None),
    "without a subject": lambda issuer: issuer.token(sub=None),
    "with an empty subject": lambda issuer: issuer.token(sub=""),
    "with a huge subject": lambda issuer: issuer.token(sub="x" * 256),
    "with a subject that hides": lambda issuer: issuer.token(sub="a\u202eb"),
    "with a subject that can't be kept": lambda issuer: issuer.token(sub="a\x00b"),
    "without roles": lambda issuer: issuer.token(roles=None),
    "with other roles": lambda issuer: issuer.token(roles=["offline_access"]),
    "with roles that are none": lambda issuer: issuer.token(roles={"ADMIN": True}),
    "signed by nobody": lambda issuer: forged(issuer, {"alg": "none", "typ": "JWT"}, None),
    "signed by nobody, with a name": lambda issuer: forged(issuer, {"alg": "none", "kid": "RS256"}, None),
    "signed with the public key as a secret": lambda issuer: forged(issuer, {"alg": "HS256", "kid": "RS256"}, pem()),
    "signed with an empty secret": lambda issuer: forged(issuer, {"alg": "HS256", "kid": "RS256"}, b""),
    "with a key of its own": lambda issuer: jwt.encode(
        {"iss": issuer.url, "aud": AUDIENCE, "sub": "ada", "iat": NOW, "exp": NOW + 600, "roles": ["ADMIN"]},
        STRANGER,
        algorithm="RS256",
        headers={"jwk": published(STRANGER, "RS256"), "jku": "https://evil.example/keys", "kid": "RS256"},
    ),
    "of one kind of key under the name of another": lambda issuer: issuer.token(alg="ES256", kid="RS256"),
    "with a name that is none": lambda issuer: forged(issuer, {"alg": "RS256", "kid": ["RS256"]}, b"x"),
    "without a name where there are several": lambda issuer: forged(issuer, {"alg": "RS256"}, b"x"),
    "nested deep": lambda _: "eyJ" + base64.urlsafe_b64encode(b'{"alg":' + b"[" * 3000).decode() + ".e30.e30",
    "cut off": lambda issuer: issuer.token()[:-10],
    "changed": lambda issuer: ".".join([*issuer.token().split(".")[:1], "e30", issuer.token().split(".")[2]]),
    "no token": lambda _: "eyJ..",
}


@pytest.mark.parametrize("which", INVALID)
async def test_any_other_token_is_not(issuer: IssuerHere, trusting: Issuer, which: str):
    assert await trusting.claims_of(INVALID[which](issuer)) is None


async def test_a_key_for_encryption_signs_nothing(issuer: IssuerHere, trusting: Issuer):
    issuer.keys[0]["use"] = "enc"

    assert await trusting.claims_of(issuer.token()) is None


async def test_a_shared_secret_among_the_keys_is_no_key(issuer: IssuerHere, trusting: Issuer):
    secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    issuer.keys.append({"kty": "oct", "k": secret, "kid": "shared", "alg": "HS256"})

    assert await trusting.claims_of(forged(issuer, {"alg": "HS256", "kid": "shared"}, b"s" * 32)) is None


@pytest.mark.parametrize(
    ("claims", "claim", "roles"),
    [
        ({"roles": ["ADMIN"]}, "roles", {"ADMIN"}),
        ({"roles": ["admin", "Approver", "x", 1, None]}, "roles", {"ADMIN", "APPROVER"}),
        ({"roles": "SUBMITTER approver"}, "roles", {"SUBMITTER", "APPROVER"}),
        ({"roles": "SUBMITTER,APPROVER"}, "roles", {"SUBMITTER", "APPROVER"}),
        ({"realm_access": {"roles": ["lifeos-admin"]}}, "realm_access.roles", {"ADMIN"}),
        ({"https://example.com/roles": ["lifeos:submitter"]}, "https://example.com/roles", {"SUBMITTER"}),
        ({"roles": ["ADMINISTRATOR", "not-admin"]}, "roles", set()),
        ({"realm_access": "ADMIN"}, "realm_access.roles", set()),
        ({}, "roles", set()),
    ],
)
def test_roles_come_from_the_claim_that_was_named(claims: dict[str, Any], claim: str, roles: set[str]):
    assert roles_in(claims, claim) == roles


# ── keys ──


async def test_keys_are_fetched_once_and_again_when_a_new_one_signs(
    issuer: IssuerHere, trusting: Issuer, monkeypatch: pytest.MonkeyPatch
):
    await asyncio.gather(*(trusting.claims_of(issuer.token()) for _ in range(20)))
    assert issuer.asked == ["configuration", "keys"]
    issuer.keys = [published(STRANGER, "new")]

    monkeypatch.setattr(engine.oidc, "_SOONEST_SECONDS", 0)
    assert await trusting.claims_of(issuer.token(key=STRANGER, kid="new")) is not None
    assert await trusting.claims_of(issuer.token()) is None


async def test_unknown_keys_do_not_make_us_ask_again_and_again(issuer: IssuerHere, trusting: Issuer):
    for n in range(50):
        assert await trusting.claims_of(issuer.token(key=STRANGER, kid=f"made up {n}")) is None

    assert issuer.asked == ["configuration", "keys"]


async def test_while_the_issuer_is_away_its_known_keys_serve_and_nobody_can_say_without(
    issuer: IssuerHere, trusting: Issuer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine.oidc, "_SOONEST_SECONDS", 0)
    issuer.is_away = True
    with pytest.raises(Unavailable):
        await trusting.claims_of(issuer.token())
    issuer.is_away = False
    assert await trusting.claims_of(issuer.token()) is not None

    issuer.is_away = True
    monkeypatch.setattr(engine.oidc, "_FRESH_SECONDS", 0)
    assert await trusting.claims_of(issuer.token()) is not None
    monkeypatch.setattr(engine.oidc, "_KEPT_SECONDS", 0)
    with pytest.raises(Unavailable):
        await trusting.claims_of(issuer.token())


async def test_an_address_where_another_issuer_answers_gives_no_keys(issuer: IssuerHere, trusting: Issuer):
    issuer.says_it_is = "https://other.example"

    with pytest.raises(Unavailable):
        await trusting.claims_of(issuer.token())


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://id.example.com", True),
        ("https://id.example.com/realms/main", True),
        ("http://127.0.0.1:8080", True),
        ("http://id.example.com", False),
        ("id.example.com", False),
        ("https://", False),
        ("https://id.example.com?x=1", False),
        ("https://me:secret@id.example.com", False),
        ("file:///etc/passwd", False),
        ("https://[", False),
    ],
)
def test_only_https_addresses_are_issuers(address: str, *, fits: bool):
    assert (fault_of_issuer(address) is None) == fits


def test_an_issuer_without_an_audience_is_refused_at_the_start():
    settings = Settings(_env_file=None, oidc_issuer="https://id.example.com")  # pyright: ignore[reportCallIssue]

    with pytest.raises(StartError, match="LIFEOS_OIDC_AUDIENCE"):
        settings.oidc()


# ── people ──


async def me(home: House, token: str) -> Any:
    return (await home.ask(ME, token))["viewer"]


async def test_a_person_is_made_when_first_seen_and_the_same_ever_after(home: House, issuer: IssuerHere):
    answers = await asyncio.gather(*(me(home, issuer.token(jti=str(n))) for n in range(10)))

    assert {answer["id"] for answer in answers} == {answers[0]["id"]}
    assert answers[0] == {"id": answers[0]["id"], "name": "Ada", "roles": ["SUBMITTER"]}
    assert await home.database.fetchval("SELECT count(*) FROM users") == 2
    lines = (await home.ask("{auditLog {nodes {action userName subject detail}}}"))["auditLog"]["nodes"]
    assert lines == [
        {
            "action": "CREATE_USER",
            "userName": "Ada",
            "subject": answers[0]["id"],
            "detail": f"vouched for by {issuer.url}",
        }
    ]


async def test_nobody_becomes_somebody_else_by_their_name(home: House, issuer: IssuerHere):
    admin = (await home.ask(ME))["viewer"]

    impostor = await me(home, issuer.token("mallory", name="admin", roles=["APPROVER"]))
    ada, other = await me(home, issuer.token("ada")), await me(home, issuer.token("ada 2", name="Ada"))
    hiding = await me(home, issuer.token("eve", name="Eve\u202e\x07\n" + "x" * 500))

    assert impostor["id"] != admin["id"]
    assert impostor["name"].startswith("admin ")
    assert impostor["roles"] == ["APPROVER"]
    assert ada["name"] == "Ada"
    assert other["name"].startswith("Ada ")
    assert hiding["name"].startswith("Eve x")
    assert len(hiding["name"]) <= 80


async def test_roles_follow_the_newest_token(home: House, issuer: IssuerHere):
    now = int(time.time())
    assert (await me(home, issuer.token(iat=now - 20, roles=["SUBMITTER", "ADMIN"])))["roles"] == ["SUBMITTER", "ADMIN"]
    assert (await me(home, issuer.token(iat=now - 10, roles=["SUBMITTER", "APPROVER"])))["roles"] == [
        "SUBMITTER",
        "APPROVER",
    ]

    older = issuer.token(iat=now - 20, roles=["SUBMITTER", "ADMIN"], jti="again")
    assert (await me(home, older))["roles"] == ["SUBMITTER"]
    assert (await home.post(ME, issuer.token(iat=now - 20, roles=["ADMIN"]))).status_code == 401


async def test_they_come_in_by_every_way(home: House, issuer: IssuerHere):
    token = issuer.token()
    assert len(token) > 512

    streamed = await home.post(ME, token, headers={"Accept": "text/event-stream"})
    signed_in = await home.http.get("/graphql", params={"token": token})
    by_cookie = await home.post(ME, None, headers={"Cookie": signed_in.headers["set-cookie"].split(";")[0]})
    async with home.socket(token) as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": ME}}))
        over_socket = json.loads(await socket.recv())["payload"]

    assert "Ada" in streamed.text
    assert by_cookie.json() == over_socket
    assert over_socket["data"]["viewer"]["name"] == "Ada"


async def test_they_may_do_what_their_roles_let_them(home: House, issuer: IssuerHere):
    run = await home.submit(issuer.token(), {"key": "a", "tool": "note"})
    await home.finished(run)

    stranger = await home.ask("query($r: ID!) {run(id: $r) {id}}", issuer.token("bob"), r=run)
    assert stranger == {"run": None}


async def closed(socket: Any) -> int:
    async with asyncio.timeout(10):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as ended:
                return 1006 if ended.rcvd is None else ended.rcvd.code


async def test_revoking_ends_their_tokens_and_sockets_and_a_new_token_opens_again(home: House, issuer: IssuerHere):
    token = issuer.token(iat=int(time.time()) - 5)
    user = (await me(home, token))["id"]
    async with home.socket(token) as socket:
        begun = time.monotonic()
        await home.ask(f'mutation {{revokeTokens(input: {{userId: "{user}"}}) {{errors {{code}}}}}}')
        assert await closed(socket) == 4403
        assert time.monotonic() - begun < 5

    assert (await home.post(ME, token)).status_code == 401
    assert (await home.post(ME, issuer.token(iat=int(time.time()) + 1))).status_code == 200


async def test_a_token_that_expires_ends_its_sockets(home: House, issuer: IssuerHere, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine.oidc, "_LEEWAY_SECONDS", 0)
    async with home.socket(issuer.token(exp=int(time.time()) + 2)) as socket:
        begun = time.monotonic()
        assert await closed(socket) == 4403
        assert time.monotonic() - begun < 2 + 5


async def test_while_the_issuer_cannot_be_asked_the_answer_is_unavailable(home: House, issuer: IssuerHere):
    issuer.is_away = True

    answer = await home.post(ME, issuer.token())

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert (await home.post(ME)).status_code == 200


async def test_where_no_issuer_is_set_its_tokens_open_nothing(dsn: str, tmp_path: Path, issuer: IssuerHere):
    async with house(dsn, tmp_path) as home:
        assert (await home.post(ME, issuer.token(roles=["ADMIN"]))).status_code == 401

    assert issuer.asked == []
