export { LifeOS, type LifeOSOptions } from './client.js';
export { finalError, LifeOSError, Rejected } from './errors.js';
export {
  type FollowOptions,
  followTimeline,
  type Place,
  type SubscribeTimeline,
  type TimelineEvent,
} from './follow.js';
export type { Sink } from './inbox.js';
/** Every operation, its types, and the API's own: for `LifeOS.request`, and for clients like Apollo's and urql. */
export * from './generated/graphql.js';
