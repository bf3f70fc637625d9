import { print } from 'graphql';

import { RunDocument, SubmitWorkflowDocument, TimelineDocument, ViewerDocument } from '../lifeos-client.js';
import { socketClient } from '../sockets.js';

/** Everything over one socket, queries and mutations too. */
export function connect(address) {
  const client = socketClient(address);

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
