package container

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/opencontainers/cgroups"
)

// keeper is a process that only exists: it keeps systemd from removing the
// sessions' scope while no session runs. It sits in a leaf of its own, since on
// cgroup v2 no process may be in a node that has children with controllers.
type keeper struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

func startKeeper(ctx context.Context, program, groupPath string, scope func(context.Context, int) error) (*keeper, error) {
	// Not CommandContext: the process outlives this call.
	cmd := exec.Command(program, "reap")
	cmd.Env = []string{}
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of the sessions' scope: %w", err)
	}
	k := &keeper{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(k.exited)
	}()
	if err := scope(ctx, cmd.Process.Pid); err != nil {
		k.stop()
		return nil, fmt.Errorf("make the sessions' scope: %w", err)
	}
	g, err := newGroup(groupPath, &cgroups.Resources{})
	if err == nil {
		err = g.Apply(cmd.Process.Pid)
	}
	if err != nil {
		k.stop()
		return nil, fmt.Errorf("move the keeper into its leaf: %w", err)
	}
	return k, nil
}

func (k *keeper) stop() {
	_ = k.cmd.Process.Kill()
	<-k.exited
}
