/** Decides what waits in one run, with the TypeScript client. */
import { LifeOS, Rejected } from './lifeos-client.js';

const [runId] = process.argv.slice(2);
const lifeos = new LifeOS({ url: process.env.LIFEOS_URL, token: process.env.LIFEOS_TOKEN });

const [approval] = await lifeos.openApprovals(runId);
console.log(approval.status, JSON.stringify(approval.proposedArgs));
const decision = { approvalId: approval.id, decision: 'APPROVE' };
await lifeos.decide({ ...decision, argsDigest: '0'.repeat(64) }).catch((error) => {
  if (!(error instanceof Rejected)) throw error;
  console.log(error.code);
});
console.log((await lifeos.decide({ ...decision, argsDigest: approval.argsDigest })).status);
for await (const _ of lifeos.followRun(runId)) continue;
console.log((await lifeos.run(runId)).state);
