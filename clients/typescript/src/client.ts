import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { print } from 'graphql';
import { type Client as SocketClient, createClient } from 'graphql-ws';

import { LifeOSError, Rejected } from './errors.js';
import { type FollowOptions, followTimeline, type TimelineEvent } from './follow.js';
import * as documents from './generated/graphql.js';
import { Inbox, type Sink } from './inbox.js';

export interface LifeOSOptions {
  /** Where the server is, like `http://127.0.0.1:8000`. */
  url: string;
  /** Whom to speak as. In a browser that is signed in by its cookie there is no need for it. */
  token?: string | undefined;
  /** Instead of the platform's own; older versions of node have none, and the `ws` package is used there. */
  webSocketImpl?: unknown;
}

/** A connection to one server as one user. It holds a socket only while something is followed. */
export class LifeOS {
  private readonly endpoint: URL;
  private readonly token: string | undefined;
  private readonly webSocketImpl: unknown;
  private sockets: Promise<SocketClient> | undefined;

  constructor({ url, token, webSocketImpl }: LifeOSOptions) {
    this.endpoint = new URL('graphql', url.endsWith('/') ? url : `${url}/`);
    this.token = token;
    this.webSocketImpl = webSocketImpl;
  }

  /** Starts a run. The same idempotency key with the same input answers with the same run. */
  async submit(input: documents.SubmitWorkflowInput): Promise<documents.RunFieldsFragment> {
    const { submitWorkflow } = await this.request(documents.SubmitWorkflowDocument, { input });
    return changed(submitWorkflow.run, submitWorkflow.errors);
  }

  /** A run with its steps; null if there is none that you may see. */
  async run(id: string): Promise<documents.RunQuery['run']> {
    return (await this.request(documents.RunDocument, { id })).run;
  }

  /** A run's events, each exactly once and in order, across lost connections, until the run has ended. */
  followRun(runId: string, options: FollowOptions = {}): AsyncGenerator<TimelineEvent, void, undefined> {
    return followTimeline((variables, sink) => this.timeline(variables, sink), runId, options);
  }

  /** What waits for your decision, oldest first. */
  async openApprovals(runId?: string): Promise<documents.ApprovalFieldsFragment[]> {
    const found: documents.ApprovalFieldsFragment[] = [];
    const filter = { statuses: ['REQUIRED' as const], runId: runId ?? null };
    for (let after: string | null = null, more = true; more; ) {
      const page: documents.ApprovalsQuery = await this.request(documents.ApprovalsDocument, { filter, first: 100, after });
      found.push(...page.approvals.nodes);
      after = page.approvals.pageInfo.endCursor;
      more = page.approvals.pageInfo.hasNextPage;
    }
    return found.reverse();
  }

  /** Decides an approval. With `argsDigest` the decision counts only for exactly the arguments that were shown. */
  async decide(input: documents.DecideApprovalInput): Promise<documents.ApprovalFieldsFragment> {
    const { decideApproval } = await this.request(documents.DecideApprovalDocument, { input });
    return changed(decideApproval.approval, decideApproval.errors);
  }

  /** The result of a query or a mutation. */
  async request<R, V>(document: TypedDocumentNode<R, V>, variables: V): Promise<R> {
    const response = await fetch(this.endpoint, {
      method: 'POST',
      headers: {
        accept: 'application/graphql-response+json, application/json;q=0.9',
        'content-type': 'application/json',
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
      },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const answer = (await response.json().catch(() => ({}))) as Answer<R>;
    return dataOf(answer, `HTTP ${response.status}`);
  }

  /**
   * The results of a subscription, over a socket. A connection that breaks ends it with an error: `followRun` goes
   * on by itself.
   */
  async *subscribe<R, V extends Record<string, unknown>>(
    document: TypedDocumentNode<R, V>,
    variables: V,
  ): AsyncGenerator<R, void, undefined> {
    const inbox = new Inbox<R>();
    const unsubscribe = this.listen(document, variables, inbox);
    try {
      for (let result = await inbox.take(); result !== undefined; result = await inbox.take()) yield result;
    } finally {
      unsubscribe();
    }
  }

  private timeline(variables: { runId: string; after: string | null }, sink: Sink<TimelineEvent>): () => void {
    return this.listen(documents.TimelineDocument, variables, {
      next: ({ timeline }) => sink.next(timeline),
      error: (reason) => sink.error(reason),
      complete: () => sink.complete(),
    });
  }

  private listen<R, V extends Record<string, unknown>>(
    document: TypedDocumentNode<R, V>,
    variables: V,
    sink: Sink<R>,
  ): () => void {
    let isLeft = false;
    let unsubscribe = () => {
      isLeft = true;
    };
    this.sockets ??= this.openSockets();
    this.sockets.then((client) => {
      if (isLeft) return;
      unsubscribe = client.subscribe<R>(
        { query: print(document), variables },
        {
          next(answer) {
            try {
              sink.next(dataOf(answer as Answer<R>, 'the subscription'));
            } catch (reason) {
              sink.error(reason);
            }
          },
          error: (reason) => sink.error(reason),
          complete: () => sink.complete(),
        },
      );
    }, sink.error.bind(sink));
    return () => unsubscribe();
  }

  private async openSockets(): Promise<SocketClient> {
    const url = new URL(this.endpoint);
    url.protocol = url.protocol.replace('http', 'ws');
    return createClient({
      url: url.href,
      webSocketImpl: this.webSocketImpl ?? globalThis.WebSocket ?? (await import('ws')).WebSocket,
      ...(this.token === undefined ? {} : { connectionParams: { authorization: `Bearer ${this.token}` } }),
      connectionAckWaitTimeout: 10_000,
      // Its own retries would begin each subscription anew; ours go on from the last cursor.
      retryAttempts: 0,
    });
  }
}

interface Answer<R> {
  data?: R | null;
  errors?: readonly { message: string; extensions?: { code?: string } | undefined }[];
}

function dataOf<R>(answer: Answer<R>, source: string): R {
  const error = answer.errors?.[0];
  if (error !== undefined) throw new LifeOSError(error.message, error.extensions?.code ?? 'INTERNAL');
  if (answer.data === undefined || answer.data === null) {
    throw new LifeOSError(`${source} is no answer of a Life OS server`, 'INTERNAL');
  }
  return answer.data;
}

function changed<T>(value: T | null, errors: readonly documents.UserErrorFieldsFragment[]): T {
  if (errors.length > 0 || value === null) throw new Rejected(errors);
  return value;
}
