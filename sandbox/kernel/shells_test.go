package kernel

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// has tells whether an interpreter can import a package.
func has(python, name string) bool {
	return exec.Command(python, "-c", "import "+name).Run() == nil
}

// eachPythonWith runs a test with every interpreter that has a package.
func eachPythonWith(t *testing.T, name string, f func(t *testing.T, python string)) {
	found := false
	for _, python := range pythons(t) {
		if has(python, name) {
			found = true
			t.Run(pythonName(python), func(t *testing.T) { f(t, python) })
		}
	}
	if !found {
		t.Skipf("no Python with %s among TCID_TEST_PYTHONS", name)
	}
}

// TestShellIsChosen: IPython where the Python has it and it works.
func TestShellIsChosen(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		want := "plain"
		if has(python, "IPython") {
			want = "ipython"
		}
		if got := start(t, python).Hello().Shell; got != want {
			t.Errorf("the shell is %s, not %s", got, want)
		}
	})
}

// TestBrokenIPython: a package that can't be imported must not cost the session.
func TestBrokenIPython(t *testing.T) {
	r := startKernelWith(t, onePython(t), func(cmd *exec.Cmd) {
		dir := filepath.Join(t.TempDir(), "IPython")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "__init__.py"), []byte("raise OSError('half installed')"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Dir(dir))
	})
	s := &session{r, r.connect(State{})}
	if s.Hello().Shell != "plain" {
		t.Errorf("the shell is %s", s.Hello().Shell)
	}
	s.want("1 + 1", "execute_result text/plain=2")
	if note := r.stderr.String(); !strings.Contains(note, "half installed") {
		t.Errorf("the reason is not said: %q", note)
	}
}

// notebookCases are what code for notebooks uses beside Python: with IPython and
// without, they do the same.
var notebookCases = []struct{ name, code, want string }{
	{"command", "!echo hi; echo err >&2", "out:hi\n|err:err\n"},
	{"commands and prints in order", "print('a')\n!echo b\nprint('c')", "out:a\nb\nc\n"},
	{"pip without a network", "import os; os.environ['TCID_NETWORK'] = 'none'\n!echo pip install x; exit 1", "out:pip install x\n|err:note: this session has no network: pip can only install files that are here. Packages can be put into the image: tcid image build --pip NAME\n"},
	{"variable in a command", "v = 'xy'\n!echo {v} $v {v.upper()} $$HOME | sed \"s,$$HOME,home,\"", "out:xy xy XY home\n"},
	{"variable of the shell", "!x=1; echo $x $v", "out:1\n"},
	{"braces of the shell", "!printf 'a b\\n' | awk '{print $2}'", "out:b\n"},
	{"variable of a function", "def f(w):\n    !echo {w} $w\nf('in')", "out:in in\n"},
	{"in a branch", "for i in range(2):\n    if i:\n        !echo $i\n    else:\n        print('none')", "out:none\n1\n"},
	{"output of a command", "lines = !printf 'a\\nb\\n'\nlines[1], list(lines)", "execute_result text/plain=('b', ['a', 'b'])"},
	{"exit code", "!exit 3\n_exit_code", "execute_result text/plain=3"},
	{"continued command", "!echo one \\\n  two\nprint('next')", "out:one two\nnext\n"},
	{"quotes", "!echo \"it's\" '\"x\"'", "out:it's \"x\"\n"},
	{"text that looks like it", "print('''\n!no\n%no\n''')", "out:\n!no\n%no\n\n"},
	{"the operator", "7 \\\n%4, (9\n%5)", "execute_result text/plain=(3, 4)"},
	{"line magic", "%env TCID_A=1\nimport os; os.environ['TCID_A']", "out:env: TCID_A=1\n|execute_result text/plain='1'"},
	{"value of a magic", "%env TCID_A", "execute_result text/plain='1'"},
	{"magic with a value", "here = %pwd\nisinstance(here, str)", "execute_result text/plain=True"},
	{"change of directory", "import os; os.mkdir('d')\n%cd d\nos.path.basename(os.getcwd())", ""},
	{"and back", "os.chdir('..')", ""},
	{"cell magic", "%%writefile m.txt\nline", "out:Writing m.txt\n"},
	{"file of the magic", "open('m.txt').read()", "execute_result text/plain='line\\n'"},
	{"appended", "%%writefile -a m.txt\nmore", "out:Appending to m.txt\n"},
	{"both", "open('m.txt').read()", "execute_result text/plain='line\\nmore\\n'"},
	{"capture", "%%capture got\nprint('hidden')\n1", ""},
	{"what was captured", "got.stdout", "execute_result text/plain='hidden\\n'"},
	{"timed", "%%time\nt = 5\nt + 1", ""},
	{"its variables", "t", "execute_result text/plain=5"},
	{"timed line", "%time y = 3", ""},
	{"many times", "%timeit pass", ""},
	{"a program", "open('p.py', 'w').write('z = 9\\nprint(__name__)'); None", ""},
	{"is run", "%run p.py\nz", "out:__main__\n|execute_result text/plain=9"},
	{"html", "%%html\n<b>x</b>", ""},
	{"threads", "import threading; [t.name for t in threading.enumerate()]", "execute_result text/plain=['MainThread']"},
	{"shell cell", "%%sh\necho one\necho two", "out:one\ntwo\n"},
	{"failed shell cell", "%%sh\nexit 3", ""},
	{"indented with a command", "    !echo in\n    print('x')", "out:in\nx\n"},
	{"unknown magic", "%nothing", "UsageError: Line magic function `%nothing` not found"},
	{"unknown cell magic", "%%nothing\n", "UsageError: Cell magic `%%nothing` not found"},
	{"a real mistake", "print('not run')\n!echo no\n1 +", "SyntaxError: invalid syntax"},
	{"an error in a timed line", "%time 1/0", ""},
}

func TestNotebook(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range notebookCases {
			got, _ := s.cell(c.code)
			ok := got == c.want || strings.Contains(c.want, "Error: ") && strings.HasPrefix(got, c.want)
			switch c.name {
			case "an error in a timed line": // an older IPython shows it and goes on
				ok = strings.Contains(got, "ZeroDivisionError: division by zero")
			case "failed shell cell":
				ok = strings.HasPrefix(got, "CalledProcessError: ") && strings.Contains(got, "exit status 3")
			case "change of directory":
				ok = strings.HasSuffix(got, "/d\n|execute_result text/plain='d'")
			case "timed":
				ok = strings.HasPrefix(got, "out:CPU times: ") && strings.Contains(got, "Wall time: ") && strings.HasSuffix(got, "|execute_result text/plain=6")
			case "timed line":
				ok = strings.Contains(got, "Wall time: ")
			case "many times":
				ok = strings.Contains(got, "per loop")
			case "html":
				ok = strings.HasPrefix(got, "display_data text/html=<b>x</b>")
			}
			if !ok || strings.Contains(got, "\x1b") {
				t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
			}
		}
	})
}

func TestIPython(t *testing.T) {
	cases := []struct{ name, code, want string }{
		{"help", "len?", ""},
		{"In and Out", "40 + 2", "execute_result text/plain=42"},
		{"history", "_ + 1, Out[len(In) - 2], In[-2]", "execute_result text/plain=(43, 42, '40 + 2')"},
		{"get_ipython", "import os; get_ipython().run_line_magic('pwd', '') == os.getcwd()", "execute_result text/plain=True"},
		{"nested cell", "get_ipython().run_cell('print(5)').success", "out:5\n|execute_result text/plain=True"},
		{"display classes", "from IPython.display import HTML, Markdown, Math, JSON, SVG\ndisplay(HTML('<b>'), Markdown('*m*'), Math('x'))",
			"display_data text/html=<b> text/plain=<IPython.core.display.HTML object>|display_data text/markdown=*m* text/plain=<IPython.core.display.Markdown object>|display_data text/latex=$\\displaystyle x$ text/plain=<IPython.core.display.Math object>"},
		{"printer of a builtin type", "f = get_ipython().display_formatter.formatters['text/html']\nf.for_type(int, '<i>{}</i>'.format); 5", "execute_result text/html=<i>5</i> text/plain=5"},
		{"of the types before it", "True", "execute_result text/html=<i>True</i> text/plain=True"},
		{"not of others", "f.pop(int); 5, 'x'", "execute_result text/plain=(5, 'x')"},
		{"printer by name", "f.for_type_by_name('builtins', 'list', lambda x: '<ul>'); [1]", "execute_result text/html=<ul> text/plain=[1]"},
		{"taken back", "f.pop(list); [2]", "execute_result text/plain=[2]"},
		{"precision", "%precision 2\n3.14159", "execute_result text/plain=3.14"},
		{"gui", "%gui\n%matplotlib --list", ""},
		{"clear_output", "from IPython.display import clear_output\nprint('kept'); clear_output(wait=True); clear_output()", "out:kept\n|clear_output wait|clear_output "},
		{"callbacks", "seen = []\nget_ipython().events.register('post_run_cell', lambda r: seen.append((r.success, r.info.raw_cell)))", ""},
		{"after the next cell", "1/0", "ZeroDivisionError: division by zero"},
		{"was told", "seen[-1]", "execute_result text/plain=(False, '1/0')"},
		{"tb", "%tb", ""},
		{"its own transformer", "get_ipython().input_transformers_post.append(lambda lines: [l.replace('twelve', '12') for l in lines])", ""},
		{"is used", "twelve", "execute_result text/plain=12"},
		{"nothing in the workspace", "sorted(os.listdir())", "execute_result text/plain=[]"},
	}
	eachPythonWith(t, "IPython", func(t *testing.T, python string) {
		s := start(t, python)
		for _, c := range cases {
			got, _ := s.cell(c.code)
			ok := got == c.want
			switch c.name {
			case "help":
				ok = strings.Contains(got, "Return the number of items in a container")
			case "gui":
				ok = !strings.Contains(got, "Error")
			case "tb":
				ok = strings.Contains(got, "ZeroDivisionError") && !strings.Contains(got, "IPython/core")
			}
			if !ok || strings.Contains(got, "\x1b") {
				t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
			}
		}
	})
}

func TestDataFrames(t *testing.T) {
	eachPythonWith(t, "pandas", func(t *testing.T, python string) {
		s := start(t, python)
		events, o := s.run(ExecuteRequest{Code: "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})"})
		if len(events) != 1 || events[0].Type != TypeResult {
			t.Fatalf("got %s", transcript(events))
		}
		html, _ := events[0].Data["text/html"].(string)
		plain, _ := events[0].Data["text/plain"].(string)
		if !strings.Contains(html, "<td>x</td>") || !strings.Contains(plain, "0  1  x") || repr(o) != plain {
			t.Errorf("html %q, plain %q, repr %q", html, plain, repr(o))
		}
		s.want("display(pd.Series([1.5]).sum())", "display_data text/plain="+plainFloat(s))
	})
}

// plainFloat is how this version of numpy shows the number 1.5.
func plainFloat(s *session) string {
	_, o := s.run(ExecuteRequest{Code: "import numpy\nnumpy.float64(1.5)"})
	return repr(o)
}

// figures returns the pictures among events.
func figures(t *testing.T, events []Event) (list []image.Image) {
	t.Helper()
	for _, e := range events {
		text, ok := e.Data["image/png"].(string)
		if !ok {
			continue
		}
		if plain, _ := e.Data["text/plain"].(string); !strings.HasPrefix(plain, "<Figure size ") {
			t.Errorf("a figure's text is %q", plain)
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, picture)
	}
	return list
}

// count counts a picture's pixels of a colour.
func count(picture image.Image, want color.RGBA) (n int) {
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if color.RGBAModel.Convert(picture.At(x, y)) == want {
				n++
			}
		}
	}
	return n
}

func TestFigures(t *testing.T) {
	red, blue := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}
	const draw = "import matplotlib.pyplot as plt\ndef draw(c):\n    plt.figure(figsize=(6, 4)); plt.bar([1, 2], [3, 4], color=c)\n"
	cases := []struct {
		name, code string
		colours    []color.RGBA
		rest       string // events that are no figures
	}{
		{"left open", draw + "draw('red')", []color.RGBA{red}, ""},
		{"shown", "draw('blue'); plt.show(); print('after')", []color.RGBA{blue}, "out:after\n"},
		{"closed by showing", "plt.get_fignums()", nil, "execute_result text/plain=[]"},
		{"several", "draw('red'); draw('blue')", []color.RGBA{red, blue}, ""},
		{"several shows", "draw('red'); plt.show(); draw('blue'); plt.show()", []color.RGBA{red, blue}, ""},
		{"saved and closed", "draw('red'); plt.savefig('a.png'); plt.close()\nimport os; os.path.getsize('a.png') > 1000", nil, "execute_result text/plain=True"},
		{"as an error ends the cell", "draw('red'); 1/0", []color.RGBA{red}, "ZeroDivisionError: division by zero"},
		{"a figure displayed", "fig, ax = plt.subplots(); ax.bar([1], [1], color='blue'); plt.close(); display(fig)", []color.RGBA{blue}, ""},
		{"a figure as value", "fig", []color.RGBA{blue}, ""},
		{"pyplot's axes", "import io\ndraw('red'); b = io.BytesIO(); plt.savefig(b, format='svg'); plt.close(); b'<svg' in b.getvalue()", nil, "execute_result text/plain=True"},
		{"Agg", "import matplotlib; matplotlib.use('Agg')\ndraw('red'); plt.show()", []color.RGBA{red}, ""},
		{"Agg leaves figures open", "plt.savefig('b.png'); plt.show(); len(plt.get_fignums())", nil, "execute_result text/plain=1"},
		{"Agg without show", "plt.close('all'); draw('red')", nil, ""},
		{"Agg, changed", "plt.bar([3], [5], color='blue'); plt.show()", []color.RGBA{blue}, ""},
	}
	magics := cases[:0:0]
	for _, code := range []string{"%matplotlib inline\nplt.close('all'); draw('red')", "%config InlineBackend.figure_format = 'png'\ndraw('red'); plt.show()"} {
		magics = append(magics, cases[0])
		magics[len(magics)-1].name, magics[len(magics)-1].code = code, code
	}
	eachPythonWith(t, "matplotlib", func(t *testing.T, python string) {
		s := start(t, python)
		all := cases
		if s.Hello().Shell == "ipython" {
			all = append(slices.Clone(cases), magics...)
		}
		for _, c := range all {
			events, _ := s.run(ExecuteRequest{Code: c.code})
			pictures := figures(t, events)
			if len(pictures) != len(c.colours) {
				t.Errorf("%s: %d figures, not %d: %.500s", c.name, len(pictures), len(c.colours), transcript(events))
				continue
			}
			for i, p := range pictures {
				if size := p.Bounds().Size(); size.X < 300 || size.Y < 200 || count(p, c.colours[i]) < 1000 {
					t.Errorf("%s: figure %d has %v pixels, %d of its colour", c.name, i, size, count(p, c.colours[i]))
				}
			}
			var rest []Event
			for _, e := range events {
				if e.Data["image/png"] == nil {
					rest = append(rest, e)
				}
			}
			if got := transcript(rest); got != c.rest {
				t.Errorf("%s: beside the figures: %q", c.name, got)
			}
		}
	})
}

// TestUserSite: what a user's pip installs can be imported in the next cell.
func TestUserSite(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		s := start(t, python)
		s.want("try: import later_installed\nexcept ImportError: print('not yet')", "out:not yet\n")
		s.want("import os, site\nd = site.getusersitepackages(); os.makedirs(d)\nopen(d + '/later_installed.py', 'w').write('v = 3'); None", "")
		s.want("import later_installed; later_installed.v", "execute_result text/plain=3")
	})
}

// TestPlantedModules: files in the workspace that are called like modules that
// the kernel and IPython import must not keep a session from starting again.
func TestPlantedModules(t *testing.T) {
	eachPython(t, func(t *testing.T, python string) {
		r := startKernelWith(t, python, func(cmd *exec.Cmd) {
			for _, name := range []string{"IPython", "json", "traitlets", "matplotlib", "matplotlib_inline", "asyncio", "random", "sqlite3", "pdb", "decorator", "display", "errors"} {
				if err := os.WriteFile(filepath.Join(cmd.Dir, name+".py"), []byte("raise SystemExit('planted')"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
		s := &session{r, r.connect(State{})}
		s.want("1 + 1", "execute_result text/plain=2")
		s.want("print('x'); display(3)", "out:x\n|display_data text/plain=3")
		s.want("!echo hi", "out:hi\n")
		s.want("import display", "SystemExit: planted")
	})
}
