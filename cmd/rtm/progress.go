package main

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// progress shows how far long work has got: on a terminal by one line that
// changes, elsewhere by a line now and then, and at the end of each stage.
type progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	last  export.Progress
	shown time.Time
	line  bool // there is a line on the terminal that is to change
}

// How often progress is shown.
const (
	everyTerminal = 100 * time.Millisecond
	everyLine     = 10 * time.Second
)

// clearLine goes to the beginning of a line of a terminal and clears it.
const clearLine = "\r\x1b[K"

func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: isTerminal(out)}
}

// isTerminal tells whether somebody is looking.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// update shows progress, if it is time to.
func (p *progress) update(now export.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Stage != "" && p.last.Stage != now.Stage {
		p.show() // as it was at the end of the stage
		p.finish()
		p.shown = time.Time{}
	}
	p.last = now
	every := everyLine
	if p.terminal {
		every = everyTerminal
	}
	if p.shown.IsZero() && !p.terminal {
		p.shown = time.Now() // a short stage is one line, at its end
	}
	if time.Since(p.shown) >= every {
		p.show()
		p.shown = time.Now()
	}
}

// end shows what was not shown yet.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.Stage != "" {
		p.show()
		p.finish()
	}
	p.last = export.Progress{}
}

// show needs mu, as all below do.
func (p *progress) show() {
	text := progressText(&p.last)
	if p.terminal {
		fmt.Fprint(p.out, clearLine+text)
		p.line = true
		return
	}
	fmt.Fprintln(p.out, text)
}

// finish leaves the line on the terminal as it is.
func (p *progress) finish() {
	if p.line {
		fmt.Fprintln(p.out)
		p.line = false
	}
}

func progressText(p *export.Progress) string {
	text := p.Stage
	if p.Lines > 0 || p.Total >= 0 {
		text += fmt.Sprintf(": %d", p.Lines)
	}
	if p.Total >= 0 {
		text += fmt.Sprintf(" of %d", p.Total)
	}
	if p.Done >= 0 && p.Lines > 0 {
		text += fmt.Sprintf(" (%d%%)", int(100*min(p.Done, 1)))
	}
	if !p.At.IsZero() {
		text += ", up to " + p.At.UTC().Format("2006-01-02 15:04:05")
	}
	return text
}

// logger shows warnings between the lines.
func (p *progress) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(logWriter{p}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type logWriter struct{ p *progress }

func (w logWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.p.line {
		fmt.Fprint(w.p.out, clearLine)
		w.p.line = false
	}
	return w.p.out.Write(b)
}
