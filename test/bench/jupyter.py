"""What is measured beside tcid: for every line on stdin one thing is done, and
its result written. The argument says what: "session" starts a Jupyter kernel,
imports the data stack and shuts the kernel down; "live" executes in a kernel that
runs; "ipython" runs a cell in this process."""

import contextlib
import io
import sys

CODE = "1 + 1"
IMPORTS = "import numpy, pandas, matplotlib.pyplot\n"


def execute(client, code):
    """The text of a cell's value."""
    client.execute(code)
    text = None
    while True:
        message = client.get_iopub_msg(timeout=60)
        content = message["content"]
        if message["msg_type"] == "execute_result":
            text = content["data"]["text/plain"]
        elif text is not None and message["msg_type"] == "status" and content["execution_state"] == "idle":
            client.get_shell_msg(timeout=60)
            return text


def session():
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        return execute(client, IMPORTS + CODE)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main(what):
    if what == "session":
        do = session
    elif what == "live":
        from jupyter_client.manager import start_new_kernel

        manager, client = start_new_kernel(kernel_name="python3")

        def do():
            return execute(client, CODE)
    else:
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance(colors="NoColor")

        def do():
            with contextlib.redirect_stdout(io.StringIO()):
                return repr(shell.run_cell(CODE, store_history=False).result)

    for _ in sys.stdin:
        print(do(), flush=True)
    if what == "live":
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main(sys.argv[1])
