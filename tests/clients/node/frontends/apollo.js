import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client/core';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getMainDefinition } from '@apollo/client/utilities';
import { WebSocket } from 'ws';

import { RunDocument, SubmitWorkflowDocument, TimelineDocument, ViewerDocument } from '../lifeos-client.js';
import { socketClient } from '../sockets.js';

// Its link asks the platform's own class, which node has from version 22 on.
globalThis.WebSocket ??= WebSocket;

/** Queries and mutations over HTTP, subscriptions over a socket, as its documentation has it. */
export function connect(address) {
  const sockets = socketClient(address);
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ query }) => getMainDefinition(query).operation === 'subscription',
      new GraphQLWsLink(sockets),
      new HttpLink({ uri: `${address.url}/graphql`, headers: { authorization: `Bearer ${address.token}` } }),
    ),
  });

  return {
    viewer: async () => (await client.query({ query: ViewerDocument })).data.viewer,
    submit: async (input) =>
      (await client.mutate({ mutation: SubmitWorkflowDocument, variables: { input } })).data.submitWorkflow,
    run: async (id) => (await client.query({ query: RunDocument, variables: { id } })).data.run,
    subscribe: (variables, sink) => {
      const subscription = client.subscribe({ query: TimelineDocument, variables }).subscribe({
        next: ({ data, error }) => (error ? sink.error(error) : sink.next(data.timeline)),
        error: (reason) => sink.error(reason),
        complete: () => sink.complete(),
      });
      return () => subscription.unsubscribe();
    },
    close: () => {
      client.stop();
      sockets.dispose();
    },
  };
}
