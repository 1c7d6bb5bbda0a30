package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// unifiedMount is where cgroup v2 is mounted when it is all there is.
const unifiedMount = "/sys/fs/cgroup"

// keeper is a process that only exists: it keeps systemd from removing the
// sessions' scope while no session runs. It sits in a leaf of its own, since on
// cgroup v2 no process may be in a node that has children with controllers.
type keeper struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

func startKeeper(ctx context.Context, support, groupPath string, scope func(context.Context, int) error) (*keeper, error) {
	// Not CommandContext: the process outlives this call.
	cmd := exec.Command(filepath.Join(support, initPath), "reap", filepath.Join(support, filterPath), filepath.Join(support, filterRestPath))
	cmd.Env = []string{}
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of the sessions' scope: %w", err)
	}
	k := &keeper{cmd: cmd, exited: make(chan struct{})}
	go func() {
		awaitExit(cmd.Process.Pid)
		_ = cmd.Wait()
		close(k.exited)
	}()
	if err := scope(ctx, cmd.Process.Pid); err != nil {
		k.stop()
		return nil, fmt.Errorf("make the sessions' scope: %w", err)
	}
	if err := moveToLeaf(cmd.Process.Pid, groupPath); err != nil {
		k.stop()
		return nil, fmt.Errorf("move the keeper into its leaf: %w", err)
	}
	return k, nil
}

// moveToLeaf makes a cgroup and moves a process there from its parent. The
// cgroups library can't: it finds a parent with a process in it, and makes a
// threaded cgroup, which memory can't be limited in.
func moveToLeaf(pid int, groupPath string) error {
	dir := filepath.Join(unifiedMount, groupPath)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

func (k *keeper) stop() {
	_ = k.cmd.Process.Kill()
	<-k.exited
}
