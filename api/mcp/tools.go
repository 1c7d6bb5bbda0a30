package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// addTools gives the server its tools. The SDK would check arguments by their
// schemas too, by copies of files of megabytes, and with less to say to a model.
func (c *Connection) addTools() {
	handlers := map[string]sdk.ToolHandler{
		"run_python":        with(c.run),
		"upload_file":       with(c.upload),
		"download_file":     with(c.download),
		"list_files":        with(c.listFiles),
		"reset_session":     with(c.reset),
		"list_sessions":     with(c.listSessions),
		"interrupt_session": with(c.interrupt),
	}
	for _, t := range tools() {
		c.server.AddTool(t, handlers[t.Name])
	}
}

// with reads a tool's arguments and calls it. What goes wrong is for the model to
// read; wrong arguments are its own mistake, which it can mend.
func with[A any](call func(context.Context, *sdk.CallToolRequest, A) (*sdk.CallToolResult, error)) sdk.ToolHandler {
	return func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var a A
		if len(r.Params.Arguments) > 0 {
			decoder := json.NewDecoder(bytes.NewReader(r.Params.Arguments))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&a); err != nil {
				return failure(toolError("%s; %s takes: %s", wrongArgument(err), r.Params.Name, known(r.Params.Name))), nil
			}
		}
		result, err := call(ctx, r, a)
		if err != nil {
			return failure(err), nil
		}
		return result, nil
	}
}

// wrongArgument says what is wrong with a tool's arguments.
func wrongArgument(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return fmt.Sprintf("the argument %s must not be a JSON %s", kind.Field, kind.Value)
	}
	return "the arguments are wrong: " + clip(strings.TrimPrefix(err.Error(), "json: "))
}

// known names a tool's arguments.
func known(name string) string {
	for _, t := range tools() {
		if t.Name == name {
			properties := t.InputSchema.(map[string]any)["properties"].(map[string]any)
			return strings.Join(slices.Sorted(maps.Keys(properties)), ", ")
		}
	}
	return ""
}

func object(required []string, properties map[string]any) map[string]any {
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func property(kind any, description string) map[string]any {
	return map[string]any{"type": kind, "description": description}
}

func withDefault(schema map[string]any, value any) map[string]any {
	schema["default"] = value
	return schema
}

func oneOf(description string, values ...string) map[string]any {
	schema := property("string", description)
	schema["enum"] = values
	return schema
}

func sessionProperty() map[string]any {
	return withDefault(property("string", "Name of the session, of your choice; made on first use. Sessions share nothing."), defaultSession)
}

// hints are those of a tool; all are said, since their defaults are not ours.
func hints(readOnly, destructive, idempotent bool) *sdk.ToolAnnotations {
	openWorld := false
	return &sdk.ToolAnnotations{ReadOnlyHint: readOnly, DestructiveHint: &destructive, IdempotentHint: idempotent, OpenWorldHint: &openWorld}
}

// tools are the same for all connections.
var tools = sync.OnceValue(func() []*sdk.Tool {
	text, optionalText := property("string", ""), map[string]any{"type": []string{"string", "null"}}
	number, flag := map[string]any{"type": "integer"}, map[string]any{"type": "boolean"}
	delete(text, "description")
	file := object([]string{"path", "change", "size", "uri"}, map[string]any{
		"path": text, "change": oneOf("", "created", "modified", "deleted"), "size": number, "uri": text})
	listed := object([]string{"path", "type", "size", "uri"}, map[string]any{
		"path": text, "type": text, "size": number, "uri": text})
	listOf := func(item map[string]any) map[string]any { return map[string]any{"type": "array", "items": item} }
	named := map[string]any{"session": sessionProperty()}
	return []*sdk.Tool{{
		Name: "run_python", Title: "Run Python",
		Description: "Runs Python code in a stateful, isolated session and returns what it printed, the value of its last expression, " +
			"displayed images (such as matplotlib charts), the error if it raised, and the files it changed. Variables, imports and files stay for later calls. " +
			"No network access, no standard input. Long output is cut in the middle.",
		InputSchema: object([]string{"code"}, map[string]any{
			"code":    property("string", "Python source."),
			"session": sessionProperty(),
			"timeout": map[string]any{"type": "number", "exclusiveMinimum": 0, "maximum": maxTimeout, "default": defaultTimeout,
				"description": "Most seconds to run; the code is interrupted then, variables are usually kept."},
		}),
		OutputSchema: object([]string{"session", "status", "stdout", "stderr", "result", "result_text", "error", "files", "images", "truncated", "state_lost", "duration_ms"}, map[string]any{
			"session":     text,
			"status":      oneOf("", "ok", "error", "timeout", "interrupted", "cancelled", "memory_limit", "crashed", "expired", "infra_error"),
			"stdout":      text,
			"stderr":      text,
			"result":      map[string]any{"description": "The last expression's value, or that of a variable called result, as JSON; null when it has no short JSON form."},
			"result_text": optionalText,
			"error": map[string]any{"anyOf": []any{map[string]any{"type": "null"},
				object([]string{"name", "message", "traceback"}, map[string]any{"name": text, "message": text, "traceback": text})}},
			"files":       listOf(file),
			"images":      number,
			"truncated":   flag,
			"state_lost":  property("boolean", "Variables of earlier calls were lost; files were kept."),
			"duration_ms": map[string]any{"type": "number"},
		}),
		Annotations: hints(false, true, false),
	}, {
		Name: "upload_file", Title: "Upload a file",
		Description: "Writes a file into a session's working directory, in the place of one of that name. Directories are made.",
		InputSchema: object([]string{"path", "content"}, map[string]any{
			"path":     property("string", "Relative to the working directory, such as \"data/in.csv\"."),
			"content":  property("string", "Text, or base64."),
			"encoding": withDefault(oneOf("What content is.", "text", "base64"), "text"),
			"session":  sessionProperty(),
		}),
		OutputSchema: object([]string{"session", "path", "size", "uri"}, map[string]any{"session": text, "path": text, "size": number, "uri": text}),
		Annotations:  hints(false, true, true),
	}, {
		Name: "download_file", Title: "Download a file",
		Description: "Returns a file of a session: text as text, PNG, JPEG, GIF and WebP as an image, anything else as base64. Large files come in parts: go on at next_offset.",
		InputSchema: object([]string{"path"}, map[string]any{
			"path":      property("string", "As list_files and run_python name it."),
			"session":   sessionProperty(),
			"encoding":  withDefault(oneOf("The form to return it in; auto chooses by content.", "auto", "text", "base64"), "auto"),
			"offset":    map[string]any{"type": "integer", "minimum": 0, "default": 0, "description": "Byte to start at."},
			"max_bytes": map[string]any{"type": "integer", "minimum": 1, "maximum": maxPart, "default": defaultPart, "description": "Most bytes to return. Images are returned whole."},
		}),
		OutputSchema: object([]string{"session", "path", "size", "uri", "mime_type", "encoding", "content", "offset", "next_offset"}, map[string]any{
			"session": text, "path": text, "size": number, "uri": text, "mime_type": text,
			"encoding": oneOf("", "text", "base64", "image"), "content": text, "offset": number,
			"next_offset": map[string]any{"type": []string{"integer", "null"}, "description": "Where the next part begins; null at the end."},
		}),
		Annotations: hints(true, false, true),
	}, {
		Name: "list_files", Title: "List files",
		Description: "Lists the files of a session's working directory.",
		InputSchema: object(nil, map[string]any{
			"session":   sessionProperty(),
			"path":      withDefault(property("string", "Directory to list."), ""),
			"recursive": withDefault(property("boolean", "Also what lies in its directories."), true),
		}),
		OutputSchema: object([]string{"session", "files", "truncated"}, map[string]any{"session": text, "files": listOf(listed), "truncated": flag}),
		Annotations:  hints(true, false, true),
	}, {
		Name: "reset_session", Title: "Reset a session",
		Description: "Gives a session a new Python: variables and imports are lost, running code is stopped. With keep_files false the session is removed with its files, and the next use makes an empty one.",
		InputSchema: object(nil, map[string]any{
			"session":    sessionProperty(),
			"keep_files": withDefault(property("boolean", "Whether files stay."), true),
		}),
		OutputSchema: object([]string{"session", "files_kept"}, map[string]any{"session": text, "files_kept": flag}),
		Annotations:  hints(false, true, true),
	}, {
		Name: "list_sessions", Title: "List sessions",
		Description: "Lists the sessions made over this connection.",
		InputSchema: object(nil, map[string]any{}),
		OutputSchema: object([]string{"sessions"}, map[string]any{"sessions": listOf(object(
			[]string{"session", "state", "runs", "age_seconds", "memory_mb"}, map[string]any{
				"session": text, "state": oneOf("", "ready", "busy", "ended"), "runs": number, "age_seconds": number, "memory_mb": number}))}),
		Annotations: hints(true, false, true),
	}, {
		Name: "interrupt_session", Title: "Interrupt a session",
		Description: "Stops the code that another call runs in a session, as Ctrl-C would; that call returns, variables are kept.",
		InputSchema: object(nil, named),
		OutputSchema: object([]string{"session", "was_running"}, map[string]any{
			"session": text, "was_running": flag}),
		Annotations: hints(false, false, true),
	}}
})

// maxListed bounds a list for a model.
const maxListed = 200

// lines writes a bounded list, one entry a line.
func lines(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range min(n, maxListed) {
		b.WriteString(line(i))
		b.WriteByte('\n')
	}
	if n > maxListed {
		fmt.Fprintf(&b, "[... %d more ...]\n", n-maxListed)
	}
	return b.String()
}
