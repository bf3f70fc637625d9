import approvals from './approvals.graphql?raw';
import decide from './decide.graphql?raw';
import decideVariables from './decide.json?raw';
import overview from './overview.graphql?raw';
import preview from './preview.graphql?raw';
import previewVariables from './preview.json?raw';
import submit from './submit.graphql?raw';
import submitVariables from './submit.json?raw';
import timeline from './timeline.graphql?raw';
import timelineVariables from './timeline.json?raw';

const tab = (query, variables) => ({ query: query.trimEnd(), variables: variables?.trimEnd() ?? null });

/** One tab each, in the order in which one tries them. GraphiQL drops the variables of the first: it has none. */
export const examples = [
  tab(overview),
  tab(preview, previewVariables),
  tab(submit, submitVariables),
  tab(timeline, timelineVariables),
  tab(approvals),
  tab(decide, decideVariables),
];

export const newTab = `# A new operation. Ctrl+Space completes, Ctrl+Enter runs it.
# The book on the left is the documentation.

`;
