package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCells runs one kernel through cells that depend on one another.
func TestCells(t *testing.T) {
	cases := []struct{ name, code, want string }{
		{"print", "print('hi')", "out:hi\n"},
		{"value", "1 + 1", "execute_result text/plain=2"},
		{"underscore", "_ + 1", "execute_result text/plain=3"},
		{"semicolon", "1 + 1;", ""},
		{"semicolon after a bracket", "(1 +\n 1) ; # why", ""},
		{"semicolon in a comment", "(1 +\n 1) # a;b", "execute_result text/plain=2"},
		{"semicolon in text", "'a;'", "execute_result text/plain='a;'"},
		{"variables stay", "x = 41", ""},
		{"and are there", "x += 1\nx", "execute_result text/plain=42"},
		{"order", "import sys\nprint(1); sys.stderr.write('e\\n'); print(2); 3", "out:1\n|err:e\n|out:2\n|execute_result text/plain=3"},
		{"subprocess order", "import subprocess, os\nprint('a'); subprocess.run(['echo', 'b']); print('c'); os.system('echo d >&2'); print('e'); os.write(2, b'E\\n'); display('f'); os.write(1, b'F'); sys.stderr.write('G'); print('g', end='')",
			"out:a\nb\nc\n|err:d\n|out:e\n|err:E\n|display_data text/plain='f'|out:F|err:G|out:g"},
		{"C output", "import ctypes\nlibc = ctypes.CDLL(None)\nprint('p')\nlibc.puts(b'c') and libc.fflush(None)\nprint('q')", "out:p\nc\nq\n"},
		{"binary", "sys.stdout.buffer.write(b'\\xff\\xc3'); sys.stdout.buffer.write(b'\\xa9\\n'); None", "out:\ufffdé\n"},
		{"cut character", "sys.stdout.buffer.write(b'\\xc3'); None", "out:\ufffd"},
		{"surrogate", "print('\\ud800')", "out:\\ud800\n"},
		{"fileno", "(sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.isatty())", "execute_result text/plain=(1, 2, False)"},
		{"close", "sys.stdout.close(); print('still')", "out:still\n"},
		{"main", "__name__, sys.argv, sys.path[0]", "execute_result text/plain=('__main__', [''], '')"},
		{"names", "[n for n in ('display', 'update_display', 'exit', 'sys', 'server') if n in {**vars(__import__('builtins')), **globals()}]", "execute_result text/plain=['display', 'update_display', 'exit', 'sys']"},
		{"no leak", "[m for m in ('errors', 'values', 'display', 'server', 'loop', 'output') if m in sys.modules]", "execute_result text/plain=[]"},
		{"pickle", "import pickle\nclass P: pass\ntype(pickle.loads(pickle.dumps(P()))) is P", "execute_result text/plain=True"},
		{"threads", "import threading\nthreading.active_count()", "execute_result text/plain=1"},
		{"thread output", "t = threading.Thread(target=print, args=('from a thread',)); t.start(); t.join()", "out:from a thread\n"},
		{"dedent", "\n    y = 1\n    if y:\n        print('in')\n    y", "out:in\n|execute_result text/plain=1"},
		{"dedent after a comment", "  # first\n  print('c')", "out:c\n"},
		{"indent that stays wrong", "if 1:\nx", "IndentationError: expected an indented block"},
		{"future", "from __future__ import annotations", ""},
		{"future stays", "def f(a: nonsense): pass\nf.__annotations__", "execute_result text/plain={'a': 'nonsense'}"},
		{"source", "import inspect\ndef g():\n    return 7", ""},
		{"source of an earlier cell", "print(inspect.getsource(g).strip())", "out:def g():\n    return 7\n"},
		{"await", "import asyncio\nfor i in range(2): await asyncio.sleep(0)\nawait asyncio.sleep(0, 'v')", "execute_result text/plain='v'"},
		{"asyncio.run", "async def h(): return 5\nasyncio.run(h())", "execute_result text/plain=5"},
		{"exit", "exit(3)", "SystemExit: 3"},
		{"exit without status", "import sys; sys.exit()", "SystemExit: "},
		{"input without stdin", "input('? ')", "out:? |EOFError: EOF when reading a line"},
		{"syntax", "1 +", "SyntaxError: invalid syntax (<cell 36>, line 1)"},
		{"nul", "1\x00", ""},
		{"an unprintable exception", "class E(Exception):\n def __str__(self): 1/0\nraise E", "E: <its __str__ raised ZeroDivisionError>"},
		{"redirected", "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as f: print('x')\nf.getvalue()", "execute_result text/plain='x\\n'"},
		{"signal default of SIGPIPE", "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL); None", ""},
		{"warning", "import warnings\nwarnings.warn('careful')", "err:<cell 41>:2: UserWarning: careful\n  warnings.warn('careful')\n"},
		{"a finalizer that prints", "class D:\n def __del__(self): print('gone')\nd = D(); d.d = d; del d\nimport gc; gc.collect(); None", "out:gone\n"},
		{"umask", "import os\nu = os.umask(0o22); oct(u)", "execute_result text/plain='0o22'"},
	}
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range cases {
			got, _ := s.cell(c.code)
			if c.name == "nul" { // its type and text differ between versions
				if !strings.Contains(got, "null byte") {
					t.Errorf("%s: %q", c.name, got)
				}
				continue
			}
			if strings.Contains(c.want, "Error: ") && strings.HasPrefix(got, c.want) {
				continue
			}
			if got != c.want {
				t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
			}
		}
	})
}

func TestTracebacks(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		trace := func(code string) string {
			events, o := s.run(ExecuteRequest{Code: code})
			last := events[len(events)-1]
			if last.Type != TypeError || o.Status != StatusError {
				t.Fatalf("%s: %s, %s", code, transcript(events), o.Status)
			}
			text := strings.Join(last.Traceback, "\n")
			if strings.Contains(text, "tcid") || strings.Contains(text, "\x1b") {
				t.Errorf("a frame of the kernel, or colour:\n%s", text)
			}
			return text
		}
		got := trace("def f():\n    return 1 / 0\nf()")
		var plain []string // without the ~~~^ lines of newer versions
		for _, line := range strings.Split(got, "\n") {
			if strings.Trim(line, " ~^") != "" {
				plain = append(plain, line)
			}
		}
		want := "Traceback (most recent call last):\n  File \"<cell 1>\", line 3, in <module>\n    f()\n" +
			"  File \"<cell 1>\", line 2, in f\n    return 1 / 0\nZeroDivisionError: division by zero"
		if strings.Join(plain, "\n") != want {
			t.Errorf("got:\n%s", got)
		}
		if mark, has := strings.CutPrefix(trace("1 / 0"), "Traceback (most recent call last):\n  File \"<cell 2>\", line 1, in <module>\n    1 / 0\n"); !has ||
			strings.Contains(mark, "~") && !strings.HasPrefix(mark, "    ~~^~~\n") {
			t.Errorf("a last line without its end:\n%s", mark)
		}
		got = trace("x = (1,\ny = 2")
		if !strings.Contains(got, `File "<cell 3>", line`) || !strings.Contains(got, "^") || strings.Contains(got, "Traceback") {
			t.Errorf("syntax error:\n%s", got)
		}
		got = trace("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e")
		if strings.Count(got, "Traceback") != 2 || !strings.Contains(got, "direct cause") {
			t.Errorf("chain:\n%s", got)
		}
		got = trace("def r(n): return r(n + 1)\nr(0)")
		if !strings.Contains(got, "RecursionError") || !strings.Contains(got, "repeated") {
			t.Errorf("recursion:\n%s", got)
		}
		got = trace("import sys\nsys.setrecursionlimit(20000)\ndef a(n): return b(n)\ndef b(n): return a(n) if n else 1/0\n" +
			"def c(n): return 1/0 if n == 0 else d(n - 1)\ndef d(n): return c(n)\nc(3000)")
		if len(got) > 80<<10 || !strings.HasSuffix(got, "division by zero") || !strings.Contains(got, "cut") {
			t.Errorf("a long traceback: %d bytes, ends in %q", len(got), got[len(got)-50:])
		}
		got = trace("raise ValueError('x' * 10_000_000)")
		if len(got) > 66<<10 || !strings.HasPrefix(got, "Traceback") {
			t.Errorf("a huge message gives %d bytes", len(got))
		}
		events, _ := s.run(ExecuteRequest{Code: "raise ValueError('\u20ac\\n' * 1_000_000)"})
		if e := events[0]; len(e.Value) > 9<<10 || len(e.Traceback) > 2100 {
			t.Errorf("a value of %d bytes, %d lines", len(e.Value), len(e.Traceback))
		}
		// Errors while an object is shown must not name kernel frames either.
		got, _ = s.cell("class H:\n def _repr_html_(self): 1/0\n def __repr__(self): return 'H'\nH()")
		if !strings.HasPrefix(got, "err:Traceback") || !strings.HasSuffix(got, "execute_result text/plain=H") || strings.Contains(got, "tcid") {
			t.Errorf("a broken _repr_html_: %s", got)
		}
	})
}

func TestDisplay(t *testing.T) {
	cases := []struct{ name, code, want string }{
		{"all", `class R:
    def __repr__(self): return 'r'
    def _repr_html_(self): return '<b>'
    def _repr_png_(self): return b'\x89PNG'
    def _repr_json_(self): return {'a': (1, float('nan'))}
    def _repr_latex_(self): return '$x$', {'m': 1}
    def _repr_svg_(self): raise NotImplementedError
R()`, `execute_result application/json={"a":[1,null]} image/png=iVBORw== text/html=<b> text/latex=$x$ text/plain=r`},
		{"class", "R", "execute_result text/plain=<class '__main__.R'>"},
		{"bundle", "class M:\n def _repr_mimebundle_(self, include=None, exclude=None): return {'text/plain': 'p', 'a/b': 1}\nM()", "execute_result a/b=1 text/plain=p"},
		{"mock", "import unittest.mock\nm = unittest.mock.MagicMock(__repr__=lambda s: 'mock')\nm", "execute_result text/plain=mock"},
		{"raw", "display({'text/html': 'h', 'bad key': 1}, raw=True)", "err:display: dropped: the MIME type 'bad key' is not valid\n|display_data text/html=h"},
		{"raw of text", "display('x', raw=True)", "TypeError: data must be a dict, got: 'x'"},
		{"several", "display(1, 'a')", "display_data text/plain=1|display_data text/plain='a'"},
		{"handle", "h = display(1, display_id='d'); h.update(2); update_display(3, display_id='d'); h", "display_data#d text/plain=1|update_display_data#d text/plain=2|update_display_data#d text/plain=3|execute_result text/plain=<DisplayHandle display_id=d>"},
		{"by itself", "class I:\n def _ipython_display_(self): print('self')\ndisplay(I())", "out:self\n"},
		{"unfit data", "display({'a/b': object(), 'text/plain': 'p'}, raw=True)", "err:display: dropped: display data of type a/b: a object\n|display_data text/plain=p"},
		{"surrogate", "display({'text/html': '\\udc80'}, raw=True)", "display_data text/html=?"},
		{"65 deep", "v = 1\nfor _ in range(65): v = [v]\ndisplay({'a/b': v, 'c/d': 1}, raw=True)", "err:display: dropped: display data of type a/b: nested too deeply\n|display_data c/d=1"},
		{"40 keys", "display({'a/b%d' % i: 1 for i in range(40)}, raw=True)\n'x'", ""},
		{"too large", "display({'text/html': 'x' * (17 << 20), 'c/d': 1}, raw=True)", "err:display: dropped: display data of type text/html: too large\n|display_data c/d=1"},
		{"too large as JSON", "display({'text/html': '\\0' * (5 << 20)}, raw=True)", "err:display: dropped: display data is too large\n"},
	}
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range cases {
			got, _ := s.cell(c.code)
			if c.name == "40 keys" {
				if strings.Count(got, "a/b") != 32 || !strings.Contains(got, "more than 32 MIME types") {
					t.Errorf("%s: %s", c.name, got)
				}
			} else if got != c.want && (c.name != "class" || got != "execute_result text/plain=__main__.R") { // IPython's way
				t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
			}
		}
		events, _ := s.run(ExecuteRequest{Code: "'x' * (3 << 20)"})
		if text, _ := events[0].Data["text/plain"].(string); len(text) > 1<<20 || !strings.Contains(text, "cut") {
			t.Errorf("a long repr is shown with %d bytes", len(text))
		}
		events, _ = s.run(ExecuteRequest{Code: "display({'image/png': b'x' * (11 << 20)}, raw=True)"})
		if text, _ := events[0].Data["image/png"].(string); len(text) < 14<<20 {
			t.Errorf("a large picture has %d bytes", len(text))
		}
	})
}

func TestInputs(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		if err := os.Mkdir(filepath.Join(s.dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, "json.py"), []byte("raise SystemExit('shadow')"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			req  ExecuteRequest
			want string
		}{
			{"stdin", ExecuteRequest{Code: "print(input('> ').upper()); import sys; sys.stdin.read()", Stdin: []byte("é\nb\nc")}, "out:> É\n|execute_result text/plain='b\\nc'"},
			{"stdin of a child", ExecuteRequest{Code: "import subprocess\nsubprocess.run(['cat']); None", Stdin: []byte("via fd")}, "out:via fd"},
			{"stdin ends", ExecuteRequest{Code: "sys.stdin.read(), sys.stdin.fileno()"}, "execute_result text/plain=('', 0)"},
			{"empty stdin", ExecuteRequest{Code: "input()", Stdin: []byte{}}, "EOFError: EOF when reading a line"},
			{"after exit", ExecuteRequest{Code: "exit()"}, "SystemExit: None"},
			{"stdin is back", ExecuteRequest{Code: "sys.stdin.read()"}, "execute_result text/plain=''"},
			{"env", ExecuteRequest{Code: "import os\nos.environ['A'], subprocess.check_output('echo $A', shell=True)", Env: map[string]string{"A": "1"}}, "execute_result text/plain=('1', b'1\\n')"},
			{"env is back", ExecuteRequest{Code: "'A' in os.environ"}, "execute_result text/plain=False"},
			{"bad env", ExecuteRequest{Code: "1", Env: map[string]string{"A=": "1"}}, "ValueError: environment variable 'A=': illegal environment variable name"},
			{"cwd", ExecuteRequest{Code: "os.path.basename(os.getcwd())", Cwd: "sub"}, "execute_result text/plain='sub'"},
			{"cwd is back", ExecuteRequest{Code: "os.path.exists('sub')"}, "execute_result text/plain=True"},
			{"chdir lasts", ExecuteRequest{Code: "os.chdir('sub')"}, ""},
			{"it did", ExecuteRequest{Code: "os.path.basename(os.getcwd())"}, "execute_result text/plain='sub'"},
			{"cwd is relative to the start", ExecuteRequest{Code: "os.path.exists('sub')", Cwd: "."}, "execute_result text/plain=True"},
			{"missing cwd", ExecuteRequest{Code: "1", Cwd: "none"}, "FileNotFoundError: working directory 'none': No such file or directory; make it first, or name another"},
			{"filename", ExecuteRequest{Code: "(lambda: 0).__code__.co_filename", Filename: "a.py"}, "execute_result text/plain='a.py'"},
			{"a module written just now", ExecuteRequest{Code: "os.chdir('..')\nfor i in range(20):\n open('m%d.py' % i, 'w').close() or __import__('m%d' % i) if not i else None"}, ""},
		} {
			events, _ := s.run(c.req)
			if got := transcript(events); got != c.want && !(strings.HasPrefix(c.name, "bad") && strings.HasPrefix(got, "ValueError: environment")) && !strings.HasPrefix(got, "SystemExit") {
				t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
			}
		}
		if err := os.WriteFile(filepath.Join(s.dir, "late.py"), []byte("v = 5"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.want("import late; late.v", "execute_result text/plain=5")
	})
}
