package container

import (
	"testing"

	"tcid/sandbox"
)

// A zygote's word counts for its kernels only, and for each of them once: process
// ids come again.
func TestExitsOfKernelsOnly(t *testing.T) {
	z := &zygote{kernels: map[int]chan sandbox.Exit{}, gone: make(chan struct{})}
	close(z.gone)
	z.noteExit(7, sandbox.Exit{Code: 77})
	z.expect(7)
	if got := z.exit(7); got.Code != -1 {
		t.Errorf("the end of another process counts: %+v", got)
	}
	if len(z.kernels) != 0 {
		t.Errorf("%d kernels are left", len(z.kernels))
	}
	z = &zygote{kernels: map[int]chan sandbox.Exit{}, gone: make(chan struct{})}
	z.expect(7)
	z.noteExit(7, sandbox.Exit{Code: 3})
	z.noteExit(7, sandbox.Exit{Code: 77})
	if got := z.exit(7); got.Code != 3 {
		t.Errorf("the kernel's end is %+v, want code 3", got)
	}
	z.expect(7)
	z.forget(7)
	z.noteExit(7, sandbox.Exit{Code: 77})
	if len(z.kernels) != 0 {
		t.Errorf("%d kernels are left", len(z.kernels))
	}
}
