"""Where a person faces Life OS: the terminal client and the web console, both over the GraphQL API."""
