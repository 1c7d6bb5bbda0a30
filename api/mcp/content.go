package mcp

import (
	"errors"
	"fmt"

	"tcid/api/client"
)

// content is one block of a tool's answer.
type content struct {
	Type     string    `json:"type"` // text, image, resource
	Text     *string   `json:"text,omitempty"`
	Data     string    `json:"data,omitempty"` // base64
	MIMEType string    `json:"mimeType,omitempty"`
	Resource *resource `json:"resource,omitempty"`
}

// resource is the content of a file: Text or Blob.
type resource struct {
	URI      string  `json:"uri"`
	MIMEType string  `json:"mimeType,omitempty"`
	Text     *string `json:"text,omitempty"`
	Blob     *string `json:"blob,omitempty"` // base64
}

func textContent(text string) content { return content{Type: "text", Text: &text} }

func imageContent(kind, data string) content {
	return content{Type: "image", Data: data, MIMEType: kind}
}

// toolResult is the answer of a tool. With IsError, the model is to read what
// went wrong and do something about it.
type toolResult struct {
	Content    []content `json:"content"`
	Structured any       `json:"structuredContent,omitempty"`
	IsError    bool      `json:"isError,omitempty"`
}

// toolFailure is an error that says what to do next.
type toolFailure struct{ text string }

func (e *toolFailure) Error() string { return e.text }

func toolError(format string, args ...any) error {
	return &toolFailure{fmt.Sprintf(format, args...)}
}

// failure tells the model of an error.
func failure(err error) *toolResult {
	return &toolResult{Content: []content{textContent(advice(err))}, IsError: true}
}

// advice is what to say of an error, and what can be done about it.
func advice(err error) string {
	var told *toolFailure
	var refused *client.Error
	switch {
	case errors.As(err, &told):
		return told.text
	case errors.As(err, &refused) && refused.RetryAfter > 0:
		return fmt.Sprintf("%v. Nothing was started; try again in %v.", err, refused.RetryAfter)
	case errors.As(err, &refused) && refused.Code == "no_space":
		return fmt.Sprintf("%v. Delete files that are not needed any more, or write less.", err)
	case client.IsUnreachable(err):
		return fmt.Sprintf("The Python service can't be reached: %v. Sessions may be lost. Tell the user; trying again helps only when it runs again.", err)
	}
	text, _ := bound(err.Error(), maxResult)
	return text
}
