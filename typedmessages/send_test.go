package typedmessages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/typedmessages"
)

// storage stands before the file storage and refuses uploads, one status after
// the other, before it lets them pass.
type storage struct {
	next     http.RoundTripper
	mu       sync.Mutex
	statuses []int
	after    string // when to come back
	uploads  int
}

func (s *storage) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut {
		return s.next.RoundTrip(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads++
	if len(s.statuses) == 0 {
		return s.next.RoundTrip(r)
	}
	status := s.statuses[0]
	s.statuses = s.statuses[1:]
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {s.after}}, Body: http.NoBody, Request: r}, err
}

// chat is a conversation of two on a server in memory.
type chat struct {
	srv   *realtimetest.Server
	rt    *realtime.Realtime
	conv  *realtime.Conversation // Tom's
	heard <-chan *realtime.Message
	files *storage
}

func newChat(t *testing.T, opts ...typedmessages.Option) *chat {
	t.Helper()
	srv := realtimetest.NewServer(t)
	o := srv.Options()
	o.Plugins = []realtime.Plugin{typedmessages.Plugin(opts...)}
	files := &storage{next: srv.HTTPClient().Transport}
	o.Dial, o.HTTPClient = nil, &http.Client{Transport: files}
	rt, err := realtime.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(context.Background())) })
	jerry := rt.NewIMClient("Jerry")
	heard := make(chan *realtime.Message, 100)
	jerry.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { heard <- e.Message })
	require.NoError(t, jerry.Open(t.Context()))
	tom, err := rt.CreateIMClient(t.Context(), "Tom")
	require.NoError(t, err)
	conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
	require.NoError(t, err)
	return &chat{srv: srv, rt: rt, conv: conv, heard: heard, files: files}
}

func (c *chat) fetch(t *testing.T, url string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := c.rt.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, data
}

// Every type goes through the app's own file storage and comes back.
func TestSendAndReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t)
		file := func() typedmessages.File {
			return typedmessages.NewFile("猫.txt", strings.NewReader("the bytes"))
		}
		for _, content := range []realtime.Content{
			typedmessages.NewImageMessage(file()), typedmessages.NewAudioMessage(file()),
			typedmessages.NewVideoMessage(file()), typedmessages.NewFileMessage(file()),
			typedmessages.NewLocationMessage(typedmessages.GeoPoint{Latitude: 39.9, Longitude: 116.4}),
		} {
			sent, err := c.conv.Send(t.Context(), content)
			require.NoError(t, err)
			got := <-c.heard
			require.Equal(t, content.Type(), got.Type())
			require.NoError(t, got.ContentErr())
			require.IsType(t, content, got.Content)
			var f typedmessages.File
			switch m := got.Content.(type) {
			case *typedmessages.ImageMessage:
				f = m.File
			case *typedmessages.AudioMessage:
				f = m.File
			case *typedmessages.VideoMessage:
				f = m.File
			case *typedmessages.FileMessage:
				f = m.File
			case *typedmessages.LocationMessage:
				require.Equal(t, typedmessages.GeoPoint{Latitude: 39.9, Longitude: 116.4}, m.Location)
				continue
			}
			require.NotEmpty(t, f.ID)
			require.EqualValues(t, 9, f.Size)
			require.Equal(t, "猫.txt", f.Name)
			_, data := c.fetch(t, f.URL)
			require.Equal(t, "the bytes", string(data))

			page, err := c.conv.QueryMessages(t.Context(), realtime.MessageQuery{Type: content.Type()})
			require.NoError(t, err)
			require.Len(t, page, 1)
			require.Equal(t, sent.ID, page[0].ID)
		}
	})
}

func TestSendEmptyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t)
		_, err := c.conv.Send(t.Context(), typedmessages.NewFileMessage(typedmessages.NewFile("empty", strings.NewReader(""))))
		require.NoError(t, err)
		f := (<-c.heard).Content.(*typedmessages.FileMessage).File
		require.Zero(t, f.Size)
		_, data := c.fetch(t, f.URL)
		require.Empty(t, data)
	})
}

// One content may go to several conversations at a time: one upload, and the
// sender's own value is not touched.
func TestOneContentForManySends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t)
		content := typedmessages.NewImageMessage(typedmessages.NewFile("a", strings.NewReader("content")))
		done := make(chan error, 5)
		for range cap(done) {
			go func() {
				_, err := c.conv.Send(t.Context(), content)
				done <- err
			}()
		}
		urls := make(map[string]bool)
		for range cap(done) {
			require.NoError(t, <-done)
			urls[(<-c.heard).Content.(*typedmessages.ImageMessage).File.URL] = true
		}
		require.Len(t, urls, 1)
		require.Empty(t, content.File.URL)
	})
}

func TestExternalFileIsNotUploaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t, typedmessages.WithUploader(refusing{}))
		for _, f := range []typedmessages.File{
			typedmessages.FileWithURL("萌妹子", "http://pic.example/a.gif"),
			{ID: "5ae9", URL: "http://pic.example/a.gif", Name: "萌妹子"},
		} {
			_, err := c.conv.Send(t.Context(), typedmessages.NewImageMessage(f))
			require.NoError(t, err)
			got := (<-c.heard).Content.(*typedmessages.ImageMessage).File
			require.Equal(t, "http://pic.example/a.gif", got.URL)
			require.Equal(t, "萌妹子", got.Name)
			require.Equal(t, f.ID, got.ID)
		}
	})
}

type refusing struct{}

var errRefused = errors.New("no uploads today")

func (refusing) Upload(context.Context, typedmessages.Upload) (typedmessages.Uploaded, error) {
	return typedmessages.Uploaded{}, errRefused
}

// A send whose upload fails sends nothing at all.
func TestFailedUploadSendsNothing(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, c := range map[string]struct {
		reader  func(cancel func()) io.Reader
		options []typedmessages.Option
		want    error
	}{
		"the reader fails half way": {
			reader: func(func()) io.Reader {
				return io.MultiReader(strings.NewReader(strings.Repeat("x", 200<<10)), iotest.ErrReader(broken))
			},
			want: broken,
		},
		"the context is cancelled": {
			reader: func(cancel func()) io.Reader {
				return io.MultiReader(strings.NewReader(strings.Repeat("x", 200<<10)), cancelling(cancel))
			},
			want: context.Canceled,
		},
		"the uploader refuses": {
			reader:  func(func()) io.Reader { return strings.NewReader("x") },
			options: []typedmessages.Option{typedmessages.WithUploader(refusing{})},
			want:    errRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chat := newChat(t, c.options...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, err := chat.conv.Send(ctx, typedmessages.NewFileMessage(typedmessages.NewFile("n", c.reader(cancel))))
				require.ErrorIs(t, err, c.want)
				synctest.Wait()
				time.Sleep(time.Minute)
				require.Empty(t, chat.heard)
				for _, command := range chat.srv.Commands() {
					require.NotEqual(t, "direct", command.Name)
				}
			})
		})
	}
}

// What a provider refuses is tried again where that can help, and is the error of
// the send where it cannot. Nothing is delivered before the file is stored.
func TestProviderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []int
		uploads  int
		sent     bool
	}{
		"500, then 200":            {[]int{500}, 2, true},
		"503 twice, then 200":      {[]int{503, 503}, 3, true},
		"500 all the time":         {[]int{500, 500, 500, 500}, 3, false},
		"the token has expired":    {[]int{401}, 2, true},
		"so has the one after it":  {[]int{403, 403}, 2, false},
		"the file is not accepted": {[]int{400}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chat := newChat(t)
				chat.files.statuses = c.statuses
				content := typedmessages.NewImageMessage(typedmessages.NewFile("n", strings.NewReader("the bytes")))
				_, err := chat.conv.Send(t.Context(), content)
				require.Equal(t, c.uploads, chat.files.uploads)
				if !c.sent {
					require.ErrorContains(t, err, fmt.Sprintf("answered %d", c.statuses[0]))
					synctest.Wait()
					require.Empty(t, chat.heard)

					// The send may be tried again, when the provider is well.
					chat.files.statuses = nil
					_, err = chat.conv.Send(t.Context(), content)
				}
				require.NoError(t, err)
				f := (<-chat.heard).Content.(*typedmessages.ImageMessage).File
				_, data := chat.fetch(t, f.URL)
				require.Equal(t, "the bytes", string(data))
				synctest.Wait()
				require.Empty(t, chat.heard, "one message")
			})
		})
	}
}

// A provider that says when to come back is left alone until then.
func TestProviderHasTooMuchToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chat := newChat(t)
		send := func() (time.Duration, error) {
			content := typedmessages.NewImageMessage(typedmessages.NewFile("n", strings.NewReader("the bytes")))
			begin := time.Now()
			_, err := chat.conv.Send(t.Context(), content)
			return time.Since(begin), err
		}
		chat.files.statuses, chat.files.after = []int{429, 503}, "5"
		took, err := send()
		require.NoError(t, err)
		require.Equal(t, 3, chat.files.uploads)
		require.GreaterOrEqual(t, took, 10*time.Second)
		require.Less(t, took, 11*time.Second)
		chat.files.statuses, chat.files.after = []int{429}, "86400"
		took, err = send()
		require.ErrorContains(t, err, "answered 429")
		require.Less(t, took, time.Second)
	})
}

type cancelling func()

func (c cancelling) Read([]byte) (int, error) {
	c()
	return 0, nil
}

// What a stranger's client writes into _lcfile is read as far as it can be, and
// kept as it came.
func TestMalformedFileArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t)
		for raw, want := range map[string]typedmessages.File{
			`{"_lctype":-2,"_lctext":"t","_lcfile":{"url":7,"metaData":{"name":"n","size":"big"}},"more":1}`: {
				Name: "n", Metadata: map[string]any{"name": "n", "size": "big"},
			},
			`{"_lctype":-2,"_lctext":"t","_lcfile":"?"}`:                {},
			`{"_lctype":-2,"_lctext":"t"}`:                              {},
			`{"_lctype":-2,"_lctext":"t","_lcfile":{"url":"u","x":[]}}`: {URL: "u"},
		} {
			_, err := c.conv.Send(t.Context(), realtime.NewRawMessage(raw))
			require.NoError(t, err)
			got := <-c.heard
			image, ok := got.Content.(*typedmessages.ImageMessage)
			require.True(t, ok, "%s: %T, %v", raw, got.Content, got.ContentErr())
			require.Equal(t, "t", image.Text)
			require.Equal(t, want, image.File)
			require.True(t, bytes.Equal([]byte(raw), got.Payload()))
		}
	})
}

// counting is the file storage in memory that counts what is stored.
type counting struct{ uploads atomic.Int32 }

func (c *counting) Upload(_ context.Context, u typedmessages.Upload) (typedmessages.Uploaded, error) {
	n := c.uploads.Add(1)
	_, err := io.Copy(io.Discard, u.Body)
	return typedmessages.Uploaded{ID: "id", URL: fmt.Sprintf("https://f.example/%d", n)}, err
}

// A retried send uploads once and stores one message.
func TestRetriedSendUploadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var store counting
		c := newChat(t, typedmessages.WithUploader(&store))
		c.srv.Inject(realtimetest.Fault{Command: "direct", Client: "Tom", Times: 1, Do: realtimetest.CutAfter()})
		content := typedmessages.NewFileMessage(typedmessages.NewFile("n", iotest.OneByteReader(strings.NewReader("once"))))
		sent, err := c.conv.Send(t.Context(), content, realtime.WithRetry())
		require.NoError(t, err)
		page, err := c.conv.QueryMessages(t.Context(), realtime.MessageQuery{})
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, sent.ID, page[0].ID)
		require.EqualValues(t, 1, store.uploads.Load())

		// So does one that is tried again by the caller.
		c.srv.Inject(realtimetest.Fault{Command: "direct", Client: "Tom", Times: 1, Do: realtimetest.Fail(realtime.ErrInternalError)})
		content = typedmessages.NewFileMessage(typedmessages.NewFile("n", iotest.OneByteReader(strings.NewReader("twice"))))
		_, err = c.conv.Send(t.Context(), content)
		require.ErrorIs(t, err, realtime.ErrInternalError)
		sent, err = c.conv.Send(t.Context(), content)
		require.NoError(t, err)
		require.EqualValues(t, 2, store.uploads.Load())
		require.Equal(t, "https://f.example/2", sent.Content.(*typedmessages.FileMessage).File.URL)
	})
}

// Fields of a wrong type take nothing with them but themselves, whatever the
// type of the message.
func TestWrongTypesArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChat(t)
		for _, kind := range []realtime.Content{
			&typedmessages.ImageMessage{}, &typedmessages.AudioMessage{}, &typedmessages.VideoMessage{},
			&typedmessages.FileMessage{}, &typedmessages.LocationMessage{},
		} {
			for _, fields := range []string{
				`"_lctext":5,"_lcattrs":{"a":1},"_lcfile":{"url":"u"},"_lcloc":{"latitude":1.5,"longitude":2}`,
				`"_lctext":"t","_lcattrs":"none","_lcfile":{"url":"u"},"_lcloc":{"latitude":1.5,"longitude":2}`,
				`"_lctext":"t","_lcattrs":{"a":1},"_lcfile":7,"_lcloc":7,"extra":[{}]`,
				`"_lctext":"t","_lcattrs":{"a":1},"_lcfile":{"url":{}},"_lcloc":{"latitude":"north","longitude":2}`,
				`"_lctext":"t","_lcattrs":{"a":1},"_lcfile":null,"_lcloc":null`,
			} {
				raw := fmt.Sprintf(`{"_lctype":%d,%s}`, kind.Type(), fields)
				_, err := c.conv.Send(t.Context(), realtime.NewRawMessage(raw))
				require.NoError(t, err)
				got := <-c.heard
				require.IsType(t, kind, got.Content, "%s: %v", raw, got.ContentErr())
				require.Equal(t, raw, string(got.Payload()))
				if strings.Contains(fields, `"_lctext":"t"`) {
					require.Equal(t, "t", got.Text(), raw)
				}
				if strings.Contains(fields, `"a":1`) {
					require.Equal(t, map[string]any{"a": 1.0}, got.Attributes(), raw)
				}
				if place, ok := got.Content.(*typedmessages.LocationMessage); ok && strings.Contains(fields, `"longitude":2`) {
					require.EqualValues(t, 2, place.Location.Longitude, raw)
				}
			}
		}
	})
}
