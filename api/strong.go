//go:build !weaken

package api

import (
	"net/http"

	"tcid/daemon/grade"
)

// What the tests' weakened program leaves out one by one; see
// sandbox/container/strong.go.

// integrity is that of conditions, the only tests so far.
const integrity = grade.IntegrityCooperative

func enforced(string) bool { return true }

func telling(_ string, err error) error { return err }

func finalServer(s *http.Server) *http.Server { return s }
