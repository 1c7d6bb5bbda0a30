from tci import TCIClient

tci = TCIClient(api_key="your_api_key")
session = tci.sessions.create(language="python")

execution = tci.executions.run(session.id, "result = 1 + 1")
print(execution.stdout)
print(execution.result)  # 2

tci.files.upload(session_id=session.id, remote_path="data.csv", content=b"col1,col2\n1,2\n3,4")
f = tci.files.download(session_id=session.id, remote_path="data.csv")
print(f.name, f.content)

tci.sessions.close(session.id)
