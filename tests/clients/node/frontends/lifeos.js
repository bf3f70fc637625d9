import { LifeOS, ViewerDocument } from '../lifeos-client.js';

/** The client that this project publishes. */
export function connect(address) {
  const lifeos = new LifeOS(address);
  return {
    viewer: async () => (await lifeos.request(ViewerDocument, {})).viewer,
    submit: async (input) => ({ run: await lifeos.submit(input), errors: [] }),
    run: (id) => lifeos.run(id),
    followRun: (runId, options) => lifeos.followRun(runId, options),
    close: () => {},
  };
}
