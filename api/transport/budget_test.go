package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"tcid/daemon/session"
)

func TestBudget(t *testing.T) {
	const mib = 1 << 20
	b := NewBudget(40 * mib)
	read := func(body io.Reader) (int, func(), error) {
		r, release := b.Hold(httptest.NewRequest("POST", "/", nil))
		text, err := readBounded(r, body)
		return len(text), release, err
	}
	for _, size := range []int{0, 1, freeBody - 1, freeBody, freeBody + 1, mib, 2*mib + 7} {
		n, release, err := read(iotest.HalfReader(bytes.NewReader(make([]byte, size))))
		if err != nil || n != size {
			t.Errorf("%d of %d bytes: %v", n, size, err)
		}
		release()
	}
	if b.left != 40*mib {
		t.Fatalf("%d bytes are left of %d", b.left, 40*mib)
	}
	// One caller's four mebibytes are half of what fits.
	_, first, err := read(bytes.NewReader(make([]byte, 3*mib)))
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := read(bytes.NewReader(make([]byte, 3*mib)))
	var full *Error
	if !errors.As(err, &full) || full.Code != "capacity" || full.RetryAfter == 0 {
		t.Errorf("more than there is: %v", err)
	}
	if _, release, err := read(strings.NewReader("small")); err != nil {
		t.Errorf("small bodies cost something: %v", err)
	} else {
		release()
	}
	second()
	// Another caller has as much as is left besides.
	other, release := b.Hold(WithCaller(httptest.NewRequest("POST", "/", nil), session.Principal{ID: "other"}))
	if _, err := readBounded(other, bytes.NewReader(make([]byte, 2*mib))); err != nil {
		t.Errorf("another caller: %v", err)
	}
	release()
	first()
	if b.left != 40*mib {
		t.Errorf("%d bytes are left of %d", b.left, 40*mib)
	}
	if len(b.of) != 0 {
		t.Errorf("callers are remembered: %v", b.of)
	}
	// One that is cut off is no whole one.
	if _, release, err := read(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that was cut off: %v", err)
	} else {
		release()
	}
}

// Many small values cost what they become, and too many are refused before they
// are made.
func TestValues(t *testing.T) {
	for body, want := range map[string]int{`1`: 0, `{}`: 1, `[1,2]`: 2, `{"a,b[\"":[{},"\\",{}]}`: 6, `"`: 0, `"\`: 0} {
		if got := countValues([]byte(body)); got != want {
			t.Errorf("%s: %d values, want %d", body, got, want)
		}
	}
	b := NewBudget(8 << 20)
	read := func(values int) error {
		r, release := b.Hold(httptest.NewRequest("POST", "/", strings.NewReader("["+strings.Repeat("{},", values)+"{}]")))
		defer release()
		r.Header.Set("Content-Type", "application/json")
		_, err := ReadBody(httptest.NewRecorder(), r, false)
		return err
	}
	var refused *Error
	if err := read(400); err != nil {
		t.Error(err)
	}
	if err := read(9000); !errors.As(err, &refused) || refused.Code != "capacity" {
		t.Errorf("18,000 values in a budget of 8 MiB: %v", err)
	}
	if err := read(maxValues); !errors.As(err, &refused) || refused.Code != "invalid_json" {
		t.Errorf("too many values: %v", err)
	}
	if b.left != 8<<20 {
		t.Errorf("%d bytes are left", b.left)
	}
}
