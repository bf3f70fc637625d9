"""GraphQL, fast and within limits: a Strawberry schema of any service, run by an executor of our own."""
