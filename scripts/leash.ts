/**
 * Loaded into wrangler before anything of its own (`--import`): when the process that started it is gone, even by SIGKILL,
 * the channel between them closes, and wrangler ends as at a SIGTERM instead of holding the port. Never here: anything else.
 */
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
