//go:build unix

package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
)

// versusProcess makes the test binary one side of the comparison: js/versus.js
// in Go. Its value is the command line that the script gets.
const versusProcess = "RTM_VERSUS_PROCESS"

// TestVersusProcess is the Go side of TestVersus, when that has started this
// binary once more.
func TestVersusProcess(t *testing.T) {
	args := os.Getenv(versusProcess)
	if args == "" {
		return // an ordinary run: there is nothing to test
	}
	var p contender
	if _, err := fmt.Sscan(args, &p.side, &p.work, &p.conversation, &p.count, &p.warmup, &p.inFlight); err != nil {
		t.Fatal(err)
	}
	if err := p.run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// contender does the work of one side.
type contender struct {
	side, work, conversation string
	count, warmup, inFlight  int
}

func (p *contender) run(ctx context.Context) error {
	switch p.side {
	case sideREST:
		return p.rest(ctx)
	case sideBare:
		return p.bare(ctx)
	}
	rt, err := realtime.New(realtime.Options{
		AppID: os.Getenv("RTM_APP_ID"), AppKey: os.Getenv("RTM_APP_KEY"), Server: os.Getenv("RTM_SERVER"), EventQueue: 1 << 20,
	})
	if err != nil {
		return err
	}
	if p.work == "receive" {
		err = p.receive(ctx, rt)
	} else {
		err = p.send(ctx, rt)
	}
	return errors.Join(err, rt.Close(ctx))
}

func (p *contender) send(ctx context.Context, rt *realtime.Realtime) error {
	client, err := rt.CreateIMClient(ctx, "sender")
	if err != nil {
		return err
	}
	conv, err := client.GetConversation(ctx, p.conversation)
	if err != nil {
		return err
	}
	text := os.Getenv("RTM_TEXT")
	return p.measure(func() error {
		_, err := conv.Send(ctx, realtime.NewTextMessage(text))
		return err
	})
}

// rest sends by one REST call per message, as a back end without an SDK does.
func (p *contender) rest(ctx context.Context) error {
	content, err := json.Marshal(map[string]any{"_lctype": -1, "_lctext": os.Getenv("RTM_TEXT")})
	if err != nil {
		return err
	}
	url := os.Getenv("RTM_SERVER") + "/1.2/rtm/conversations/" + p.conversation + "/messages"
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = p.inFlight // connections are used again, as they have to be
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	return p.measure(func() error {
		body, err := json.Marshal(map[string]any{"from_client": "sender", "message": string(content)})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-LC-Id", os.Getenv("RTM_APP_ID"))
		req.Header.Set("X-LC-Key", os.Getenv("RTM_MASTER_KEY")+",master")
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var answer struct {
			MessageID string `json:"msg-id"`
		}
		data, err := io.ReadAll(res.Body)
		if err == nil {
			err = json.Unmarshal(data, &answer)
		}
		if err != nil {
			return err
		}
		if res.StatusCode >= http.StatusBadRequest || answer.MessageID == "" {
			return fmt.Errorf("%s: %s", res.Status, data)
		}
		return nil
	})
}

// measure sends, first to warm up and then in earnest.
func (p *contender) measure(send func() error) error {
	say(figures{Ready: true})
	if err := many(p.warmup, p.inFlight, send); err != nil {
		return err
	}
	stop := stopwatch()
	if err := many(p.count, p.inFlight, send); err != nil {
		return err
	}
	say(stop(p.count))
	return nil
}

func (p *contender) receive(ctx context.Context, rt *realtime.Realtime) error {
	client := rt.NewIMClient("receiver")
	received := 0
	stop := func(int) figures { return figures{} }
	text := os.Getenv("RTM_TEXT")
	done := make(chan error, 1)
	client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		if e.Message.Text() != text {
			done <- fmt.Errorf("received %q", e.Message.Text())
			return
		}
		received++
		if received == p.warmup {
			stop = stopwatch()
		}
		if received == p.warmup+p.count {
			say(stop(p.count))
			done <- nil
		}
	})
	if err := client.Open(ctx); err != nil {
		return err
	}
	say(figures{Ready: true})
	select {
	case err := <-done:
		return err
	case <-client.Done():
		return client.Err()
	}
}

// say tells the process that has started this one.
func say(f figures) {
	line, _ := json.Marshal(f) // numbers that can be written
	_, _ = os.Stdout.Write(append(line, '\n'))
}

// stopwatch starts and returns what is to be called at the end.
func stopwatch() (stop func(count int) figures) {
	cpu, start := cpuTime(), time.Now()
	return func(count int) figures {
		return figures{Count: count, Seconds: time.Since(start).Seconds(), CPU: (cpuTime() - cpu).Seconds()}
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it fails for other arguments only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
