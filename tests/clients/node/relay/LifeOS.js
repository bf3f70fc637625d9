/**
 * What the Relay compiler reads; the artifacts that it makes are what runs. Beside what the scenario needs, it asks for
 * all that Relay asks of a schema: a connection to page through, and a node to fetch again by its global id.
 */
const graphql = String.raw;

module.exports = [
  graphql`
    query LifeOSViewerQuery {
      viewer {
        id
        name
      }
    }
  `,
  graphql`
    query LifeOSRunQuery($id: ID!) {
      run(id: $id) {
        id
        state
        ...LifeOS_run
      }
    }
  `,
  graphql`
    query LifeOSRunsQuery {
      ...LifeOS_runs
    }
  `,
  graphql`
    mutation LifeOSSubmitMutation($input: SubmitWorkflowInput!) {
      submitWorkflow(input: $input) {
        run {
          id
          state
        }
        errors {
          code
          message
        }
      }
    }
  `,
  graphql`
    subscription LifeOSTimelineSubscription($runId: ID!, $after: String) {
      timeline(runId: $runId, after: $after) {
        cursor
        seq
        type
        message
      }
    }
  `,
  graphql`
    fragment LifeOS_runs on Query
    @refetchable(queryName: "LifeOSRunsPaginationQuery")
    @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" }) {
      runs(first: $first, after: $after) @connection(key: "LifeOS_runs") {
        edges {
          cursor
          node {
            id
            intent
          }
        }
      }
    }
  `,
  graphql`
    fragment LifeOS_run on Run @refetchable(queryName: "LifeOSRunRefetchQuery") {
      progress {
        succeeded
        total
      }
    }
  `,
];
