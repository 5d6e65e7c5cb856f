package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/leanrtm/realtime"
)

// invalidArgument is a mistake of the caller, in words.
func invalidArgument(format string, args ...any) error {
	return fmt.Errorf("admin: %w: %w", realtime.ErrInvalidArgument, fmt.Errorf(format, args...))
}

// newError is a refusal made here with the server's code.
func newError(code realtime.ErrorCode, detail string) *realtime.Error {
	return &realtime.Error{Code: code, Reason: code.String(), Detail: detail}
}

// reasonUnknown is the reason of an answer that tells none.
const reasonUnknown = "REST_FAILED"

// firstCode is the lowest code of the messaging protocol. What is below are
// codes of the storage API or HTTP statuses.
const firstCode = realtime.ErrAppNotAvailable

// refusal is what an answer says of a failure. tooMany is the code of a request
// that exceeds a quota.
func refusal(status int, body []byte, tooMany realtime.ErrorCode) *realtime.Error {
	var answer struct {
		Code       int    `json:"code"`
		Error      string `json:"error"`
		AppCode    int    `json:"appCode"`
		AppMessage string `json:"appMsg"`
	}
	// Whatever stands between us and the server may answer something else.
	if json.Unmarshal(body, &answer) != nil {
		answer.Code, answer.Error = 0, http.StatusText(status)
	}
	e := newError(realtime.ErrorCode(answer.Code), answer.Error)
	e.HTTPStatus, e.AppCode, e.AppMessage = status, answer.AppCode, answer.AppMessage
	switch {
	case status == http.StatusTooManyRequests && e.Code < firstCode:
		e.Code, e.Reason = tooMany, tooMany.String()
	case answer.Code == 0:
		e.Reason = reasonUnknown
	}
	// The text begins with the symbolic name, for clients that compare with it.
	if rest, ok := strings.CutPrefix(e.Detail, e.Reason); ok && (rest == "" || rest[0] == ':') {
		e.Detail = strings.TrimLeft(rest, ": ")
	}
	return e
}

// gaveUp tells the codes with which the server gives up in the middle: the
// request may have been executed.
func gaveUp(code realtime.ErrorCode) bool {
	switch code {
	case realtime.ErrInternalError, realtime.ErrSendMessageTimeout, realtime.ErrConversationInternalError:
		return true
	}
	return false
}

// callError is a request that failed.
type callError struct {
	method, path string
	err          error
	unknown      bool // it may have been executed
	repeatable   bool // to execute it again changes nothing
}

// Error tells which request failed and why.
func (e *callError) Error() string {
	text := "admin: " + e.method + " " + e.path + ": " + strings.TrimPrefix(e.err.Error(), "realtime: ")
	if e.unknown {
		text += " (it may have been executed)"
	}
	return text
}

// Unwrap returns the reason, and realtime.ErrOutcomeUnknown if that is so.
func (e *callError) Unwrap() []error {
	if e.unknown {
		return []error{e.err, realtime.ErrOutcomeUnknown}
	}
	return []error{e.err}
}

// SafeToRetry answers realtime.SafeToRetry.
func (e *callError) SafeToRetry() bool { return e.repeatable || !e.unknown }
