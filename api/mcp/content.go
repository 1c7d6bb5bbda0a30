package mcp

import (
	"errors"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
)

func textContent(text string) sdk.Content { return &sdk.TextContent{Text: text} }

// toolFailure is an error that says what to do next.
type toolFailure struct{ text string }

func (e *toolFailure) Error() string { return e.text }

func toolError(format string, args ...any) error {
	return &toolFailure{fmt.Sprintf(format, args...)}
}

// failure tells the model of an error.
func failure(err error) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{textContent(advice(err))}, IsError: true}
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
