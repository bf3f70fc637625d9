import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { onEnd, pipe, subscribe } from 'wonka';

import { RunDocument, SubmitWorkflowDocument, TimelineDocument, ViewerDocument } from '../lifeos-client.js';
import { socketClient } from '../sockets.js';

/** Queries and mutations over HTTP, subscriptions over a socket, as its documentation has it. */
export function connect(address) {
  const sockets = socketClient(address);
  const client = new Client({
    url: `${address.url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${address.token}` } },
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
        }),
      }),
    ],
  });

  async function result(source) {
    const { data, error } = await source.toPromise();
    if (error) throw error;
    return data;
  }

  return {
    viewer: async () => (await result(client.query(ViewerDocument, {}))).viewer,
    submit: async (input) => (await result(client.mutation(SubmitWorkflowDocument, { input }))).submitWorkflow,
    run: async (id) => (await result(client.query(RunDocument, { id }))).run,
    subscribe: (variables, sink) => {
      const { unsubscribe } = pipe(
        client.subscription(TimelineDocument, variables),
        onEnd(() => sink.complete()),
        subscribe(({ data, error }) => (error ? sink.error(error) : sink.next(data.timeline))),
      );
      return unsubscribe;
    },
    close: () => sockets.dispose(),
  };
}
