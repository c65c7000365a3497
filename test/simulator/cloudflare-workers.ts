/** Stands for `cloudflare:workers` where the objects run outside workerd: the base class only keeps what it is given. */
export class DurableObject<Env = unknown> {
  protected readonly ctx: unknown
  protected readonly env: Env
  constructor(ctx: unknown, env: Env) {
    this.ctx = ctx
    this.env = env
  }
}
