"""The settings of a process, from its environment."""

from __future__ import annotations

import contextlib
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from platformdirs import user_data_dir
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from console.environment import faults_of_names, read_env_file
from console.exits import plain
from engine.oidc import OidcSettings, fault_of_issuer
from engine.secrets import Redaction
from engine.settings import EngineSettings
from persistence.addresses import fault_of_broadcast, fault_of_database
from persistence.database import DatabaseSettings
from persistence.states import Risk
from schema.api.schema import default_limits
from schema.edge.http import HttpSettings
from schema.fast.limits import Limits
from serving.errors import StartError


class Settings(BaseSettings):
    """The environment, prefix LIFEOS_, or a `.env` file in the working folder."""

    model_config = SettingsConfigDict(env_prefix="LIFEOS_", env_file=".env", env_ignore_empty=True, extra="ignore")

    database_url: str | None = None
    data_dir: Path = Field(default_factory=lambda: Path(user_data_dir("lifeos")))
    broadcast_url: str | None = None
    admin_token: SecretStr | None = None
    tools: str = ""
    approve_from: Literal["L0", "L1", "L2", "L3"] = "L3"
    separation_of_duties: bool = False
    outside_destination: Literal["ask", "refuse"] = "ask"
    accept_outside: bool = False
    approval_timeout_seconds: float = Field(604_800, ge=0, le=100 * 365 * 86_400)
    concurrency: int = Field(100, ge=1, le=100_000)
    lease_seconds: float = Field(15, ge=1, le=3600)
    sweep_seconds: float = Field(1, gt=0, le=60)
    step_timeout_seconds: float = Field(60, gt=0, le=7 * 86_400)
    grace_seconds: float = Field(10, ge=0, le=3600)
    retry_base_seconds: float = Field(1, ge=0, le=86_400)
    retry_cap_seconds: float = Field(300, ge=0, le=7 * 86_400)
    max_plan_steps: int = Field(2000, ge=1, le=100_000)
    max_run_steps: int = Field(10_000, ge=1, le=1_000_000)
    max_json_bytes: int = Field(262_144, ge=1024, le=64 * 1024 * 1024)
    max_body_bytes: int = Field(2_097_152, ge=1024, le=1024 * 1024 * 1024)
    max_query_tokens: int = Field(2000, ge=1)
    max_query_depth: int = Field(12, ge=1)
    max_query_aliases: int = Field(30, ge=0)
    max_query_directives: int = Field(10, ge=0)
    max_query_nodes: int = Field(10_000, ge=1)
    max_page: int = Field(100, ge=1, le=10_000)
    max_sockets_per_user: int = Field(50, ge=1)
    max_operations_per_socket: int = Field(50, ge=1)
    request_timeout_seconds: float = Field(10, gt=0, le=3600)
    rate_points_per_minute: int = Field(0, ge=0)
    metrics_public: bool = False
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_role_claim: str = "roles"
    time_zone: str | None = None

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_database(value)):
            raise ValueError(fault)
        return value

    @field_validator("broadcast_url")
    @classmethod
    def _carries_wakeups(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_broadcast(value)):
            raise ValueError(fault)
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_folder(cls, value: Path) -> Path:
        try:
            value.expanduser()
        except RuntimeError:
            raise ValueError("begins with ~ and the name of nobody here") from None
        return value

    @field_validator("admin_token")
    @classmethod
    def _is_token(cls, value: SecretStr | None) -> SecretStr | None:
        token = "" if value is None else value.get_secret_value()
        if value is not None and (len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token):
            raise ValueError("should have 16 or more ASCII characters, and no blanks")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):  # unknown; a path elsewhere; a folder of zones
                near = get_close_matches(value, sorted(available_timezones()), n=1)
                raise ValueError(f"should be a time zone like {near[0] if near else 'Europe/Berlin'}") from None
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_issuer(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of_issuer(value)):
            raise ValueError(fault)
        return value

    def oidc(self) -> OidcSettings | None:
        """Whose tokens count beside our own; a StartError for an issuer without an audience."""
        if self.oidc_issuer is None:
            return None
        if self.oidc_audience is None:
            # Any application's tokens of that issuer would open this one.
            raise StartError("bad settings: LIFEOS_OIDC_ISSUER needs LIFEOS_OIDC_AUDIENCE, the audience of our tokens")
        return OidcSettings(self.oidc_issuer, self.oidc_audience, self.oidc_role_claim)

    @property
    def tool_modules(self) -> list[str]:
        """The import paths of people's own tools."""
        return [name.strip() for name in self.tools.split(",") if name.strip()]

    def engine(self) -> EngineSettings:
        """The engine's settings."""
        return EngineSettings(
            data_dir=self.data_dir.expanduser(),
            approve_from=Risk[self.approve_from],
            separation_of_duties=self.separation_of_duties,
            outside_destination=self.outside_destination,
            accept_outside=self.accept_outside,
            approval_timeout_seconds=self.approval_timeout_seconds,
            concurrency=self.concurrency,
            lease_seconds=self.lease_seconds,
            sweep_seconds=self.sweep_seconds,
            step_timeout_seconds=self.step_timeout_seconds,
            grace_seconds=self.grace_seconds,
            retry_base_seconds=self.retry_base_seconds,
            retry_cap_seconds=self.retry_cap_seconds,
            max_plan_steps=self.max_plan_steps,
            max_run_steps=self.max_run_steps,
            max_json_bytes=self.max_json_bytes,
            time_zone=ZoneInfo(self.time_zone) if self.time_zone else None,
            secrets=secrets_of_environment(),
        )

    def redaction(self) -> Redaction:
        """What no log may hold: people's secrets, and our own."""
        ours = {
            "ADMIN_TOKEN": self.admin_token.get_secret_value() if self.admin_token else None,
            "DATABASE_PASSWORD": _password(self.database_url),
            "BROADCAST_PASSWORD": _password(self.broadcast_url),
        }
        return Redaction({**{name: value for name, value in ours.items() if value}, **secrets_of_environment()})

    def http(self) -> HttpSettings:
        """The settings of HTTP and sockets."""
        return HttpSettings(
            max_body_bytes=self.max_body_bytes,
            max_operations_per_socket=self.max_operations_per_socket,
            max_sockets_per_user=self.max_sockets_per_user,
            request_timeout_seconds=self.request_timeout_seconds,
        )

    def limits(self) -> Limits:
        """What one operation may ask for."""
        return default_limits(
            tokens=self.max_query_tokens,
            depth=self.max_query_depth,
            aliases=self.max_query_aliases,
            directives=self.max_query_directives,
            nodes=self.max_query_nodes,
            page=self.max_page,
        )

    def database(self, dsn: str, *, connections: int) -> DatabaseSettings:
        """How the database is reached; its time-outs end below the lease."""
        bound = max(1.0, min(10.0, self.lease_seconds * 0.6))
        return DatabaseSettings(
            dsn=dsn,
            connections=connections,
            acquire_seconds=min(5.0, self.request_timeout_seconds / 2),
            statement_seconds=bound,
            lock_seconds=min(5.0, bound),
            idle_in_transaction_seconds=bound,
        )


def read_settings() -> Settings:
    """The settings; bad values and names that nobody knows are one clear StartError."""
    faults = faults_of_names()
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] - every field comes from the environment
    except ValidationError as error:
        faults += [
            f"LIFEOS_{str(each['loc'][0]).upper()} {plain(each['msg'])}"
            for each in error.errors(include_url=False, include_input=False)
        ]
    else:
        if not faults:
            return settings
    raise StartError(f"bad settings: {'; '.join(faults)}")


def _password(url: str | None) -> str | None:
    with contextlib.suppress(ValueError):
        return unquote(urlsplit(url or "").password or "") or None
    return None


def secrets_of_environment() -> dict[str, str]:
    """The secrets that tools may be given, by name, from the environment and the `.env` file."""
    found = {**read_env_file(), **os.environ}
    prefix = "LIFEOS_SECRET_"
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix) and value}
