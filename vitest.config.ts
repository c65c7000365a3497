/** How the tests run. Never here: a test. */
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

// A machine that others load as well is slow, not wrong: no test passes or fails by how long it takes, short of hanging.
const patienceMs = 60_000
const patient = { poll: { timeout: patienceMs / 2 } }

// Three projects: pure code in Node (milliseconds), the shells in real workerd, the whole over real HTTP with real processes.
export default defineConfig({
  test: {
    // The Worker logs every step; only what a failing test said is worth reading.
    silent: 'passed-only',
    // Left alone, one core is not used: half the machine, where there are two.
    maxWorkers: '100%',
    // V8 coverage does not see into workerd; Istanbul instruments the source and does.
    coverage: {
      provider: 'istanbul',
      include: ['workers/**', 'durable-objects/**', 'shared/**', 'agents/**'],
      reporter: ['text-summary', 'html'],
    },
    projects: [
      {
        resolve: {
          alias: { 'cloudflare:workers': new URL('./test/simulator/cloudflare-workers.ts', import.meta.url).pathname },
        },
        test: {
          name: 'pure',
          include: [
            'test/shared/**/*.test.ts',
            'test/simulator/**/*.test.ts',
            'test/*.test.ts',
            'test/agents/**/*.test.ts',
            'test/scripts/**/*.test.ts',
          ],
          environment: 'node',
          testTimeout: patienceMs,
          expect: patient,
          hookTimeout: patienceMs,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                SWITCHBOARD_ADMIN_KEY: 'test-admin-key',
                SWITCHBOARD_DEV: '1',
                SWITCHBOARD_PATIENCE_SECONDS: '0',
              },
            },
          }),
        ],
        test: {
          name: 'workerd',
          testTimeout: patienceMs,
          expect: patient,
          hookTimeout: patienceMs,
          // Hostile calls to each operation (test/workers/fuzz.test.ts).
          provide: {
            fuzz: { runs: Number(process.env['FUZZ_RUNS'] ?? 5), seed: Number(process.env['FUZZ_SEED'] ?? 20) },
          },
          include: ['test/workers/**/*.test.ts', 'test/durable-objects/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          environment: 'node',
          testTimeout: patienceMs,
          expect: patient,
          hookTimeout: patienceMs,
          // They wait more than they work, but each starts processes of its own.
          maxWorkers: 2,
          // After the others: its processes should not compete with them for the machine.
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
