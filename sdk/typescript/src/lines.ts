import { InfraError } from "./errors.js";

const NEWLINE = 0x0a;

/**
 * The lines of a body in UTF-8, without empty ones. The last one counts only with
 * its newline: without, it was cut off. A line of more bytes than the limit is an
 * InfraError.
 */
export async function* lines(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array): void => {
    size += part.byteLength;
    if (size > limit) throw new InfraError(`the daemon sent a line of more than ${String(limit)} bytes`);
    parts.push(part);
  };
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      const line = parts.length === 1 ? decoder.decode(parts[0]) : decoder.decode(Buffer.concat(parts));
      parts = [];
      size = 0;
      if (line.trim() !== "") yield line;
    }
    if (start < chunk.byteLength) add(chunk.subarray(start));
  }
}
