package tci

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tcid/api/transport"
	"tcid/daemon/session"
	"tcid/sandbox/workspace"
)

// Types of outputs.
const (
	typeError   = "error"
	typeDisplay = "display_data"
	typeResult  = "execute_result"
)

const plainText = "text/plain"

// MIME types of display items, and whether the value is an object or else a
// string (base64 for pictures and PDF).
var mimeTypes = map[string]bool{
	"application/geo+json": true, "application/json": true,
	"application/vnd.vega.v5+json": true, "application/vnd.vegalite.v4+json": true,
	"application/javascript": false, "application/pdf": false,
	"image/gif": false, "image/jpeg": false, "image/png": false, "image/svg+xml": false,
	"text/html": false, "text/latex": false, "text/markdown": false, plainText: false,
}

// noExpiry is shown for sessions that have no end; the field can't be left out.
var noExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// maxFolded bounds the text that stands for data of another MIME type.
const maxFolded = 64 << 10

// execSpec checks a request and turns it into an execution.
func (r executeRequest) execSpec(timeout time.Duration) (session.ExecSpec, error) {
	spec := session.ExecSpec{Timeout: timeout, Detach: true} // flights look after clients
	if r.Code == nil {
		return spec, transport.BadRequest("missing_field", "code", "code is missing: send the Python code to run")
	}
	spec.Code = *r.Code
	if r.Language != "" && r.Language != session.LanguagePython {
		return spec, transport.BadRequest("unsupported_language", "language", "language %.40q is not supported; use \"python\"", r.Language)
	}
	for i, f := range r.Files {
		which := fmt.Sprintf("files[%d]", i)
		if f.Name == "" {
			return spec, transport.BadRequest("missing_field", "files", "%s: name is missing", which)
		}
		if err := checkName(f.Name); err != nil {
			return spec, transport.BadRequest("invalid_file", "files", "%s: %s", which, err)
		}
		if f.Content == nil {
			return spec, transport.BadRequest("missing_field", "files", "%s: content is missing", which)
		}
		content, err := transport.FileContent(which, f.Encoding, *f.Content)
		if err != nil {
			return spec, err
		}
		spec.Files = append(spec.Files, session.File{Name: f.Name, Content: content})
	}
	return spec, nil
}

// checkName refuses what isn't a name below the workspace. Elsewhere in the API
// the workspace is the root of absolute paths; here they are the paths that the
// code would use.
func checkName(name string) error {
	if strings.HasPrefix(name, "/") && !strings.HasPrefix(name, workspace.Home+"/") {
		return fmt.Errorf("file %.80q lies outside of %s; give a relative path", name, workspace.Home)
	}
	_, err := workspace.CleanNew(name)
	return err
}

// answerOf shapes a finished execution. One that never ran is a failed request.
func (h *Handler) answerOf(r session.Result) any {
	if r.StartedAt.IsZero() {
		message := "the execution was not started"
		if r.Error != nil {
			message = r.Error.Value
		}
		return Failed{Errors: []string{message}}
	}
	data := Execution{SessionID: r.SessionID, Status: "success", Outputs: make([]Output, 0, len(r.Outputs))}
	for _, o := range r.Outputs {
		item := Output{Type: o.Type, Data: o.Text}
		if o.Type == typeDisplay || o.Type == typeResult {
			item.Data = displayed(o.Data)
		}
		data.Outputs = append(data.Outputs, item)
		if o.Type == typeError && !h.NoDataErrors && r.Error != nil {
			data.Errors = strings.TrimSuffix(r.Error.Name+": "+r.Error.Value, ": ")
		}
	}
	return Executed{Data: data}
}

// displayed keeps the MIME types that the description has. Where nothing is
// left, text stands for what there was.
func displayed(data map[string]any) map[string]any {
	kept := map[string]any{}
	for mime, value := range data {
		object, known := mimeTypes[mime]
		if !known {
			continue
		}
		if _, isString := value.(string); isString != object && (isString || isObject(value)) {
			kept[mime] = value
		}
	}
	if len(kept) == 0 {
		text, err := json.Marshal(data)
		if err != nil || len(text) > maxFolded {
			text = fmt.Appendf(nil, "[display data of %d MIME types that this route can't carry]", len(data))
		}
		kept[plainText] = string(text)
	}
	return kept
}

// isObject tells whether a value from a kernel, which may be raw JSON, is a
// JSON object.
func isObject(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return true
	case json.RawMessage:
		return len(v) > 0 && v[0] == '{' // it begins with its value
	}
	return false
}

func sessionOf(i session.Info) Session {
	s := Session{
		ID: i.ID, ExecuteCount: i.ExecuteCount, StartedAt: timestamp(i.CreatedAt),
		LastExecuteAt: timestamp(i.LastExecuteAt), ExpiresAt: timestamp(i.ExpiresAt),
	}
	if i.LastExecuteAt.IsZero() {
		s.LastExecuteAt = s.StartedAt
	}
	if i.ExpiresAt.IsZero() {
		s.ExpiresAt = timestamp(noExpiry)
	}
	return s
}
