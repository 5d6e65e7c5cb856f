package realtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leanrtm/realtime/internal/event"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// Errors that are made on this side and have no number in the protocol. They
// are matched with errors.Is; what is returned usually says more.
var (
	// ErrInvalidArgument is a mistake of the caller: nothing was sent.
	ErrInvalidArgument = errors.New("realtime: invalid argument")
	// ErrNotOpen is a call on a client whose Open has not succeeded yet.
	ErrNotOpen = errors.New("realtime: client is not open")
	// ErrAlreadyOpen is an Open although another client of the same Realtime
	// holds the id.
	ErrAlreadyOpen = errors.New("realtime: client id is already open here")
	// ErrClosed is a call on something that was closed by Close.
	ErrClosed = rpc.ErrClosed
	// ErrDisconnected is a call while there is no connection, or one that the
	// loss of the connection ended.
	ErrDisconnected = rpc.ErrDisconnected
	// ErrTimeout is an answer that did not come in time. It also matches
	// context.DeadlineExceeded.
	ErrTimeout = rpc.ErrTimeout
	// ErrOutcomeUnknown is in every error of a call that the server may have
	// executed although no answer came.
	ErrOutcomeUnknown = rpc.ErrOutcomeUnknown
	// ErrEventOverflow ends a client whose handlers, or a stream whose reader,
	// fell more than Options.EventQueue events or Options.EventQueueBytes behind.
	ErrEventOverflow = event.ErrOverflow
	// ErrOutboxFull is a send WithRetry that is not retried, since too many others
	// are already; see Options.Outbox. It also matches what became of its attempt.
	ErrOutboxFull = errors.New("realtime: too many sends are being retried")
)

// ErrorCode is a number of the protocol and itself an error: one constant
// serves errors.Is and a switch over Error.Code. More codes may come; keep a
// default case.
type ErrorCode int

// Error returns the symbolic name and the number.
func (c ErrorCode) Error() string {
	name := c.String()
	if number := strconv.Itoa(int(c)); name != number {
		return "realtime: " + name + " (" + number + ")"
	}
	return "realtime: error " + name
}

// String returns the symbolic name, such as "CONVERSATION_NOT_FOUND", or the
// number of a code without one.
func (c ErrorCode) String() string { return wire.Code(c).Name() }

// Error is a refusal: the server's, or one made here with the code that the
// server would use. It matches its ErrorCode under errors.Is.
type Error struct {
	Code       ErrorCode
	Reason     string // symbolic name of the code, such as "CONVERSATION_NOT_FOUND"
	Detail     string // explanation for people; may be empty
	AppCode    int    // code that a hook of the app chose
	AppMessage string // text that a hook of the app chose
	HTTPStatus int    // status of a REST answer; 0 for others
	// RetryAfter is when the server that has too much to do (HTTPStatus 429 or 503)
	// wants to be asked again; 0: it does not say.
	RetryAfter time.Duration

	// retrySafe: the command has no second effect when it is repeated, even if
	// the refusal leaves open whether the first one took place.
	retrySafe bool
}

// Error returns the name and number of the code with the explanations.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("realtime: ")
	name := e.Reason
	if name == "" {
		name = e.Code.String()
	}
	b.WriteString(name)
	if number := strconv.Itoa(int(e.Code)); name != number && e.Code != 0 {
		b.WriteString(" (" + number + ")")
	}
	if e.HTTPStatus != 0 {
		b.WriteString(", HTTP status " + strconv.Itoa(e.HTTPStatus))
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.AppCode != 0 || e.AppMessage != "" {
		b.WriteString(" (app code " + strconv.Itoa(e.AppCode))
		if e.AppMessage != "" {
			b.WriteString(": " + e.AppMessage)
		}
		b.WriteString(")")
	}
	return b.String()
}

// Is reports whether target is the ErrorCode of e.
func (e *Error) Is(target error) bool {
	code, ok := target.(ErrorCode)
	return ok && code == e.Code
}

// newError is a refusal made here with the server's code.
func newError(code ErrorCode, detail string) *Error {
	return &Error{Code: code, Reason: code.String(), Detail: detail}
}

// errorFromCommand is the body of an error reply, or one entry of a failed
// part, as an Error.
func errorFromCommand(m *pb.ErrorCommand) *Error {
	e := &Error{
		Code:       ErrorCode(m.GetCode()),
		Reason:     m.GetReason(),
		Detail:     m.GetDetail(),
		AppCode:    int(m.GetAppCode()),
		AppMessage: m.GetAppMsg(),
	}
	if e.Reason == "" {
		e.Reason = e.Code.String()
	}
	return e
}

// PartialError is an operation on several ids that succeeded for some of them
// only. errors.Is and errors.As find each failure.
type PartialError struct {
	Succeeded []string        // ids that are in the wanted state now
	Failures  []MemberFailure // the others, by reason
}

// MemberFailure is one reason and the ids that failed for it.
type MemberFailure struct {
	ClientIDs []string
	Err       *Error
}

// Error names the reasons and how many ids failed for each.
func (e *PartialError) Error() string {
	failed := 0
	reasons := make([]string, len(e.Failures))
	for i, f := range e.Failures {
		failed += len(f.ClientIDs)
		reasons[i] = fmt.Sprintf("%q: %s", f.ClientIDs, strings.TrimPrefix(f.Err.Error(), "realtime: "))
	}
	return fmt.Sprintf("realtime: %d of %d failed: %s",
		failed, failed+len(e.Succeeded), strings.Join(reasons, "; "))
}

// Unwrap returns the error of each failure.
func (e *PartialError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f.Err
	}
	return errs
}

// SafeToRetry reports whether the call that returned err can be repeated with
// the same arguments without taking effect twice: it was never executed, or
// executing it again changes nothing. Sends qualify only when they were
// certainly not executed or carry WithDedupToken. It says nothing about
// whether a repetition may succeed.
func SafeToRetry(err error) bool {
	if err == nil {
		return false
	}
	if c := (*callError)(nil); errors.As(err, &c) {
		return c.safe || !errors.Is(c.err, ErrOutcomeUnknown)
	}
	// An error of package admin knows what kind of request it ended.
	if r := (interface{ SafeToRetry() bool })(nil); errors.As(err, &r) {
		return r.SafeToRetry()
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		return false
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.retrySafe || !e.Code.ambiguous()
	}
	if c := ErrorCode(0); errors.As(err, &c) {
		return !c.ambiguous()
	}
	for _, local := range []error{ErrInvalidArgument, ErrNotOpen, ErrAlreadyOpen, ErrClosed, ErrDisconnected} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}

// ambiguous tells the codes with which the server gives up in the middle: the
// operation may have taken place.
func (c ErrorCode) ambiguous() bool {
	switch c {
	case ErrInternalError, ErrSendMessageTimeout, ErrConversationInternalError, ErrConversationAPIFailed:
		return true
	}
	return false
}

// callError is the failure of a command without an answer.
type callError struct {
	command string // such as "conv/start"
	safe    bool   // repeating it has no second effect
	err     error
}

func (e *callError) Error() string {
	return "realtime: " + e.command + ": " + strings.TrimPrefix(e.err.Error(), "realtime: ")
}

func (e *callError) Unwrap() error { return e.err }

// invalidArgument is a mistake of the caller, in words.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidArgument, fmt.Errorf(format, args...))
}

// contextError is why ctx is over, as an error that a caller of ours matches:
// a deadline also matches ErrTimeout.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		err = ErrTimeout
	}
	if cause == nil || errors.Is(err, cause) || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// alreadyOpenError tells which id another client has.
type alreadyOpenError struct{ id string }

func (e *alreadyOpenError) Error() string {
	return fmt.Sprintf("%s: %q", ErrAlreadyOpen, e.id)
}

func (e *alreadyOpenError) Is(target error) bool { return target == ErrAlreadyOpen }
