package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

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

// fileTemplate is of the resources' URIs.
var fileTemplate = &sdk.ResourceTemplate{
	URITemplate: "tci://{session}/{+path}", Name: "session-file", Title: "File of a session",
	Description: "A file in the working directory of a session made over this connection.",
}

// listResources lists the files of all sessions.
func (c *Connection) listResources(ctx context.Context) ([]*sdk.Resource, error) {
	list := []*sdk.Resource{}
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
			return nil, fmt.Errorf("list the files of session %q: %w", one.name, err)
		}
		for _, f := range regular(files.Data) {
			if len(list) == maxResources {
				break
			}
			list = append(list, &sdk.Resource{
				URI: fileURI(one.name, f.Path), Name: f.Path, Title: one.name + ": " + f.Path, MIMEType: kindByName(f.Path), Size: f.Size})
		}
	}
	return list, nil
}

func (c *Connection) readResource(ctx context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	session, name, err := parseURI(r.Params.URI)
	if err != nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	text, kind, err := c.readFile(ctx, session, name)
	if err != nil {
		code := jsonrpc.CodeInvalidParams // as the SDK says it of a resource that there isn't
		if client.IsUnreachable(err) || ctx.Err() != nil {
			code = jsonrpc.CodeInternalError
		}
		return nil, &jsonrpc.Error{Code: int64(code), Message: advice(err)}
	}
	found := &sdk.ResourceContents{URI: r.Params.URI, MIMEType: kind}
	if len(text) > 0 && isText(text) {
		found.Text = string(text)
	} else { // the SDK leaves an empty text out
		found.Blob = text
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{found}}, nil
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
