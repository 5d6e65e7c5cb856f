package conn

import (
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
)

// Why a connection may have died, besides errors of the network.
var (
	// ErrSilence: nothing was received for the silence timeout.
	ErrSilence = errors.New("nothing heard from the server for too long")
	// ErrWriteTimeout: the network took nothing for the write timeout.
	ErrWriteTimeout = errors.New("writing to the server took too long")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("connection closed")
)

// CloseError says that the server closed the connection, with which code.
type CloseError struct {
	Code   wire.Code // CodeNoStatus if the server gave none
	Reason string
}

// CodeNoStatus is the code of a close frame without one.
const CodeNoStatus wire.Code = 1005

// Error implements error.
func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("closed by the server: %d", int32(e.Code))
	}
	return fmt.Sprintf("closed by the server: %d %q", int32(e.Code), e.Reason)
}

// FrameError says that the server sent something that is no frame of the
// protocol.
type FrameError struct{ Err error }

// Error implements error.
func (e *FrameError) Error() string { return "bad frame from the server: " + e.Err.Error() }

// Unwrap returns what is wrong with the frame.
func (e *FrameError) Unwrap() error { return e.Err }

// DialError says that a connection could not be opened.
type DialError struct {
	URL    string
	Status int           // of the answer to the upgrade request; 0: none came
	After  time.Duration // when the server wants to be asked again; 0: it does not say
	Err    error
}

// RetryAfter returns when the server wants to be asked again; 0: it does not say.
func (e *DialError) RetryAfter() time.Duration { return e.After }

// Error implements error.
func (e *DialError) Error() string { return "connect to " + e.URL + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }
