/** The platform's clock and dice, as the objects use them. The simulator passes its own. */
import type { ChancePort } from '../shared/ports.ts'

export const chance: Pick<ChancePort, 'now' | 'random'> = {
  now: () => Date.now(),
  random: () => Math.random(),
}
