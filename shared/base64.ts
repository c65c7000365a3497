/** Bytes as base64 text (RFC 4648, section 4, padded) and back. Never here: base64url, and no throw on garbage. */

// String.fromCharCode takes its bytes as arguments, and engines bound how many those may be.
const chunkBytes = 8_192

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += chunkBytes)
    binary += String.fromCharCode(...bytes.subarray(at, at + chunkBytes))
  return btoa(binary)
}

const shape = /^[A-Za-z0-9+/]*={0,2}$/

/** Undefined for what is not base64. `atob` alone would let spaces and missing padding pass, and throw on the rest. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !shape.test(text)) return undefined
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}
