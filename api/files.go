package api

import (
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"tcid/api/gate"
	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/sandbox/workspace"
)

const permissionBits = 0o777

// workspace finds the workspace that a path names, and keeps its session from
// idling out until done is called.
func (s *Server) workspace(r *http.Request) (dir *workspace.Dir, done func(), err error) {
	found, err := s.session(r)
	if err != nil {
		return nil, nil, err
	}
	return found.UseFiles()
}

func (s *Server) listFiles(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "path", "recursive"); err != nil {
		return err
	}
	recursive, err := boolQuery(r, "recursive")
	if err != nil {
		return err
	}
	dir, done, err := s.workspace(r)
	if err != nil {
		return err
	}
	defer done()
	infos, truncated, err := dir.List(r.Context(), r.URL.Query().Get("path"), recursive, maxListedFiles)
	if err != nil {
		return err
	}
	list := v1.FileList{Data: []v1.FileInfo{}, Truncated: truncated}
	for _, info := range infos {
		list.Data = append(list.Data, fileInfoOf(info))
	}
	transport.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) putFile(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "mode"); err != nil {
		return err
	}
	options := workspace.PutOptions{MaxBytes: maxFileBody, NoOverwrite: r.Header.Get("If-None-Match") == "*"}
	if text := r.URL.Query().Get("mode"); text != "" {
		mode, err := strconv.ParseUint(text, 8, 32)
		if err != nil || mode > permissionBits {
			return transport.BadRequest("invalid_value", "mode", "mode must be permission bits in octal, such as 0644")
		}
		options.Mode = fs.FileMode(mode)
	}
	if r.ContentLength > maxFileBody {
		return transport.BodyTooLarge(maxFileBody)
	}
	dir, done, err := s.workspace(r)
	if err != nil {
		return err
	}
	defer done()
	info, created, err := dir.Put(r.Context(), r.PathValue("path"), &patient{body: r.Body, control: http.NewResponseController(w)}, options)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	transport.WriteJSON(w, status, fileInfoOf(info))
	return nil
}

// patient reads a body of any length, as long as enough keeps coming.
type patient struct {
	body    io.Reader
	control *http.ResponseController
	pace    gate.Pace
}

func (p *patient) Read(b []byte) (int, error) {
	begun := time.Now()
	_ = p.control.SetReadDeadline(begun.Add(p.pace.Left()))
	n, err := p.body.Read(b)
	p.pace.Moved(n, time.Since(begun))
	switch err {
	case nil:
	case io.EOF: //nolint:errorlint // a Reader's EOF is never wrapped
		// From here on the connection is only watched for its end.
		_ = p.control.SetReadDeadline(time.Time{})
	default:
		// The deadline stays: net/http wants the rest of the body.
		err = transport.BadRequest("invalid_body", "", "the file could not be read: it was cut off or came too slowly")
	}
	return n, err
}

func (s *Server) getFile(w http.ResponseWriter, r *http.Request) error {
	dir, done, err := s.workspace(r)
	if err != nil {
		return err
	}
	defer done()
	file, err := dir.Get(r.PathValue("path"))
	if err != nil {
		return err
	}
	defer file.Close()
	info := file.Info()
	h := w.Header()
	kind := mime.TypeByExtension(path.Ext(info.Name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	// Never shown by a browser in the daemon's name.
	h.Set("Content-Disposition", contentDisposition(info.Name))
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModifiedAt.UnixNano(), info.Size))
	http.ServeContent(w, r, "", info.ModifiedAt, file)
	return nil
}

func (s *Server) deleteFile(w http.ResponseWriter, r *http.Request) error {
	if err := checkQuery(r, "recursive"); err != nil {
		return err
	}
	recursive, err := boolQuery(r, "recursive")
	if err != nil {
		return err
	}
	dir, done, err := s.workspace(r)
	if err != nil {
		return err
	}
	defer done()
	if err := dir.Remove(r.PathValue("path"), recursive); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
