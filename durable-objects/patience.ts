/** Waiting for a queue, but not for ever. Never here: trying again, which is the alarm's work. */

// A queue send has been seen to hang for a minute (cloudflare/workerd issue 6053).
const patienceMs = 5_000

/** A send that fails or hangs is no loss: the release is repeated by the alarm. It is only said. */
export async function patiently(sending: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const patience = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), patienceMs)
  })
  try {
    if ((await Promise.race([sending, patience])) === 'late') say('the queue did not answer in time')
  } catch (error) {
    say(String(error))
  } finally {
    if (timer !== undefined) clearTimeout(timer)
  }
}

function say(note: string): void {
  console.warn(JSON.stringify({ step: 'agent.send', note, next: 'the alarm repeats it' }))
}
