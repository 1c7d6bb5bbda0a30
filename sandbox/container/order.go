package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The order for a kernel, as init/fork.c reads it: struct order.
const (
	orderVersion  = 3
	maxLimits     = 16
	maxMounts     = 4
	maxTarget     = 64
	maxMountData  = 192
	orderNumbers  = 10 // of four bytes
	orderSize     = orderNumbers*4 + maxLimits*3*8 + maxMounts*(8+maxTarget+maxMountData)
	maxNamespaces = 8
)

// forkSteps name the steps of init/fork.c, in the order of its enum step.
var forkSteps = []string{
	"", "read the order", "clone", "report to the daemon", "join the session's namespaces", "make new namespaces",
	"mount the session's file systems", "fork", "start a session of processes", "sort the descriptors",
	"empty the bounding set", "change to the session's ids", "enter the workspace", "drop its capabilities",
	"forbid new privileges", "set its limits", "load the system call filter", "report to the daemon",
}

// forkError is what a failed step told.
type forkError struct {
	step  string
	errno unix.Errno
}

func (e *forkError) Error() string { return fmt.Sprintf("could not %s: %s", e.step, e.errno.Error()) }

func (e *forkError) Unwrap() error { return e.errno }

// readForkError reads the message of a failed step: 'e', step, error number.
func readForkError(message []byte) error {
	if len(message) != 3 || message[0] != 'e' {
		return fmt.Errorf("the zygote's child said %q", message)
	}
	step := "do what it was asked"
	if n := int(message[1]); n > 0 && n < len(forkSteps) {
		step = forkSteps[n]
	}
	return &forkError{step, unix.Errno(message[2])}
}

// order is what a zygote is asked for.
type order struct {
	uid        uint32 // inside the namespace
	faults     uint32 // what test builds leave out
	unshare    uint32 // CLONE_NEW* of the namespaces to make anew
	namespaces uint32 // how many are joined
	intoCgroup bool   // the descriptor of one comes last
	threads    uint32 // how many the kernel's libraries shall use
	limits     []rlimit
	mounts     []tmpfs
}

func (o order) encode() ([]byte, error) {
	if len(o.limits) > maxLimits || len(o.mounts) > maxMounts || o.namespaces > maxNamespaces {
		return nil, errors.New("an order for a kernel has too many parts")
	}
	var into uint32
	if o.intoCgroup {
		into = 1
	}
	out := make([]byte, 0, orderSize)
	for _, n := range [orderNumbers]uint32{
		orderVersion, orderSize, o.uid, o.faults, o.unshare, uint32(len(o.limits)), uint32(len(o.mounts)), o.namespaces, into, o.threads,
	} {
		out = binary.NativeEndian.AppendUint32(out, n)
	}
	for _, l := range o.limits {
		for _, n := range []uint64{l.kind, l.soft, l.hard} {
			out = binary.NativeEndian.AppendUint64(out, n)
		}
	}
	out = append(out, make([]byte, (maxLimits-len(o.limits))*3*8)...)
	for _, m := range o.mounts {
		if len(m.target) >= maxTarget || len(m.data) >= maxMountData {
			return nil, fmt.Errorf("the mount on %s has too long a description", m.target)
		}
		out = binary.NativeEndian.AppendUint64(out, uint64(m.flags))
		out = append(out, text(m.target, maxTarget)...)
		out = append(out, text(m.data, maxMountData)...)
	}
	return append(out, make([]byte, orderSize-len(out))...), nil
}

// text is a string as a field of C's.
func text(s string, size int) []byte {
	return append([]byte(s), bytes.Repeat([]byte{0}, size-len(s))...)
}
