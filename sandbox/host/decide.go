package host

import (
	"slices"
	"strings"
)

// LackError says that a host lacks something that sandboxes need.
type LackError struct{ Findings []Finding }

func (e *LackError) Error() string {
	var b strings.Builder
	b.WriteString("this host lacks what sandboxes need:")
	flags := ""
	for _, f := range e.Findings {
		b.WriteString("\n  " + f.ID + ": " + f.Title + ": " + f.Detail)
		if f.Mend != "" {
			b.WriteString("\n    mend: " + f.Mend)
		}
		flags += " --accept-weakness " + f.ID
	}
	b.WriteString("\n\"tcid doctor\" shows the whole host; to start all the same:" + flags)
	return b.String()
}

// Lacks returns a LackError with all that is required, missing, and not among
// the accepted; nil when there is nothing.
func (r Report) Lacks(accepted []string) error {
	var e LackError
	for _, f := range r.Findings {
		if f.Required && f.Status == Missing && !slices.Contains(accepted, f.ID) {
			e.Findings = append(e.Findings, f)
		}
	}
	if len(e.Findings) == 0 {
		return nil
	}
	return &e
}

// Weaknesses are the findings that are not ok.
func (r Report) Weaknesses() []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if f.Status != OK {
			found = append(found, f)
		}
	}
	return found
}
