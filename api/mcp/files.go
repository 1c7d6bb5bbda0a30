package mcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	maxUpload   = 8 << 20
	defaultPart = 64 << 10 // of a file that is downloaded
	maxPart     = 1 << 20
	sniffed     = 512 // bytes that tell what a file is
)

type uploadArguments struct {
	Path     string  `json:"path"`
	Content  *string `json:"content"`
	Encoding string  `json:"encoding"`
	Session  string  `json:"session"`
}

type uploadResult struct {
	Session string `json:"session"`
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	URI     string `json:"uri"`
}

func (c *Connection) upload(ctx context.Context, _ *sdk.CallToolRequest, a uploadArguments) (*sdk.CallToolResult, error) {
	if a.Path == "" || a.Content == nil {
		return nil, toolError("upload_file needs the arguments path and content")
	}
	content := []byte(*a.Content)
	switch a.Encoding {
	case "", "text":
	case "base64":
		var err error
		if content, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(*a.Content), "")); err != nil {
			return nil, toolError("content is not valid base64; use encoding \"text\" for text")
		}
	default:
		return nil, toolError("encoding must be \"text\" or \"base64\"")
	}
	if len(content) > maxUpload {
		return nil, toolError("the file has %s, and upload_file takes up to %s: upload it in parts and join them by run_python", size(int64(len(content))), size(maxUpload))
	}
	one, release, err := c.sessions.named(a.Session, true)
	if err != nil {
		return nil, err
	}
	defer release()
	id, err := c.ready(ctx, one)
	if err != nil {
		return nil, err
	}
	info, err := c.sessions.daemon.Upload(ctx, id, a.Path, bytes.NewReader(content), client.UploadOptions{})
	if err != nil {
		return nil, c.fileError(ctx, one, id, err)
	}
	return &sdk.CallToolResult{
		Content:           []sdk.Content{textContent(fmt.Sprintf("Wrote %s (%s).", info.Path, size(info.Size)))},
		StructuredContent: uploadResult{one.name, info.Path, info.Size, fileURI(one.name, info.Path)},
	}, nil
}

// ready returns a session's id, made if there is none. It waits for no run.
func (c *Connection) ready(ctx context.Context, one *session) (string, error) {
	if id, _ := one.state(); id != "" {
		return id, nil
	}
	if err := one.take(ctx); err != nil {
		return "", err
	}
	defer one.give()
	return c.sessions.open(ctx, one)
}

// existing finds a session that has been made.
func (c *Connection) existing(name string) (one *session, id string, release func(), err error) {
	one, release, err = c.sessions.named(name, false)
	if err != nil {
		return nil, "", nil, err
	}
	if id, _ = one.state(); id == "" {
		release()
		return nil, "", nil, toolError("session %q has not been made yet, or has ended: run_python and upload_file make it", one.name)
	}
	return one, id, release, nil
}

// fileError says what files there are when one isn't.
func (c *Connection) fileError(ctx context.Context, one *session, id string, err error) error {
	if gone(err) {
		return one.lose(id, err)
	}
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != "file_not_found" {
		return err
	}
	list, listErr := c.sessions.daemon.ListFiles(ctx, id, "", true)
	files := regular(list.Data)
	switch {
	case listErr != nil:
		return err
	case len(files) == 0:
		return toolError("%v. Session %q has no files", err, one.name)
	}
	return toolError("%v. The files of session %q are:\n%s", err, one.name, lines(len(files), func(i int) string { return files[i].Path }))
}

func regular(all []v1.FileInfo) []v1.FileInfo {
	var files []v1.FileInfo
	for _, f := range all {
		if f.Type == "file" {
			files = append(files, f)
		}
	}
	return files
}

type downloadArguments struct {
	Path     string `json:"path"`
	Session  string `json:"session"`
	Encoding string `json:"encoding"`
	Offset   int64  `json:"offset"`
	MaxBytes *int64 `json:"max_bytes"`
}

type downloadResult struct {
	Session    string `json:"session"`
	Path       string `json:"path"`
	Size       int64  `json:"size"`
	URI        string `json:"uri"`
	MIMEType   string `json:"mime_type"`
	Encoding   string `json:"encoding"`
	Content    string `json:"content"`
	Offset     int64  `json:"offset"`
	NextOffset *int64 `json:"next_offset"`
}

func (c *Connection) download(ctx context.Context, _ *sdk.CallToolRequest, a downloadArguments) (*sdk.CallToolResult, error) {
	most := int64(defaultPart)
	if a.MaxBytes != nil {
		most = *a.MaxBytes
	}
	switch {
	case a.Path == "":
		return nil, toolError("name the file in the argument path; list_files tells which there are")
	case most < 1 || most > maxPart:
		return nil, toolError("max_bytes must be from 1 to %d", maxPart)
	case a.Offset < 0:
		return nil, toolError("offset must not be negative")
	case a.Encoding != "" && a.Encoding != "auto" && a.Encoding != "text" && a.Encoding != "base64":
		return nil, toolError("encoding must be \"auto\", \"text\" or \"base64\"")
	}
	one, id, release, err := c.existing(a.Session)
	if err != nil {
		return nil, err
	}
	defer release()
	file, err := c.sessions.daemon.Download(ctx, id, a.Path)
	if err != nil {
		return nil, c.fileError(ctx, one, id, err)
	}
	defer file.Close()
	if a.Offset > file.Size {
		return nil, toolError("offset %d is behind the end of %s, which has %d bytes", a.Offset, a.Path, file.Size)
	}
	out := downloadResult{Session: one.name, Path: a.Path, Size: file.Size, URI: fileURI(one.name, a.Path), Offset: a.Offset}
	if _, err := io.CopyN(io.Discard, file, a.Offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", a.Path, err)
	}
	head := make([]byte, min(sniffed, file.Size-a.Offset))
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, fmt.Errorf("read %s: %w", a.Path, err)
	}
	out.MIMEType = kindOf(a.Path, head)
	whole := a.Offset == 0 && isImage(out.MIMEType) && (a.Encoding == "" || a.Encoding == "auto")
	if whole {
		if file.Size > maxImageBytes {
			return nil, toolError("%s is an image of %s, and models get up to %s: make a smaller one by run_python, or get its bytes with encoding \"base64\"", a.Path, size(file.Size), size(maxImageBytes))
		}
		most = file.Size
	}
	part := head[:min(most, int64(len(head)))]
	if rest := min(most, file.Size-a.Offset) - int64(len(part)); rest > 0 {
		more := make([]byte, rest)
		if _, err := io.ReadFull(file, more); err != nil {
			return nil, fmt.Errorf("read %s: %w", a.Path, err)
		}
		part = append(part, more...)
	}
	return out.part(part, whole, a.Encoding)
}

// part puts a part of a file into its form.
func (r downloadResult) part(part []byte, image bool, encoding string) (*sdk.CallToolResult, error) {
	atEnd := func() bool { return r.Offset+int64(len(part)) >= r.Size }
	var blocks []sdk.Content
	switch text := trimmed(part, atEnd()); {
	case image:
		r.Encoding, r.Content = "image", ""
		blocks = []sdk.Content{textContent(fmt.Sprintf("%s (%s, %s)", r.Path, r.MIMEType, size(r.Size))),
			&sdk.ImageContent{Data: part, MIMEType: r.MIMEType}}
	case encoding == "base64" || encoding != "text" && !isText(text):
		r.Encoding, r.Content = "base64", base64.StdEncoding.EncodeToString(part)
		blocks = []sdk.Content{textContent(r.Content)}
	case !utf8.Valid(text):
		return nil, toolError("%s is not UTF-8 text at offset %d: use encoding \"base64\"", r.Path, r.Offset)
	default:
		part = text
		r.Encoding, r.Content = "text", string(text)
		blocks = []sdk.Content{textContent(r.Content)}
	}
	if !atEnd() {
		next := r.Offset + int64(len(part))
		r.NextOffset = &next
		blocks = append(blocks, textContent(fmt.Sprintf("[bytes %d to %d of %d; go on with offset %d]", r.Offset, next, r.Size, next)))
	}
	return &sdk.CallToolResult{Content: blocks, StructuredContent: r}, nil
}

// trimmed takes the beginning of a character away that the part's end has cut.
func trimmed(part []byte, atEnd bool) []byte {
	if atEnd {
		return part
	}
	for i := 1; i < utf8.UTFMax && i < len(part); i++ {
		if at := len(part) - i; utf8.RuneStart(part[at]) {
			if !utf8.FullRune(part[at:]) {
				return part[:at]
			}
			break
		}
	}
	return part
}

func isText(part []byte) bool {
	return utf8.Valid(part) && !strings.ContainsRune(string(part), 0)
}

func isImage(kind string) bool {
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// kindByName guesses a file's MIME type; "" when its name tells nothing.
func kindByName(name string) string {
	kind, _, _ := mime.ParseMediaType(mime.TypeByExtension(path.Ext(name)))
	return kind
}

// kindOf tells a file's MIME type: pictures by what is in them, all else by name.
func kindOf(name string, head []byte) string {
	seen := http.DetectContentType(head)
	if isImage(seen) {
		return seen
	}
	named := kindByName(name)
	switch {
	case named != "" && !isImage(named):
		return named
	case utf8.Valid(trimmed(head, false)) && !strings.ContainsRune(string(head), 0):
		return "text/plain"
	}
	return "application/octet-stream"
}

type listArguments struct {
	Session   string `json:"session"`
	Path      string `json:"path"`
	Recursive *bool  `json:"recursive"`
}

type listedFile struct {
	Path string `json:"path"`
	Type string `json:"type"`
	Size int64  `json:"size"`
	URI  string `json:"uri"`
}

type listResult struct {
	Session   string       `json:"session"`
	Files     []listedFile `json:"files"`
	Truncated bool         `json:"truncated"`
}

func (c *Connection) listFiles(ctx context.Context, _ *sdk.CallToolRequest, a listArguments) (*sdk.CallToolResult, error) {
	one, id, release, err := c.existing(a.Session)
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := c.sessions.daemon.ListFiles(ctx, id, a.Path, a.Recursive == nil || *a.Recursive)
	if err != nil {
		return nil, c.fileError(ctx, one, id, err)
	}
	out := listResult{Session: one.name, Files: []listedFile{}, Truncated: list.Truncated || len(list.Data) > maxListed}
	for _, f := range list.Data[:min(len(list.Data), maxListed)] {
		out.Files = append(out.Files, listedFile{f.Path, f.Type, f.Size, fileURI(one.name, f.Path)})
	}
	text := lines(len(list.Data), func(i int) string {
		f := list.Data[i]
		if f.Type == "directory" {
			return f.Path + "/"
		}
		return fmt.Sprintf("%s (%s)", f.Path, size(f.Size))
	})
	if text == "" {
		text = fmt.Sprintf("Session %q has no files here.\n", one.name)
	}
	return &sdk.CallToolResult{Content: []sdk.Content{textContent(text)}, StructuredContent: out}, nil
}
