// Package systemd is what the daemon needs of systemd where that runs: a scope
// of its own for the sessions' cgroups, outside of the daemon's unit.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	sdbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const (
	slice = "tcid.slice"
	// nameWait is how long an earlier scope of the same name may take to go.
	nameWait     = 10 * time.Second
	namePoll     = 100 * time.Millisecond
	stopTimeout  = 2 * time.Second
	unitExists   = "org.freedesktop.systemd1.UnitExists"
	resultOfDone = "done"
)

// Running tells whether systemd manages this host.
func Running() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// ScopePath is the cgroup of a scope, from the root of the hierarchy.
func ScopePath(unit string) string { return path.Join("/", slice, unit) }

// StartScope makes a transient scope with delegated controllers around a
// process, and returns when that is in it. Nobody but its owner touches the
// cgroups below it; it goes when the last process has gone. Sessions live in
// such a scope and not in the daemon's unit, since restarting a unit that still
// has children fails (systemd#24064).
func StartScope(ctx context.Context, unit, description string, pid int) error {
	conn, err := sdbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	properties := []sdbus.Property{
		sdbus.PropDescription(description),
		sdbus.PropSlice(slice),
		sdbus.PropPids(uint32(pid)),
		{Name: "Delegate", Value: dbus.MakeVariant(true)},
		{Name: "TasksMax", Value: dbus.MakeVariant(^uint64(0))},
		{Name: "TimeoutStopUSec", Value: dbus.MakeVariant(uint64(stopTimeout.Microseconds()))},
		{Name: "CollectMode", Value: dbus.MakeVariant("inactive-or-failed")},
	}
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	for {
		result := make(chan string, 1)
		_, err = conn.StartTransientUnitContext(ctx, unit, "fail", properties, result)
		if err == nil {
			select {
			case r := <-result:
				if r != resultOfDone {
					return fmt.Errorf("start %s: systemd says %q", unit, r)
				}
				return nil
			case <-ctx.Done():
				return fmt.Errorf("start %s: %w", unit, context.Cause(ctx))
			}
		}
		// The scope of an earlier daemon whose processes were just ended.
		var dbusError dbus.Error
		if !errors.As(err, &dbusError) || dbusError.Name != unitExists && !strings.Contains(err.Error(), "already") {
			return fmt.Errorf("start %s: %w", unit, err)
		}
		select {
		case <-time.After(namePoll):
		case <-ctx.Done():
			return fmt.Errorf("start %s: an earlier one does not go: %w", unit, err)
		}
	}
}
