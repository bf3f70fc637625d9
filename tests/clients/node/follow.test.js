/** followTimeline against subscriptions that break as servers and networks do: `node --test`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { finalError, followTimeline, LifeOSError } from './lifeos-client.js';

const event = (seq) => ({ seq, cursor: `c${seq}` });
const CLOSED = { code: 1012, reason: 'Service Restart' };

/** A source that answers each subscription by its script, and keeps from where it was asked to go on. */
function source(...scripts) {
  const asked = [];
  const left = [];
  const subscribe = ({ after }, sink) => {
    asked.push(after);
    const script = scripts[Math.min(asked.length, scripts.length) - 1];
    queueMicrotask(() => script(sink));
    return () => left.push(after);
  };
  return { subscribe, asked, left };
}

async function all(events) {
  const seen = [];
  for await (const { seq } of events) seen.push(seq);
  return seen;
}

const sends = (seqs, end) => (sink) => {
  for (const seq of seqs) sink.next(event(seq));
  if (end === 'complete') sink.complete();
  else if (end) sink.error(end);
};

test('goes on from the last event, and tells what broke', async () => {
  const { subscribe, asked, left } = source(sends([1, 2], CLOSED), sends([], CLOSED), sends([3], 'complete'));
  const lost = [];

  const seen = await all(followTimeline(subscribe, 'run', { onLost: (reason) => lost.push(reason) }));

  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(asked, [null, 'c2', 'c2']);
  assert.deepEqual(left, asked);
  assert.deepEqual(lost, [CLOSED, CLOSED]);
});

test('drops what comes twice, and asks again for what is missing', async () => {
  const { subscribe, asked } = source(sends([1, 2, 2, 1, 4], undefined), sends([2, 3, 4], 'complete'));

  assert.deepEqual(await all(followTimeline(subscribe, 'run')), [1, 2, 3, 4]);
  assert.deepEqual(asked, [null, 'c2']);
});

test('throws at once what asking again can not change', async () => {
  for (const reason of [
    { code: 4403, reason: 'Forbidden' },
    [{ message: 'no', extensions: { code: 'NOT_FOUND' } }],
    new Error('Socket closed with event 4403 Forbidden'),
    Object.assign(new Error('401'), { response: { status: 401 } }),
    Object.assign(new Error('[GraphQL] no'), { graphQLErrors: [{ message: 'no', extensions: { code: 'FORBIDDEN' } }] }),
  ]) {
    const { subscribe, asked } = source(sends([1], reason));

    await assert.rejects(all(followTimeline(subscribe, 'run')), LifeOSError);
    assert.equal(asked.length, 1);
  }
});

test('takes a database that is away for an outage like any other', () => {
  const away = { message: 'away', extensions: { code: 'UNAVAILABLE' } };

  for (const reason of [CLOSED, { code: 1006 }, [away], { networkError: { cause: new Error('ECONNREFUSED') } }, undefined]) {
    assert.equal(finalError(reason), undefined);
  }
});

test('gives up when an outage outlasts the patience', async () => {
  const { subscribe, asked } = source(sends([1], CLOSED), sends([], CLOSED));

  await assert.rejects(all(followTimeline(subscribe, 'run', { patienceMs: 50 })), (reason) => reason === CLOSED);
  assert.ok(asked.length >= 2);
});

test('ends with its signal, while it waits for an event and while it waits to connect', async () => {
  for (const script of [sends([1], undefined), sends([1], CLOSED)]) {
    const { subscribe, asked, left } = source(script, sends([], CLOSED));
    const leaving = new AbortController();
    const seen = [];

    for await (const { seq } of followTimeline(subscribe, 'run', { signal: leaving.signal })) {
      seen.push(seq);
      setImmediate(() => leaving.abort());
    }

    assert.deepEqual(seen, [1]);
    assert.deepEqual(left, asked);
  }
});

test('ends the subscription when the reader leaves', async () => {
  const { subscribe, left } = source(sends([1, 2], undefined));

  for await (const _ of followTimeline(subscribe, 'run')) break;

  assert.deepEqual(left, [null]);
});
