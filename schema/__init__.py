"""What clients see: the GraphQL API and how it is served.

    edge     HTTP, sockets, event streams, pages, rates; the site, put together
    api      types, queries, mutations, subscriptions; what they read, by loaders
    fast     from a document to its answer: limits, executor, spending; it knows nothing of Life OS
    shared   errors, JSON, text that hides nothing

Each imports only those below it.
"""
