/** Text in Mermaid's diagrams, so that no name can end a label or begin something else. Never here: a diagram. */

/** Mermaid's own entities: `#` and the code. */
export function escaped(text: string): string {
  return text.replace(/[^\p{L}\p{N} _.,()*[\]✓-]/gu, (character) => `#${character.codePointAt(0)};`)
}

/** Its media type, as IANA has it. */
export const mermaidType = 'text/vnd.mermaid'
