"""What clients can ask for: the types, queries, mutations and subscriptions of Life OS."""
