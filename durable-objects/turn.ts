/**
 * A turn: what an object that is woken late waits for before it reads anything. After a restart a thousand are, all at once, and every
 * call would have to wait behind them. Never here: what it is woken for.
 */

// An alarm that is late by less is on time. To start the local platform takes longer than that.
const lateFromMs = 250
const withinMs = 2_000

/** For an alarm of an object that was made for it. Resolves at once, or, where the alarm is late already, within two seconds. */
export async function turn(lateMs: number, dice: () => number): Promise<void> {
  if (lateMs >= lateFromMs) await new Promise((resolve) => setTimeout(resolve, dice() * withinMs))
}
