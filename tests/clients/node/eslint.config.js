/**
 * The rules for the API's own language, all that there are: those left out or loosened have their reason.
 *
 *     eslint --config tests/clients/node/eslint.config.js schema/schema.graphql
 */
import graphql from '@graphql-eslint/eslint-plugin';

const { rules: all } = graphql.configs['flat/schema-all'];
const { rules: relay } = graphql.configs['flat/schema-relay'];

const LEFT_OUT = [
  // Fields stand in the order in which people ask: what it is, where it stands, what belongs to it.
  'alphabetize',
  // It forbids mutations and subscriptions as such.
  'no-root-type',
  // A payload says what changed and what was wrong; whoever wants more sends a query with it.
  'require-field-of-type-query-in-mutation-result',
  // A root field that fails has no sibling to spare, and null has a meaning here: it is not there, or not for you.
  'require-nullable-result-in-root',
];

const STRICTER = {
  // Everything is described, not types alone.
  'require-description': [
    'error',
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
      DirectiveDefinition: true,
    },
  ],
};

const LOOSENED = {
  // Lists are read forward, newest first; nobody has asked to read one from its end.
  'relay-arguments': ['error', { includeBoth: false }],
  'relay-edge-types': [
    'error',
    {
      withEdgeSuffix: true,
      // An event or a line of the audit log is known by its cursor: there is nothing to fetch again.
      shouldImplementNode: false,
      // What is bounded by its plan or its step is a plain list; what can grow without end is a connection.
      listTypeCanWrapOnlyEdgeType: false,
    },
  ],
  'strict-id-in-types': [
    'error',
    {
      exceptions: {
        // Values within something that has an id, and what is known by its name, key or cursor.
        types: [
          'Error',
          'UserError',
          'PageInfo',
          'Progress',
          'PlanPreview',
          'PlannedStep',
          'TimelineEvent',
          'Tool',
          'ArgOrigin',
          'PlannedOrigin',
        ],
        suffixes: ['Connection', 'Edge', 'Payload'],
      },
    },
  ],
};

export default [
  {
    files: ['**/*.graphql'],
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: process.env.SDL ?? 'schema/schema.graphql' } },
    },
    plugins: { '@graphql-eslint': graphql },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      ...all,
      ...relay,
      ...named({ ...STRICTER, ...LOOSENED }),
      ...named(Object.fromEntries(LEFT_OUT.map((rule) => [rule, 'off']))),
    },
  },
];

function named(rules) {
  return Object.fromEntries(Object.entries(rules).map(([rule, setting]) => [`@graphql-eslint/${rule}`, setting]));
}
