// Package mcp is the server of the Model Context Protocol: what agents call to
// run Python and to move files. The protocol is spoken by its official SDK; the
// package has the tools, the resources, and the sessions behind them. It works
// through the methods of the Go client, so that it is the same beside the daemon
// (Serve, over standard input and output) and inside it (Handler, over
// streamable HTTP).
//
// A Connection is one MCP client. It maps names that the model chooses to
// sessions of the daemon, makes them on first use and closes them when it ends.
// Its sessions have a lease: a short idle timeout, which the connection renews.
// A process that is killed leaves nothing to the daemon but that.
package mcp
