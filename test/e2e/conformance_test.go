package e2e

import (
	"strings"
	"testing"

	"tcid/test/conformance"
	"tcid/test/contract"
	"tcid/test/repo"
)

// The conformance cases through the Go client.
func TestGoClientConforms(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t)
	cases, err := conformance.Load(repo.Path("test", "conformance", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	// Some requests are wrong on purpose.
	if failed := conformance.PlayAll(contract.Bad(t.Context()), d.Client, cases, &lines); failed > 0 || len(cases) == 0 {
		t.Errorf("of %d cases:\n%s", len(cases), lines.String())
	}
}
