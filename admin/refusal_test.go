package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// endpoint is one request of the API, as the package makes it. Of conversations,
// clients and messages it names some that do not exist.
type endpoint struct {
	pattern string // of the request
	call    func(ctx context.Context, c *admin.Client) error
	unknown realtime.ErrorCode // the answer; 0: none is needed
}

const nowhere = "5f0000000000000000000000"

func errOf[V any](_ V, err error) error { return err }

func seqErr[V any](t testing.TB, seq func(yield func(V, error) bool)) error {
	return failure[V](t, seq)
}

func endpoints(t testing.TB) []endpoint {
	m := &realtime.Message{ID: "unknown-message", From: "tom", Timestamp: time.Now()}
	hello := realtime.NewTextMessage("hello")
	q, page := realtime.MessageQuery{}, realtime.PageQuery{}
	var list []endpoint
	add := func(unknown realtime.ErrorCode, pattern string, call func(ctx context.Context, c *admin.Client) error) {
		method, path, _ := strings.Cut(pattern, " ")
		list = append(list, endpoint{method + " /1.2/rtm" + path, call, unknown})
	}
	const none, gone = 0, realtime.ErrConversationNotFound

	add(none, "POST /conversations", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"a", "b"}}))
	})
	add(none, "POST /chatrooms", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.CreateChatRoom(ctx, realtime.ChatRoomOptions{}))
	})
	add(none, "POST /service-conversations", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.CreateServiceConversation(ctx, admin.ServiceConversationOptions{}))
	})
	add(gone, "GET /conversations", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.Conversation(nowhere).Fetch(ctx))
	})
	add(gone, "GET /chatrooms", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ChatRoom(nowhere).Fetch(ctx))
	})
	add(gone, "GET /service-conversations", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.ServiceConversation(nowhere).Fetch(ctx))
	})
	add(none, "GET /all-conversations", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, c.AllConversations(ctx, admin.Query{}))
	})

	type conversation interface {
		Save(ctx context.Context, changes map[string]any) error
		Delete(ctx context.Context) error
		BlockMembers(ctx context.Context, ids ...string) error
		UnblockMembers(ctx context.Context, ids ...string) error
		QueryBlockedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error)
	}
	for k, handle := range map[string]func(c *admin.Client) conversation{
		"/conversations":         func(c *admin.Client) conversation { return c.Conversation(nowhere) },
		"/chatrooms":             func(c *admin.Client) conversation { return c.ChatRoom(nowhere) },
		"/service-conversations": func(c *admin.Client) conversation { return c.ServiceConversation(nowhere) },
	} {
		add(gone, "PUT "+k+"/{id}", func(ctx context.Context, c *admin.Client) error {
			return handle(c).Save(ctx, map[string]any{"a": 1})
		})
		add(gone, "DELETE "+k+"/{id}", func(ctx context.Context, c *admin.Client) error { return handle(c).Delete(ctx) })
		add(gone, "POST "+k+"/{id}/blacklists", func(ctx context.Context, c *admin.Client) error {
			return handle(c).BlockMembers(ctx, "tom")
		})
		add(gone, "DELETE "+k+"/{id}/blacklists", func(ctx context.Context, c *admin.Client) error {
			return handle(c).UnblockMembers(ctx, "tom")
		})
		add(gone, "GET "+k+"/{id}/blacklists", func(ctx context.Context, c *admin.Client) error {
			return errOf(handle(c).QueryBlockedMembers(ctx, page))
		})
	}

	type talking interface {
		Send(ctx context.Context, m admin.Message) (*realtime.Message, error)
		Update(ctx context.Context, m *realtime.Message, content realtime.Content) error
		Recall(ctx context.Context, m *realtime.Message) error
		DeleteMessage(ctx context.Context, m *realtime.Message) error
		MuteMembers(ctx context.Context, ids ...string) error
		UnmuteMembers(ctx context.Context, ids ...string) error
		MuteMemberFor(ctx context.Context, id string, d time.Duration) error
		QueryMutedMembers(ctx context.Context, q realtime.PageQuery) (realtime.MemberPage, error)
	}
	for k, handle := range map[string]func(c *admin.Client) talking{
		"/conversations/{id}": func(c *admin.Client) talking { return c.Conversation(nowhere) },
		"/chatrooms/{id}":     func(c *admin.Client) talking { return c.ChatRoom(nowhere) },
	} {
		add(gone, "POST "+k+"/messages", func(ctx context.Context, c *admin.Client) error {
			return errOf(handle(c).Send(ctx, text("tom", "x")))
		})
		add(gone, "PUT "+k+"/messages/{mid}", func(ctx context.Context, c *admin.Client) error {
			return handle(c).Update(ctx, m, hello)
		})
		add(gone, "PUT "+k+"/messages/{mid}/recall", func(ctx context.Context, c *admin.Client) error {
			return handle(c).Recall(ctx, m)
		})
		add(gone, "DELETE "+k+"/messages/{mid}", func(ctx context.Context, c *admin.Client) error {
			return handle(c).DeleteMessage(ctx, m)
		})
		add(gone, "POST "+k+"/permanent-silenceds", func(ctx context.Context, c *admin.Client) error {
			return handle(c).MuteMembers(ctx, "tom")
		})
		add(gone, "DELETE "+k+"/permanent-silenceds", func(ctx context.Context, c *admin.Client) error {
			return handle(c).UnmuteMembers(ctx, "tom")
		})
		add(gone, "GET "+k+"/permanent-silenceds", func(ctx context.Context, c *admin.Client) error {
			return errOf(handle(c).QueryMutedMembers(ctx, page))
		})
		add(gone, "POST "+k+"/temporary-silenceds", func(ctx context.Context, c *admin.Client) error {
			return handle(c).MuteMemberFor(ctx, "tom", time.Minute)
		})
		add(gone, "DELETE "+k+"/temporary-silenceds", func(ctx context.Context, c *admin.Client) error {
			return handle(c).MuteMemberFor(ctx, "tom", 0)
		})
	}

	conv := func(c *admin.Client) *admin.Conversation { return c.Conversation(nowhere) }
	add(gone, "GET /conversations/{id}/messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, conv(c).Messages(ctx, q))
	})
	add(gone, "GET /conversations/{id}/members", func(ctx context.Context, c *admin.Client) error {
		return errOf(conv(c).Members(ctx))
	})
	add(gone, "POST /conversations/{id}/members", func(ctx context.Context, c *admin.Client) error {
		return conv(c).Add(ctx, "tom")
	})
	add(gone, "DELETE /conversations/{id}/members", func(ctx context.Context, c *admin.Client) error {
		return conv(c).Remove(ctx, "tom")
	})
	add(gone, "GET /conversations/{id}/mutes", func(ctx context.Context, c *admin.Client) error {
		return errOf(conv(c).NotificationsMutedBy(ctx))
	})
	add(gone, "POST /conversations/{id}/mutes", func(ctx context.Context, c *admin.Client) error {
		return conv(c).MuteNotifications(ctx, "tom")
	})
	add(gone, "DELETE /conversations/{id}/mutes", func(ctx context.Context, c *admin.Client) error {
		return conv(c).UnmuteNotifications(ctx, "tom")
	})
	add(gone, "GET /conversations/{id}/member-infos", func(ctx context.Context, c *admin.Client) error {
		return errOf(conv(c).GetAllMemberInfo(ctx))
	})

	room := func(c *admin.Client) *admin.ChatRoom { return c.ChatRoom(nowhere) }
	add(gone, "GET /chatrooms/{id}/messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, room(c).Messages(ctx, q))
	})
	add(gone, "GET /chatrooms/{id}/members", func(ctx context.Context, c *admin.Client) error {
		return errOf(room(c).OnlineMembers(ctx))
	})
	add(gone, "GET /chatrooms/{id}/members/online-count", func(ctx context.Context, c *admin.Client) error {
		return errOf(room(c).Count(ctx))
	})

	service := func(c *admin.Client) *admin.ServiceConversation { return c.ServiceConversation(nowhere) }
	add(gone, "GET /service-conversations/{id}/messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, service(c).Messages(ctx, q))
	})
	add(gone, "POST /service-conversations/{id}/subscribers", func(ctx context.Context, c *admin.Client) error {
		return service(c).Subscribe(ctx, "tom")
	})
	add(gone, "DELETE /service-conversations/{id}/subscribers/{client}", func(ctx context.Context, c *admin.Client) error {
		return service(c).Unsubscribe(ctx, "tom")
	})
	add(gone, "GET /service-conversations/{id}/subscribers", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, service(c).Subscribers(ctx))
	})
	add(gone, "GET /service-conversations/{id}/subscribers/count", func(ctx context.Context, c *admin.Client) error {
		return errOf(service(c).Count(ctx))
	})
	add(gone, "POST /service-conversations/{id}/broadcasts", func(ctx context.Context, c *admin.Client) error {
		return errOf(service(c).BroadcastToSubscribers(ctx, cast("GM", "x")))
	})
	add(gone, "POST /service-conversations/{id}/messages", func(ctx context.Context, c *admin.Client) error {
		return errOf(service(c).SendTo(ctx, []string{"tom"}, text("GM", "x")))
	})
	add(gone, "PUT /service-conversations/{id}/messages/{mid}", func(ctx context.Context, c *admin.Client) error {
		return service(c).Update(ctx, m, hello, "tom")
	})
	add(gone, "PUT /service-conversations/{id}/messages/{mid}/recall", func(ctx context.Context, c *admin.Client) error {
		return service(c).Recall(ctx, m, "tom")
	})
	add(gone, "DELETE /service-conversations/{id}/subscribers/{client}/messages/{mid}", func(ctx context.Context, c *admin.Client) error {
		return service(c).DeleteMessageOf(ctx, "tom", m)
	})
	add(gone, "GET /service-conversations/{id}/subscribers/{client}/messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, service(c).MessagesOf(ctx, "tom", q))
	})
	add(gone, "POST /broadcasts", func(ctx context.Context, c *admin.Client) error {
		return errOf(service(c).BroadcastToAll(ctx, cast("GM", "x")))
	})
	add(none, "GET /broadcasts", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, c.Broadcasts(ctx, nowhere))
	})
	add(realtime.ErrMessageNotFound, "DELETE /broadcasts/{mid}", func(ctx context.Context, c *admin.Client) error {
		return c.DeleteBroadcast(ctx, "unknown-message")
	})

	client := func(c *admin.Client) *admin.IMClient { return c.IMClient("nobody") }
	add(none, "POST /clients/check-online", func(ctx context.Context, c *admin.Client) error {
		return errOf(c.OnlineClients(ctx, "nobody"))
	})
	add(none, "GET /clients/{client}/unread-count", func(ctx context.Context, c *admin.Client) error {
		return errOf(client(c).UnreadCount(ctx, nowhere))
	})
	add(none, "POST /clients/{client}/kick", func(ctx context.Context, c *admin.Client) error {
		return client(c).Kick(ctx, "bye")
	})
	add(none, "GET /clients/{client}/service-conversations", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, client(c).Subscriptions(ctx))
	})
	add(none, "GET /clients/{client}/messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, client(c).Messages(ctx, q))
	})
	add(none, "GET /clients/{client}/blacklists", func(ctx context.Context, c *admin.Client) error {
		_, _, err := client(c).QueryBlockedConversations(ctx, page)
		return err
	})
	add(none, "POST /clients/{client}/blacklists", func(ctx context.Context, c *admin.Client) error {
		return client(c).BlockConversations(ctx, nowhere)
	})
	add(none, "DELETE /clients/{client}/blacklists", func(ctx context.Context, c *admin.Client) error {
		return client(c).UnblockConversations(ctx, nowhere)
	})
	add(none, "GET /stats", func(ctx context.Context, c *admin.Client) error { return errOf(c.Stats(ctx)) })
	add(none, "GET /messages", func(ctx context.Context, c *admin.Client) error {
		return seqErr(t, c.Messages(ctx, q))
	})
	return list
}

// trace notes the requests that pass.
type trace struct {
	next http.RoundTripper
	mu   sync.Mutex
	list []*http.Request
}

func (tr *trace) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	tr.list = append(tr.list, r)
	tr.mu.Unlock()
	return tr.next.RoundTrip(r)
}

// last is the pattern that the last request matches.
func (tr *trace) last(mux *http.ServeMux) string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	_, pattern := mux.Handler(tr.list[len(tr.list)-1])
	return pattern
}

func TestUnknownIDs(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tr := &trace{next: e.s.HTTPClient().Transport}
		o := e.s.AdminOptions()
		o.HTTPClient = &http.Client{Transport: tr}
		c, err := admin.New(o)
		require.NoError(t, err)
		mux := http.NewServeMux()
		list := endpoints(t)
		for _, ep := range list {
			mux.HandleFunc(ep.pattern, func(http.ResponseWriter, *http.Request) {})
		}
		for _, ep := range list {
			err := ep.call(e.ctx(), c)
			require.Equal(t, ep.pattern, tr.last(mux), "the request is another one")
			if ep.unknown == 0 {
				require.NoError(t, err, ep.pattern)
				continue
			}
			require.ErrorIs(t, err, ep.unknown, ep.pattern)
			var refused *realtime.Error
			require.ErrorAs(t, err, &refused)
			if refused.HTTPStatus != 0 { // some are found missing in a list
				require.Equal(t, http.StatusNotFound, refused.HTTPStatus, ep.pattern)
			}
			require.NotErrorIs(t, err, realtime.ErrOutcomeUnknown)
			require.True(t, realtime.SafeToRetry(err))
		}
	})
}

func TestWrongKeys(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for name, change := range map[string]func(o *admin.Options){
			"another key":     func(o *admin.Options) { o.MasterKey = "guessed" },
			"the app key":     func(o *admin.Options) { o.MasterKey = e.s.AppKey },
			"another app":     func(o *admin.Options) { o.AppID = "somebody-elses" },
			"signed by guess": func(o *admin.Options) { o.MasterKey, o.SignRequests = "guessed", true },
		} {
			o := e.s.AdminOptions()
			change(&o)
			c, err := admin.New(o)
			require.NoError(t, err)
			for _, ep := range endpoints(t) {
				err := ep.call(e.ctx(), c)
				wantRefusal(t, err, http.StatusUnauthorized)
				require.NotContains(t, err.Error(), o.MasterKey, "%s, %s", name, ep.pattern)
			}
		}
		require.Empty(t, collect(t, e.c.AllConversations(e.ctx(), admin.Query{})), "nothing was done")

		// Who has only the app key is refused, too, but for what the app may ask.
		for _, ep := range endpoints(t) {
			method, path, _ := strings.Cut(ep.pattern, " ")
			path = strings.NewReplacer("{id}", nowhere, "{mid}", "m", "{client}", "tom").Replace(path)
			req, err := http.NewRequestWithContext(e.ctx(), method, e.s.URL+path, nil)
			require.NoError(t, err)
			req.Header.Set("X-LC-Id", e.s.AppID)
			req.Header.Set("X-LC-Key", e.s.AppKey)
			resp, err := e.s.HTTPClient().Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			if strings.HasSuffix(path, "/unread-count") {
				require.Equal(t, http.StatusOK, resp.StatusCode)
				continue
			}
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, ep.pattern)
		}
	})
}

func TestSignedRequests(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		tr := &trace{next: e.s.HTTPClient().Transport}
		o := e.s.AdminOptions()
		o.SignRequests, o.HTTPClient = true, &http.Client{Transport: tr}
		c, err := admin.New(o)
		require.NoError(t, err)
		_, err = c.Stats(e.ctx())
		require.NoError(t, err)
		h := tr.list[0].Header
		require.Empty(t, h.Get("X-LC-Key"))
		require.Regexp(t, `^[0-9a-f]{32},\d{12,13},master$`, h.Get("X-LC-Sign"))
	})
}

// raw makes a request with any body, through Client.Do.
func (e *env) raw(method, path, body string) (status int, code int, text string) {
	e.Helper()
	req, err := http.NewRequestWithContext(e.ctx(), method, path, strings.NewReader(body))
	require.NoError(e, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.c.Do(req)
	require.NoError(e, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(e, err)
	require.Equal(e, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
	var answer struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	if resp.StatusCode >= 300 {
		require.NoError(e, json.Unmarshal(data, &answer), "%s", data)
		require.NotZero(e, answer.Code)
		require.NotEmpty(e, answer.Error)
	}
	return resp.StatusCode, answer.Code, answer.Error
}

// bodies are the requests with a body: one that is complete, and the names of
// the fields that it must have.
func bodies(e *env) map[string]struct {
	complete map[string]any
	required []string
} {
	conv, room, service := e.conversation("tom"), e.room(), e.service()
	sent, err := conv.Send(e.ctx(), text("tom", "x"))
	require.NoError(e, err)
	inRoom, err := room.Send(e.ctx(), text("tom", "x"))
	require.NoError(e, err)
	broadcast, err := service.BroadcastToSubscribers(e.ctx(), cast("GM", "x"))
	require.NoError(e, err)
	type m = map[string]any
	type request = struct {
		complete map[string]any
		required []string
	}
	clients := request{m{"client_ids": []string{"jerry"}}, []string{"client_ids"}}
	outlaw := request{m{"client_ids": []string{"mary"}}, []string{"client_ids"}}
	member := request{m{"client_ids": []string{"tom"}}, []string{"client_ids"}}
	message := request{m{"from_client": "tom", "message": "x"}, []string{"from_client", "message"}}
	edit := func(sent *realtime.Message) request {
		return request{
			m{"from_client": sent.From, "message": "y", "timestamp": sent.Timestamp.UnixMilli()},
			[]string{"from_client", "message", "timestamp"},
		}
	}
	recall := func(sent *realtime.Message) request {
		return request{
			m{"from_client": sent.From, "timestamp": sent.Timestamp.UnixMilli()}, []string{"from_client", "timestamp"},
		}
	}
	silence := request{m{"client_id": "tom", "ttl": 60}, []string{"client_id", "ttl"}}
	c, r, s := "/conversations/"+conv.ID(), "/chatrooms/"+room.ID(), "/service-conversations/"+service.ID()
	return map[string]request{
		"POST /conversations":                             {m{"m": []string{"a"}}, nil},
		"POST /chatrooms":                                 {m{"name": "x"}, nil},
		"POST /service-conversations":                     {m{"name": "x"}, nil},
		"PUT " + c:                                        {m{"name": "x"}, nil},
		"PUT " + r:                                        {m{"name": "x"}, nil},
		"PUT " + s:                                        {m{"name": "x"}, nil},
		"POST " + c + "/members":                          clients,
		"DELETE " + c + "/members":                        clients,
		"POST " + c + "/mutes":                            clients,
		"DELETE " + c + "/mutes":                          clients,
		"POST " + c + "/blacklists":                       outlaw,
		"DELETE " + c + "/blacklists":                     outlaw,
		"POST " + r + "/blacklists":                       outlaw,
		"DELETE " + r + "/blacklists":                     outlaw,
		"POST " + s + "/blacklists":                       outlaw,
		"DELETE " + s + "/blacklists":                     outlaw,
		"POST " + c + "/permanent-silenceds":              member,
		"DELETE " + c + "/permanent-silenceds":            member,
		"POST " + r + "/permanent-silenceds":              member,
		"DELETE " + r + "/permanent-silenceds":            member,
		"POST " + c + "/temporary-silenceds":              silence,
		"POST " + r + "/temporary-silenceds":              silence,
		"POST " + c + "/messages":                         message,
		"POST " + r + "/messages":                         message,
		"PUT " + c + "/messages/" + sent.ID:               edit(sent),
		"PUT " + r + "/messages/" + inRoom.ID:             edit(inRoom),
		"PUT " + c + "/messages/" + sent.ID + "/recall":   recall(sent),
		"PUT " + r + "/messages/" + inRoom.ID + "/recall": recall(inRoom),
		"POST " + s + "/subscribers":                      {m{"client_id": "tom"}, []string{"client_id"}},
		"POST " + s + "/broadcasts":                       message,
		"POST " + s + "/messages": {
			m{"from_client": "GM", "message": "x", "to_clients": []string{"tom"}},
			[]string{"from_client", "message", "to_clients"},
		},
		"PUT " + s + "/messages/" + broadcast.ID:             edit(broadcast),
		"PUT " + s + "/messages/" + broadcast.ID + "/recall": recall(broadcast),
		"POST /broadcasts": {
			m{"from_client": "GM", "message": "x", "conv_id": service.ID()}, []string{"from_client", "message", "conv_id"},
		},
		"POST /clients/check-online":     clients,
		"POST /clients/tom/kick":         {m{"reason": "x"}, nil},
		"POST /clients/tom/blacklists":   {m{"conv_id": conv.ID()}, []string{"conv_id"}},
		"DELETE /clients/tom/blacklists": {m{"conv_id": conv.ID()}, []string{"conv_id"}},
		"POST " + c + "/member-infos":    {m{"clientId": "tom", "role": "Manager"}, []string{"clientId", "role"}},
	}
}

func TestBodies(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		defer time.Sleep(time.Second) // net/http lingers over requests that it did not read
		requests := bodies(e)
		for name, r := range requests {
			method, path, _ := strings.Cut(name, " ")
			path = "/1.2/rtm" + path
			encode := func(v any) string {
				text, err := json.Marshal(v)
				require.NoError(t, err)
				return string(text)
			}
			for _, field := range r.required {
				less := make(map[string]any)
				for key, value := range r.complete {
					if key != field {
						less[key] = value
					}
				}
				status, code, text := e.raw(method, path, encode(less))
				require.Equal(t, http.StatusBadRequest, status, "%s without %s: %d %s", name, field, code, text)
			}
			for _, malformed := range []string{"", "{", "[]", `"text"`, "nonsense"} {
				if strings.HasSuffix(path, "/kick") && malformed == "" {
					continue // needs none
				}
				status, _, text := e.raw(method, path, malformed)
				require.Equal(t, http.StatusBadRequest, status, "%s with %q: %s", name, malformed, text)
			}
			for field, value := range r.complete { // of another type
				other := make(map[string]any)
				for key, value := range r.complete {
					other[key] = value
				}
				other[field] = map[string]any{"not": value}
				status, _, text := e.raw(method, path, encode(other))
				if field == "name" {
					continue // any value is an attribute
				}
				require.Equal(t, http.StatusBadRequest, status, "%s with a wrong %s: %s", name, field, text)
			}
			status, code, text := e.raw(method, path, `{"padding":"`+strings.Repeat("x", 1<<20)+`"}`)
			require.Equal(t, http.StatusRequestEntityTooLarge, status, "%s: %d %s", name, code, text)
		}
		for name, r := range requests { // what is asked for is what it looks like
			method, path, _ := strings.Cut(name, " ")
			var body bytes.Buffer
			require.NoError(t, json.NewEncoder(&body).Encode(r.complete))
			status, code, text := e.raw(method, "/1.2/rtm"+path, body.String())
			if code == int(realtime.ErrMessageNotFound) && strings.HasPrefix(method, "PUT") {
				continue // recalled already: the order of this loop is anybody's
			}
			require.Equal(t, http.StatusOK, status, "%s: %d %s", name, code, text)
		}
	})
}

func TestParameters(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		conv, service := "/1.2/rtm/conversations/"+e.conversation("tom").ID(), "/1.2/rtm/service-conversations/"+e.service().ID()
		for _, path := range []string{
			"GET /1.2/rtm/conversations?limit=many",
			"GET /1.2/rtm/conversations?skip=-1",
			"GET /1.2/rtm/conversations?where={",
			"GET " + conv + "/messages?limit=-1",
			"GET " + conv + "/messages?timestamp=yesterday",
			"GET " + conv + "/messages?till_timestamp=x",
			"GET " + conv + "/messages?msgid=x",
			"GET " + conv + "/messages?till_msgid=x",
			"GET " + conv + "/blacklists?limit=x",
			"GET " + conv + "/permanent-silenceds?limit=x",
			"GET " + conv + "/member-infos?skip=x",
			"DELETE " + conv + "/messages/m",
			"DELETE " + conv + "/messages/m?timestamp=x",
			"DELETE " + conv + "/temporary-silenceds",
			"GET " + service + "/subscribers?limit=x",
			"GET /1.2/rtm/broadcasts?limit=x",
			"GET /1.2/rtm/broadcasts?skip=x",
			"GET /1.2/rtm/clients/tom/service-conversations?timestamp=x",
			"GET /1.2/rtm/clients/tom/service-conversations?limit=x",
			"GET /1.2/rtm/clients/tom/blacklists?limit=x",
			"GET /1.2/rtm/clients/sign",
		} {
			method, target, _ := strings.Cut(path, " ")
			status, code, text := e.raw(method, target, "")
			require.Equal(t, http.StatusBadRequest, status, "%s: %d %s", path, code, text)
		}
	})
}

// A path names a kind; what is of another kind is not there, and says why.
func TestKindsAreNotMixed(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		conv, room, service := e.conversation("tom").ID(), e.room().ID(), e.service().ID()
		for _, id := range []string{room, service} {
			_, err := e.c.Conversation(id).Send(e.ctx(), text("tom", "x"))
			require.ErrorIs(t, err, realtime.ErrNormalConversationRequired)
			require.ErrorIs(t, e.c.Conversation(id).Delete(e.ctx()), realtime.ErrNormalConversationRequired)
		}
		for _, id := range []string{conv, service} {
			_, err := e.c.ChatRoom(id).Send(e.ctx(), text("tom", "x"))
			require.ErrorIs(t, err, realtime.ErrTransientConversationRequired)
		}
		for _, id := range []string{conv, room} {
			_, err := e.c.ServiceConversation(id).BroadcastToSubscribers(e.ctx(), cast("GM", "x"))
			require.ErrorIs(t, err, realtime.ErrSystemConversationRequired)
			_, err = e.c.ServiceConversation(id).BroadcastToAll(e.ctx(), cast("GM", "x"))
			require.ErrorIs(t, err, realtime.ErrSystemConversationRequired)
			_, err = e.c.ServiceConversation(id).Fetch(e.ctx())
			require.ErrorIs(t, err, realtime.ErrConversationNotFound)
		}
	})
}

func TestHandlesWithoutIDs(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		require.ErrorIs(t, e.c.Conversation("").Delete(e.ctx()), realtime.ErrInvalidArgument)
		require.ErrorIs(t, errOf(e.c.Conversation("").Fetch(e.ctx())), realtime.ErrInvalidArgument)
		require.ErrorIs(t, errOf(e.c.ChatRoom("").Send(e.ctx(), text("tom", "x"))), realtime.ErrInvalidArgument)
		require.ErrorIs(t, e.c.ChatRoom("").MuteMembers(e.ctx()), realtime.ErrInvalidArgument)
		require.ErrorIs(t, failure(t, e.c.ServiceConversation("").Subscribers(e.ctx())), realtime.ErrInvalidArgument)
		require.ErrorIs(t, failure(t, e.c.ServiceConversation("").Messages(e.ctx(), realtime.MessageQuery{})), realtime.ErrInvalidArgument)
		require.ErrorIs(t, e.c.IMClient("").Kick(e.ctx(), ""), realtime.ErrInvalidArgument)
		require.ErrorIs(t, failure(t, e.c.IMClient("").Messages(e.ctx(), realtime.MessageQuery{})), realtime.ErrInvalidArgument)
		require.ErrorIs(t, failure(t, e.c.IMClient("").Subscriptions(e.ctx())), realtime.ErrInvalidArgument)
		require.ErrorIs(t, e.conversation("tom").Add(e.ctx(), ""), realtime.ErrInvalidArgument)
	})
}
