package docs

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/server"
)

// patience is how long a test waits for a program of a page.
const patience = 30 * time.Second

// The program on the first page is built as it is printed, run against a
// server, and answers.
func TestProgramAnswers(t *testing.T) {
	t.Parallel()
	url, _ := newServer(t)
	for page, says := range map[string]string{
		"../README.md":       "Tom said: hello",
		"../README.zh-CN.md": "Tom 说：hello",
	} {
		t.Run(filepath.Base(page), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			runProgram(ctx, t, page, url)

			rt, err := realtime.New(realtime.Options{AppID: "demo", AppKey: "demo-key", Server: url})
			require.NoError(t, err)
			defer func() { require.NoError(t, rt.Close(ctx)) }()
			tom, err := rt.CreateIMClient(ctx, "Tom")
			require.NoError(t, err)
			events := tom.Events(ctx) // from here on
			conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Echo"}})
			require.NoError(t, err)
			_, err = conv.Send(ctx, realtime.NewTextMessage("hello"))
			require.NoError(t, err)
			for event, err := range events {
				require.NoError(t, err)
				if e, ok := event.(*realtime.MessageEvent); ok {
					require.Equal(t, "Echo", e.Message.From)
					require.Equal(t, says, e.Message.Text())
					return
				}
			}
		})
	}
}

// newServer returns the address of the server that the pages tell to start, and
// what restarts it. It ends with the test.
func newServer(t *testing.T) (url string, restart func()) {
	t.Helper()
	var now atomic.Pointer[server.Server]
	start := func() {
		rtm, err := server.New(server.Options{
			Apps: []server.App{{ID: "demo", Key: "demo-key", MasterKey: "demo-master"}},
		})
		require.NoError(t, err)
		now.Store(rtm)
	}
	start()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	t.Cleanup(func() {
		require.NoError(t, now.Load().Shutdown(context.Background()))
		web.Close()
	})
	return web.URL, func() {
		require.NoError(t, now.Load().Shutdown(context.Background()))
		start()
	}
}

// runProgram builds and starts the program of a page and returns when it is
// online. It ends with the test.
func runProgram(ctx context.Context, t *testing.T, page, url string) {
	t.Helper()
	var programs []block
	for _, b := range blocks(t, page) {
		if b.isProgram() {
			programs = append(programs, b)
		}
	}
	require.Len(t, programs, 1, "programs of %s", page)
	binary := build(t, programs[0])
	ctx, kill := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = append(os.Environ(), "RTM_SERVER="+url, "RTM_APP_ID=demo", "RTM_APP_KEY=demo-key")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	log := bufio.NewScanner(stderr)
	t.Cleanup(func() {
		kill()
		for log.Scan() { // to its end, as Wait demands
		}
		require.Error(t, cmd.Wait(), "it has ended by itself")
	})
	for log.Scan() {
		if strings.HasSuffix(log.Text(), "is online") {
			return
		}
	}
	require.FailNow(t, "the program is not online")
}
