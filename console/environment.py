"""Every name under LIFEOS_ that some program reads, so that a mistyped one is reported at the start.

The table holds the settings of every process, command and page, whichever of them starts: they share one environment
and one `.env` file. Some are of features that this version does not have yet; that is reported at the start too.
"""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

from dotenv import dotenv_values

from console.errors import BadInput

PREFIX: Final = "LIFEOS_"
SECRET: Final = "SECRET_"  # noqa: S105 - how the names of secrets begin

OF_SERVERS: Final = frozenset(
    """
    ACCEPT_OUTSIDE ADMIN_TOKEN ALERT_SECONDS ALLOW_HOSTS APPROVAL_LINKS APPROVAL_TIMEOUT_SECONDS APPROVE_FROM
    ARTIFACTS_DIR ARTIFACTS_URL BROADCAST_URL CA_FILE CONCURRENCY DATABASE_URL DATA_DIR DELIVERY_DEAD_AFTER_SECONDS
    DELIVERY_RETRY_BASE_SECONDS DELIVERY_RETRY_CAP_SECONDS DELIVERY_TIMEOUT_SECONDS GRACE_SECONDS L3_NEEDS_PASSKEY
    LEASE_SECONDS MAX_ARTIFACT_BYTES MAX_BODY_BYTES MAX_CHANNELS_PER_USER MAX_JSON_BYTES MAX_OPERATIONS_PER_SOCKET
    MAX_PAGE MAX_PLAN_STEPS MAX_QUERY_ALIASES MAX_QUERY_DEPTH MAX_QUERY_DIRECTIVES MAX_QUERY_NODES MAX_QUERY_TOKENS
    MAX_RESPONSE_BYTES MAX_RUN_STEPS MAX_SOCKETS_PER_USER METRICS_PUBLIC OIDC_AUDIENCE OIDC_CLIENT_ID
    OIDC_CLIENT_SECRET OIDC_ISSUER OIDC_ROLE_CLAIM OUTSIDE_DESTINATION PLANNER_API_KEY PLANNER_DAILY_CAP
    PLANNER_MAX_TOKENS PLANNER_MODEL PLANNER_PRICES PLANNER_TIMEOUT_SECONDS PLANNER_URL PUBLIC_URL QUEUES QUEUE_KEY
    QUEUE_URL RATE_POINTS_PER_MINUTE REQUEST_TIMEOUT_SECONDS RETENTION_DAYS RETRY_BASE_SECONDS RETRY_CAP_SECONDS
    SECRETS_KEY SEPARATION_OF_DUTIES SESSION_SECONDS SHARED_SECRETS SIGN_IN_TRIES_PER_MINUTE STEP_TIMEOUT_SECONDS
    SWEEP_SECONDS TIME_ZONE TOOLS VAPID_SUBJECT WEBHOOK_OVERLAP_SECONDS
    """.split()  # noqa: SIM905 - as a list it would be a line for each
)
"""The settings of servers, workers and hosts."""

OF_COMMANDS: Final = frozenset({"URL", "TOKEN", "WEBHOOK_SECRET"})
"""The settings of a person's commands, and of clients."""

OF_DEVELOPERS: Final = frozenset({"SKIP_CONSOLE", "MOVES", "TEST_CLUSTER_DSN", "TEST_EVERYTHING"})
"""The settings of the build and the tests."""

KNOWN: Final = OF_SERVERS | OF_COMMANDS | OF_DEVELOPERS

_OF_KUBERNETES: Final = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")


def faults_of_names() -> list[str]:
    """The faults of the names that are set, in the environment or the `.env` file: a sentence for each."""
    return [_fault(name) for name, value in _set().items() if not _is_known(name, value)]


def unused_names(used: Collection[str]) -> list[str]:
    """The settings of servers that are set, and are not among those that this version uses."""
    return sorted(f"{PREFIX}{name}" for name in _set() if name in OF_SERVERS and name not in used)


def read_env_file() -> Mapping[str, str | None]:
    """The names that the `.env` file in the working folder sets; BadInput if it can't be read."""
    try:
        return dotenv_values(".env")
    except UnicodeDecodeError:
        raise BadInput("the file .env in the working folder is not UTF-8") from None
    except OSError as error:
        raise BadInput(f"the file .env in the working folder can't be read: {error.strerror}") from error


def _set() -> dict[str, str | None]:
    """The values that are set, by name without the prefix: upper and lower case are the same."""
    return {
        name.upper().removeprefix(PREFIX): value
        for name, value in {**read_env_file(), **os.environ}.items()
        if name.upper().startswith(PREFIX)
    }


def _is_known(name: str, value: str | None) -> bool:
    return name in KNOWN or name.startswith(SECRET) or _is_of_kubernetes(name, value or "")


def _is_of_kubernetes(name: str, value: str) -> bool:
    """In the namespace of a service that is called lifeos, every container gets that service's address."""
    is_port = name == "PORT" or name.endswith("_PORT")
    return bool(_OF_KUBERNETES.fullmatch(name) or (is_port and _PORT_OF_KUBERNETES.fullmatch(value)))


def _fault(name: str) -> str:
    near = get_close_matches(name, sorted(KNOWN), n=1)
    return f"{PREFIX}{name} is not known" + (f" (is {PREFIX}{near[0]} meant?)" if near else "")
