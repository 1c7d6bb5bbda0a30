package client

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "tcid/api/v1"
)

// UploadOptions say how a file is written.
type UploadOptions struct {
	Mode        fs.FileMode // permission bits; 0: the daemon's default
	NoOverwrite bool        // fail when it exists
}

// Upload writes a file into a session's workspace, whole or not at all.
func (c *Client) Upload(ctx context.Context, session, name string, content io.Reader, o UploadOptions) (info v1.FileInfo, err error) {
	q := url.Values{}
	if o.Mode != 0 {
		q.Set("mode", fmt.Sprintf("%04o", o.Mode.Perm()))
	}
	resp, err := c.send(ctx, http.MethodPut, c.filePath(session, name), q, content, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/octet-stream")
		if o.NoOverwrite {
			r.Header.Set("If-None-Match", "*")
		}
	})
	if err != nil {
		return info, err
	}
	defer resp.Body.Close()
	return info, c.read(ctx, resp, &info)
}

// Content is a file's content, to be read and closed, and what is known of it.
// A read that ends without an error has got all of it.
type Content struct {
	io.ReadCloser
	Size       int64     // bytes; -1: unknown
	ModifiedAt time.Time // whole seconds; zero: unknown
	ETag       string    // changes with the content
}

// Download opens a file of a session's workspace. The caller closes it.
func (c *Client) Download(ctx context.Context, session, name string) (*Content, error) {
	resp, err := c.send(ctx, http.MethodGet, c.filePath(session, name), nil, nil, nil) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	content := &Content{ReadCloser: resp.Body, Size: resp.ContentLength, ETag: resp.Header.Get("ETag")}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		content.ModifiedAt = t
	}
	return content, nil
}

// DeleteFile removes a file, or, recursively, a directory.
func (c *Client) DeleteFile(ctx context.Context, session, name string, recursive bool) error {
	q := url.Values{}
	if recursive {
		q.Set("recursive", "true")
	}
	return c.call(ctx, http.MethodDelete, c.filePath(session, name), q, nil, nil)
}

// ListFiles lists a directory of a session's workspace; "" is its root.
func (c *Client) ListFiles(ctx context.Context, session, name string, recursive bool) (l v1.FileList, err error) {
	q := url.Values{}
	if name != "" {
		q.Set("path", name)
	}
	if recursive {
		q.Set("recursive", "true")
	}
	return l, c.call(ctx, http.MethodGet, c.path("/v1/sessions/%s/files", session), q, nil, &l)
}

// filePath encodes each segment of a file's path. A leading slash is kept, in a
// form that survives: the daemon knows absolute paths below the workspace.
func (c *Client) filePath(session, name string) string {
	segments := strings.Split(strings.TrimLeft(name, "/"), "/")
	root := ""
	if strings.HasPrefix(name, "/") {
		root = "%2F"
	}
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
		if s == "." || s == ".." { // PathEscape leaves them, and servers resolve them
			segments[i] = strings.ReplaceAll(s, ".", "%2E")
		}
	}
	return c.path("/v1/sessions/%s/files/", session) + root + strings.Join(segments, "/")
}
