/**
 * What `wrangler types` cannot know: secrets. They are set with `wrangler secret put` (locally: .dev.vars) and may be
 * missing, so they are optional here, and the generated types never depend on whose .dev.vars was lying about.
 * Never here: bindings and variables, which are generated from wrangler.toml.
 */

interface Secrets {
  /** Without it the Worker serves nobody and says how to set one. */
  readonly SWITCHBOARD_ADMIN_KEY?: string
  /** A collector of spans: the whole URL, as `https://collector.example.com/v1/traces`. Without it there are none. */
  readonly SWITCHBOARD_OTLP_URL?: string
  /** What it is sent with: `name=value,name=value`, values percent-encoded. */
  readonly SWITCHBOARD_OTLP_HEADERS?: string
}

declare namespace Cloudflare {
  interface Env extends Secrets {}
}

interface Env extends Secrets {}
