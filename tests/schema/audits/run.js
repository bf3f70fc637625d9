// Every audit of the GraphQL-over-HTTP specification against one server: `node run.js URL TOKEN`.
// Prints one line of JSON: how many there were, and those that did not pass.
import { serverAudits } from 'graphql-http';

const [url, token] = process.argv.slice(2);

const fetchFn = (address, options = {}) => {
  const headers = new Headers(options.headers);
  headers.set('authorization', `Bearer ${token}`);
  return fetch(address, { ...options, headers });
};

const failed = [];
const audits = serverAudits({ url, fetchFn });
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== 'ok') {
    failed.push(`${audit.id} ${audit.name}: ${result.reason}`);
  }
}
console.log(JSON.stringify({ audits: audits.length, failed }));
