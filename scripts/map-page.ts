/**
 * docs/map.md, made from the files themselves: the first sentence of each opening comment (two when one says too little). So the map cannot say less, more or
 * other than the files do. Never here: reading or writing files.
 */

export interface MappedFile {
  readonly path: string
  readonly text: string
}

const rooms: Readonly<Record<string, string>> = {
  workers: 'Verbs. What the Worker does, one verb a file.',
  'durable-objects': 'Memory. One class for each noun that must remember, and what the classes share.',
  shared: 'Nouns. Schemas, types and pure functions: no platform, no clock, no dice.',
  agents: 'Handlers that run inside the Worker: yours, and the three that ship.',
  scripts: 'What `npm run` runs.',
  bench: 'What `npm run bench` measures.',
}
export const mappedRooms: readonly string[] = Object.keys(rooms)

export function mapPage(files: readonly MappedFile[]): string {
  const sections = Object.entries(rooms).map(([room, says]) => {
    const lines = files
      .filter((file) => file.path.startsWith(`${room}/`) && file.path.endsWith('.ts'))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map((file) => `- \`${file.path}\` ${firstSentence(file.text)}`)
    return [`## ${room}/`, '', says, '', ...lines].join('\n')
  })
  return `${['# Map', 'Made by `npm run map` from what each file says first.', ...sections].join('\n\n')}\n`
}

/** A comment that opens with a word and a full stop needs its next sentence too. */
const tellingLength = 40

/** The first sentence of the comment that opens the file; the ones after it only while that says too little. */
export function firstSentence(text: string): string {
  const comment = /^(?:#!.*\n)?\/\*\*?([\s\S]*?)\*\//.exec(text)?.[1] ?? /^((?:\/\/.*\n)+)/.exec(text)?.[1] ?? ''
  const plain = comment
    .split('\n')
    .map((line) => line.replace(/^\s*(?:\*|\/\/) ?/, '').trim())
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
  let told = ''
  for (const sentence of plain.split(/(?<=[.?!])\s+/)) {
    if (told.length >= tellingLength || (told !== '' && sentence.startsWith('Never here'))) break
    told = told === '' ? sentence : `${told} ${sentence}`
  }
  return told
}
