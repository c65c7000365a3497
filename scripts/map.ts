/** Writes docs/map.md. Never here: what the page says (scripts/map-page.ts). */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mapPage, mappedRooms } from './map-page.ts'

const root = join(import.meta.dirname, '..')
const paths = mappedRooms.flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map(
    (path) => `${room}/${path.replaceAll('\\', '/')}`,
  ),
)
const files = paths
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
writeFileSync(join(root, 'docs', 'map.md'), mapPage(files))
