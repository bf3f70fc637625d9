"""The GraphQL operations of the terminal client; each names its root field as the client's verb does."""

from typing import Final

from console import children

_RUN: Final = """
fragment RunLine on Run {
  id intent state riskLevel outcome createdAt startedAt finishedAt
  submittedBy { id name } error { code message }
  progress { total pending ready running blocked succeeded failed skipped cancelled } notices
}
"""

_STEP: Final = """
fragment StepLine on Step {
  id key name tool riskLevel state skipReason waitingFor attempt maxAttempts nextAttemptAt deadLettered
  error { code message } dependsOn { key } approvals { id kind status } notices
}
"""

_CHILDREN: Final = f"""
fragment Children on Step {{
  children(first: {children.SHOWN}) {{ totalCount nodes {{ ...StepLine index }} }}
  notable: children(first: {children.SHOWN}, states: [BLOCKED, FAILED, RUNNING, READY, PENDING]) {{
    nodes {{ ...StepLine index }}
  }}
  ended: children(first: 0, states: [SUCCEEDED, FAILED, SKIPPED, CANCELLED]) {{ totalCount }}
  failed: children(first: 0, states: [FAILED]) {{ totalCount }}
}}
"""

_ANSWER: Final = "answer answerError { code message }"

_APPROVAL: Final = """
fragment ApprovalWhole on Approval {
  id kind status riskLevel reason proposedArgs argsDigest createdAt expiresAt
  decidedBy { id name } decidedAt decisionReason editedArgs
  run { id intent } step { id key name tool }
}
"""

_FAULTS: Final = "errors { code message path }"

SUBMIT: Final = (
    "mutation Submit($input: SubmitWorkflowInput!) "
    f"{{ submitWorkflow(input: $input) {{ run {{ ...RunLine }} {_FAULTS} }} }} {_RUN}"
)
DECIDE: Final = (
    "mutation Decide($input: DecideApprovalInput!) "
    f"{{ decideApproval(input: $input) {{ approval {{ ...ApprovalWhole }} {_FAULTS} }} }} {_APPROVAL}"
)
RESOLVE: Final = (
    "mutation Resolve($input: ResolveInDoubtInput!) "
    f"{{ resolveInDoubt(input: $input) {{ approval {{ ...ApprovalWhole }} {_FAULTS} }} }} {_APPROVAL}"
)
CANCEL: Final = (
    "mutation Cancel($input: CancelRunInput!) "
    f"{{ cancelRun(input: $input) {{ run {{ ...RunLine }} {_FAULTS} }} }} {_RUN}"
)
RETRY: Final = (
    "mutation Retry($input: RetryStepInput!) "
    f"{{ retryStep(input: $input) {{ step {{ ...StepLine }} {_FAULTS} }} }} {_STEP}"
)
CREATE_USER: Final = (
    "mutation CreateUser($input: CreateUserInput!) "
    f"{{ createUser(input: $input) {{ user {{ id name roles }} token {_FAULTS} }} }}"
)
REVOKE_TOKENS: Final = (
    "mutation RevokeTokens($input: RevokeTokensInput!) "
    f"{{ revokeTokens(input: $input) {{ user {{ id name roles }} {_FAULTS} }} }}"
)

RUN: Final = f"""
query Run($id: ID!) {{ run(id: $id) {{ ...RunLine steps {{ ...StepLine ...Children }} }} }} {_RUN} {_STEP} {_CHILDREN}
"""
RUN_RESULTS: Final = f"""
query RunResults($id: ID!) {{
  run(id: $id) {{ ...RunLine {_ANSWER} steps {{ ...StepLine result ...Children }} }}
}} {_RUN} {_STEP} {_CHILDREN}
"""
RUN_WHOLE: Final = f"""
query RunWhole($id: ID!) {{
  run(id: $id) {{
    ...RunLine {_ANSWER} diagram steps {{
      ...StepLine when forEach after {{ key }} resolvedArgs result
      children(first: 100) {{
        totalCount nodes {{ ...StepLine index resolvedArgs result }} pageInfo {{ hasNextPage endCursor }}
      }}
    }}
  }}
}} {_RUN} {_STEP}
"""
RUNS: Final = f"""
query Runs($filter: RunFilter, $first: Int!, $after: String) {{
  runs(filter: $filter, first: $first, after: $after) {{
    nodes {{ ...RunLine }} pageInfo {{ hasNextPage endCursor }}
  }}
}} {_RUN}
"""
APPROVAL: Final = f"""
query Approval($id: ID!) {{ approval(id: $id) {{ ...ApprovalWhole }} }} {_APPROVAL}
"""
APPROVALS: Final = f"""
query Approvals($filter: ApprovalFilter, $first: Int!, $after: String) {{
  approvals(filter: $filter, first: $first, after: $after) {{
    nodes {{ ...ApprovalWhole }} pageInfo {{ hasNextPage endCursor }}
  }}
}} {_APPROVAL}
"""
TOOLS: Final = """
query Tools { tools { name description riskLevel idempotent argsSchema } }
"""
PREVIEW: Final = f"""
query Preview($intent: String, $plan: PlanInput) {{
  previewPlan(intent: $intent, plan: $plan) {{
    riskLevel diagram answer {_FAULTS} steps {{
      key name tool riskLevel requiresApproval args dependsOn when after forEach forEachMost forEachTolerates
      maxParallel delaySeconds notBefore maxAttempts timeoutSeconds
    }}
  }}
}}
"""

TIMELINE: Final = """
subscription Timeline($runId: ID!, $after: String) {
  timeline(runId: $runId, after: $after) {
    cursor seq type message metadata createdAt runId stepId approvalId
  }
}
"""
