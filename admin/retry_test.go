package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// script is a server that answers as it is told, one answer per request; the
// last one for ever.
type script struct {
	answers []answer

	mu     sync.Mutex
	at     []time.Time
	bodies []string
	heads  []http.Header
	urls   []string
}

// answer is what the server does: an error, or a status with a body.
type answer struct {
	err    error
	status int
	body   string
	head   http.Header
	hang   bool // until the request ends
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	s.mu.Lock()
	a := s.answers[min(len(s.at), len(s.answers)-1)]
	s.at, s.bodies, s.heads = append(s.at, time.Now()), append(s.bodies, body), append(s.heads, r.Header.Clone())
	s.urls = append(s.urls, r.URL.String())
	s.mu.Unlock()
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.head == nil {
		a.head = http.Header{}
	}
	return &http.Response{
		StatusCode: a.status, Header: a.head, Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

const secret = "the-master-key-of-the-test"

func scripted(t testing.TB, change func(o *admin.Options), answers ...answer) (*script, *admin.Client) {
	t.Helper()
	s := &script{answers: answers}
	o := admin.Options{
		AppID: "app", MasterKey: secret, Server: "http://api.test/base/", HTTPClient: &http.Client{Transport: s},
	}
	if change != nil {
		change(&o)
	}
	c, err := admin.New(o)
	require.NoError(t, err)
	return s, c
}

func ok(body string) answer { return answer{status: 200, body: body} }
func status(code int) answer {
	return answer{status: code, body: fmt.Sprintf(`{"code":%d,"error":"no"}`, code)}
}
func retrySends(o *admin.Options) { o.RetrySends = true }

var (
	lost      = answer{err: errors.New("connection reset by peer")}
	undialled = answer{err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}
	stats     = ok(`{"result":{"online_user_count":3,"user_count_today":4}}`)
	sent      = ok(`{"msg-id":"m1","timestamp":1700000000000}`)
)

func TestRetries(t *testing.T) {
	get := func(ctx context.Context, c *admin.Client) error { return errOf(c.Stats(ctx)) }
	send := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.Conversation("c").Send(ctx, text("tom", "x")))
	}
	broadcast := func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ServiceConversation("c").BroadcastToAll(ctx, cast("tom", "x")))
	}
	create := func(unique bool) func(ctx context.Context, c *admin.Client) error {
		return func(ctx context.Context, c *admin.Client) error {
			return errOf(c.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"a"}, NotUnique: !unique}))
		}
	}
	remove := func(ctx context.Context, c *admin.Client) error { return c.Conversation("c").Delete(ctx) }
	again := func(seconds string) answer {
		return answer{status: 429, body: `{"code":429,"error":"slow down"}`, head: http.Header{"Retry-After": {seconds}}}
	}
	full := func(seconds string) answer {
		return answer{status: 503, body: `{"code":4200,"error":"full"}`, head: http.Header{"Retry-After": {seconds}}}
	}
	never := func(o *admin.Options) {}
	type call = func(ctx context.Context, c *admin.Client) error
	for name, tc := range map[string]struct {
		call     call
		change   func(o *admin.Options)
		answers  []answer
		attempts int
		err      error // nil: it succeeds
		unknown  bool
		safe     bool
	}{
		"at once":                    {get, never, []answer{stats}, 1, nil, false, false},
		"after failures":             {get, never, []answer{status(503), lost, status(502), stats}, 4, nil, false, false},
		"not for ever":               {get, never, []answer{status(500)}, 4, realtime.ErrOutcomeUnknown, true, true},
		"no connection":              {get, never, []answer{undialled}, 4, undialled.err, false, true},
		"refused":                    {get, never, []answer{status(403)}, 1, realtime.ErrorCode(403), false, true},
		"not implemented":            {get, never, []answer{status(501)}, 1, realtime.ErrOutcomeUnknown, true, true},
		"nonsense":                   {get, never, []answer{ok("<html>")}, 1, errAny, false, true},
		"too many":                   {get, never, []answer{again("")}, 1, realtime.ErrConversationAPIQuotaExceeded, false, true},
		"too many, soon":             {get, never, []answer{again("7"), stats}, 2, nil, false, false},
		"too many, tomorrow":         {get, never, []answer{again("86400")}, 1, realtime.ErrConversationAPIQuotaExceeded, false, true},
		"full, soon":                 {get, never, []answer{full("7"), stats}, 2, nil, false, false},
		"full, tomorrow":             {get, never, []answer{full("86400")}, 1, realtime.ErrInternalError, true, true},
		"a send":                     {send, never, []answer{sent}, 1, nil, false, false},
		"a send that fails":          {send, never, []answer{status(503), sent}, 1, realtime.ErrOutcomeUnknown, true, false},
		"a send that is lost":        {send, never, []answer{lost, sent}, 1, realtime.ErrOutcomeUnknown, true, false},
		"a send to nowhere":          {send, never, []answer{undialled, sent}, 1, undialled.err, false, true},
		"a send refused":             {send, never, []answer{status(404)}, 1, realtime.ErrorCode(404), false, true},
		"a send too many":            {send, never, []answer{again("")}, 1, realtime.ErrMessageSentQuotaExceeded, false, true},
		"a send too many, soon":      {send, never, []answer{again("7"), sent}, 1, realtime.ErrMessageSentQuotaExceeded, false, true},
		"a send that timed out":      {send, never, []answer{{status: 400, body: `{"code":4201,"error":"SEND_MESSAGE_TIMEOUT"}`}}, 1, realtime.ErrSendMessageTimeout, true, false},
		"a send without a word":      {send, never, []answer{ok("")}, 1, realtime.ErrOutcomeUnknown, true, false},
		"a retried send":             {send, retrySends, []answer{lost, status(500), sent}, 3, nil, false, false},
		"a retried send too many":    {send, retrySends, []answer{again("7"), sent}, 2, nil, false, false},
		"a retried send that fails":  {send, retrySends, []answer{lost}, 4, realtime.ErrOutcomeUnknown, true, false},
		"a broadcast":                {broadcast, never, []answer{lost, sent}, 1, realtime.ErrOutcomeUnknown, true, false},
		"a retried broadcast":        {broadcast, retrySends, []answer{lost, ok(`{"result":{"msg-id":"m1","timestamp":1}}`)}, 2, nil, false, false},
		"creation":                   {create(false), never, []answer{lost, ok(`{"objectId":"x"}`)}, 1, realtime.ErrOutcomeUnknown, true, false},
		"unique creation":            {create(true), never, []answer{lost, ok(`{"objectId":"x"}`)}, 2, nil, false, false},
		"removal":                    {remove, never, []answer{status(404)}, 1, realtime.ErrorCode(404), false, true},
		"removal, answer lost":       {remove, never, []answer{lost, status(404)}, 2, nil, false, false},
		"removal, refused, then not": {remove, never, []answer{undialled, status(404)}, 2, realtime.ErrorCode(404), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := scripted(t, tc.change, tc.answers...)
				err := tc.call(t.Context(), c)
				require.Len(t, s.at, tc.attempts)
				for i := range s.bodies {
					require.Equal(t, s.bodies[0], s.bodies[i], "every attempt says the same")
				}
				for i := 1; i < len(s.at); i++ {
					least := 500 * time.Millisecond << (i - 1)
					if tc.answers[0].head != nil {
						least = 7 * time.Second
					}
					gap := s.at[i].Sub(s.at[i-1])
					require.GreaterOrEqual(t, gap, least)
					require.Less(t, gap, least*3/2+1)
				}
				if tc.err == nil {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				if tc.err != errAny {
					require.ErrorIs(t, err, tc.err)
				}
				require.Equal(t, tc.unknown, errors.Is(err, realtime.ErrOutcomeUnknown), "%v", err)
				require.Equal(t, tc.safe, realtime.SafeToRetry(err), "%v", err)
				if answered := tc.answers[len(s.at)%len(tc.answers)]; answered.status >= 400 && len(tc.answers) == 1 {
					var refused *realtime.Error
					require.ErrorAs(t, err, &refused)
					require.Equal(t, answered.status, refused.HTTPStatus)
				}
			})
		})
	}
}

var errAny = errors.New("any error")

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token := func(body string) string {
			var b struct {
				Token string `json:"dt"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &b))
			return b.Token
		}
		s, c := scripted(t, retrySends, lost, sent)
		for range 2 {
			_, err := c.Conversation("c").Send(t.Context(), text("tom", "x"))
			require.NoError(t, err)
		}
		require.NotEmpty(t, token(s.bodies[0]))
		require.Equal(t, token(s.bodies[0]), token(s.bodies[1]), "of one send")
		require.NotEqual(t, token(s.bodies[0]), token(s.bodies[2]), "of two sends")

		s, c = scripted(t, nil, sent)
		_, err := c.Conversation("c").Send(t.Context(), text("tom", "x"))
		require.NoError(t, err)
		require.Empty(t, token(s.bodies[0]), "a server need not know it")
	})
}

func TestContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := scripted(t, nil, answer{hang: true})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Stats(ctx)
		require.ErrorIs(t, err, realtime.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = c.Conversation("c").Send(ctx, text("tom", "x"))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.False(t, realtime.SafeToRetry(err))

		cause := errors.New("the game is over")
		ctx2, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(cause) })
		_, err = c.Stats(ctx2)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)

		// Between attempts.
		_, c = scripted(t, nil, status(503))
		start = time.Now()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		_, err = c.Stats(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 100*time.Millisecond, time.Since(start))

		// No time for another attempt: the reason is told at once.
		start = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		_, err = c.Stats(ctx)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		require.Zero(t, time.Since(start))

		// A server that hangs costs an attempt, not the call.
		s, c := scripted(t, nil, answer{hang: true}, stats)
		start = time.Now()
		_, err = c.Stats(t.Context())
		require.NoError(t, err)
		require.Len(t, s.at, 2)
		require.GreaterOrEqual(t, time.Since(start), 20*time.Second)
		_, c = scripted(t, nil, answer{hang: true})
		_, err = c.Stats(t.Context())
		require.ErrorIs(t, err, realtime.ErrTimeout, "nothing waits for ever")
	})
}

// lossy executes sends and loses the answer of every first attempt.
type lossy struct {
	next http.RoundTripper
	mu   sync.Mutex
	lose bool
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose = !l.lose; l.lose && err == nil {
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return resp, err
}

func TestRetriedSendsArriveOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		o := e.s.AdminOptions()
		o.RetrySends = true
		o.HTTPClient = &http.Client{Transport: &lossy{next: e.s.HTTPClient().Transport}}
		c, err := admin.New(o)
		require.NoError(t, err)
		tom := e.player("tom")
		conv, room, service := c.Conversation(e.conversation("tom").ID()), c.ChatRoom(e.room().ID()), c.ServiceConversation(e.service().ID())
		require.NoError(t, service.Subscribe(e.ctx(), "tom"))
		require.NoError(t, tom.conv(room.ID()).Join(e.ctx()))
		tom.take()
		for name, send := range map[string]func(transient bool) (*realtime.Message, error){
			"conversation": func(transient bool) (*realtime.Message, error) {
				m := text("GM", "x")
				m.Transient = transient
				return conv.Send(e.ctx(), m)
			},
			"room": func(transient bool) (*realtime.Message, error) {
				m := text("GM", "x")
				m.Transient = transient
				return room.Send(e.ctx(), m)
			},
			"clients": func(transient bool) (*realtime.Message, error) {
				m := text("GM", "x")
				m.Transient = transient
				return service.SendTo(e.ctx(), []string{"tom", "jerry"}, m)
			},
			"subscribers": func(transient bool) (*realtime.Message, error) {
				b := cast("GM", "x")
				b.Transient = transient
				return service.BroadcastToSubscribers(e.ctx(), b)
			},
			"everybody": func(transient bool) (*realtime.Message, error) {
				b := cast("GM", "x")
				b.Transient = transient
				return service.BroadcastToAll(e.ctx(), b)
			},
		} {
			for _, transient := range []bool{false, true} {
				sent, err := send(transient)
				require.NoError(t, err, name)
				got := pick[*realtime.MessageEvent](tom)
				require.Len(t, got, 1, "%s, transient %v", name, transient)
				require.Equal(t, got[0].Message.ID, sent.ID, "%s, transient %v", name, transient)
				require.Equal(t, got[0].Message.Timestamp, sent.Timestamp)
			}
		}
		require.Len(t, collect(t, e.c.Messages(e.ctx(), realtime.MessageQuery{})), 5)
		require.Len(t, collect(t, e.c.Broadcasts(e.ctx(), "")), 1)
	})
}

func TestSendsAreSentOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		o := e.s.AdminOptions()
		o.HTTPClient = &http.Client{Transport: &lossy{next: e.s.HTTPClient().Transport}}
		c, err := admin.New(o)
		require.NoError(t, err)
		h := e.conversation("tom")
		_, err = c.Conversation(h.ID()).Send(e.ctx(), text("tom", "x"))
		require.ErrorIs(t, err, realtime.ErrOutcomeUnknown)
		require.Len(t, collect(t, h.Messages(e.ctx(), realtime.MessageQuery{})), 1)
	})
}

func TestAnswersOfOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer answer
		want   realtime.Error
	}{
		"a proxy": {
			answer{status: 404, body: "<html>not found</html>"},
			realtime.Error{Reason: "REST_FAILED", Detail: "Not Found", HTTPStatus: 404},
		},
		"nobody": {answer{status: 400}, realtime.Error{Reason: "REST_FAILED", Detail: "Bad Request", HTTPStatus: 400}},
		"a hook": {
			answer{status: 400, body: `{"code":4402,"error":"MESSAGE_REJECTED_BY_APP","appCode":7,"appMsg":"no links"}`},
			realtime.Error{Code: 4402, Reason: "MESSAGE_REJECTED_BY_APP", AppCode: 7, AppMessage: "no links", HTTPStatus: 400},
		},
		"the server": {
			answer{status: 404, body: `{"code":4303,"error":"CONVERSATION_NOT_FOUND: long gone"}`},
			realtime.Error{Code: 4303, Reason: "CONVERSATION_NOT_FOUND", Detail: "long gone", HTTPStatus: 404},
		},
		"the cloud": {
			answer{status: 400, body: `{"code":4303,"error":"Conversation not found."}`},
			realtime.Error{Code: 4303, Reason: "CONVERSATION_NOT_FOUND", Detail: "Conversation not found.", HTTPStatus: 400},
		},
		"the storage": {
			answer{status: 401, body: `{"code":401,"error":"Unauthorized."}`},
			realtime.Error{Code: 401, Reason: "401", Detail: "Unauthorized.", HTTPStatus: 401},
		},
		"too many, by code": {
			answer{status: 429, body: `{"code":4116,"error":"MESSAGE_SENT_QUOTA_EXCEEDED"}`},
			realtime.Error{Code: 4116, Reason: "MESSAGE_SENT_QUOTA_EXCEEDED", HTTPStatus: 429},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := scripted(t, nil, tc.answer)
			_, err := c.Stats(t.Context())
			var got *realtime.Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, tc.want, *got)
			require.Contains(t, err.Error(), "admin: GET /1.2/rtm/stats: ")
		})
	}
	t.Run("the cloud's history", func(t *testing.T) {
		_, c := scripted(t, nil, ok(`[
			{"timestamp":1700000000000,"conv-id":"c","data":"hi","from":"tom","msg-id":"m2","is-conv":true,"is-room":false,"to":"jerry","bin":false,"from-ip":"1.2.3.4","ack-at":1700000000005},
			{"timestamp":1699999999999,"conv-id":"c","data":"not base64","from":"tom","msg-id":"m1","to":["a","b"],"bin":true},
			{"timestamp":1699999999998,"conv-id":"c","data":"","from":"tom","msg-id":"m0","to":"c"}]`))
		got := collect(t, c.Conversation("c").Messages(t.Context(), realtime.MessageQuery{}))
		require.Len(t, got, 3)
		require.Equal(t, []string{"jerry"}, got[0].To)
		require.Equal(t, "1.2.3.4", got[0].FromIP)
		require.Equal(t, int64(1700000000005), got[0].Message.DeliveredAt.UnixMilli())
		require.Equal(t, []string{"a", "b"}, got[1].To)
		require.Equal(t, "not base64", string(got[1].Message.Payload()))
		require.Empty(t, got[2].To)
	})
	t.Run("the cloud's conversations, in its own order", func(t *testing.T) {
		page := func(from, to int) string {
			var b strings.Builder
			for i := from; i > to; i-- {
				fmt.Fprintf(&b, `{"objectId":"c%03d","createdAt":"2020-01-01T00:00:00.000Z","lm":{"__type":"Date","iso":"2020-01-01T00:00:00.000Z"},"tr":true},`, i)
			}
			return `{"results":[` + strings.TrimSuffix(b.String(), ",") + `]}`
		}
		s, c := scripted(t, nil, ok(page(200, 100)), ok(page(101, 1)), ok(page(1, 0)))
		got := collect(t, c.AllConversations(t.Context(), admin.Query{}))
		require.Len(t, got, 200)
		require.Equal(t, realtime.KindChatRoom, got[0].Kind)
		require.Contains(t, s.urls[1], "skip=100")
		require.NotContains(t, s.urls[1], "where")
	})
}

func TestSecretsStayWithTheServer(t *testing.T) {
	s, c := scripted(t, nil, answer{status: 307, head: http.Header{"Location": {"http://api.test/elsewhere"}}},
		answer{status: 307, head: http.Header{"Location": {"http://evil.test/"}}}, stats)
	_, err := c.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, secret+",master", s.heads[0].Get("X-LC-Key"))
	require.Equal(t, secret+",master", s.heads[1].Get("X-LC-Key"))
	require.Empty(t, s.heads[2].Get("X-LC-Key"))

	s, c = scripted(t, nil, ok("{}"))
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://other.test/file", nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, s.heads[0])
	req, err = http.NewRequestWithContext(t.Context(), "GET", "/1.1/classes/To%2Fdo?limit=1", nil)
	require.NoError(t, err)
	resp, err = c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "http://api.test/base/1.1/classes/To%2Fdo?limit=1", s.urls[1])
	require.Equal(t, "app", s.heads[1].Get("X-LC-Id"))
	require.Empty(t, req.Header, "the caller's request is not changed")
	_, err = c.Do(nil)
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	_, c = scripted(t, nil, lost)
	_, err = c.Do(&http.Request{URL: req.URL, Method: "GET"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "limit=1")

	// Too many redirects end.
	_, c = scripted(t, nil, answer{status: 307, head: http.Header{"Location": {"http://api.test/elsewhere"}}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = c.Stats(ctx)
	require.ErrorContains(t, err, "redirects")
}

// When the server wants to be asked again is told, and nobody waits for what comes
// after the deadline.
func TestRetryAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := scripted(t, nil, answer{status: 429, head: http.Header{"Retry-After": {"7"}}})
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := c.Stats(ctx)
		require.Zero(t, time.Since(begin))
		require.Len(t, s.at, 1)
		var refused *realtime.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 7*time.Second, refused.RetryAfter)
	})
}
