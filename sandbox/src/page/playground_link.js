// Addresses of the playground: they hold all that is in it.

export const VIEW = '#/playground'

const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer())

/** An address that holds the state. */
export const playgroundLink = async (state) => {
  const bytes = await through(new TextEncoder().encode(JSON.stringify(state)), new CompressionStream('deflate-raw'))
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  return `${VIEW}/${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

/** The state in an address. */
export const readLink = async (packed) => {
  const bytes = Uint8Array.from(atob(packed.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))
  return JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw'))))
}
