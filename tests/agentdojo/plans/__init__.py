"""The tasks of each suite that can be said, by number, and why the others can't."""

from __future__ import annotations

from tests.agentdojo.notation import Task
from tests.agentdojo.plans.banking import BANKING
from tests.agentdojo.plans.slack import SLACK
from tests.agentdojo.plans.travel import TRAVEL
from tests.agentdojo.plans.workspace import WORKSPACE

PLANS: dict[str, dict[int, Task]] = {
    "workspace": WORKSPACE,
    "travel": TRAVEL,
    "banking": BANKING,
    "slack": SLACK,
}
