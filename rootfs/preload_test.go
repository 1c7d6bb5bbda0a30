package rootfs

import (
	"slices"
	"testing"
)

func TestPreload(t *testing.T) {
	packages := []string{"ipython==9.1", "matplotlib==3.11.2", "matplotlib-inline==0.2", "numpy==2.4.6", "pandasql==1.0"}
	if got, want := preload(nil, packages), []string{"numpy", "matplotlib.pyplot"}; !slices.Equal(got, want) {
		t.Errorf("preload = %q, want %q", got, want)
	}
	if got := preload([]string{"json"}, packages); !slices.Equal(got, []string{"json"}) {
		t.Errorf("preload = %q despite a wish", got)
	}
	if got := preload([]string{}, packages); len(got) != 0 || got == nil {
		t.Errorf("preload = %#v, want an empty list", got)
	}
}

func TestCheckPreload(t *testing.T) {
	if err := checkPreload([]string{"numpy", "a.b_c.d1", "_x", "größe"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a b", "os;x", "-c", "1a", "a/b", "a\n"} {
		if checkPreload([]string{bad}) == nil {
			t.Errorf("%q is taken for a module", bad)
		}
	}
	if checkPreload(make([]string, maxPreload+1)) == nil {
		t.Error("any number of modules is allowed")
	}
}
