"""What clients see: the GraphQL API and how it is served."""
