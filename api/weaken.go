//go:build weaken

package api

import (
	"net/http"

	"tcid/api/transport"
	"tcid/daemon/grade"
	"tcid/internal/weaken"
)

// integrity claims too much without "integrity".
var integrity = map[bool]string{false: grade.IntegrityCooperative, true: "external"}[weaken.Without("integrity")]

func enforced(safeguard string) bool { return !weaken.Without(safeguard) }

// telling says what is wrong with a key without "alike".
func telling(key string, err error) error {
	if weaken.Without("alike") && len(key) >= minKeyLength {
		return &transport.Error{Status: http.StatusUnauthorized, Type: transport.TypeAuth, Code: "invalid_api_key", Message: "there is no such key"}
	}
	return err
}

// finalServer waits for any header, of any size, without "headers".
func finalServer(s *http.Server) *http.Server {
	if weaken.Without("headers") {
		s.ReadHeaderTimeout, s.MaxHeaderBytes = 0, 64<<20
	}
	return s
}
