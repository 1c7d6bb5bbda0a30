import { TCIClient } from "@tci/sdk";

const tci = new TCIClient({ apiKey: "your_api_key" });
const session = await tci.sessions.create({ language: "python" });

const execution = await tci.executions.run({ sessionId: session.id, code: "result = 1 + 1" });
console.log(execution.stdout);
console.log(execution.result); // 2

await tci.files.upload(session.id, "data.csv", "col1,col2\n1,2\n3,4");
const file = await tci.files.download(session.id, "data.csv");
console.log(file.name, file.text);

await tci.sessions.close(session.id);
