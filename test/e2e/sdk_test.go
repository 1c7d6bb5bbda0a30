package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The Python SDK's own tests against a real daemon, and the README's examples.
func TestPythonSDK(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	_, file, _, _ := runtime.Caller(0)
	sdk := filepath.Join(filepath.Dir(file), "..", "..", "sdk", "python")
	python := func(t *testing.T, script string, args ...string) string {
		t.Helper()
		cmd := exec.Command("python3", append([]string{filepath.Join(sdk, script)}, args...)...)
		cmd.Env = append(os.Environ(), "TCI_BASE_URL=unix://"+filepath.Join(d.state, "tcid.sock"),
			"PYTHONPATH="+sdk, "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	// Each makes sessions of its own, so all run at once.
	t.Run("scripts", func(t *testing.T) {
		for script, ends := range map[string]string{
			"tests/live.py": "\nOK", "tests/live_streams.py": "\nOK", "tests/conformance.py": " passed, 0 failed",
		} {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				if out := python(t, script); !strings.Contains(out, ends) {
					t.Errorf("it ends with:\n%s", out)
				}
			})
		}
		t.Run("tests/resume.py", func(t *testing.T) {
			t.Parallel()
			out := python(t, "tests/resume.py", "20") // make test-clients kills 200
			if n := strings.Count(out, "20 clients killed"); n != 2 || strings.Count(out, "each once and in order") != 2 {
				t.Errorf("killed clients end with:\n%s", out)
			}
			t.Log(out)
		})
	})
	readme, err := os.ReadFile(filepath.Join(sdk, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"quickstart.py": "\n2\ndata.csv b'col1,col2\\n1,2\\n3,4'\n",
		"streaming.py":  "step 0\nstep 1\nstep 2\nok\n",
	} {
		if out := python(t, "examples/"+name); out != want {
			t.Errorf("the example %s prints %q, want %q", name, out, want)
		}
		example, err := os.ReadFile(filepath.Join(sdk, "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), string(example)) {
			t.Errorf("the README shows another example than %s, which runs", name)
		}
	}
}
