import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { examples, newTab } from './examples';
import { fetcher } from './fetcher';
import { storage } from './storage';

// The examples open on the first visit; from then on GraphiQL finds its own tabs in the browser's storage.
createRoot(document.getElementById('console')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    defaultTabs={examples}
    defaultQuery={newTab}
    defaultEditorToolsVisibility="variables"
    inputValueDeprecation
    schemaDescription
    shouldPersistHeaders={false}
  >
    <GraphiQL.Logo>
      <span className="console-logo">Life OS</span>
    </GraphiQL.Logo>
  </GraphiQL>,
);
