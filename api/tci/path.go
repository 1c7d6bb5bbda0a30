package tci

import "strings"

// prefix is what the paths of this package begin with, in their one form.
const prefix = "/v1/tci/"

// Route returns the one form of a path of this package, such as
// /v1/tci/execute. Clients differ: Together's first Python client sends
// /v1//tci/execute, its documentation's samples /tci/execute, and a base URL
// that has the /v1 already gives /v1/v1/tci/execute. Redirects are no way, since
// clients turn a redirected POST into a GET.
func Route(path string) (string, bool) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for len(parts) > 0 && parts[0] == "v1" {
		parts = parts[1:]
	}
	if len(parts) != 2 || parts[0] != "tci" || parts[1] != "execute" && parts[1] != "sessions" {
		return "", false
	}
	return prefix + parts[1], true
}

// Owns tells whether errors of a path, in its one form, have this package's
// shape.
func Owns(path string) bool { return strings.HasPrefix(path, prefix) }
