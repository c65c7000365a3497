/**
 * `npm start`: the platform on this machine, until it is told to stop. PORT (8787) and STATE_DIR (.wrangler/state) say where.
 * Never here: the platform (workers/), or how wrangler is run (scripts/local.ts).
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { adminKeyName, ensureAdminKey } from './dev-vars.ts'
import { devVarsPath, isFree, type LocalPlatform, passedOnLines, projectRoot, startLocal, whenTold } from './local.ts'

process.exitCode = await main()

async function main(): Promise<number> {
  const port = Number(process.env.PORT ?? 8_787)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return refuse(`PORT=${process.env.PORT} is not a port number.`)
  if (!(await isFree(port)))
    return refuse(`Port ${port} of 127.0.0.1 is taken. Use another: PORT=${port + 1} npm start`)
  const admin = ensureAdminKey(devVarsPath, process.env)
  if (admin.origin === 'made') console.log(`Made a development admin key: ${admin.key}`)
  // Absolute: wrangler reads a relative one from the project, a person means it from where they are.
  const stateDir = process.env.STATE_DIR
    ? resolve(process.env.INIT_CWD ?? '.', process.env.STATE_DIR)
    : join(projectRoot, '.wrangler/state')
  const scratch = scratchOf(passedOnLines(process.env))
  try {
    // Without a file wrangler reads .dev.vars by itself, and again when it changes.
    // A missing file would end Node, which reads this option too, before wrangler is asked.
    const varFiles = scratch === undefined ? [] : [devVarsPath, scratch.file].filter((file) => existsSync(file))
    return await serve(startLocal({ port, stateDir, varFiles, output: 'inherit' }), stateDir, admin.origin)
  } finally {
    if (scratch !== undefined) rmSync(scratch.dir, { recursive: true, force: true })
  }
}

async function serve(platform: LocalPlatform, stateDir: string, keyOrigin: string): Promise<number> {
  let told = false
  whenTold(() => {
    told = true
    void platform.stop()
  })
  try {
    await platform.ready
    if (!told) console.log(welcome(platform.url, stateDir, keyOrigin))
  } catch (error) {
    if (!told) console.error(error instanceof Error ? error.message : error)
  }
  const code = await platform.ended
  await platform.stop()
  // Ending when told to is no failure; ending by itself is, whatever wrangler calls it.
  return told ? 0 : code || 1
}

/** A file for what the environment says to the Worker; nothing where it says nothing. */
function scratchOf(lines: string): { readonly dir: string; readonly file: string } | undefined {
  if (lines === '') return undefined
  const dir = mkdtempSync(join(tmpdir(), 'switchboard-start-'))
  const file = join(dir, 'environment.vars')
  writeFileSync(file, lines, { mode: 0o600 })
  return { dir, file }
}

function welcome(url: string, stateDir: string, keyOrigin: string): string {
  const isGiven = keyOrigin === 'environment'
  const key = isGiven ? `$${adminKeyName}` : `$(sed -n 's/^${adminKeyName}=//p' ${shown(devVarsPath)})`
  return `
Switchboard is ready at ${url}

  Admin key      ${adminKeyName} in ${isGiven ? 'the environment' : shown(devVarsPath)}
  First message  curl -s ${url}/v1/messages \\
                   -H "authorization: Bearer ${key}" \\
                   -H 'content-type: application/json' -d '{
                     "to": "researcher", "type": "research.request",
                     "data": { "question": "Where does mail wait?", "documents": [
                       { "path": "note.md", "text": "Mail waits in the mailbox." } ] } }'
  Receipt        ${url}/v1/deliveries/{id}, with the id that the answer gives and the same key
  Page           ${url}/m/{id}, the same for people; log in with that key
  Reference      ${url}/docs and ${url}/openapi.json
  State          ${shown(stateDir)} (a restart finds it again; delete it to begin afresh)
  Main job       npm run demo -- --question "…" [files or folders]

Stop with Ctrl-C.
`
}

/** A path as it can be used from where the person is. */
function shown(path: string): string {
  const near = relative(process.env.INIT_CWD ?? process.cwd(), path)
  return near === '' || near.startsWith('..') ? path : near
}

function refuse(reason: string): number {
  console.error(reason)
  return 2
}
