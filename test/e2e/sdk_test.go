package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The Python SDK's own tests against a real daemon, and the README's example.
func TestPythonSDK(t *testing.T) {
	d := start(t)
	_, file, _, _ := runtime.Caller(0)
	sdk := filepath.Join(filepath.Dir(file), "..", "..", "sdk", "python")
	python := func(script string) string {
		t.Helper()
		cmd := exec.Command("python3", filepath.Join(sdk, script))
		cmd.Env = append(os.Environ(), "TCI_BASE_URL=unix://"+filepath.Join(d.state, "tcid.sock"),
			"PYTHONPATH="+sdk, "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	if out := python("tests/live.py"); !strings.Contains(out, "\nOK") {
		t.Errorf("the SDK's tests end with:\n%s", out)
	}
	if out := python("tests/conformance.py"); !strings.Contains(out, " passed, 0 failed") {
		t.Errorf("the conformance cases end with:\n%s", out)
	}
	want := "\n2\ndata.csv b'col1,col2\\n1,2\\n3,4'\n"
	if out := python("examples/quickstart.py"); out != want {
		t.Errorf("the example prints %q, want %q", out, want)
	}
	readme, err := os.ReadFile(filepath.Join(sdk, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(sdk, "examples", "quickstart.py"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), string(example)) {
		t.Error("the README shows another example than the one that runs")
	}
}
