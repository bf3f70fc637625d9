"""An OpenID Connect issuer of our own, on loopback, with real keys."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

AUDIENCE = "lifeos"

KEYS = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(private: Any, kid: str, **more: Any) -> dict[str, Any]:
    public = private.public_key()
    how = {rsa.RSAPublicKey: RSAAlgorithm, ec.EllipticCurvePublicKey: ECAlgorithm}
    algorithm: Any = next((each for kind, each in how.items() if isinstance(public, kind)), OKPAlgorithm)
    return {**algorithm.to_jwk(public, as_dict=True), "kid": kid, "use": "sig", **more}


@dataclass
class IssuerHere:
    """What it publishes, and how often it was asked; change it as you like."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [published(key, kid) for kid, key in KEYS.items()])
    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    says_it_is: str | None = None

    def token(
        self, subject: str = "ada", *, alg: str = "RS256", key: Any = None, kid: str | None = None, **claims: Any
    ) -> str:
        """A token as it issues them, but for what is changed; a claim that is None is left out."""
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "name": subject.title(),
            "roles": ["SUBMITTER"],
        }
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(said, key or KEYS[alg], algorithm=alg, headers={"kid": kid or alg})

    async def configuration(self, _request: Request) -> Response:
        self.asked.append("configuration")
        if self.is_away:
            return Response(status_code=503)
        return JSONResponse({"issuer": self.says_it_is or self.url, "jwks_uri": f"{self.url}/keys"})

    async def published_keys(self, _request: Request) -> Response:
        self.asked.append("keys")
        return Response(status_code=503) if self.is_away else JSONResponse({"keys": self.keys})


@asynccontextmanager
async def issuing() -> AsyncGenerator[IssuerHere]:
    """The issuer, for the length of the block."""
    issuer = IssuerHere()
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", issuer.configuration),
            Route("/keys", issuer.published_keys),
        ]
    )
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    socket = config.bind_socket()
    await server.startup([socket])
    issuer.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        yield issuer
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
