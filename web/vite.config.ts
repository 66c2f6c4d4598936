// How the page is built: into dist/, which build.rs embeds in the binary. Names of assets hold a hash of their content, so that browsers may
// keep them for ever, and each file has its gzip beside it, so that the server compresses nothing.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** The server that `npm run dev` passes requests of the API on to. */
const SERVER = process.env.ASKLAKE_SERVER ?? "http://127.0.0.1:7071";

function gzip(): Plugin {
  return {
    name: "gzip",
    apply: "build",
    writeBundle({ dir }) {
      const folder = join(dir ?? "dist", "assets");
      for (const name of readdirSync(folder)) {
        const file = join(folder, name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

export default defineConfig(({ command }) => ({
  // Under the Functions host only /api/ reaches asklake.
  base: command === "build" ? "/api/" : "/",
  build: {
    target: "es2022",
    // Nothing is inlined: the content security policy admits files of this server alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "assets/licenses.md" },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1000,
  },
  plugins: [gzip()],
  server: { proxy: { "/api": SERVER } },
}));
