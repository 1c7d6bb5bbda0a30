package kernel

import (
	"errors"
	"fmt"
)

// Errors that a Conn's methods wrap.
var (
	// ErrProtocol: the kernel sent what the protocol does not allow. Nothing
	// that it says can be used any more; the caller kills it.
	ErrProtocol = errors.New("the kernel broke the protocol")
	// ErrLost: the connection ended, most likely because the kernel died.
	ErrLost = errors.New("the connection to the kernel was lost")
	// ErrClosed: the Conn was closed on this side.
	ErrClosed = errors.New("the connection to the kernel is closed")
	// ErrBusy: another request is being answered.
	ErrBusy = errors.New("the kernel is busy with another request")
	// ErrTooLarge: a request is longer than MaxRequest.
	ErrTooLarge = errors.New("the request is too large for the kernel")
)

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}
