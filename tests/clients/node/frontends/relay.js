import relay from 'relay-runtime';

import runQuery from '../relay/__generated__/LifeOSRunQuery.graphql.js';
import submitMutation from '../relay/__generated__/LifeOSSubmitMutation.graphql.js';
import timelineSubscription from '../relay/__generated__/LifeOSTimelineSubscription.graphql.js';
import viewerQuery from '../relay/__generated__/LifeOSViewerQuery.graphql.js';
import { socketClient } from '../sockets.js';

const { Environment, Network, Observable, RecordSource, Store, commitMutation, fetchQuery, requestSubscription } = relay;

/** Relay's network layer: queries and mutations over HTTP, subscriptions over a socket. */
export function connect({ url, token }) {
  const sockets = socketClient({ url, token });

  async function post({ text }, variables) {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: text, variables }),
    });
    return response.json();
  }

  function listen({ text, name }, variables) {
    return Observable.create((sink) => sockets.subscribe({ operationName: name, query: text, variables }, sink));
  }

  const environment = new Environment({ network: Network.create(post, listen), store: new Store(new RecordSource()) });

  return {
    environment,
    viewer: async () => (await fetchQuery(environment, viewerQuery, {}).toPromise()).viewer,
    submit: (input) =>
      new Promise((resolve, reject) => {
        commitMutation(environment, {
          mutation: submitMutation,
          variables: { input },
          onCompleted: ({ submitWorkflow }) => resolve(submitWorkflow),
          onError: reject,
        });
      }),
    run: async (id) => (await fetchQuery(environment, runQuery, { id }).toPromise()).run,
    subscribe: (variables, sink) => {
      const subscription = requestSubscription(environment, {
        subscription: timelineSubscription,
        variables,
        onNext: ({ timeline }) => sink.next(timeline),
        onError: (reason) => sink.error(reason),
        onCompleted: () => sink.complete(),
      });
      return () => subscription.dispose();
    },
    close: () => sockets.dispose(),
  };
}
