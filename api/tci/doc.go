// Package tci serves the routes of Together's Code Interpreter, so that programs
// written for it run unchanged: POST /tci/execute and GET /tci/sessions, with
// or without /v1 before them. Their shapes are those of Together's OpenAPI
// description (togethercomputer/openapi, tag Code Interpreter); what that
// leaves open is decided in docs/together.md.
package tci
