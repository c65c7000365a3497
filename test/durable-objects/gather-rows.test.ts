/** The laws of the rows of gathers, on workerd's own SQLite. */
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe } from 'vitest'
import type { StoragePort } from '../../shared/ports.ts'
import { gatherRowLaws } from './gather-rows.laws.ts'

describe('the row of a gather', () =>
  gatherRowLaws((work) =>
    runInDurableObject(env.DOCUMENTS.getByName(crypto.randomUUID()), (_object, { storage }) =>
      work(storage as unknown as StoragePort),
    ),
  ))
