package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestGuesses(t *testing.T) {
	g := newGuesses()
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	begun := time.Now()
	for n := range maxGuesses {
		if wait, first := g.add(a, begun.Add(time.Duration(n)*100*time.Millisecond)); wait != 0 || first != (n == 0) {
			t.Errorf("guess %d: wait %v, first %v", n, wait, first)
		}
	}
	if wait, _ := g.add(a, begun.Add(20*time.Second)); wait != 40*time.Second {
		t.Errorf("one more waits for %v, want the rest of the window", wait)
	}
	if wait, first := g.add(b, begun.Add(20*time.Second)); wait != 0 || !first {
		t.Errorf("another place waits for %v", wait)
	}
	if wait, first := g.add(a, begun.Add(guessWindow)); wait != 0 || !first {
		t.Errorf("after the window: wait %v, first %v", wait, first)
	}
}

func TestGuessesAreBounded(t *testing.T) {
	g := newGuesses()
	now := time.Now()
	place := func(n int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
	}
	for n := range 3 * maxGuessFrom {
		g.add(place(n), now)
	}
	if len(g.from) != maxGuessFrom || g.order.Len() != maxGuessFrom {
		t.Errorf("%d places are remembered, %d in order", len(g.from), g.order.Len())
	}
	if _, known := g.from[place(0)]; known {
		t.Error("the oldest is kept")
	}
	g.add(place(0), now.Add(guessWindow))
	if len(g.from) != 1 || g.order.Len() != 1 {
		t.Errorf("%d places are remembered after their window", len(g.from))
	}
}

func TestInFlight(t *testing.T) {
	f := newInFlight(2)
	var entered []bool
	for _, caller := range []string{"a", "a", "a", "b"} {
		entered = append(entered, f.enter(caller))
	}
	if !slices.Equal(entered, []bool{true, true, false, true}) {
		t.Errorf("entered: %v, want two of each", entered)
	}
	f.leave("a")
	if !f.enter("a") {
		t.Error("a place that was given up is not free")
	}
	for _, caller := range []string{"a", "a", "b"} {
		f.leave(caller)
	}
	if len(f.of) != 0 {
		t.Errorf("%v is remembered", f.of)
	}
}

func TestGuard(t *testing.T) {
	s := &Server{Options: Options{Hosts: []string{"box.example"}}}
	passed := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for name, c := range map[string]struct {
		host, origin, site string
		status             int
	}{
		"program":                     {"localhost", "", "", 204},
		"other host":                  {"evil.example", "", "", 421},
		"page":                        {"localhost", "https://evil.example", "cross-site", 403},
		"page without a word":         {"localhost", "https://evil.example", "", 403},
		"sandboxed page":              {"localhost", "null", "cross-site", 403},
		"picture in a page":           {"localhost", "", "cross-site", 403},
		"page on another port":        {"localhost", "", "same-site", 403},
		"something new":               {"localhost", "", "next-door", 403},
		"address bar":                 {"localhost", "", "none", 204},
		"allowed page":                {"box.example", "https://box.example", "same-origin", 204},
		"allowed page, asking itself": {"box.example", "", "same-origin", 204},
		"allowed page, elsewhere":     {"localhost", "https://box.example", "cross-site", 204},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			r := httptest.NewRequest(method, "/v1/sessions", nil)
			r.Host = c.host
			for header, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			w := httptest.NewRecorder()
			s.guard(passed).ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%s, %s: status %d, want %d", name, method, w.Code, c.status)
			}
		}
	}
}
