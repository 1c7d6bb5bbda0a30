package conformance

import (
	"errors"
	"fmt"
	"net/http"

	"tcid/api/client"
)

// refusal is an error that a step wants.
type refusal struct {
	Kind   string  `json:"kind"`
	Code   *string `json:"code"`
	Status *int    `json:"status"`
	Param  *string `json:"param"`
}

// kinds tell errors apart as a program would.
var kinds = map[string]func(*client.Error) bool{
	"session_not_found": func(e *client.Error) bool { return client.IsNotFound(e) && e.Code == "session_not_found" },
	"file_not_found":    func(e *client.Error) bool { return client.IsNotFound(e) && e.Code == "file_not_found" },
	"not_found": func(e *client.Error) bool {
		return client.IsNotFound(e) && e.Code != "session_not_found" && e.Code != "file_not_found"
	},
	"invalid_request": func(e *client.Error) bool {
		return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnsupportedMediaType ||
			e.Status == http.StatusInsufficientStorage
	},
	"conflict": func(e *client.Error) bool {
		return e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed
	},
}

// check says how err differs from what was wanted; nil: not.
func (r *refusal) check(err error) error {
	is := kinds[r.Kind]
	if is == nil {
		return fmt.Errorf("this runner does not know errors of the kind %q", r.Kind)
	}
	var argument *argumentError
	var e *client.Error
	switch {
	case errors.As(err, &argument) && argument.field() != "":
		// A program with such a field would not compile.
		e = &client.Error{Status: http.StatusBadRequest, Code: "unknown_field", Param: argument.field()}
	case !errors.As(err, &e):
		return fmt.Errorf("wanted the daemon to refuse it, got %w", err)
	}
	switch {
	case !is(e):
		return fmt.Errorf("wanted an error of the kind %s, got %+v", r.Kind, *e)
	case r.Code != nil && *r.Code != e.Code:
		return fmt.Errorf("the code is %q, wanted %q", e.Code, *r.Code)
	case r.Status != nil && *r.Status != e.Status:
		return fmt.Errorf("the status is %d, wanted %d", e.Status, *r.Status)
	case r.Param != nil && *r.Param != e.Param:
		return fmt.Errorf("the param is %q, wanted %q", e.Param, *r.Param)
	}
	return nil
}
