/** The browser's storage, except for the headers that GraphiQL's history would keep there: they may hold a token. */
export const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, HISTORIES.includes(key) ? withoutHeaders(value) : value),
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => ownKeys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};

const HISTORIES = ['graphiql:queries', 'graphiql:favorites'];

// An operation's variables stand in there as text, so this reaches only the headers beside them.
const withoutHeaders = (history) => JSON.stringify(JSON.parse(history), (key, value) => (key === 'headers' ? undefined : value));

const ownKeys = () => Object.keys(localStorage).filter((key) => key.startsWith('graphiql:'));
