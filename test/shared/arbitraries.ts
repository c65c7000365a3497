/** What properties draw from. Never here: expectations. */
import fc from 'fast-check'

const codePoint = fc
  .integer({ min: 0, max: 0x10ffff })
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code))
const telling = fc.constantFrom(' ', '"', '\\', '%', ',', '=', '.', '_', '\0', '\n', '\u007f', '\u0080', 'ß', '€', '😀')

/** Any well-formed text, those characters often that formats trip over. (fast-check's own `binary` unit needs 0.6 s to begin.) */
export const anyText = (constraints: { readonly minLength?: number; readonly maxLength?: number } = {}) =>
  fc.string({ unit: fc.oneof(codePoint, telling, fc.constantFrom('a', 'b', '1')), ...constraints })

/** Any sequence of UTF-16 units, so lone surrogates too. */
export const anyUnits = fc
  .array(fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.constant(0x61)))
  .map((codes) => String.fromCharCode(...codes))
