// An explanation as a test for a shell.

/** A file, between two marks. */
const file = (name, content, mark) => `cat > "$dir/${name}" <<'${mark}'\n${content}\n${mark}`

/** Text for a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

/** Calls as they are compared. An event without a time counts at its arrival, which differs each time. */
const callsOf = ({ calls, notes = [] }) => calls.map(({ path, body }) => {
  if (!notes.some(({ code }) => code === 'no_time') || !body.request) return { path, body }
  const { timestampUTC, ...request } = body.request
  return { path, body: { ...body, request } }
})

/** The same in jq. Numbers are compared as numbers: 49.0 is 49. */
const NORMAL = 'def normal: walk(if type == "number" then . + 0 else . end);'
const FOUND = `${NORMAL} (any(.notes[]?; .code == "no_time")) as $untimed | .calls[] | {path, body} | if $untimed then del(.body.request.timestampUTC) else . end | normal`

/** A test that fails once the input becomes other calls. Fails itself where a test could not know what the sandbox knows. */
export const asTest = ({ app, text, mapping, explained, stack_name: stack, track_properties: properties }) => {
  if (explained.some(({ drops }) => drops.some(({ reason }) => reason === 'event_not_exported'))) {
    throw new Error('A test does not know segment.events of the secret, which leaves this record out.')
  }
  const flags = ['--json', app && `--app ${quoted(app)}`, stack && `--stack-name ${quoted(stack)}`, properties.length > 0 && `--track-properties ${quoted(properties.join(','))}`]
  return [
    '#!/bin/sh', '# Fails if this input becomes other calls than these. Needs segment-pushwoosh and jq.', 'set -eu', 'dir=$(mktemp -d)',
    file('input.json', text, 'INPUT'), file('mapping.json', mapping, 'MAPPING'),
    file('expected.ndjson', explained.flatMap(callsOf).map((call) => JSON.stringify(call)).join('\n'), 'EXPECTED'),
    `segment-pushwoosh explain ${flags.filter(Boolean).join(' ')} --mapping "$dir/mapping.json" "$dir/input.json" > "$dir/explained.ndjson"`,
    `jq -cS '${FOUND}' "$dir/explained.ndjson" > "$dir/found.ndjson"`,
    `jq -cS '${NORMAL} normal' "$dir/expected.ndjson" | diff - "$dir/found.ndjson" && echo passed`, ''
  ].join('\n')
}
