package v1

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValue(t *testing.T) {
	none, text := "None", "{1}"
	for name, c := range map[string]struct {
		e    Execution
		want any
	}{
		"nothing":    {Execution{}, nil},
		"null":       {Execution{Result: json.RawMessage("null"), ResultRepr: &none}, nil},
		"no JSON":    {Execution{Result: json.RawMessage("null"), ResultRepr: &text}, "{1}"},
		"false":      {Execution{Result: json.RawMessage("false"), ResultRepr: &text}, false},
		"an object":  {Execution{Result: json.RawMessage(`{"a":[1]}`)}, map[string]any{"a": []any{1.0}}},
		"not usable": {Execution{Result: json.RawMessage(`{`)}, nil},
	} {
		if diff := cmp.Diff(c.want, c.e.Value()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTextAndImages(t *testing.T) {
	e := Execution{Status: StatusError, Outputs: []Output{
		{Type: OutputStdout, Data: "out\n"}, {Type: OutputStderr, Data: "no end"},
		{Type: OutputDisplayData, Data: map[string]any{"image/png": "cG5n\n", "text/plain": "<Figure>"}},
		{Type: OutputExecuteResult, Data: map[string]any{"image/jpeg": "anBn", "a/b": "x"}},
		{Type: OutputDisplayData, Data: map[string]any{"image/png": "not base64!"}},
		{Type: OutputError, Data: "Traceback"},
	}}
	if want := "out\nno end\n<Figure>\n[a/b, image/jpeg]\n[image/png]\nTraceback\n"; e.Text() != want || e.OK() || !e.Done() {
		t.Errorf("got %q, %t, %t", e.Text(), e.OK(), e.Done())
	}
	if diff := cmp.Diff([][]byte{[]byte("png"), []byte("jpg")}, e.Images()); diff != "" {
		t.Error(diff)
	}
	long := Execution{Outputs: []Output{{Type: OutputStdout, Data: strings.Repeat("ü", TextLimit+9)}}}
	want := strings.Repeat("ü", TextLimit*3/4) + "\n[… 10 characters left out …]\n" + strings.Repeat("ü", TextLimit/4-1) + "\n"
	if diff := cmp.Diff(want, long.Text()); diff != "" {
		t.Error(diff)
	}
}
