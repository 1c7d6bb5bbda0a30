// Package gate is what stands between the network and the handlers of the API:
// it bounds the connections and the time that a peer may take to read, and
// offers TLS with certificates that are replaced while the daemon runs.
package gate
