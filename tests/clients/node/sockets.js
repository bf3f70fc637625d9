import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

/** What frontends put under their network layer: the token goes with `connection_init`, and nothing retries by itself. */
export function socketClient({ url, token }) {
  return createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
}
