package kernel

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestComplete(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.cell("class Account:\n    def __init__(self): self.balance = 1\n    def deposit(self): pass\nacc = Account()\nπιάνο = 3")
		for _, c := range []struct {
			code       string
			cursor     int64
			want       string // one of the matches; "": there are none
			start, end int64
		}{
			{"pri", 3, "print", 0, 3},
			{"x = acc.bal", 11, "acc.balance", 4, 11},
			{"acc.dep + 1", 7, "acc.deposit", 0, 7},
			{"πιά", 3, "πιάνο", 0, 3},
			{"zzzzz", 5, "", 0, 0},
			{"", 0, "", 0, 0},
		} {
			got, err := s.Complete(context.Background(), c.code, c.cursor)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				if c.code != "" && len(got.Matches) > 0 {
					t.Errorf("%q: %+v, want nothing", c.code, got)
				}
				continue
			}
			// IPython replaces the last name only, and may put a dot before it.
			whole := slices.ContainsFunc(got.Matches, func(m string) bool {
				runes := []rune(c.code)
				return string(runes[:got.Start])+m+string(runes[got.End:]) == string(runes[:c.start])+c.want+string(runes[c.end:])
			})
			if !whole {
				t.Errorf("%q at %d: %+v, want %s at %d to %d", c.code, c.cursor, got, c.want, c.start, c.end)
			}
		}
		s.want("acc.balance", "execute_result text/plain=1")
	})
}

func TestIsComplete(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range []struct{ code, status, indent string }{
			{"1 + 1", CodeComplete, ""},
			{"", CodeComplete, ""},
			{"if x:", CodeIncomplete, "    "},
			{"def f():\n    return 1", CodeIncomplete, "*"},
			{"def f():\n    return 1\n", CodeComplete, ""},
			{"for i in y:\n    if i:\n        print(", CodeIncomplete, "*"},
			{"x = '''a", CodeIncomplete, "*"},
			{"!ls", CodeComplete, ""},
			{"a b c", CodeInvalid, ""},
			{"\x00", CodeInvalid, "*"},
			{"x = '''a\n\u3000b", CodeIncomplete, "*"},
			{"\fif x:", CodeIncomplete, "*"},
			{"if x:\n" + strings.Repeat(" ", 3000) + "if y:", CodeIncomplete, "*"},
			{"if x:\n" + strings.Repeat("\t", 1500) + "if y:", CodeIncomplete, "*"},
		} {
			got, err := s.IsComplete(context.Background(), c.code)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != c.status || c.indent != "*" && got.Indent != c.indent {
				t.Errorf("%q: %+v, want %s with %q", c.code, got, c.status, c.indent)
			}
		}
	})
}

// User code that runs for a completion can be interrupted, may raise and may
// print; the kernel goes on.
func TestCompletionOfHostileObjects(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.cell("import time\nclass Slow:\n    def __dir__(self): print('looked'); time.sleep(60); return []\nclass Bad:\n    def __dir__(self): raise SystemExit(3)\nslow, bad = Slow(), Bad()")
		time.AfterFunc(300*time.Millisecond, s.interrupt)
		begin := time.Now()
		if got, err := s.Complete(context.Background(), "slow.", 5); err != nil || time.Since(begin) > 20*time.Second {
			t.Errorf("a slow object: %+v, %v after %v", got, err, time.Since(begin))
		}
		if _, err := s.Complete(context.Background(), "bad.", 4); err != nil {
			t.Error(err)
		}
		s.want("1 + 1", "execute_result text/plain=2")
	})
}
