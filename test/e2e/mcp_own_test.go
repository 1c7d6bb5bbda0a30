package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/test/leak"
)

// Without a daemon, root gets one, of which nothing is left, even when its
// starter is killed.
func TestMCPOwnDaemon(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *agent, cmd *exec.Cmd){
		"closed":     func(t *testing.T, a *agent, _ *exec.Cmd) { _ = a.Close() },
		"killed":     func(t *testing.T, _ *agent, cmd *exec.Cmd) { _ = cmd.Process.Kill() },
		"terminated": func(t *testing.T, _ *agent, cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t, "tcid-mcp-")
			said := &syncBuffer{}
			cmd := exec.Command(program, "mcp", "--own-daemon", "--data-dir", dataDir)
			cmd.Stderr = said
			a := connect(t, &sdk.CommandTransport{Command: cmd}, nil)
			if _, r := a.run("", "6 * 7"); string(r.Result) != "42" {
				t.Errorf("got %+v", r)
			}
			has(t, said.String(), "started one of its own", "/run/tcid-mcp-")
			var pid int
			var state string
			at := strings.Index(said.String(), "process ")
			if _, err := fmt.Sscanf(said.String()[at:], "process %d, in %s", &pid, &state); err != nil {
				t.Fatal(err)
			}
			state = strings.TrimSuffix(state, ",")
			leak.Check(t, marks(state)...)
			end(t, a, cmd)
			deadline := time.Now().Add(30 * time.Second)
			for {
				_, gone := os.Stat(state)
				if gone != nil && syscall.Kill(pid, 0) != nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the daemon (%d) or %s is still there", pid, state)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	t.Run("none that may be used", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--socket", filepath.Join(t.TempDir(), "none"))
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Error("it went on without a daemon")
		}
		has(t, string(out), "there is no daemon at", "tcid serve")
	})
	t.Run("not as root", func(t *testing.T) {
		cmd := exec.Command(program, "mcp", "--own-daemon")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		copied := filepath.Join("/var/tmp", filepath.Base(t.TempDir())+"-tcid")
		copyProgram(t, copied)
		cmd.Path = copied
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Error("nobody started a daemon")
		}
		has(t, string(out), "needs root")
	})
}

// copyProgram puts the program where other users find it.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil { //nolint:gosec // others are to run it
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
}
