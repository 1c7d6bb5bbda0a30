// Types only: a program whose types are a browser's, without those of Node.js.

import { TCIClient, type Execution, type File } from "@tci/sdk";

export async function program(client: TCIClient, signal: AbortSignal): Promise<[Execution, File]> {
  await using session = await client.sessions.create({ signal });
  return [await session.run("1"), await session.files.download("f")];
}
