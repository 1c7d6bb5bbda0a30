// Package v1 holds the shapes that cross the wire on the native routes below
// /v1. It is data only: the Go client, the handlers and the contract test
// share it, and openapi.yaml beside it describes the same shapes for
// everybody else. Durations are numbers of seconds unless the field name ends
// in _ms; times are RFC 3339 with microseconds, in UTC.
package v1
