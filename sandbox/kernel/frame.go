package kernel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of the protocol.
const (
	// MaxFrame is the longest frame that a kernel may send, in bytes.
	MaxFrame = 24 << 20
	// MaxRequest is the longest frame that a kernel accepts, in bytes.
	MaxRequest = 64 << 20
	// maxHello bounds the first frame, which comes before anything is known.
	maxHello = 64 << 10
	// readStep is how much memory a frame gets before its bytes have arrived.
	readStep = 256 << 10
	headSize = 4
)

// readFrame reads one frame of at most limit bytes. A length beyond that is
// ErrProtocol, and memory grows with what arrives, not with what the length
// claims. At a clean end of the stream the error is io.EOF.
func readFrame(r *bufio.Reader, limit int) ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := uint64(binary.BigEndian.Uint32(head[:]))
	if size > uint64(limit) {
		return nil, protocolErrorf("a frame of %d bytes, the limit is %d", size, limit)
	}
	body := make([]byte, 0, min(int(size), readStep))
	for len(body) < int(size) {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(int(size), 2*cap(body)))
			copy(grown, body)
			body = grown
		}
		n, err := io.ReadFull(r, body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("read a frame: %w", err)
		}
	}
	return body, nil
}

// appendFrame appends body as a frame.
func appendFrame(dst, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}
