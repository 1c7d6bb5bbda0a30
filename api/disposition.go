package api

import (
	"strings"
	"unicode/utf8"
)

// maxDispositionName bounds the name in the header, in bytes: proxies refuse
// long headers, and no file system takes a longer name.
const maxDispositionName = 255

// contentDisposition returns the value of a Content-Disposition header (RFC
// 6266) that makes browsers save a download as name, the last part of a path.
// name is chosen by hostile code. The value is plain ASCII without control
// characters; a name that isn't is also given in the encoding of RFC 8187
// (formerly RFC 5987), as filename*, with bytes that aren't UTF-8 as U+FFFD.
// Slashes, backslashes and control characters become "_", so that the name can
// neither be a path nor break a terminal.
func contentDisposition(name string) string {
	name = dispositionName(name)
	var plain, extended strings.Builder
	exact := true
	for _, r := range name {
		// Quotes could be escaped and "%" kept, but browsers disagree on how to
		// read both (RFC 6266, appendix D).
		if r >= utf8.RuneSelf || r == '"' || r == '%' {
			plain.WriteByte('_')
			exact = false
		} else {
			plain.WriteRune(r)
		}
	}
	value := `attachment; filename="` + plain.String() + `"`
	if exact {
		return value
	}
	const hex = "0123456789ABCDEF"
	for i := range len(name) {
		if c := name[i]; isAttrChar(c) {
			extended.WriteByte(c)
		} else {
			extended.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return value + "; filename*=UTF-8''" + extended.String()
}

// dispositionName makes name harmless and not empty.
func dispositionName(name string) string {
	name = strings.Map(func(r rune) rune {
		// C0, DEL and C1; line separators; marks that reverse the direction of
		// text, with which "exe.txt" can be made to look like "txt.exe".
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r == '/', r == '\\',
			r == 0x2028, r == 0x2029, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "\ufffd"))
	for len(name) > maxDispositionName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" || name == "." || name == ".." {
		return "download"
	}
	return name
}

// isAttrChar tells whether RFC 8187 allows a byte unencoded.
func isAttrChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c < utf8.RuneSelf && strings.IndexByte("!#$&+-.^_`|~", c) >= 0
}
