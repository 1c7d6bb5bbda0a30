package transport

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// MaxJSONBody bounds a JSON body, in bytes.
const MaxJSONBody = 64 << 20

const bodyTimeout = 60 * time.Second // for a whole JSON body

// ReadBody reads a JSON body, which may be empty if optional.
func ReadBody(w http.ResponseWriter, r *http.Request, optional bool) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := readBounded(r, http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil {
		var tooLarge *http.MaxBytesError
		var full *Error
		if errors.As(err, &tooLarge) || errors.As(err, &full) {
			return nil, err
		}
		return nil, BadRequest("invalid_body", "", "the request body could not be read: it was cut off or came too slowly")
	}
	// From here on the connection is only watched for its end; a deadline would
	// look like that end.
	_ = control.SetReadDeadline(time.Time{})
	if len(bytes.TrimSpace(body)) == 0 {
		if optional {
			return body, nil
		}
		return nil, BadRequest("invalid_json", "", "the request needs a JSON body")
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if (err != nil || kind != "application/json") && enforced("mediatype") {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Type: TypeInvalid, Code: "unsupported_media_type",
			Message: "send the body with Content-Type: application/json"}
	}
	return body, takeValues(r, body)
}

// Decode reads the one JSON value of a body into v. strict refuses fields that
// v doesn't have, and names that come twice.
func Decode(body []byte, v any, strict bool) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) && enforced("strict") {
		return BadRequest("invalid_json", "", "there is something after the JSON value of the body")
	}
	if strict && enforced("strict") {
		if name, found := twice(body); found {
			return BadRequest("invalid_json", name, "%q is there twice", name)
		}
	}
	return nil
}

// jsonError says what is wrong with a body in the client's terms.
func jsonError(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if wrongType.Field == "" {
			return BadRequest("invalid_json", "", "the body must be a JSON object")
		}
		return BadRequest("invalid_value", wrongType.Field, "%s must not be a JSON %s", wrongType.Field, wrongType.Value)
	}
	// encoding/json has no type for this one.
	if field, ok := strings.CutPrefix(err.Error(), `json: unknown field "`); ok {
		field = strings.TrimSuffix(field, `"`)
		return BadRequest("unknown_field", field, "there is no field %q here; check its spelling in the API description", field)
	}
	return BadRequest("invalid_json", "", "the body is not valid JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// FileContent decodes the content of a file that came within JSON. The caller
// names the file in the error: which is, for example, "files[2]".
func FileContent(which, encoding, content string) ([]byte, error) {
	switch encoding {
	case "string":
		return []byte(content), nil
	case "base64":
		decoded, err := base64.StdEncoding.DecodeString(content)
		if err != nil {
			return nil, BadRequest("invalid_file", "files", "%s: content is not valid base64", which)
		}
		return decoded, nil
	}
	return nil, BadRequest("invalid_file", "files", "%s: encoding must be \"string\" or \"base64\"", which)
}
