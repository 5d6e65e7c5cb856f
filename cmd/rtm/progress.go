package main

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

// progress shows how far long work has got: on a terminal by a bar in one line
// that changes, elsewhere by a line now and then, and at the end of each stage.
type progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	last  export.Progress
	shown time.Time
	line  bool // there is a line on the terminal that is to change

	// What the estimate of the time left goes by: when the stage was first heard
	// of, and how far it was then, which is not 0 when it goes on from before.
	began time.Time
	from  float64
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
	if p.last.Stage != now.Stage {
		p.began, p.from = time.Now(), max(now.Done, 0)
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
	if p.terminal {
		fmt.Fprint(p.out, clearLine+p.bar())
		p.line = true
		return
	}
	fmt.Fprintln(p.out, progressText(&p.last))
}

// barWidth is how many characters a bar has.
const barWidth = 24

// bar is the line on a terminal. Work whose end nobody knows has no bar.
func (p *progress) bar() string {
	now := &p.last
	if now.Done < 0 || now.Lines == 0 && now.Total < 0 {
		return progressText(now)
	}
	done := min(now.Done, 1)
	full := int(done * barWidth)
	bar := strings.Repeat("=", full)
	if full < barWidth {
		bar += ">" + strings.Repeat(" ", barWidth-full-1)
	}
	text := fmt.Sprintf("%s [%s] %3d%%", now.Stage, bar, int(100*done))
	if now.Lines > 0 {
		text += fmt.Sprintf("  %d", now.Lines)
	}
	if left := p.left(done); left > 0 {
		text += fmt.Sprintf("  %v left", left)
	}
	return text
}

// left estimates how long the rest of the stage takes; 0: nobody can tell yet.
func (p *progress) left(done float64) time.Duration {
	const enough = 0.02
	gone := time.Since(p.began)
	if done >= 1 || done-p.from < enough || gone < time.Second {
		return 0
	}
	return time.Duration(float64(gone) * (1 - done) / (done - p.from)).Round(time.Second)
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
