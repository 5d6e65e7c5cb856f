package realtimetest

import (
	"log/slog"
	"sync"
	"testing"
)

// testLog writes to the log of a test until the test ends: a test that has
// ended must not be written to.
type testLog struct {
	mu sync.Mutex
	tb testing.TB // nil when the test has ended
}

func newTestLog(tb testing.TB) *testLog { return &testLog{tb: tb} }

// Write implements io.Writer for one record of slog.
func (l *testLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tb == nil {
		return len(line), nil
	}
	return l.tb.Output().Write(line)
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tb = nil
}

// logger writes records of level Info and above. Times are left out but for
// the clock: the date of a test says nothing.
func (l *testLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
			}
			return a
		},
	}))
}
