import { finalError } from './errors.js';
import type { EventFieldsFragment } from './generated/graphql.js';
import { Inbox, type Sink } from './inbox.js';

/** One event of a run's timeline. */
export type TimelineEvent = EventFieldsFragment;

/** What it takes to go on with a timeline after an event. */
export type Place = Pick<TimelineEvent, 'cursor' | 'seq'>;

/** Starts one subscription to a run's timeline after a cursor, and gives back what ends it. */
export type SubscribeTimeline<E extends Place = TimelineEvent> = (
  variables: { runId: string; after: string | null },
  sink: Sink<E>,
) => () => void;

export interface FollowOptions {
  /** The cursor of the last event that you have; from the first one on if left out. */
  after?: string | null | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
  /** Called with the reason for which a connection broke, before it is replaced. */
  onLost?: ((reason: unknown) => void) | undefined;
  /** How long one outage may last before its reason is thrown; two minutes if left out. */
  patienceMs?: number | undefined;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** A connection that held this long was a good one: what broke it is a new outage. */
const GOOD_AFTER_MS = 20_000;

/**
 * A run's events after a cursor, each exactly once and in order, until the run has ended.
 *
 * A connection that breaks is replaced from the last event's cursor. What trying again can't change (a wrong token,
 * a run that is not there) is thrown at once, as a LifeOSError.
 */
export async function* followTimeline<E extends Place>(
  subscribe: SubscribeTimeline<E>,
  runId: string,
  options: FollowOptions = {},
): AsyncGenerator<E, void, undefined> {
  const { signal, onLost, patienceMs = 120_000 } = options;
  let after = options.after ?? null;
  let seq: number | undefined;
  let longest = FIRST_DELAY_MS;
  let outageSince: number | undefined;
  while (signal?.aborted !== true) {
    const begunAt = Date.now();
    const inbox = new Inbox<E>();
    const leave = () => inbox.complete();
    signal?.addEventListener('abort', leave, { once: true });
    const unsubscribe = subscribe({ runId, after }, inbox);
    try {
      for (let event = await inbox.take(); event !== undefined; event = await inbox.take()) {
        if (seq !== undefined && event.seq <= seq) continue;
        if (seq !== undefined && event.seq > seq + 1) throw new Error(`event ${seq + 1} is missing before ${event.seq}`);
        after = event.cursor;
        seq = event.seq;
        longest = FIRST_DELAY_MS;
        outageSince = undefined;
        yield event;
      }
      return;
    } catch (reason) {
      const final = finalError(reason);
      if (final !== undefined) throw final;
      if (outageSince === undefined || Date.now() - begunAt > GOOD_AFTER_MS) outageSince = Date.now();
      if (Date.now() - outageSince > patienceMs) throw reason;
      onLost?.(reason);
    } finally {
      signal?.removeEventListener('abort', leave);
      unsubscribe();
    }
    // With full jitter, so that many followers don't come back at once.
    await pause(Math.random() * longest, signal);
    longest = Math.min(longest * 2, LONGEST_DELAY_MS);
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
