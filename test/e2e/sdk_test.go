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
	d := start(t)
	_, file, _, _ := runtime.Caller(0)
	sdk := filepath.Join(filepath.Dir(file), "..", "..", "sdk", "python")
	python := func(script string, args ...string) string {
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
	for _, script := range []string{"tests/live.py", "tests/live_streams.py"} {
		if out := python(script); !strings.Contains(out, "\nOK") {
			t.Errorf("the SDK's tests %s end with:\n%s", script, out)
		}
	}
	out := python("tests/resume.py", "20") // make test-clients kills 200
	if n := strings.Count(out, "20 clients killed"); n != 2 || strings.Count(out, "each once and in order") != 2 {
		t.Errorf("killed clients end with:\n%s", out)
	}
	t.Log(out)
	if out := python("tests/conformance.py"); !strings.Contains(out, " passed, 0 failed") {
		t.Errorf("the conformance cases end with:\n%s", out)
	}
	readme, err := os.ReadFile(filepath.Join(sdk, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"quickstart.py": "\n2\ndata.csv b'col1,col2\\n1,2\\n3,4'\n",
		"streaming.py":  "step 0\nstep 1\nstep 2\nok\n",
	} {
		if out := python("examples/" + name); out != want {
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
