package transport

import (
	"errors"
	"testing"
)

func TestTwice(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":"1","code":"2"}`:                          "code",
		`{"code":"1","Code":"2"}`:                          "Code",
		`{"a":1,"env":{"X":"1","Y":"2","X":"3"}}`:          "X",
		`{"files":[{"name":"a"},{"name":"b","name":"c"}]}`: "name",
		`{"a":{"x":{}},"b":[[],{"x":[1]}],"a":0}`:          "a",
		`{"code":"1","co\u0064e":"2"}`:                     "code",
		`{"resources":{"memory_mb":64,"MEMORY_MB":2048}}`:  "MEMORY_MB",
		`{"stdin":"a","\u017ftdin":"b"}`:                   "ſtdin",
		`{"env":{"x":"1","X":"2"},"a":["a","a"],"b":"a"}`:  "",
		`{"a":{"a":{"a":["a",{"a":1}]}},"b":{"a":null}}`:   "",
		`[{"a":1},{"a":2}]`:                                "",
		`{}`:                                               "",
		`"a"`:                                              "",
	} {
		var v any
		name, found := twice([]byte(body))
		if name != want || found != (want != "") {
			t.Errorf("%s: %q, %v, want %q", body, name, found, want)
		}
		err := Decode([]byte(body), &v, true)
		var refused *Error
		if found != errors.As(err, &refused) {
			t.Errorf("%s: %v", body, err)
		}
		if err := Decode([]byte(body), &v, false); err != nil {
			t.Errorf("%s, not strictly: %v", body, err)
		}
	}
}
