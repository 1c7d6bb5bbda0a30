package transport

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
)

// free are the fields whose names are the client's, and differ by case.
var free = map[string]bool{"env": true, "metadata": true}

// twice finds a name that an object of a valid JSON value has more than once. Of
// those, encoding/json takes the last one and others the first, so that a proxy
// that looks into requests could see another request than the daemon does. Names of
// fields are the same if encoding/json takes them for the same.
func twice(body []byte) (name string, found bool) {
	type object struct {
		names map[string]bool // nil: an array
		value bool            // a value comes next, not a name
		last  string          // name
		free  bool            // the names are no fields
	}
	var open []*object
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return "", false // the end
		}
		var in *object
		if len(open) > 0 {
			in = open[len(open)-1]
		}
		switch {
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:len(open)-1]
			continue
		case in != nil && in.names != nil && !in.value:
			key, _ := token.(string)
			name := key
			if !in.free {
				name = strings.Map(fold, key)
			}
			if in.names[name] {
				return key, true
			}
			in.names[name], in.value, in.last = true, true, name
			continue
		case in != nil:
			in.value = false
		}
		switch token {
		case json.Delim('{'):
			open = append(open, &object{names: map[string]bool{}, free: in != nil && free[in.last]})
		case json.Delim('['):
			open = append(open, &object{})
		}
	}
}

// fold gives all forms of a letter the same one: encoding/json goes by Unicode's
// simple folding, where the long s is an s too.
func fold(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}
