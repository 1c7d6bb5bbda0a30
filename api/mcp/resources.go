package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"tcid/api/client"
)

const (
	uriScheme    = "tci://"
	maxResource  = 8 << 20
	maxResources = 1000 // in a list
)

// fileURI names a file of a session.
func fileURI(session, name string) string {
	segments := strings.Split(name, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return uriScheme + session + "/" + strings.Join(segments, "/")
}

// parseURI takes a file's URI apart.
func parseURI(uri string) (session, name string, err error) {
	rest, ok := strings.CutPrefix(uri, uriScheme)
	session, escaped, cut := strings.Cut(rest, "/")
	if !ok || !cut || escaped == "" {
		return "", "", fmt.Errorf("%q names no file: the form is tci://{session}/{path}", clip(uri))
	}
	if name, err = url.PathUnescape(escaped); err != nil {
		return "", "", fmt.Errorf("%q is not percent-encoded as it should be", clip(uri))
	}
	return session, name, nil
}

type listedResource struct {
	URI      string `json:"uri"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	MIMEType string `json:"mimeType,omitempty"`
	Size     int64  `json:"size"`
}

func resourceTemplates() []map[string]string {
	return []map[string]string{{
		"uriTemplate": "tci://{session}/{+path}", "name": "session-file", "title": "File of a session",
		"description": "A file in the working directory of a session made over this connection.",
	}}
}

// listResources lists the files of all sessions.
func (c *Connection) listResources(ctx context.Context) (any, *rpcError) {
	list := []listedResource{}
	for _, one := range c.sessions.all() {
		id, _ := one.state()
		if id == "" {
			continue
		}
		files, err := c.sessions.daemon.ListFiles(ctx, id, "", true)
		switch {
		case gone(err):
			continue // the next call of a tool tells of it
		case err != nil:
			return nil, refuse(codeInternal, "list the files of session %q: %v", one.name, err)
		}
		for _, f := range regular(files.Data) {
			if len(list) == maxResources {
				break
			}
			list = append(list, listedResource{
				URI: fileURI(one.name, f.Path), Name: f.Path, Title: one.name + ": " + f.Path, MIMEType: kindByName(f.Path), Size: f.Size})
		}
	}
	return map[string]any{"resources": list}, nil
}

func (c *Connection) readResource(ctx context.Context, params json.RawMessage) (any, *rpcError) {
	var in struct {
		URI string `json:"uri"`
	}
	if err := decode(params, &in); err != nil {
		return nil, err
	}
	session, name, err := parseURI(in.URI)
	if err != nil {
		return nil, refuse(codeParams, "%v", err)
	}
	text, kind, err := c.readFile(ctx, session, name)
	if err != nil {
		code := codeResourceNotFound
		if client.IsUnreachable(err) || ctx.Err() != nil {
			code = codeInternal
		}
		return nil, refuse(code, "%s", advice(err))
	}
	found := resource{URI: in.URI, MIMEType: kind}
	if isText(text) {
		s := string(text)
		found.Text = &s
	} else {
		s := base64.StdEncoding.EncodeToString(text)
		found.Blob = &s
	}
	return map[string]any{"contents": []resource{found}}, nil
}

func (c *Connection) readFile(ctx context.Context, session, name string) (text []byte, kind string, err error) {
	one, id, release, err := c.existing(session)
	if err != nil {
		return nil, "", err
	}
	defer release()
	file, err := c.sessions.daemon.Download(ctx, id, name)
	if err != nil {
		return nil, "", c.fileError(ctx, one, id, err)
	}
	defer file.Close()
	if file.Size > maxResource {
		return nil, "", toolError("%s has %s, and a resource is read up to %s: download_file returns it in parts", path.Clean(name), size(file.Size), size(maxResource))
	}
	text, err = io.ReadAll(io.LimitReader(file, maxResource+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxResource {
		return nil, "", errors.New("the file grows while it is read")
	}
	return text, kindOf(name, text[:min(len(text), sniffed)]), nil
}
