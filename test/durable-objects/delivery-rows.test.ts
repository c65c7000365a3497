/** The laws of the rows of deliveries, on workerd's own SQLite. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe } from 'vitest'
import type { StoragePort } from '../../shared/ports.ts'
import { rowLaws } from './delivery-rows.laws.ts'

describe('a row', () =>
  rowLaws((work) =>
    runInDurableObject(env.DOCUMENTS.getByName(crypto.randomUUID()), (_object, { storage }) =>
      work((storage as unknown as StoragePort).sql),
    ),
  ))
