package workspace

import (
	"strings"
	"testing"
)

func TestSpace(t *testing.T) {
	d, _ := newDir(t)
	before, err := d.Space()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Put(t.Context(), "a/b", strings.NewReader(strings.Repeat("x", 100_000)), PutOptions{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	after, err := d.Space()
	if err != nil {
		t.Fatal(err)
	}
	if grown := after.UsedBytes - before.UsedBytes; grown < 100_000 {
		t.Errorf("the workspace grew by %d bytes", grown)
	}
	_ = d.Close()
	if _, err := d.Space(); err == nil {
		t.Error("a closed workspace was measured")
	}
}
