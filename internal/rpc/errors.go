package rpc

import (
	"context"
	"errors"
	"fmt"
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

// ContextError is why a finished context ends a call: it matches ErrTimeout or
// context.Canceled, and the cause of the context if there is one of its own.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		if cause == err {
			return ErrTimeout
		}
		err = ErrTimeout
	}
	if cause == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// unanswered is the error of a command that was sent, or may have been.
type unanswered struct{ reason error }

func (e *unanswered) Error() string {
	return e.reason.Error() + " (the command may have been executed)"
}

func (e *unanswered) Unwrap() []error { return []error{e.reason, ErrOutcomeUnknown} }

// failure is the error of a call that ended for this reason.
func failure(reason error, sent bool) error {
	if sent && !errors.Is(reason, ErrOutcomeUnknown) {
		return &unanswered{reason}
	}
	return reason
}
