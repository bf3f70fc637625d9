import type { UserErrorFieldsFragment } from './generated/graphql.js';

/** The server answered with an error; `code` says of which kind (`UNAUTHENTICATED`, `NOT_FOUND`, …). */
export class LifeOSError extends Error {
  override readonly name: string = 'LifeOSError';
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A mutation changed nothing; `errors` say what was wrong with its input. */
export class Rejected extends LifeOSError {
  override readonly name = 'Rejected';
  readonly errors: readonly UserErrorFieldsFragment[];

  constructor(errors: readonly UserErrorFieldsFragment[]) {
    super(errors.map(({ message }) => message).join('; '), errors[0]?.code ?? 'INVALID_INPUT');
    this.errors = errors;
  }
}

/** What a close code says about trying again: these won't change by it, all others may. */
const FINAL_CLOSES: ReadonlyMap<number, string> = new Map([
  [1009, 'LIMIT_EXCEEDED'],
  [4400, 'BAD_USER_INPUT'],
  [4401, 'UNAUTHENTICATED'],
  [4403, 'UNAUTHENTICATED'],
  [4406, 'BAD_USER_INPUT'],
  [4409, 'BAD_USER_INPUT'],
  [4429, 'LIMIT_EXCEEDED'],
]);
const FINAL_STATUSES: ReadonlyMap<number, string> = new Map([
  [400, 'BAD_USER_INPUT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
]);
const TRANSIENT = 'UNAVAILABLE';

/**
 * The error that it makes no sense to try again after, or undefined if it does: a connection that broke, a server
 * that restarts, a database that is away.
 *
 * It knows what graphql-ws, graphql-sse, Apollo Client, urql and Relay make of the server's errors and close codes.
 */
export function finalError(reason: unknown): LifeOSError | undefined {
  for (const each of causesOf(reason)) {
    const refused = refusal(each);
    if (refused !== undefined) return refused.code === TRANSIENT ? undefined : refused;
  }
  return undefined;
}

function refusal(reason: unknown): LifeOSError | undefined {
  if (reason instanceof LifeOSError) return reason;
  if (!isObject(reason)) return undefined;
  const message = typeof reason['message'] === 'string' ? reason['message'] : '';
  const extensions = reason['extensions'];
  if (isObject(extensions) && typeof extensions['code'] === 'string') {
    return new LifeOSError(message, extensions['code'], { cause: reason });
  }
  // A library may keep of the close event no more than a sentence with its code.
  const close = typeof reason['code'] === 'number' ? reason['code'] : Number(/\b(1009|44\d\d)\b/.exec(message)?.[1]);
  const closed = FINAL_CLOSES.get(close);
  if (closed !== undefined) {
    return new LifeOSError(`The server closed the socket (${close})`, closed, { cause: reason });
  }
  const response = reason['response'];
  const refused = isObject(response) ? FINAL_STATUSES.get(Number(response['status'])) : undefined;
  return refused === undefined ? undefined : new LifeOSError(message, refused, { cause: reason });
}

/** The reason and all that it wraps, innermost first: only there are the codes. */
function causesOf(reason: unknown, depth = 0): unknown[] {
  if (!isObject(reason) || depth > 5) return [];
  const within = Array.isArray(reason)
    ? reason
    : [reason['errors'], reason['graphQLErrors'], reason['networkError'], reason['source'], reason['cause']];
  return [...within.flatMap((each) => causesOf(each, depth + 1)), reason];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
