/** The package beside this folder, built. */
export * from '../../../clients/typescript/dist/index.js';
