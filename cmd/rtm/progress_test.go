package main

import (
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// tty is a terminal that somebody looks at.
type tty struct{ strings.Builder }

func (*tty) Stat() (fs.FileInfo, error) { return device{}, nil }

type device struct{ fs.FileInfo }

func (device) Mode() fs.FileMode { return fs.ModeCharDevice }

// work is an export of 40 seconds.
func work(p *progress) {
	for i := range int64(401) {
		p.update(export.Progress{Stage: "messages", Lines: i, Total: -1, Done: float64(i) / 400, At: time.Unix(i, 0)})
		<-time.After(100 * time.Millisecond)
	}
	p.logger().Warn("request is repeated")
	p.update(export.Progress{Stage: "broadcasts", Lines: 2, Total: 2, Done: 1})
	p.end()
}

func TestProgressInAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		work(newProgress(&out))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		assert.Equal(t, "messages: 100 (25%), up to 1970-01-01 00:01:40", lines[0])
		assert.Equal(t, "messages: 400 (100%), up to 1970-01-01 00:06:40", lines[3])
		assert.Equal(t, "broadcasts: 2 of 2 (100%)", lines[len(lines)-1])
		assert.LessOrEqual(t, len(lines), 7)
		assert.NotContains(t, out.String(), "\x1b")
	})
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(tty)
		work(newProgress(out))
		text := out.String()
		assert.Greater(t, strings.Count(text, clearLine+"messages: "), 300)
		assert.LessOrEqual(t, strings.Count(text, "\n"), 4, "the line changes in its place")
		assert.True(t, strings.HasSuffix(text, "broadcasts: 2 of 2 (100%)\n"))
		assert.Contains(t, text, clearLine+"time=", "a warning does not end in the middle of a line")
	})
}
