// Package transport is what the fronts of the API have in common: who asks, how
// bodies are read, how failures are placed on the wire, and how an answer that
// takes long keeps its connection alive.
package transport
