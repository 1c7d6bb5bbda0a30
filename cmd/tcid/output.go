package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "tcid/api/v1"
)

// Rules of the terminal: stdout gets what was asked for and nothing else;
// stderr gets what the program wrote there, progress, and errors, which begin
// with "tcid: ". With --json, stdout gets the API's object on one line.

// printJSON prints an object of the API.
func (a *app) printJSON(v any) error {
	if err := json.NewEncoder(a.out).Encode(v); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

// ended is the error that an execution's end is, if it is one.
func ended(e v1.Execution) error {
	switch e.Status {
	case v1.StatusOK:
		return nil
	case v1.StatusError:
		return &programError{status: e.Status} // the traceback has said it all
	}
	return &programError{status: e.Status, text: "the program did not end well: " + e.Status}
}

// plainText is what stands for a display in a terminal: its plain form, or else
// the types that it has.
func plainText(data map[string]any) string {
	if text, ok := data["text/plain"].(string); ok {
		return text
	}
	return "[" + printable(strings.Join(slices.Sorted(maps.Keys(data)), ", ")) + "]"
}
