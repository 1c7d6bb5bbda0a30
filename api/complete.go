package api

import (
	"net/http"
	"unicode/utf8"

	"tcid/api/transport"
	v1 "tcid/api/v1"
)

func (s *Server) complete(w http.ResponseWriter, r *http.Request) error {
	var in v1.CompleteSpec
	if _, err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	found, err := s.session(r)
	if err != nil {
		return err
	}
	length := int64(utf8.RuneCountInString(in.Code))
	cursor := length
	if in.Cursor != nil {
		cursor = *in.Cursor
	}
	if cursor < 0 || cursor > length {
		return transport.BadRequest("invalid_value", "cursor", "cursor must be between 0 and the %d characters of code", length)
	}
	c, err := found.Complete(r.Context(), in.Code, cursor)
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, v1.Completions{
		Matches: append([]string{}, c.Matches...), Start: min(c.Start, length), End: min(c.End, length),
	})
	return nil
}

func (s *Server) isComplete(w http.ResponseWriter, r *http.Request) error {
	var in v1.IsCompleteSpec
	if _, err := readJSON(w, r, &in, false); err != nil {
		return err
	}
	found, err := s.session(r)
	if err != nil {
		return err
	}
	c, err := found.IsComplete(r.Context(), in.Code)
	if err != nil {
		return err
	}
	transport.WriteJSON(w, http.StatusOK, v1.IsComplete{Status: c.Status, Indent: c.Indent})
	return nil
}
