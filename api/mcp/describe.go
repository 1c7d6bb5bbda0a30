package mcp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	v1 "tcid/api/v1"
)

const (
	maxImages     = 8
	maxImageBytes = 3 << 20 // decoded; models take about 5 MB of base64
	maxImagesSum  = 8 << 20
)

// runResult is the structured answer of run_python.
type runResult struct {
	Session    string          `json:"session"`
	Status     string          `json:"status"`
	Stdout     string          `json:"stdout"`
	Stderr     string          `json:"stderr"`
	Result     json.RawMessage `json:"result"`
	ResultText *string         `json:"result_text"`
	Error      *runError       `json:"error"`
	Files      []changedFile   `json:"files"`
	Images     int             `json:"images"`
	Truncated  bool            `json:"truncated"`
	StateLost  bool            `json:"state_lost"`
	DurationMS float64         `json:"duration_ms"`
}

type runError struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
}

type changedFile struct {
	Path   string `json:"path"`
	Change string `json:"change"`
	Size   int64  `json:"size"`
	URI    string `json:"uri"`
}

// describe tells of an execution: a text and images for models, and the same as
// data.
func (c *Connection) describe(name string, e v1.Execution, timeout float64, lost bool) *sdk.CallToolResult {
	d := description{}
	for _, o := range e.Outputs {
		d.add(o)
	}
	d.separate()
	if e.ResultSource == "variable" && e.ResultRepr != nil {
		d.line("[result] " + *e.ResultRepr)
	}
	if e.Error != nil && !d.traceback {
		d.line(fmt.Sprintf("%s: %s", e.Error.Name, e.Error.Value))
	}
	text, cut := bound(d.text.String(), maxText)
	result := runResult{
		Session: name, Status: e.Status, Images: len(d.images), StateLost: e.StateLost, DurationMS: e.Receipt.WallMS,
		Files: []changedFile{}, Truncated: cut > 0 || d.dropped > 0 || e.Truncated.StdoutBytes+e.Truncated.StderrBytes > 0 || e.Receipt.DroppedDisplays > 0,
	}
	result.fill(e)
	var b strings.Builder
	b.WriteString(text)
	b.WriteString(result.notes(e, timeout, lost))
	if b.Len() == 0 {
		b.WriteString("[no output]\n")
	}
	return &sdk.CallToolResult{Content: append([]sdk.Content{textContent(b.String())}, d.images...), StructuredContent: result, IsError: e.Status != v1.StatusOK}
}

// fill adds what is bounded by itself.
func (r *runResult) fill(e v1.Execution) {
	take := func(text string, most int) string {
		text, cut := bound(text, most)
		r.Truncated = r.Truncated || cut > 0
		return text
	}
	r.Stdout, r.Stderr = take(e.Stdout, maxStream), take(e.Stderr, maxStream)
	r.Result = json.RawMessage("null")
	if len(e.Result) > 0 && len(e.Result) <= maxResult {
		r.Result = e.Result
	}
	if e.ResultRepr != nil {
		text := take(*e.ResultRepr, maxResult)
		r.ResultText = &text
	}
	if e.Error != nil {
		r.Error = &runError{Name: e.Error.Name, Message: take(e.Error.Value, maxResult), Traceback: take(strings.Join(e.Error.Traceback, "\n"), maxTraceback)}
	}
	r.Truncated = r.Truncated || e.FilesTruncated || len(e.Files) > maxListed
	for _, f := range e.Files[:min(len(e.Files), maxListed)] {
		r.Files = append(r.Files, changedFile{f.Path, f.Change, f.Size, fileURI(r.Session, f.Path)})
	}
}

// notes say what is not output: changed files, lost state, why it ended and
// what to do.
func (r *runResult) notes(e v1.Execution, timeout float64, lost bool) string {
	var b strings.Builder
	if len(e.Files) > 0 {
		b.WriteString("[files]\n")
		b.WriteString(lines(len(e.Files), func(i int) string {
			f := e.Files[i]
			return fmt.Sprintf("%s %s (%s)", f.Change, f.Path, size(f.Size))
		}))
	}
	if r.Truncated {
		b.WriteString("[note] Not everything is shown. Print less, or write large output to a file and look at parts of it.\n")
	}
	if e.StateLost && (e.Status == v1.StatusOK || e.Status == v1.StatusError) {
		b.WriteString("[note] Python was restarted before this run: variables and imports of earlier calls were lost, files were kept.\n")
	}
	kept := "Variables and files are kept."
	if e.StateLost {
		kept = "Python had to be restarted: variables and imports are lost, files are kept."
	}
	if lost {
		fmt.Fprintf(&b, "[%s] Session %q ended while the code ran: its variables and files are lost. The next call makes a new, empty one.\n", e.Status, r.Session)
		return b.String()
	}
	switch e.Status {
	case v1.StatusTimeout:
		fmt.Fprintf(&b, "[timeout] The code was stopped after %g s. %s Give a larger timeout (up to %.0f), or do the work in smaller steps.\n", timeout, kept, maxTimeout)
	case v1.StatusInterrupted, v1.StatusCancelled:
		fmt.Fprintf(&b, "[%s] The code was stopped before its end. %s\n", e.Status, kept)
	case v1.StatusMemoryLimit:
		fmt.Fprintf(&b, "[memory_limit] The code used more memory than the session has. %s Work on smaller pieces, and delete what is not needed; files count too.\n", kept)
	case v1.StatusCrashed:
		fmt.Fprintf(&b, "[crashed] Python ended while it ran the code, by os._exit, a signal, or a fault in an extension. %s Repeat imports and definitions, and avoid what ended it.\n", kept)
	case v1.StatusInfraError:
		fmt.Fprintf(&b, "[infra_error] The service failed, not the code. %s Run it again; if that fails too, use another session.\n", kept)
	}
	return b.String()
}

// description collects what an execution showed, in its order.
type description struct {
	text      strings.Builder
	images    []sdk.Content
	sum       int  // decoded bytes of the images
	dropped   int  // images
	traceback bool // has been shown
	stderr    bool // what was written last
}

func (d *description) add(o v1.Output) {
	switch data := o.Data.(type) {
	case string:
		switch o.Type {
		case v1.OutputStderr:
			if !d.stderr {
				d.separate()
				d.text.WriteString("[stderr]\n")
			}
			d.stderr = true
			d.text.WriteString(data)
			return
		case v1.OutputError:
			d.traceback = true
			bounded, _ := bound(data, maxTraceback)
			d.line(bounded)
			return
		}
		if d.stderr {
			d.separate()
			d.text.WriteString("[stdout]\n")
			d.stderr = false
		}
		d.text.WriteString(data)
	case map[string]any:
		d.display(data)
	}
}

// separate begins a new line.
func (d *description) separate() {
	if s := d.text.String(); s != "" && !strings.HasSuffix(s, "\n") {
		d.text.WriteByte('\n')
	}
}

func (d *description) line(text string) {
	d.separate()
	d.text.WriteString(text)
	d.separate()
	d.stderr = false
}

// display takes the richest form that a model can read.
func (d *description) display(data map[string]any) {
	for _, kind := range []string{"image/png", "image/jpeg"} {
		if encoded, ok := data[kind].(string); ok {
			d.image(kind, strings.Join(strings.Fields(encoded), ""))
			return
		}
	}
	for _, kind := range []string{"text/plain", "text/markdown", "text/latex", "text/html", "image/svg+xml"} {
		if text, ok := data[kind].(string); ok {
			d.line(text)
			return
		}
	}
	if value, ok := data["application/json"]; ok {
		text, _ := json.Marshal(value)
		d.line(string(text))
	}
}

func (d *description) image(kind, encoded string) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	n := len(data)
	switch {
	case err != nil:
		d.line(fmt.Sprintf("[an image (%s) is left out: it is not valid base64]", kind))
	case n > maxImageBytes:
		d.line(fmt.Sprintf("[an image (%s, %s) is left out: it is larger than %s; draw it with fewer pixels]", kind, size(int64(n)), size(maxImageBytes)))
	case len(d.images) >= maxImages || d.sum+n > maxImagesSum:
		d.line(fmt.Sprintf("[an image (%s, %s) is left out: a call returns up to %d images and %s]", kind, size(int64(n)), maxImages, size(maxImagesSum)))
	default:
		d.sum += n
		d.images = append(d.images, &sdk.ImageContent{Data: data, MIMEType: kind})
		d.line(fmt.Sprintf("[image %d]", len(d.images)))
		return
	}
	d.dropped++
}
