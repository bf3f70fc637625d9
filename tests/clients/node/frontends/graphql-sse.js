import { print } from 'graphql';
import { createClient } from 'graphql-sse';

import { RunDocument, SubmitWorkflowDocument, TimelineDocument, ViewerDocument } from '../lifeos-client.js';

/** Everything as server-sent events, for where there is no WebSocket. */
export function connect({ url, token }) {
  const client = createClient({
    url: `${url}/graphql`,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });

  async function execute(document, variables) {
    for await (const { data, errors } of client.iterate({ query: print(document), variables })) {
      if (errors) throw errors;
      return data;
    }
  }

  return {
    viewer: async () => (await execute(ViewerDocument)).viewer,
    submit: async (input) => (await execute(SubmitWorkflowDocument, { input })).submitWorkflow,
    run: async (id) => (await execute(RunDocument, { id })).run,
    subscribe: (variables, sink) =>
      client.subscribe(
        { query: print(TimelineDocument), variables },
        {
          next: ({ data, errors }) => (errors ? sink.error(errors) : sink.next(data.timeline)),
          error: (reason) => sink.error(reason),
          complete: () => sink.complete(),
        },
      ),
    close: () => client.dispose(),
  };
}
