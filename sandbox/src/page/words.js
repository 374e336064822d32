// What outcomes and kinds are called, and what they mean.

export const OUTCOMES = {
  delivered: 'The upstream has it.',
  disregarded: 'Intentionally skipped.',
  parked: 'Could not be delivered yet. It is sent again by itself.',
  rejected: 'Can never be delivered as it is. Its bytes are on the rejects queue.',
  failed: 'Not delivered: it was given up and is on the dead-letter queue, or it could not be kept and the caller must resend it.',
  refused: 'The request was not worked on.',
  discarded: 'A person discarded it from a queue.',
  pending: 'A function works on it.'
}

export const KINDS = { event: 'event', profile: 'profile', deletion: 'deletion', raw_event: 'raw event', record: 'record', parked: 'parked', request: 'request' }

export const why = (row) => row.reason ?? row.cause ?? ''

/** A delivered item of which something is missing does not look like plain success. */
export const tone = (row) => row.outcome === 'delivered' && why(row) ? 'parked' : row.outcome

export const person = (row) => row.user ?? row.device ?? ''
