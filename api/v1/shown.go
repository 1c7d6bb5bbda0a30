package v1

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TextLimit is the length of Execution.Text in characters, without the words
// that say what is missing.
const TextLimit = 20_000

// OK tells whether the code ran to its end.
func (e *Execution) OK() bool { return e.Status == StatusOK }

// Done tells whether it has ended, however it did.
func (e *Execution) Done() bool { return e.Status != StatusQueued && e.Status != StatusRunning }

// Value is the value of the last expression, or else of the variable result when
// this execution bound it: as encoding/json decodes it when it is JSON, else its
// repr as a string, else nil.
func (e *Execution) Value() any {
	var value any
	if err := json.Unmarshal(e.Result, &value); err == nil && value != nil {
		return value
	}
	if e.ResultRepr != nil && *e.ResultRepr != "None" {
		return *e.ResultRepr
	}
	return nil
}

// Text is what a model should read: output, displays, results and the error, in
// order, cut to TextLimit characters in the middle.
func (e *Execution) Text() string {
	var b strings.Builder
	for _, o := range e.Outputs {
		text := ""
		switch data := o.Data.(type) {
		case string:
			text = strings.TrimSuffix(data, "\n")
		case map[string]any:
			var ok bool
			if text, ok = data["text/plain"].(string); !ok {
				text = "[" + strings.Join(slices.Sorted(maps.Keys(data)), ", ") + "]"
			}
		}
		b.WriteString(text + "\n")
	}
	text := []rune(b.String())
	cut := len(text) - TextLimit
	if cut <= 0 {
		return b.String()
	}
	head := TextLimit * 3 / 4
	return fmt.Sprintf("%s\n[… %d characters left out …]\n%s", string(text[:head]), cut, string(text[head+cut:]))
}

// Images are the PNG and JPEG images that were shown, in order.
func (e *Execution) Images() [][]byte {
	var found [][]byte
	for _, o := range e.Outputs {
		data, _ := o.Data.(map[string]any)
		for _, kind := range []string{"image/png", "image/jpeg"} {
			text, ok := data[kind].(string)
			if !ok {
				continue
			}
			if image, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", "")); err == nil {
				found = append(found, image)
			}
		}
	}
	return found
}
