/**
 * `npm start`: the platform on this machine, until it is told to stop. PORT (8787) and STATE_DIR (.wrangler/state) say where.
 * Never here: the platform (workers/), or how wrangler is run (scripts/local.ts).
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { adminKeyName, ensureAdminKey } from './dev-vars.ts'
import { devVarsPath, type LocalPlatform, passedOnLines, projectRoot, startLocal, tryPort } from './local.ts'

process.exitCode = await main()

async function main(): Promise<number> {
  const port = Number(process.env.PORT ?? 8_787)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return refuse(`PORT=${process.env.PORT} is not a port number.`)
  if ((await tryPort(port)) === undefined)
    return refuse(`Port ${port} of 127.0.0.1 is taken. Use another: PORT=${port + 1} npm start`)
  const admin = ensureAdminKey(devVarsPath, process.env)
  if (admin.origin === 'made') console.log(`Made a development admin key: ${admin.key}`)
  // Absolute: wrangler reads a relative one from the project, a person means it from where they are.
  const stateDir = process.env.STATE_DIR
    ? resolve(process.env.INIT_CWD ?? '.', process.env.STATE_DIR)
    : join(projectRoot, '.wrangler/state')
  const scratch = mkdtempSync(join(tmpdir(), 'switchboard-start-'))
  try {
    return await serve(port, stateDir, varFiles(scratch), admin.origin)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function serve(port: number, stateDir: string, files: readonly string[], origin: string): Promise<number> {
  const platform = startLocal({ port, stateDir, varFiles: files, output: 'inherit' })
  let told = false
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      told = true
      void platform.stop()
    })
  try {
    await platform.ready
    if (!told) console.log(welcome(platform, stateDir, origin))
  } catch (error) {
    if (!told) console.error(error instanceof Error ? error.message : error)
  }
  const code = await platform.ended
  await platform.stop()
  // Ending when told to is no failure; ending by itself is, whatever wrangler calls it.
  return told ? 0 : code || 1
}

/** None where the environment says nothing: wrangler then reads .dev.vars by itself, and again when it changes. */
function varFiles(scratch: string): string[] {
  const lines = passedOnLines(process.env)
  if (lines === '') return []
  const path = join(scratch, 'environment.vars')
  writeFileSync(path, lines, { mode: 0o600 })
  // A missing file ends the process before wrangler is even asked.
  return existsSync(devVarsPath) ? [devVarsPath, path] : [path]
}

function welcome({ url }: LocalPlatform, stateDir: string, origin: string): string {
  const from = origin === 'environment' ? 'the environment' : relative(process.cwd(), devVarsPath)
  const key = origin === 'environment' ? `$${adminKeyName}` : `$(sed -n 's/^${adminKeyName}=//p' ${from})`
  const data =
    '{"to":"researcher","type":"research.request","data":{"question":"Who waits?","documents":[{"path":"a.md","text":"Mail waits in the mailbox."}]}}'
  return `
Switchboard is ready at ${url}

  Admin key      ${adminKeyName} in ${from}
  First message  curl -s ${url}/v1/messages \\
                   -H "authorization: Bearer ${key}" \\
                   -H 'content-type: application/json' \\
                   -d '${data}'
  Receipts       ${url}/v1/deliveries/{id}, with the id that the answer gives (same header)
  Reference      ${url}/docs and ${url}/openapi.json
  State          ${relative(process.cwd(), stateDir) || '.'} (a restart finds it again; delete it to begin afresh)
  Main job       npm run demo -- --question "…" [files or folders]

Stop with Ctrl-C.
`
}

function refuse(reason: string): number {
  console.error(reason)
  return 2
}
