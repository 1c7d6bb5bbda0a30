package rootfs

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// drainTimeout is how long to wait for those who still hold the output of a
// program that has ended or was killed, such as children of a shim.
const drainTimeout = time.Second

// run executes a program that does not outlive this process: after a build is
// killed, nobody may go on writing to what the next build sweeps away.
func run(cmd *exec.Cmd) error {
	// The kernel sends the signal when the thread ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.WaitDelay = drainTimeout
	return cmd.Run()
}

// output is run, and what the program wrote.
func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := run(cmd)
	return string(bytes.TrimSpace(out.Bytes())), err
}
