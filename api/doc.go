// Package api is the HTTP front: it turns requests into calls on package
// session and answers with the shapes of api/v1, as openapi.yaml describes
// them. It decides who asks (auth.go), what a request may look like (guard.go,
// decode.go) and how failures are told (errors.go); it knows nothing about
// sandboxes.
package api
