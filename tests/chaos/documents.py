"""What people ask the API, each by the name of its root field."""

from __future__ import annotations

from typing import Final

DOCUMENTS: Final = {
    "viewer": "{ viewer { id name } }",
    "createUser": "mutation($input: CreateUserInput!) { createUser(input: $input) "
    "{ user { id } token errors { code message } } }",
    "submitWorkflow": "mutation($input: SubmitWorkflowInput!) { submitWorkflow(input: $input) "
    "{ run { id state } errors { code message path } } }",
    "approvals": "{ approvals(filter: {statuses: [REQUIRED]}, first: 50) { nodes { id kind argsDigest run { id } "
    "step { id key toolCalls { attempt executionKey } } } } }",
    "decideApproval": "mutation($input: DecideApprovalInput!) { decideApproval(input: $input) "
    "{ approval { id status decidedBy { id } } errors { code message } } }",
    "resolveInDoubt": "mutation($input: ResolveInDoubtInput!) { resolveInDoubt(input: $input) "
    "{ approval { id status decidedBy { id } } errors { code message } } }",
    "cancelRun": "mutation($input: CancelRunInput!) { cancelRun(input: $input) "
    "{ run { id state } errors { code message } } }",
    "deadLetters": "{ deadLetters(first: 20) { nodes { id key } } }",
    "retryStep": "mutation($input: RetryStepInput!) { retryStep(input: $input) "
    "{ step { id state } errors { code message } } }",
}

TIMELINE: Final = (
    "subscription($run: ID!, $after: String) { timeline(runId: $run, after: $after) "
    "{ cursor seq type message metadata createdAt stepId approvalId } }"
)
