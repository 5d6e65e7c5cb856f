package rpc

import (
	"context"
	"errors"
)

// The ways in which a call can fail without an answer of the server. The root
// package exports the same values under the same names.
var (
	// ErrDisconnected: there is no connection, or it died before the answer.
	ErrDisconnected = errors.New("realtime: disconnected")
	// ErrTimeout: no answer in time. It also matches context.DeadlineExceeded.
	ErrTimeout error = timeoutError{}
	// ErrOutcomeUnknown: the command may have reached the server, so it may have
	// taken effect. It never comes alone: the error also matches the reason.
	ErrOutcomeUnknown = errors.New("realtime: outcome unknown")
	// ErrClosed: closed by this side, for good.
	ErrClosed = errors.New("realtime: closed")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "realtime: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// Is makes the timeout of a command match that of a context.
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
