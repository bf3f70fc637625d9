import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: '../static',
    emptyOutDir: true,
    target: 'es2022',
    // The page's Content-Security-Policy allows what comes from the server itself: no data: scripts, no inline polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 5000,
    reportCompressedSize: false,
    rolldownOptions: {
      // Directives for React's compiler and servers, which mean nothing in a browser: a hundred lines of noise.
      onwarn: (warning, warn) => warning.code === 'MODULE_LEVEL_DIRECTIVE' || warn(warning),
    },
  },
  worker: { format: 'es' },
  experimental: {
    // The page is served at …/graphql and its assets at …/console/: relative addresses keep working below a proxy's prefix.
    renderBuiltUrl: (filename, { hostType }) => (hostType === 'html' ? `console/${filename}` : { relative: true }),
  },
  server: {
    proxy: { '/graphql': { target: process.env.LIFEOS_URL ?? 'http://127.0.0.1:8000', ws: true } },
  },
});
