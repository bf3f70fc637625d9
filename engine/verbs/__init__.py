"""The verbs: one file for each thing that a person, or anything on a person's behalf, can do to runs and approvals.

    submit      record a run (through `begin`, the seam for whatever starts one)
    preview     show what would run
    cancel      end a run
    retry       send a dead letter back
    decide      approve or reject what a step would be called with
    resolve     say of a call in doubt whether it happened
    expire      skip the steps whose approvals nobody decided in time

Each is a function of the `Resources` and the person behind it, raises engine errors, and knows nothing of
GraphQL: the API calls them today. The write decides: a move is attempted, and only if it did nothing is the state
read, to say why.
"""
