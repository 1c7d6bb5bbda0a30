package kernel

import (
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects of a frame may nest.
const MaxDepth = 64

// shortNumber is a length of digits that is always a finite float64.
const shortNumber = 300

// scan checks what encoding/json lets pass but what must not reach a client
// inside a json.RawMessage: invalid UTF-8, lone surrogates, numbers that are
// not finite as float64, and nesting that is costly to encode again. It doesn't
// check the syntax.
func scan(b []byte) error {
	if !utf8.Valid(b) {
		return protocolErrorf("a frame is not UTF-8")
	}
	depth := 0
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			n, err := scanString(b[i+1:])
			if err != nil {
				return err
			}
			i += 1 + n
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return protocolErrorf("nested more than %d deep", MaxDepth)
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case c == '-' || c >= '0' && c <= '9':
			n := numberLen(b[i:])
			if err := scanNumber(b[i : i+n]); err != nil {
				return err
			}
			i += n
		default:
			i++
		}
	}
	return nil
}

// scanString returns the length of a string's rest, closing quote included.
func scanString(b []byte) (int, error) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, nil
		case '\\':
			i++
			if i >= len(b) || b[i] != 'u' {
				continue
			}
			r := hex4(b[i+1:])
			i += 4
			switch {
			case r >= 0xDC00 && r <= 0xDFFF:
				return 0, protocolErrorf("a lone surrogate")
			case r >= 0xD800 && r <= 0xDBFF:
				if i+2 >= len(b) || b[i+1] != '\\' || b[i+2] != 'u' {
					return 0, protocolErrorf("a lone surrogate")
				}
				if low := hex4(b[i+3:]); low < 0xDC00 || low > 0xDFFF {
					return 0, protocolErrorf("a lone surrogate")
				}
				i += 6
			}
		}
	}
	return len(b), nil // unterminated: encoding/json says so
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

func numberLen(b []byte) int {
	for i, c := range b {
		if c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
			return i
		}
	}
	return len(b)
}

func scanNumber(b []byte) error {
	long := len(b) > shortNumber
	for _, c := range b {
		if long || c == 'e' || c == 'E' {
			if _, err := strconv.ParseFloat(string(b), 64); err != nil {
				return protocolErrorf("a number that is not finite")
			}
			return nil
		}
	}
	return nil
}
