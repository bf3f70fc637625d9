import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';

// Where the page came from is where the API is, below whatever prefix a proxy has put it.
const address = window.location.pathname.startsWith('/src/') ? '/graphql' : window.location.pathname;
const endpoint = new URL(address, window.location.href);
const socketEndpoint = new URL(endpoint);
socketEndpoint.protocol = endpoint.protocol.replace('http', 'ws');

const EARLIER_SHOWN = 50;
const FORBIDDEN = 4403;

/**
 * Sends an operation: queries and mutations by POST, subscriptions over a socket.
 *
 * The sign-in cookie goes with both by itself. A token in the headers editor
 * (`{"Authorization": "Bearer …"}`) goes with both too, so that one can try what another user sees.
 */
export function fetcher({ query, variables, operationName }, { headers = {} } = {}) {
  // What GraphiQL knows of the document lags behind fast typing: a name that is no longer there is none.
  const operations = operationsIn(query);
  const chosen = operations.find(({ name }) => name?.value === operationName);
  const operation = { query, variables, operationName: chosen && operationName };
  const kind = (chosen ?? operations[0])?.operation;
  return kind === 'subscription' ? subscription(operation, headers) : post(operation, headers);
}

function operationsIn(query) {
  try {
    return parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  } catch {
    return []; // The server says what is wrong with it.
  }
}

async function post(operation, headers) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(operation),
  });
  if (response.headers.get('content-type')?.includes('json')) return response.json();
  const text = (await response.text()).slice(0, 500);
  return { errors: [{ message: `HTTP ${response.status}: ${text}` }] };
}

/**
 * An observable of results, each with those before it, newest first, in its extensions:
 * the pane shows one result at a time, and a timeline is more than its last event.
 */
function subscription(operation, headers) {
  return {
    subscribe(observer) {
      let received = [];
      const client = createClient({
        url: socketEndpoint.href,
        connectionParams: lowerCased(headers),
        connectionAckWaitTimeout: 10_000,
        // A server that restarts refuses connections for a while; one that refuses this user means it.
        shouldRetry: (reason) => reason.code !== FORBIDDEN,
        // A connection that was lost and made again tells the story from its start.
        on: { connected: () => { received = []; } },
      });
      const unsubscribe = client.subscribe(operation, {
        next(result) {
          observer.next(withEarlier(result, received));
          received = [result, ...received.slice(0, EARLIER_SHOWN - 1)];
        },
        error: (reason) => observer.error(explained(reason)),
        complete: () => observer.complete(),
      });
      return { unsubscribe };
    },
  };
}

function withEarlier(result, received) {
  if (received.length === 0) return result;
  const earlier = received.map(({ data, errors }) => (errors ? { data, errors } : data));
  return { ...result, extensions: { ...result.extensions, earlier } };
}

function explained(reason) {
  if (!(reason instanceof Event)) return reason;
  if (!(reason instanceof CloseEvent)) return { message: 'The server does not answer.' };
  if (reason.code !== FORBIDDEN) return { message: `The server closed the socket: ${reason.code} ${reason.reason}`.trim() };
  return { message: 'Not signed in (any more): open the address that “lifeos serve” printed.' };
}

function lowerCased(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
