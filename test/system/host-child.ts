/**
 * The process that a host is: miniflare over a bundled Worker. Leads a process group of its own, so that one signal reaches
 * it and its workerd; when whoever started it is gone, it takes the group with it. Never here: a decision about the Worker.
 */
import { readFileSync } from 'node:fs'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from 'miniflare'

// The channel closes even when the parent died by SIGKILL.
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))

// Written by test/system/host.ts for this process alone.
const { quiet, ...options } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as V4MiniflareOptions & {
  readonly quiet?: boolean
}

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...options,
    log: new Log(LogLevel.WARN),
    handleStructuredLogs: ({ level, message }) => {
      if (quiet !== true) process.stdout.write(`${level} ${message}\n`)
    },
  }),
)
process.send?.({ url: (await miniflare.ready).origin })
