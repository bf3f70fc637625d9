"""The server's address and the user's token: from the environment, a `.env` file, or the data folder."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_data_dir
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from console.environment import faults_of_names
from console.errors import BadInput

_TOKEN_FILE = "admin-token"  # noqa: S105 - the file's name, not what is in it


@dataclass(frozen=True)
class Address:
    """A server and the token to use there."""

    url: str
    token: str = field(repr=False)


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LIFEOS_", env_file=".env", env_ignore_empty=True, extra="ignore")

    url: str = "http://127.0.0.1:8000"
    token: SecretStr | None = None
    admin_token: SecretStr | None = None
    data_dir: Path = Field(default_factory=lambda: Path(user_data_dir("lifeos")))


def read_address() -> Address:
    """The server's address and a token for it; BadInput says what is wrong or lacks.

    The token is LIFEOS_TOKEN, else the administrator's: LIFEOS_ADMIN_TOKEN, or what the server left in the data folder.
    """
    if faults := faults_of_names():
        raise BadInput(f"bad settings: {'; '.join(faults)}")
    try:
        environment = _Environment()
    except ValidationError as error:
        raise BadInput(f"the settings can't be read: {' '.join(str(error).split())}") from error
    url = base_url(environment.url)
    given = environment.token or environment.admin_token
    token = given.get_secret_value().strip() if given is not None else _kept_token(environment.data_dir.expanduser())
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput("the token has characters that no token has; look at LIFEOS_TOKEN")
    return Address(url, token)


def base_url(text: str) -> str:
    """The address without a trailing slash or the API's own path; BadInput unless it is an http(s) address."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput(f"LIFEOS_URL is no address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or parts.username is not None:
        raise BadInput(f"LIFEOS_URL must be like http://127.0.0.1:8000, not {_without_secrets(text)!r}")
    if parts.query or parts.fragment:
        raise BadInput("LIFEOS_URL must end before any ? or #; a token belongs in LIFEOS_TOKEN")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/graphql')}"


def _without_secrets(text: str) -> str:
    return text.split("?", maxsplit=1)[0].rsplit("@", maxsplit=1)[-1]


def _kept_token(data_dir: Path) -> str:
    path = data_dir / _TOKEN_FILE
    try:
        token = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise BadInput(
            f"no token: set LIFEOS_TOKEN, or start a server here with `lifeos serve` (there is no {path})"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"no token: {path} can't be read ({error})") from error
    if not token:
        raise BadInput(f"no token: {path} is empty")
    return token
