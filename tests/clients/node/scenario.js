/**
 * One frontend against a running server; says what it does as lines of JSON, for the test that restarts the server.
 *
 *     node scenario.js FRONTEND PLAN
 */
import { finalError, followTimeline } from './lifeos-client.js';

const [name, plan] = process.argv.slice(2);
const { connect } = await import(`./frontends/${name}.js`);
const url = process.env.LIFEOS_URL;

const api = connect({ url, token: process.env.LIFEOS_TOKEN });
say({ viewer: (await api.viewer()).name });
const { run, errors } = await api.submit({ plan: JSON.parse(plan) });
say({ run: run.id, errors });
for await (const { seq, type } of follow(api, run.id, { onLost: () => say({ lost: true }) })) say({ seq, type });
say({ state: (await api.run(run.id)).state });

const stranger = connect({ url, token: 'not-a-token-of-anybody' });
say({ query: await refusal(() => stranger.viewer()) });
say({ subscription: await refusal(() => follow(stranger, run.id).next()) });
say({ missing: await refusal(() => follow(api, 'run_00000000000000000000000000').next()) });
api.close();
stranger.close();

function follow(frontend, runId, options) {
  return frontend.followRun?.(runId, options) ?? followTimeline(frontend.subscribe, runId, options);
}

async function refusal(ask) {
  try {
    await ask();
    return 'none';
  } catch (reason) {
    return finalError(reason)?.code ?? String(reason);
  }
}

function say(line) {
  console.log(JSON.stringify(line));
}
