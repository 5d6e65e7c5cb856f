package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"

	"github.com/leanrtm/realtime"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
	exitIncomplete  = 5
	exitInterrupted = 130
)

// exitHelp explains the exit codes.
const exitHelp = `Exit codes:
    0  done
    1  failure
    2  the command line was wrong
    3  the server has refused
    4  the server was not reached, or did not answer
    5  done, but not completely: an export has gaps or differs from its source,
       or a benchmark has lost or doubled something
  130  interrupted
serve, chat and tail are ended by an interrupt, which is a regular end: 0.`

// errIncomplete is the end of something that was done, but not all of it.
var errIncomplete = errors.New("incomplete")

// exitCode is what an error means to whoever called.
func exitCode(ctx context.Context, err error) int {
	var (
		usage   usageError
		refused *realtime.Error
		partial *realtime.PartialError
		code    realtime.ErrorCode
		network net.Error
		listen  *net.OpError
		file    *fs.PathError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.Is(err, realtime.ErrInvalidArgument):
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errIncomplete):
		return exitIncomplete
	case errors.As(err, &listen) && listen.Op == "listen", errors.As(err, &file):
		return exitFailure // nobody was to be reached, although some of these look like errors of the network
	case errors.As(err, &refused):
		switch refused.HTTPStatus {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return exitUnreachable // whoever stands in front of the server says so
		}
		return exitRefused
	case errors.As(err, &partial), errors.As(err, &code):
		return exitRefused
	case errors.As(err, &network), errors.Is(err, realtime.ErrTimeout), errors.Is(err, realtime.ErrDisconnected),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return exitUnreachable
	}
	return exitFailure
}

// interrupted is why ctx is over; nil if it is not.
func interrupted(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
