package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/cmd/rtm/internal/export"
)

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// hide takes a conversation out of the lists.
func hide(w *world, id string) func(r *http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/all-conversations") {
			return nil, nil //nolint:nilnil // the server answers
		}
		var list struct {
			Results []json.RawMessage `json:"results"`
		}
		if err := json.NewDecoder(w.serve(r).Body).Decode(&list); err != nil {
			return nil, err
		}
		kept := []json.RawMessage{}
		for _, c := range list.Results {
			if !bytes.Contains(c, []byte(id)) {
				kept = append(kept, c)
			}
		}
		list.Results = kept
		text, err := json.Marshal(list)
		return answer(http.StatusOK, string(text)), err
	}
}

// A server that fails in all the ways there are changes nothing but the time it
// takes.
func TestFailuresChangeNothing(t *testing.T) {
	bubble(t, func(w *world) {
		n := 1000
		if raceEnabled {
			n = 500
		}
		w.fill(20, n)
		whole := w.options(t.TempDir())
		m := run(t, whole)

		faults := map[string]func(r *http.Request) (*http.Response, error){
			"429": func(*http.Request) (*http.Response, error) {
				return answer(http.StatusTooManyRequests, `{"code":4316,"error":"slow down"}`), nil
			},
			"429 with a time": func(*http.Request) (*http.Response, error) {
				return answer(http.StatusTooManyRequests, "", "Retry-After", "7"), nil
			},
			"500": func(*http.Request) (*http.Response, error) {
				return answer(http.StatusInternalServerError, `{"code":1,"error":"broken"}`), nil
			},
			"502": func(*http.Request) (*http.Response, error) { return answer(http.StatusBadGateway, "<html>"), nil },
			"503": func(*http.Request) (*http.Response, error) { return answer(http.StatusServiceUnavailable, ""), nil },
			"no connection": func(*http.Request) (*http.Response, error) {
				return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
			},
			"half an answer": func(r *http.Request) (*http.Response, error) {
				resp := w.serve(r)
				text, err := io.ReadAll(resp.Body)
				return answer(http.StatusOK, string(text[:len(text)/2])), err
			},
			"cut off": func(r *http.Request) (*http.Response, error) {
				resp := w.serve(r)
				resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 5), broken{}))
				return resp, nil
			},
			"silence": func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			},
		}
		var kinds []func(r *http.Request) (*http.Response, error)
		for name, fault := range faults {
			kinds = append(kinds, fault)
			began := time.Now()
			happened := 0
			o := w.options(t.TempDir())
			o.PageSize, o.Parallel, o.Until = 100, 1, m.Until
			w.meddle = func(r *http.Request) (*http.Response, error) {
				if rand.IntN(4) == 0 {
					happened++
					return fault(r)
				}
				return nil, nil //nolint:nilnil // the server answers
			}
			run(t, o)
			sameFiles(t, whole.Dir, o.Dir)
			assert.Positive(t, happened, name)
			took := time.Since(began)
			switch name {
			case "429":
				assert.GreaterOrEqual(t, took, time.Duration(happened)*time.Minute)
			case "429 with a time":
				assert.GreaterOrEqual(t, took, time.Duration(happened)*7*time.Second)
			}
			assert.NotPanics(t, func() { verify(t, o, 20) }, "a verification perseveres as well")
		}
		o := w.options(t.TempDir())
		o.PageSize, o.Until = 100, m.Until
		w.meddle = func(r *http.Request) (*http.Response, error) {
			if rand.IntN(3) == 0 {
				return kinds[rand.IntN(len(kinds))](r)
			}
			return nil, nil //nolint:nilnil // the server answers
		}
		run(t, o)
		sameFiles(t, whole.Dir, o.Dir)
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// A server that stays away ends the export, which goes on when it is back.
func TestPatienceEnds(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(5, 100)
		o := w.options(t.TempDir())
		o.PageSize, o.Patience = 10, 10*time.Minute
		var n atomic.Int64
		w.meddle = func(*http.Request) (*http.Response, error) {
			if n.Add(1) > 30 {
				return answer(http.StatusServiceUnavailable, ""), nil
			}
			return nil, nil //nolint:nilnil // the server answers
		}
		began := time.Now()
		_, err := export.Run(context.Background(), o)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, http.StatusServiceUnavailable, refused.HTTPStatus)
		assert.InDelta(t, 10*time.Minute, time.Since(began), float64(2*time.Minute))
		w.meddle = nil
		run(t, o)
		assert.True(t, verify(t, o, 10).OK)
	})
}

// Cancelling ends every wait at once.
func TestCancelledWhileItWaits(t *testing.T) {
	bubble(t, func(w *world) {
		o := w.options(t.TempDir())
		for name, resp := range map[string]func() (*http.Response, error){
			"quota":   func() (*http.Response, error) { return answer(http.StatusTooManyRequests, ""), nil },
			"failure": func() (*http.Response, error) { return answer(http.StatusBadGateway, ""), nil },
		} {
			w.meddle = func(*http.Request) (*http.Response, error) { return resp() }
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			began := time.Now()
			_, err := export.Run(ctx, o)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			assert.Equal(t, 10*time.Second, time.Since(began), name)
		}
	})
}

// A wrong key is told at once, and never shown.
func TestRefused(t *testing.T) {
	bubble(t, func(w *world) {
		var log bytes.Buffer
		o := w.options(t.TempDir())
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.meddle = func(r *http.Request) (*http.Response, error) {
			r.Header.Set("X-LC-Key", "wrong,master")
			return nil, nil //nolint:nilnil // the server answers
		}
		began := time.Now()
		_, err := export.Run(context.Background(), o)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, http.StatusUnauthorized, refused.HTTPStatus)
		assert.Zero(t, time.Since(began))
		assert.NotContains(t, err.Error()+log.String(), masterKey)
	})
}

// What a server does not know, or does not tell, is a gap and no end.
func TestGaps(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(30, 10)
		w.meddle = func(r *http.Request) (*http.Response, error) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/member-infos"):
				return answer(http.StatusNotFound, `{"code":404,"error":"no such path"}`), nil
			case strings.HasSuffix(r.URL.Path, "/subscribers"):
				return answer(http.StatusForbidden, `{"code":4301,"error":"no"}`), nil
			case strings.HasSuffix(r.URL.Path, "/rtm/broadcasts"):
				return answer(http.StatusNotFound, ``), nil
			}
			return nil, nil //nolint:nilnil // the server answers
		}
		m := run(t, w.options(t.TempDir()))
		require.Len(t, m.Gaps, 3)
		assert.Equal(t, "member-infos", m.Gaps[0].What)
		assert.Equal(t, "HTTP status 404", m.Gaps[0].Reason)
		assert.Equal(t, 30, m.Gaps[0].Count)
		assert.Len(t, m.Gaps[0].Conversations, 20)
		assert.Equal(t, "subscribers", m.Gaps[1].What)
		assert.Equal(t, "broadcasts", m.Gaps[2].What)
	})
}

// A server that sorts conversations its own way is asked by counting.
func TestAnotherOrderOfConversations(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(55, 10)
		w.meddle = func(r *http.Request) (*http.Response, error) {
			if query := r.URL.Query(); query.Get("order") != "" {
				query.Set("order", "-objectId")
				r.URL.RawQuery = query.Encode()
			}
			return nil, nil //nolint:nilnil // the server answers
		}
		o := w.options(t.TempDir())
		o.PageSize = 10
		ctx, cancel := context.WithCancel(context.Background())
		o.Progress = func(p export.Progress) {
			if p.Lines == 30 {
				cancel()
			}
		}
		_, err := export.Run(ctx, o)
		require.ErrorIs(t, err, context.Canceled)
		// A new one moves the others to later pages.
		later(time.Minute)
		added := w.create("chatrooms", object{"name": "new"})
		o.Progress = nil
		m := run(t, o)
		seen := map[string]bool{}
		for _, c := range objects(t, o.Dir, "conversations.jsonl") {
			assert.False(t, seen[c["objectId"].(string)])
			seen[c["objectId"].(string)] = true
		}
		seen[added] = false
		delete(seen, added)
		assert.Len(t, seen, 57)
		assert.EqualValues(t, 55, m.Counts.Conversations)
		assert.True(t, verify(t, o, 10).OK)
	})
}

// Requests keep to the rate that was asked for.
func TestRate(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(10, 10)
		o := w.options(t.TempDir())
		o.RequestsPerMinute = 30
		began, before := time.Now(), w.requests.Load()
		run(t, o)
		n := w.requests.Load() - before
		assert.InDelta(t, time.Duration(n)*2*time.Second, time.Since(began), float64(4*time.Second))
	})
}

// A verification finds what is wrong.
func TestVerifyFindsDifferences(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(10, 300)
		o := w.options(t.TempDir())
		o.PageSize = 50
		run(t, o)
		require.True(t, verify(t, o, 50).OK)
		messages := objects(t, o.Dir, "messages.jsonl")
		// Who speaks first is chance: an edit through conversations/ needs one that was not said in the chat room.
		place := slices.IndexFunc(messages, func(m object) bool {
			return strings.Contains(m["data"].(string), "message 20 ")
		})
		victim := messages[place]
		id, cid, from := victim["msg-id"].(string), victim["conv-id"].(string), victim["from"].(string)
		at, err := victim["timestamp"].(json.Number).Int64()
		require.NoError(t, err)

		// An edit is none: the export is older.
		w.call("PUT", "conversations/"+cid+"/messages/"+id, object{"from_client": from, "message": "edited", "timestamp": at}, nil)
		r := verify(t, o, 1000)
		assert.True(t, r.OK, "%+v", r)
		assert.Equal(t, 1, r.Changed)
		assert.Equal(t, 301, r.Sampled)

		// Somebody has changed a text.
		name := filepath.Join(o.Dir, "messages.jsonl")
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, bytes.Replace(text, []byte("message 200 "), []byte("message 2oo "), 1), 0o600))
		r = verify(t, o, 1000)
		require.Len(t, r.Differences, 2, "%+v", r)
		assert.Contains(t, r.Differences[0].What, "manifest")
		assert.Contains(t, r.Differences[1].What, "differs")

		// A line is missing, and a message and a conversation are gone.
		cut := bytes.SplitAfter(text, []byte("\n"))
		line := (place + 20) % len(messages) // not the victim's
		require.NoError(t, os.WriteFile(name, bytes.Join(slices.Delete(cut, line, line+1), nil), 0o600))
		w.call("DELETE", "conversations/"+cid+"/messages/"+id+"?from_client="+from+"&timestamp="+victim["timestamp"].(json.Number).String(), nil, nil)
		r = verify(t, o, 0)
		found := map[string]string{}
		for _, d := range r.Differences {
			found[d.ID] = d.What
		}
		assert.Contains(t, found[cid+"/"+id], "not in the source")
		lost := messages[line]
		assert.Contains(t, found[lost["conv-id"].(string)+"/"+lost["msg-id"].(string)], "missing")
		assert.EqualValues(t, 300, r.Source.Messages)

		gone := objects(t, o.Dir, "conversations.jsonl")[3]["objectId"].(string)
		w.call("DELETE", "conversations/"+gone, nil, nil)
		r = verify(t, o, 0)
		assert.Contains(t, r.Differences, export.Difference{File: "conversations.jsonl", ID: gone, What: "not in the source any more"})
		assert.Positive(t, r.More+len(r.Differences))
	})
}

func TestVerifyNeedsACompleteExport(t *testing.T) {
	bubble(t, func(w *world) {
		_, err := export.Verify(context.Background(), w.options(t.TempDir()), 10)
		assert.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestMistakes(t *testing.T) {
	bubble(t, func(w *world) {
		for name, change := range map[string]func(o *export.Options){
			"no client":    func(o *export.Options) { o.Client = nil },
			"no app":       func(o *export.Options) { o.AppID = "" },
			"no directory": func(o *export.Options) { o.Dir = "" },
			"page size":    func(o *export.Options) { o.PageSize = 1001 },
			"parallel":     func(o *export.Options) { o.Parallel = -1 },
			"range":        func(o *export.Options) { o.Since, o.Until = time.Unix(2, 0), time.Unix(1, 0) },
		} {
			o := w.options(t.TempDir())
			change(&o)
			_, err := export.Run(context.Background(), o)
			assert.ErrorIs(t, err, realtime.ErrInvalidArgument, name)
		}
	})
}
