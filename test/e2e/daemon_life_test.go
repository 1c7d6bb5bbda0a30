package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/test/leak"
)

// A daemon that is killed leaves things behind; the next one with the same
// state directory sweeps them and works.
func TestKilledDaemon(t *testing.T) {
	d := start(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // created, creating or running when the daemon dies
			s, err := d.CreateSession(badContext(t), v1.SessionSpec{})
			if err == nil {
				_, _ = d.Execute(badContext(t), s.ID, v1.ExecSpec{Code: "import subprocess; subprocess.run(['sleep', '1000'])"})
			}
		})
	}
	time.Sleep(400 * time.Millisecond)
	d.kill()
	wg.Wait()
	left, err := leak.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	orphans := 0
	for key := range left.Of(marks(d.state)...) {
		if strings.HasPrefix(key, "process ") {
			orphans++
		}
	}
	if orphans == 0 {
		t.Error("nothing was left to be swept: this test tests nothing")
	}
	next := startIn(t, d.state)
	defer next.stop()
	if l, err := next.ListFiles(badContext(t), "ses_x", "", false); err == nil {
		t.Errorf("files of nothing: %v", l)
	}
	s := next.create(t, v1.SessionSpec{})
	if e := next.run(t, s.ID, "1 + 1"); string(e.Result) != "2" {
		t.Errorf("1 + 1 = %s", e.Result)
	}
	if !strings.Contains(next.log.String(), "swept") {
		t.Error("the new daemon does not say that it swept")
	}
}

func TestTwoDaemonsSideBySide(t *testing.T) {
	a, b := start(t), start(t)
	sa, sb := a.create(t, v1.SessionSpec{}), b.create(t, v1.SessionSpec{})
	a.run(t, sa.ID, "x = 'a'")
	b.run(t, sb.ID, "x = 'b'")
	if _, err := b.GetSession(badContext(t), sa.ID); err == nil {
		t.Error("one daemon knows the other's session")
	}
	if ea, eb := a.run(t, sa.ID, "x"), b.run(t, sb.ID, "x"); string(ea.Result) != `"a"` || string(eb.Result) != `"b"` {
		t.Errorf("results %s, %s", ea.Result, eb.Result)
	}
	// But not on one state directory.
	out, err := exec.Command(program, "serve", "--state-dir", a.state, "--data-dir", dataDir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another daemon uses the state directory") {
		t.Errorf("a second daemon: %v\n%s", err, out)
	}
	if e := a.run(t, sa.ID, "x"); string(e.Result) != `"a"` {
		t.Errorf("the first daemon was hurt: %s", e.Result)
	}
}

// SIGTERM ends what runs and what waits, and those who wait for it are told that
// this says nothing about their code.
func TestStopWhileRunning(t *testing.T) {
	d := start(t)
	s := d.create(t, v1.SessionSpec{})
	const code = "import time; print('up', flush=True); time.sleep(100)"
	done := make(chan v1.Execution, 2)
	for range cap(done) { // the second waits for its turn
		go func() {
			e, err := d.Execute(callContext(t), s.ID, v1.ExecSpec{Code: code, Tests: []v1.Test{{Condition: "True"}}})
			if err != nil {
				t.Error(err)
			}
			done <- e
		}()
	}
	type shown struct {
		out, errs string
		exit      int
	}
	command := make(chan shown, 1)
	go func() {
		out, errs, exit := d.cli(t, "", "run", "--code", code)
		command <- shown{out, errs, exit}
	}()
	for ctx := callContext(t); ; time.Sleep(10 * time.Millisecond) {
		list, err := d.ListSessions(ctx, client.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		counts, busy := int64(0), 0
		for _, one := range list.Data {
			counts += one.ExecuteCount
			if one.State == v1.StateBusy {
				busy++
			}
		}
		if counts == 3 && busy == 2 {
			break
		}
	}
	begun := time.Now()
	d.stop()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
	for range cap(done) {
		if e := <-done; e.Status != v1.StatusInfraError || e.Reward != nil {
			t.Errorf("status %s, reward %v", e.Status, e.Reward)
		}
	}
	if got := <-command; got.exit != 7 || !strings.Contains(got.errs, "the daemon was stopped") {
		t.Errorf("tcid run: %+v", got)
	}
}

func TestBadSettings(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("state_dir: /run/x\nlisten_on: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed") // below a directory of mode 0700
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	state, err := os.MkdirTemp("/run", "tcid-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	if err := os.Chmod(state, 0o711); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown flag":     {[]string{"serve", "--nope"}, 2, "--nope"},
		"unknown key":      {[]string{"serve", "--config", config}, 2, "listen_on"},
		"missing file":     {[]string{"serve", "--config", "/nonexistent"}, 2, "/nonexistent"},
		"bad address":      {[]string{"serve", "--listen", "8787"}, 2, "HOST:PORT"},
		"key without TCP":  {[]string{"serve", "--key-file", keys}, 2, "--listen"},
		"closed directory": {[]string{"serve", "--state-dir", closed, "--data-dir", dataDir}, 7, "can't reach"},
		"bad keys":         {[]string{"serve", "--state-dir", state, "--data-dir", dataDir, "--listen", "127.0.0.1:0", "--key-file", keys}, 7, "characters"},
		"colon":            {[]string{"serve", "--state-dir", state, "--data-dir", "/tmp/a:b"}, 2, "overlay"},
		"unknown command":  {[]string{"srve"}, 2, "srve"},
		"no daemon":        {[]string{"run", "--socket", "/nonexistent.sock", "--code", "1"}, 3, "tcid serve"},
		"no program":       {[]string{"run"}, 2, "name the program"},
		"no image":         {[]string{"image", "rm", "nope", "--data-dir", dataDir}, 4, "no such image"},
		"no Python":        {[]string{"image", "build", "--python", "/nonexistent", "--data-dir", dataDir}, 7, "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t, marks(state)...)
			cmd := exec.Command(program, c.args...)
			out, _ := cmd.CombinedOutput() // the exit code says it
			code := cmd.ProcessState.ExitCode()
			if code != c.code || !strings.Contains(string(out), c.want) {
				t.Errorf("exit code %d, want %d; output, which should name %q:\n%s", code, c.code, c.want, out)
			}
			if err := os.RemoveAll(filepath.Join(state, "tcid.sock")); err != nil {
				t.Error(err)
			}
			entries, _ := os.ReadDir(state)
			for _, e := range entries {
				_ = os.RemoveAll(filepath.Join(state, e.Name()))
			}
		})
	}
}

// The command line, as a person uses it.
func TestCommandLine(t *testing.T) {
	d := start(t)
	tcid := func(stdin string, args ...string) (stdout, stderr string, code int) {
		t.Helper()
		var out, errs strings.Builder
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "TCID_SOCKET="+filepath.Join(d.state, "tcid.sock"))
		cmd.Stdin = strings.NewReader(stdin)
		cmd.Stdout, cmd.Stderr = &out, &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	expect := func(wantOut, wantErr string, wantCode int) func(string, string, int) {
		t.Helper()
		return func(out, errs string, code int) {
			t.Helper()
			if out != wantOut || !strings.Contains(errs, wantErr) || wantErr == "" && errs != "" || code != wantCode {
				t.Errorf("stdout %q, stderr %q, code %d; want %q, %q, %d", out, errs, code, wantOut, wantErr, wantCode)
			}
		}
	}
	expect("42\n7\n", "", 0)(tcid("print(6 * 7)\n3 + 4", "run", "-"))
	expect("", "ZeroDivisionError", 1)(tcid("1/0", "run", "-"))
	expect("", "timeout", 1)(tcid("", "run", "--timeout", "0.5", "--code", "while True: pass"))
	expect("ab\n", "", 0)(tcid("a\nb\n", "run", "--stdin", "-", "--code", "print(input() + input())"))
	expect("", "unknown", 2)(tcid("", "run", "--nope"))
	expect("", "does not exist", 4)(tcid("", "session", "info", "ses_nope"))
	expect("", "no such image", 4)(tcid("", "run", "--image", "nope", "--code", "1"))
	id, _, _ := tcid("", "session", "create", "--metadata", "a=b", "--memory-mb", "200")
	id = strings.TrimSpace(id)
	expect("", "", 0)(tcid("", "session", "exec", id, "--code", "x = 5"))
	expect("10\n", "", 0)(tcid("x * 2", "session", "exec", id, "-"))
	local := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(local, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect("", "", 0)(tcid("", "session", "cp", local, id+":sub/"))
	expect("'content'\n", "", 0)(tcid("", "session", "exec", id, "--code", "open('sub/in.txt').read()"))
	expect("", "", 0)(tcid("", "session", "cp", id+":sub/in.txt", local+".back"))
	if b, err := os.ReadFile(local + ".back"); err != nil || string(b) != "content" {
		t.Errorf("the file comes back as %q, %v", b, err)
	}
	out, _, _ := tcid("", "session", "ls", "--metadata", "a=b", "--json")
	var list v1.SessionList
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Data) != 1 || list.Data[0].Resources.MemoryMB != 200 {
		t.Errorf("ls --json: %v, %s", err, out)
	}
	_, errs, code := tcid("", "session", "info", "ses_nope", "--json")
	var body v1.ErrorBody
	if err := json.Unmarshal([]byte(errs), &body); err != nil || body.Error.Code == nil || *body.Error.Code != "session_not_found" || code != 4 {
		t.Errorf("an error with --json: %v, %s", err, errs)
	}
	expect("", "", 0)(tcid("", "session", "rm", id))
	if out, _, code := tcid("", "version"); code != 0 || !strings.Contains(out, "daemon: ") {
		t.Errorf("version: %d, %s", code, out)
	}
}

// A new default image serves new sessions at once; old ones keep theirs.
func TestNewImageWhileRunning(t *testing.T) {
	d := start(t)
	old := d.create(t, v1.SessionSpec{})
	build := func(name string) {
		t.Helper()
		out, err := exec.Command(program, "image", "build", "--name", name, "--python", "python3", "--data-dir", dataDir).CombinedOutput()
		if err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	build("other")
	s := d.create(t, v1.SessionSpec{Image: "other"})
	d.run(t, s.ID, "1")
	if out, err := exec.Command(program, "image", "rm", "other", "--data-dir", dataDir).CombinedOutput(); err != nil {
		t.Errorf("removing a name whose image has another one: %v\n%s", err, out)
	}
	if e := d.run(t, old.ID, "import json; json.dumps([1])"); string(e.Result) != `"[1]"` {
		t.Errorf("the old session: %s", e.Result)
	}
	images, err := d.Images(callContext(t))
	if err != nil || fmt.Sprint(len(images.Data)) != "1" || !images.Data[0].Default {
		t.Errorf("images: %+v, %v", images, err)
	}
}
