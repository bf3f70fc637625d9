/**
 * What Relay asks of a schema beside operations: pages of a connection come together in its store, and a node is fetched
 * again by its global id. Prints what its store then holds, as JSON.
 */
import relay from 'relay-runtime';

import { connect } from './frontends/relay.js';
import moreQuery from './relay/__generated__/LifeOSRunsPaginationQuery.graphql.js';
import refetchQuery from './relay/__generated__/LifeOSRunRefetchQuery.graphql.js';
import runsQuery from './relay/__generated__/LifeOSRunsQuery.graphql.js';
import runFragment from './relay/__generated__/LifeOS_run.graphql.js';
import runsFragment from './relay/__generated__/LifeOS_runs.graphql.js';

const { createOperationDescriptor, fetchQuery, getSelector } = relay;
const { environment, close } = connect({ url: process.env.LIFEOS_URL, token: process.env.LIFEOS_TOKEN });
// Nothing in a store without components keeps what was fetched; a retained operation does.
const first = createOperationDescriptor(runsQuery, {});
environment.retain(first);

await fetchQuery(environment, runsQuery, {}).toPromise();
const pages = [];
for (let { runs } = connection(); ; { runs } = connection()) {
  pages.push(runs.edges.map(({ node }) => node.intent));
  if (!runs.pageInfo.hasNextPage) break;
  await fetchQuery(environment, moreQuery, { first: 2, after: runs.pageInfo.endCursor }).toPromise();
}

const { id } = connection().runs.edges[0].node;
await fetchQuery(environment, refetchQuery, { id }).toPromise();
const refetched = createOperationDescriptor(refetchQuery, { id });
const { node } = environment.lookup(refetched.fragment).data;
const { data: run } = environment.lookup(getSelector(runFragment, node));
console.log(JSON.stringify({ pages, id, total: run.progress.total }));
close();

function connection() {
  const { data } = environment.lookup(first.fragment);
  return environment.lookup(getSelector(runsFragment, data)).data;
}
