/**
 * What `wrangler types` cannot know: secrets. They are set with `wrangler secret put` (locally: .dev.vars) and may be
 * missing, so they are optional here, and the generated types never depend on whose .dev.vars was lying about.
 * Never here: bindings and variables, which are generated from wrangler.toml.
 */

interface Secrets {
  /** Without it the Worker serves nobody and says how to set one. */
  readonly SWITCHBOARD_ADMIN_KEY?: string
}

declare namespace Cloudflare {
  interface Env extends Secrets {}
}

interface Env extends Secrets {}
