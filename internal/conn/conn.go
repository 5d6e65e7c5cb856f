// Package conn is one WebSocket connection to the server.
package conn

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Options of a connection; zero values are the usual case.
type Options struct {
	HTTPClient        *http.Client  // for the upgrade; nil: http.DefaultClient
	Header            http.Header   // added to the upgrade request
	Text              bool          // base64 text frames
	HeartbeatInterval time.Duration // between echo commands, +-10 %; 0: 180 s, negative: none
	SilenceTimeout    time.Duration // without anything received the connection dies; 0: 380 s, negative: none
	WriteTimeout      time.Duration // a frame that cannot be written for so long kills the connection; 0: 20 s
	ReadLimit         int64         // bytes of one frame; a longer one ends the connection; 0: 4 MiB
	Logger            *slog.Logger  // nil: discard

	// Serial numbers the heartbeats. The link sets it.
	Serial func() int32
	// OnCommand gets every frame received, on the reader's goroutine, so it
	// must not block. The link sets it.
	OnCommand func(cmd *pb.GenericCommand)
}

// CloseError says that the server closed the connection, with which code.
type CloseError struct {
	Code   wire.Code // 1005: none was given
	Reason string
}

// Error implements error.
func (e *CloseError) Error() string {
	return fmt.Sprintf("connection closed by the server: %d %s", int32(e.Code), e.Reason)
}
