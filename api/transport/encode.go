package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// pieceBytes is how much of a text is encoded at a time.
const pieceBytes = 64 << 10

// Encode writes v as encoding/json does, piece by piece: what executions have
// shown may be large, and many clients may ask for it at once and read slowly.
// It knows what the wire types are made of; v must not refer to itself.
func Encode(w io.Writer, v any) error {
	e := encoder{w: w}
	e.value(reflect.ValueOf(v))
	return e.err
}

type encoder struct {
	w   io.Writer
	err error // the first one
}

func (e *encoder) raw(b []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}

func (e *encoder) sign(s string) { e.raw([]byte(s)) }

// whole encodes what is known to be small, or knows itself how it is encoded.
func (e *encoder) whole(v reflect.Value) {
	b, err := json.Marshal(v.Interface())
	if err != nil && e.err == nil {
		e.err = err
	}
	e.raw(b)
}

var marshaler = reflect.TypeFor[json.Marshaler]()

func (e *encoder) value(v reflect.Value) {
	if !v.IsValid() {
		e.sign("null")
		return
	}
	if v.Type().Implements(marshaler) {
		e.whole(v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		e.value(v.Elem()) // nil has no valid one
	case reflect.String:
		e.text(v.String())
	case reflect.Struct:
		e.object(v)
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			e.whole(v)
			return
		}
		for i := range v.Len() {
			e.sign(opening(i, "["))
			e.value(v.Index(i))
		}
		e.sign(closing(v.Len(), "[]"))
	case reflect.Map:
		data, ok := v.Interface().(map[string]any)
		if !ok || data == nil {
			e.whole(v)
			return
		}
		for i, key := range slices.Sorted(maps.Keys(data)) {
			e.sign(opening(i, "{"))
			e.text(key)
			e.sign(":")
			e.value(reflect.ValueOf(data[key]))
		}
		e.sign(closing(len(data), "{}"))
	default:
		e.whole(v)
	}
}

// opening is what comes before the i-th part, and closing what after n parts.
func opening(i int, bracket string) string {
	if i == 0 {
		return bracket
	}
	return ","
}

func closing(n int, brackets string) string {
	if n == 0 {
		return brackets
	}
	return brackets[1:]
}

func (e *encoder) object(v reflect.Value) {
	n := 0
	for _, f := range fieldsOf(v.Type()) {
		at := v.FieldByIndex(f.index)
		if f.omitEmpty && empty(at) {
			continue
		}
		e.sign(opening(n, "{"))
		e.raw(f.name)
		e.value(at)
		n++
	}
	e.sign(closing(n, "{}"))
}

// empty is what omitempty means by it.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// text encodes a string in pieces, none of which ends within a character.
func (e *encoder) text(s string) {
	e.sign(`"`)
	for len(s) > 0 && e.err == nil {
		n := min(len(s), pieceBytes)
		for back := 0; n < len(s) && back < utf8.UTFMax && !utf8.RuneStart(s[n]); back++ {
			n--
		}
		b, err := json.Marshal(s[:n])
		if err != nil {
			e.err = err
			return
		}
		e.raw(b[1 : len(b)-1])
		s = s[n:]
	}
	e.sign(`"`)
}

// field is one of a struct, or of one that is embedded in it.
type field struct {
	index     []int
	name      []byte // as it is written, with the colon
	omitEmpty bool
}

var fieldsByType sync.Map // of reflect.Type to []field

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldsByType.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields = append(fields, field{f.Index, []byte(`"` + name + `":`), strings.Contains(options, "omitempty")})
	}
	fieldsByType.Store(t, fields)
	return fields
}

// answer is the body of an answer. What is small goes in one piece with its
// length; what isn't goes as it comes.
type answer struct {
	to     http.ResponseWriter
	status int
	buffer bytes.Buffer
	begun  bool
}

func (a *answer) Write(b []byte) (int, error) {
	if a.buffer.Len()+len(b) > pieceBytes {
		if err := a.flush(); err != nil {
			return 0, err
		}
		if len(b) > pieceBytes {
			return a.to.Write(b)
		}
	}
	return a.buffer.Write(b)
}

func (a *answer) flush() error {
	if !a.begun {
		a.begun = true
		a.to.WriteHeader(a.status)
	}
	_, err := a.to.Write(a.buffer.Bytes())
	a.buffer.Reset()
	return err
}
