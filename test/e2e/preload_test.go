package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "tcid/api/v1"
)

// brokenPreload makes images whose preload has what can't be imported ahead: a
// module that isn't there, and one that starts a thread.
func brokenPreload(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir()
	for name, module := range map[string]string{"default": "no_such_module", "threaded": "starts_a_thread"} {
		out, err := exec.Command(program, "image", "build", "--data-dir", data, "--name", name, "--preload", module).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	libraries, err := filepath.Glob(filepath.Join(data, "images/*/root/usr/lib/python3.*/argparse.py"))
	if err != nil || len(libraries) != 2 {
		t.Fatalf("%q, %v", libraries, err)
	}
	for _, l := range libraries {
		const code = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
		if err := os.WriteFile(filepath.Join(filepath.Dir(l), "starts_a_thread.py"), []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// A broken module to import ahead costs its import, one that starts threads the
// fork; sessions work all the same, and say why, as do the daemon and the doctor.
func TestPreloadThatDoesNotWork(t *testing.T) {
	data := brokenPreload(t)
	d := start(t, "--data-dir", data, "--pool", "0")
	for image, want := range map[string]struct{ start, says string }{
		"default": {"fork", "ModuleNotFoundError"}, "threaded": {"fresh", "threads"},
	} {
		s := d.create(t, v1.SessionSpec{Image: image})
		if e := d.run(t, s.ID, "1 + 1"); string(e.Result) != "2" {
			t.Errorf("%s: 1 + 1 = %s", image, e.Result)
		}
		if w := s.Isolation.Warnings; s.Isolation.Start != want.start || len(w) != 1 || !strings.Contains(w[0], want.says) {
			t.Errorf("%s: the session starts %s and says %q", image, s.Isolation.Start, w)
		}
		v, err := d.Version(callContext(t))
		if err != nil || !strings.Contains(strings.Join(v.Isolation.Warnings, "\n"), want.says) {
			t.Errorf("%s: the daemon says %q, %v", image, v.Isolation.Warnings, err)
		}
	}
	out, err := exec.Command(program, "doctor", "--data-dir", data, "--state-dir", d.state).CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, "ModuleNotFoundError") || !strings.Contains(text, "threads") {
		t.Errorf("the doctor, %v:\n%s", err, text)
	}
}
