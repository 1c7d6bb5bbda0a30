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

// printExecution prints what an execution showed, in its order: stdout and the
// text of displays and results to stdout, stderr and errors to stderr. An
// execution that did not end ok is an error.
func (a *app) printExecution(e v1.Execution) error {
	if a.json {
		if err := a.printJSON(e); err != nil {
			return err
		}
		if e.Status != v1.StatusOK {
			return &programError{status: e.Status}
		}
		return nil
	}
	for _, o := range e.Outputs {
		to := a.out
		if o.Type == v1.OutputStderr || o.Type == v1.OutputError {
			to = a.err
		}
		text := outputText(o)
		if o.Type != v1.OutputStdout && o.Type != v1.OutputStderr {
			text = strings.TrimRight(text, "\n") + "\n"
		}
		if _, err := fmt.Fprint(to, text); err != nil {
			return fmt.Errorf("print the output: %w", err)
		}
	}
	a.printNotes(e)
	switch e.Status {
	case v1.StatusOK:
		return nil
	case v1.StatusError:
		return &programError{status: e.Status} // the traceback has said it all
	}
	return &programError{status: e.Status, text: "the program did not end well: " + e.Status}
}

// printNotes says what the output doesn't: what is missing from it, and that
// names which the next code may count on are gone.
func (a *app) printNotes(e v1.Execution) {
	for _, cut := range []struct {
		stream string
		bytes  int64
	}{{"stdout", e.Truncated.StdoutBytes}, {"stderr", e.Truncated.StderrBytes}} {
		if cut.bytes > 0 {
			fmt.Fprintf(a.err, "tcid: %d bytes are missing from the middle of %s: there was too much of it\n", cut.bytes, cut.stream)
		}
	}
	// Where the kernel ended just now, the error has said so.
	if e.StateLost && (e.Status == v1.StatusOK || e.Status == v1.StatusError) {
		fmt.Fprintln(a.err, "tcid: the variables of earlier code are lost; files stay")
	}
}

// outputText is the text of an output item: itself, or its plain form.
func outputText(o v1.Output) string {
	switch data := o.Data.(type) {
	case string:
		return data
	case map[string]any:
		if text, ok := data["text/plain"].(string); ok {
			return text
		}
		return "[" + strings.Join(slices.Sorted(maps.Keys(data)), ", ") + "]"
	}
	return ""
}
