/**
 * Submits a sentence and follows the run to its end, whatever connections break in between.
 *
 *     LIFEOS_TOKEN=… node example/dist/follow.js "plan groceries for 3 people"
 */
import { LifeOS, LifeOSError, type TimelineEvent } from 'lifeos-client';

const [intent] = process.argv.slice(2);
if (intent === undefined) {
  console.error('usage: follow "what you want done"');
  process.exit(2);
}

const lifeos = new LifeOS({
  url: process.env['LIFEOS_URL'] ?? 'http://127.0.0.1:8000',
  token: process.env['LIFEOS_TOKEN'],
});

try {
  const run = await lifeos.submit({ intent });
  for await (const event of lifeos.followRun(run.id, { onLost: () => console.error('… connecting again') })) {
    console.log(line(event));
  }
  for (const { key, state, result } of (await lifeos.run(run.id))?.steps ?? []) {
    console.log(`${key}: ${state}`, JSON.stringify(result));
  }
} catch (error) {
  if (!(error instanceof LifeOSError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}

function line({ seq, type, message, approvalId }: TimelineEvent): string {
  const hint = type === 'APPROVAL_REQUIRED' ? `\n    decide it: lifeos decide ${approvalId} approve` : '';
  return `${String(seq).padStart(4)}  ${type.padEnd(26)} ${message}${hint}`;
}
