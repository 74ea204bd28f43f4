import { defineConfig } from "vite";

// Everything that the page loads is a file of its own with a hash in its name: the hub serves those as
// immutable, and the content security policy needs no exception (no inline script, style or data: URL).
export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, cssCodeSplit: false, target: "es2021", reportCompressedSize: false },
});
