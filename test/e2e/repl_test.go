package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "tcid/api/v1"
)

// A conversation as people have them.
func TestRepl(t *testing.T) {
	d := start(t)
	home := t.TempDir()
	x := d.onTerminal(t, home, "repl")
	before := x.mode()

	x.expect("this is session ses_")
	x.expect("In [1]: ")
	// A function, with the indent that the session suggests; the blank line ends it.
	x.press("def double(number):\r")
	x.expect("\r\n   ...:     ")
	x.press("return number * 2\r")
	x.expect("...: ")
	x.press("\r")
	x.expect("In [2]: ")
	x.press("double(21)\r")
	x.expect("Out[2]: 42\r\n")
	x.expect("In [3]: ")

	// One match is completed, several are listed.
	x.press("answer_one = dou\t(4); answer_two = 2\r")
	x.expect("double(4)")
	x.expect("In [4]: ")
	x.press("ans\t")
	x.expect("answer_")
	x.press("\t")
	x.expect("answer_one  answer_two")
	x.press("one\r")
	x.expect("Out[4]: 8")

	// Output comes while the code runs, and Ctrl-C interrupts it.
	x.expect("In [5]: ")
	x.press("import time\rfor i in range(1000): print('round', i, flush=True); time.sleep(0.05)\r\r")
	x.expect("In [6]: ")
	x.expect("round 3\r\n")
	x.press(ctrlC)
	x.expect("KeyboardInterrupt")
	x.expect("In [7]: ")
	x.press("i < 500, answer_one\r")
	x.expect("Out[7]: (True, 8)")
	x.expect("In [8]: ")

	// Ctrl-C drops what is being typed, also the lines above.
	x.press("if True:\r")
	x.expect("...:     ")
	x.press("answer_two = 0" + ctrlC)
	x.expect("^C\r\nIn [8]: ")
	x.press("answer_two\r")
	x.expect("Out[8]: 2")

	// What is pasted is taken as it is, blank lines and tabs too.
	x.expect("In [9]: ")
	x.press("\x1b[200~def f():\n\tif True:\n\n\t    return 'pasted'\n\x1b[201~")
	x.expect("return 'pasted'\r\n")
	x.press("\r")
	x.expect("In [10]: ")
	x.press("f()\r")
	x.expect("Out[10]: 'pasted'")

	// Lines are remembered, and what is wrong is told.
	x.expect("In [11]: ")
	x.press(arrowUp + "\r")
	x.expect("f()\r\n")
	x.expect("In [12]: ")
	x.press("1/0\r")
	x.expect("ZeroDivisionError")
	x.expect("In [13]: ")
	x.press("print('no line end', end='')\r")
	x.expect("lno line end\r\n") // behind an escape sequence
	x.expect("In [14]: ")
	if n := d.sessions(); n != 1 {
		t.Errorf("there are %d sessions", n)
	}
	x.press(ctrlD)
	x.exit(0)
	if n := d.sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if after := x.mode(); after != before {
		t.Errorf("the terminal's mode is %+v, was %+v", after, before)
	}

	info, err := os.Stat(filepath.Join(home, "tcid", "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the history is %v, %v", info, err)
	}
	// Another conversation remembers the lines, but not the variables.
	x = d.onTerminal(t, home, "repl")
	x.expect("In [1]: ")
	x.press(arrowUp + arrowUp + "\r")
	x.expect("ZeroDivisionError")
	x.expect("In [2]: ")
	x.press("exit\r")
	x.exit(0)
}

// A session that was there before is there afterwards.
func TestReplInASession(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	d.run(t, s.ID, "kept = 7")
	x := d.onTerminal(t, t.TempDir(), "repl", "--session", s.ID)
	x.expect("In [2]: ")
	x.press("kept\r")
	x.expect("Out[2]: 7")
	x.expect("In [3]: ")
	if err := d.CloseSession(callContext(t), s.ID); err != nil {
		t.Fatal(err)
	}
	x.press("kept\r")
	x.expect("tcid: ")
	x.exit(4)

	x = d.onTerminal(t, t.TempDir(), "repl", "--session", s.ID)
	x.expect("tcid: ")
	x.exit(4)
}

// However the conversation ends, its session is closed.
func TestReplThatIsEnded(t *testing.T) {
	d := start(t)
	for name, end := range map[string]func(x *terminal){
		"SIGTERM": func(x *terminal) { _ = x.cmd.Process.Signal(syscall.SIGTERM) },
		"hang-up": func(x *terminal) { x.master.Close() },
	} {
		for _, typed := range []string{"1 +", "import time; print('run' + 'ning'); time.sleep(100)\r"} {
			t.Run(name, func(t *testing.T) {
				x := d.onTerminal(t, t.TempDir(), "repl")
				x.expect("In [1]: ")
				x.press(typed)
				if strings.HasSuffix(typed, "\r") {
					x.expect("running")
				}
				end(x)
				// Of a hang-up come two tidings, in any order: the signal, and the end of
				// what is typed.
				x.exit(130, 0)
				for deadline := time.Now().Add(showTimeout); d.sessions() != 0; time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("its session is left")
					}
				}
			})
		}
	}
}

// A script on standard input.
func TestReplScript(t *testing.T) {
	d := start(t)
	run := func(in string) (string, string, int) {
		t.Helper()
		var out, errs strings.Builder
		cmd := exec.Command(program, "repl", "--socket", filepath.Join(d.state, "tcid.sock"))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	out, errs, code := run("# %% first\ndef f(x):\n    y = x\n\n    return y * 2\n# %%\n\n# %%\nf(21)\n#%% a comment\nprint('end')")
	if out != "end\n" || errs != "" || code != 0 {
		t.Errorf("stdout %q, stderr %q, code %d", out, errs, code)
	}
	out, errs, code = run("x = 1\nx\n# %%\n1/0\n# %%\nprint('never')\n")
	if out != "1\n" || !strings.Contains(errs, "ZeroDivisionError") || code != 1 {
		t.Errorf("stdout %q, stderr %q, code %d", out, errs, code)
	}
	if out, errs, code := run(""); out+errs != "" || code != 0 {
		t.Errorf("nothing: stdout %q, stderr %q, code %d", out, errs, code)
	}
	if n := d.sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
