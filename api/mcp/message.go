package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// MaxMessage bounds one message of a client, in bytes.
const MaxMessage = 16 << 20

// versions of the protocol that are spoken, the newest first.
var versions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// Codes of JSON-RPC, and one that MCP adds.
const (
	codeParse              = -32700
	codeRequest            = -32600
	codeMethod             = -32601
	codeParams             = -32602
	codeInternal           = -32603
	codeBusy               = -32000
	codeResourceNotFound   = -32002
	codeUnsupportedVersion = -32022
)

// message is a request, a notification (without an id) or an answer.
type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// isCall tells whether it is a request or a notification.
func (m *message) isCall() bool { return m.Method != "" }

// isRequest tells whether it wants an answer.
func (m *message) isRequest() bool { return m.Method != "" && m.ID != nil }

// answer is what a request gets: Result or Error.
type answer struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// notification is what the server says by itself.
type notification struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// rpcError is a failure of the protocol, which the model doesn't see.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (e *rpcError) Error() string { return e.Message }

func refuse(code int, format string, args ...any) *rpcError {
	return &rpcError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// failed answers a request that can't be done; id may be nil.
func failed(id json.RawMessage, err *rpcError) *answer {
	if id == nil {
		id = json.RawMessage("null")
	}
	return &answer{JSONRPC: "2.0", ID: id, Error: err}
}

// parse reads one message. The error is for the client.
func parse(text []byte) (*message, *rpcError) {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '[' {
		return nil, refuse(codeRequest, "send one message at a time: batches are not part of the protocol any more")
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		if !json.Valid(text) {
			return nil, refuse(codeParse, "the message is not valid JSON")
		}
		return nil, refuse(codeRequest, "the message is not a JSON-RPC message: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	switch {
	case m.JSONRPC != "2.0":
		return nil, refuse(codeRequest, "the message must say \"jsonrpc\": \"2.0\"")
	case m.ID != nil && !isID(m.ID):
		return nil, refuse(codeRequest, "the id of a message must be a string or a number")
	case !m.isCall() && (m.ID == nil || m.Result == nil && m.Error == nil):
		return nil, refuse(codeRequest, "the message is neither a request, nor a notification, nor an answer")
	}
	return &m, nil
}

// isID knows strings and numbers.
func isID(id json.RawMessage) bool {
	c := id[0]
	return c == '"' || c == '-' || c >= '0' && c <= '9'
}

// decode reads the parameters of a method. Fields that are not known are left
// alone, as the protocol wants it.
func decode(params json.RawMessage, v any) *rpcError {
	if len(params) == 0 {
		return nil
	}
	if err := json.Unmarshal(params, v); err != nil {
		return refuse(codeParams, "the parameters are not as they should be: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
