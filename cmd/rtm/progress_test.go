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
		assert.Greater(t, strings.Count(text, clearLine+"messages ["), 300)
		assert.Contains(t, text, clearLine+"messages [======>                 ]  25%  100  30s left"+clearLine)
		assert.Contains(t, text, clearLine+"messages [========================] 100%  400\n")
		assert.LessOrEqual(t, strings.Count(text, "\n"), 4, "the line changes in its place")
		assert.True(t, strings.HasSuffix(text, "broadcasts [========================] 100%  2\n"), text)
		assert.Contains(t, text, clearLine+"time=", "a warning does not end in the middle of a line")
	})
}

// Work that goes on where an earlier run was interrupted is estimated by what
// this run does.
func TestTimeLeftOfContinuedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(tty)
		p := newProgress(out)
		p.update(export.Progress{Stage: "messages", Lines: 900, Total: -1, Done: 0.5})
		<-time.After(10 * time.Second)
		p.update(export.Progress{Stage: "messages", Lines: 1000, Total: -1, Done: 0.6})
		assert.True(t, strings.HasSuffix(out.String(), "]  60%  1000  40s left"), out.String())
		p.update(export.Progress{Stage: "unlisted", Lines: 3, Total: -1, Done: -1})
		p.update(export.Progress{Stage: "done", Total: -1, Done: 1})
		p.end()
		assert.True(t, strings.HasSuffix(out.String(), clearLine+"unlisted: 3\n"+clearLine+"done"+clearLine+"done\n"), out.String())
	})
}
