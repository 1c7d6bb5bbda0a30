package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	v1 "tcid/api/v1"
)

// Whatever the wire types hold, it is written as encoding/json writes it.
func TestEncodeIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesOf := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) })
		long := rapid.Map(bytesOf, func(s string) string { return strings.Repeat(s, pieceBytes/(len(s)+1)*2) })
		text := rapid.OneOf(rapid.String(), bytesOf, long)
		at := time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "time"), 0).UTC()
		one := 1.5
		e := v1.Execution{
			ID: text.Draw(t, "id"), QueuedAt: at, Stdout: text.Draw(t, "stdout"), Result: json.RawMessage(`{"a": [1, "<"]}`),
			Outputs: []v1.Output{{Type: "stdout", Data: text.Draw(t, "output")}, {Type: "display_data", Data: map[string]any{
				"text/plain": text.Draw(t, "plain"), "b": json.RawMessage(`[1]`), "a": nil, "c": 1.5, "d": []any{true, text.Draw(t, "deep")}}}},
			Tests: []v1.TestResult{{Name: text.Draw(t, "test")}}, Files: []v1.FileChange{{FileInfo: v1.FileInfo{Path: text.Draw(t, "path"), ModifiedAt: at}}},
		}
		if rapid.Bool().Draw(t, "whole") {
			e.StartedAt, e.ResultRepr, e.Reward, e.Error = &at, &e.ID, &one, &v1.ExecError{Name: "E", Traceback: []string{text.Draw(t, "line")}}
		}
		for _, v := range []any{
			e, &e, v1.Event{Seq: 1, Type: "finished", Execution: &e}, v1.Event{Type: "stdout", Text: text.Draw(t, "event")},
			v1.Event{Type: "display_data", Data: map[string]any{}, Metadata: json.RawMessage(`{}`)},
			v1.ExecutionList{Data: []v1.Execution{e, e}}, v1.ExecutionList{}, v1.SessionList{Data: []v1.Session{}},
			v1.Session{Metadata: map[string]string{text.Draw(t, "key"): "v"}}, v1.ErrorBody{}, nil, 3, "x", []byte("b"), map[string]any{}, []any{nil, 1},
		} {
			want, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := Encode(&got, v); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Fatalf("%T:\ngot  %.2000s\nwant %.2000s", v, got.Bytes(), want)
			}
		}
	})
}

// No piece is large, so that slow readers hold little.
func TestEncodeInPieces(t *testing.T) {
	largest := 0
	note := writerFunc(func(b []byte) (int, error) { largest = max(largest, len(b)); return len(b), nil })
	if err := Encode(note, v1.Execution{Stdout: strings.Repeat("\x00", 4<<20)}); err != nil {
		t.Fatal(err)
	}
	if largest > 6*pieceBytes { // each byte is written as six
		t.Errorf("a piece of %d bytes", largest)
	}
	if err := Encode(note, func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestWriteJSON(t *testing.T) {
	for _, size := range []int{0, 10, pieceBytes - 3, pieceBytes - 2, pieceBytes, 5 * pieceBytes} {
		w := httptest.NewRecorder()
		text := strings.Repeat("x", size)
		WriteJSON(w, 201, text)
		length := w.Header().Get("Content-Length")
		if w.Code != 201 || w.Body.String() != `"`+text+"\"\n" || (length == "") != (size+3 > pieceBytes) {
			t.Errorf("%d bytes: status %d, %d bytes, length %q", size, w.Code, w.Body.Len(), length)
		}
	}
}

// An error of the connection ends the encoding.
func TestEncodeStops(t *testing.T) {
	broken, calls := errors.New("gone"), 0
	err := Encode(writerFunc(func(b []byte) (int, error) { calls++; return 0, broken }), v1.Execution{Stdout: strings.Repeat("x", 8<<20)})
	if !errors.Is(err, broken) || calls != 1 {
		t.Errorf("%v after %d writes", err, calls)
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
