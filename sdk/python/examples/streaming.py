from tci import TCIClient

CODE = """
import time
for i in range(3):
    print("step", i, flush=True)
    time.sleep(0.2)
"""

with TCIClient().sessions.create() as session:
    with session.stream(CODE) as stream:
        for event in stream:  # as they come; a broken connection is taken up again
            if event.type == "stdout":
                print(event.text, end="")
    print(stream.execution.status)  # ok
