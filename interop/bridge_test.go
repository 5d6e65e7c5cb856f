package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/server"
)

// mainServer is the name of the server that every script has from its start.
const mainServer = "main"

// testServer is a server that the scripts can reach, plainly and over TLS.
type testServer struct {
	*realtimetest.Server
	plain, secure *httptest.Server
	successive    *succession // nil: what realtimetest serves is served
}

// succession is servers one after the other, with the same data.
type succession struct {
	options server.Options
	now     atomic.Pointer[server.Server]
}

// next lets a server begin.
func (s *succession) next() error {
	srv, err := server.New(s.options)
	if err == nil {
		s.now.Store(srv)
	}
	return err
}

// replace lets the server end in order, then the next one begin.
func (s *succession) replace(ctx context.Context) error {
	return errors.Join(s.now.Load().Shutdown(ctx), s.next())
}

func (s *succession) end() error {
	return errors.Join(s.now.Load().Close(), s.options.Store.Close())
}

// startServer starts one. A recorder, if there is one, keeps what comes in
// plainly.
func startServer(t *testing.T, r *recorder, opts ...realtimetest.Option) *testServer {
	srv := realtimetest.NewServer(t, opts...)
	return serve(srv, srv.Handler(), nil, r)
}

// startSuccession starts a server that can be replaced. The one of realtimetest
// only lends its keys.
func startSuccession(t *testing.T) *testServer {
	s := new(succession)
	keys := realtimetest.NewServer(t, realtimetest.WithServerOptions(func(o *server.Options) { s.options = *o }))
	s.options.Store = server.NewMemoryStore()
	if err := s.next(); err != nil {
		t.Fatal(err)
	}
	return serve(keys, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.now.Load().ServeHTTP(w, r) }), s, nil)
}

func serve(srv *realtimetest.Server, h http.Handler, successive *succession, r *recorder) *testServer {
	plain := httptest.NewUnstartedServer(h)
	if r != nil {
		plain.Listener = recordingListener{plain.Listener, r}
	}
	plain.Start()
	return &testServer{srv, plain, httptest.NewTLSServer(h), successive}
}

func (s *testServer) stop(t *testing.T) {
	if s.successive != nil {
		if err := s.successive.end(); err != nil {
			t.Error(err)
		}
	}
	s.plain.Close()
	s.secure.Close()
}

func (s *testServer) socket() string { return "ws" + strings.TrimPrefix(s.plain.URL, "http") }

// environment is how the scripts are told of the server.
func (s *testServer) environment() []string {
	return []string{
		"RTM_APP_ID=" + s.AppID, "RTM_APP_KEY=" + s.AppKey, "RTM_MASTER_KEY=" + s.MasterKey,
		"RTM_SERVER=" + s.plain.URL, "RTM_SOCKET=" + s.socket(), "RTM_TLS_SERVER=" + s.secure.URL,
	}
}

// bridge is what a script can ask of the Go side: servers and their faults, the
// REST API with the master key, and the Go SDK.
type bridge struct {
	t        *testing.T
	recorder *recorder // nil: nothing is recorded
	calls    sync.WaitGroup

	mu      sync.Mutex
	answers *json.Encoder
	servers map[string]*testServer
	people  map[int]*person
	names   map[string]string // what values that differ from run to run are called
}

func newBridge(t *testing.T, r *recorder) *bridge {
	return &bridge{
		t:        t,
		recorder: r,
		servers:  map[string]*testServer{mainServer: startServer(t, r)},
		people:   make(map[int]*person),
		names:    make(map[string]string),
	}
}

// close waits for the calls, which end with the test at the latest.
func (b *bridge) close() {
	b.calls.Wait()
	for _, p := range b.people {
		if err := p.rt.Close(context.Background()); err != nil {
			b.t.Errorf("close %s: %v", p.client.ID(), err)
		}
		p.listening.Wait()
	}
	for _, s := range b.servers {
		s.stop(b.t)
	}
}

func (b *bridge) server(name string) *testServer {
	if name == "" {
		name = mainServer
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.servers[name]
}

// print writes a line to the script, which may have ended already.
func (b *bridge) print(v any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.answers.Encode(v)
}

// answer executes a call. All but the start of servers, which belongs to the
// goroutine of the test, run beside each other, as the cases do.
func (b *bridge) answer(l line) {
	execute := func() {
		answer := map[string]any{"id": l.Call}
		result, err := b.do(b.t.Context(), l.Method, l.Args)
		if err != nil {
			answer["error"] = err.Error()
			var refused *realtime.Error
			if errors.As(err, &refused) {
				answer["code"] = refused.Code
			}
		} else {
			answer["result"] = result
		}
		b.print(answer)
	}
	if l.Method == "startServer" {
		execute()
		return
	}
	b.calls.Go(execute)
}

// arguments of the calls that are not for a person.
type arguments struct {
	Server, Client, Reason, Name, Conv, ID, From, Text string
	To                                                 []string
	NoSync                                             bool
	Successive                                         bool
	Verify                                             string            // what must be signed
	TokenTTL                                           int               // seconds
	Names                                              map[string]string // by placeholder
}

func (b *bridge) do(ctx context.Context, method string, raw json.RawMessage) (any, error) {
	var call struct {
		Person int
		Args   []json.RawMessage
	}
	if err := json.Unmarshal(raw, &call); err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", method, err)
	}
	if call.Person != 0 {
		return b.tell(ctx, call.Person, method, call.Args)
	}
	var args arguments
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", method, err)
	}
	if method == "startServer" {
		return b.startServer(args), nil
	}
	switch method {
	case "step":
		b.recorder.begin(args.Text)
		return nil, nil
	case "know":
		b.mu.Lock()
		defer b.mu.Unlock()
		for name, value := range args.Names {
			b.names[value] = name
		}
		return nil, nil
	}
	s := b.server(args.Server)
	switch method {
	case "cut":
		s.Cut(args.Client)
		return nil, nil
	case "goAway":
		s.GoAway(args.Client)
		return nil, nil
	case "expireTokens":
		s.ExpireTokens(args.Client)
		return nil, nil
	case "commands":
		var names []string
		for _, c := range s.Commands() {
			if c.ClientID == args.Client {
				names = append(names, c.Name)
			}
		}
		return names, nil
	case "replace":
		return nil, s.successive.replace(ctx)
	case "restart":
		s.Restart()
		return nil, nil
	case "kick":
		return s.rest(ctx, http.MethodPost, "/clients/"+args.Client+"/kick", map[string]any{"reason": args.Reason})
	case "createService":
		created, err := s.rest(ctx, http.MethodPost, "/service-conversations", map[string]any{"name": args.Name})
		return created["objectId"], err
	}
	content, err := json.Marshal(map[string]any{"_lctype": -1, "_lctext": args.Text})
	if err != nil {
		return nil, err
	}
	message := map[string]any{"from_client": args.From, "message": string(content)}
	switch method {
	case "broadcastToSubscribers":
		return s.rest(ctx, http.MethodPost, "/service-conversations/"+args.ID+"/broadcasts", message)
	case "sendByService":
		message["to_clients"] = args.To
		return s.rest(ctx, http.MethodPost, "/service-conversations/"+args.ID+"/messages", message)
	case "sendByREST":
		message["no_sync"] = args.NoSync
		return s.rest(ctx, http.MethodPost, "/conversations/"+args.Conv+"/messages", message)
	case "sendToRoomByREST":
		return s.rest(ctx, http.MethodPost, "/chatrooms/"+args.Conv+"/messages", message)
	case "broadcastToAll":
		message["conv_id"] = args.ID
		return s.rest(ctx, http.MethodPost, "/broadcasts", message)
	}
	return nil, fmt.Errorf("the Go side has no method %q", method)
}

// startServer starts another server for one case and tells where it is.
func (b *bridge) startServer(args arguments) any {
	if args.Successive {
		return b.know(startSuccession(b.t))
	}
	return b.know(startServer(b.t, b.recorder, realtimetest.WithServerOptions(func(o *server.Options) {
		o.TokenTTL = time.Duration(args.TokenTTL) * time.Second
		// Users of the app, of whom the server knows nothing else.
		o.Users = func(_ context.Context, _, session string) (string, error) {
			id, ok := strings.CutPrefix(session, "session of ")
			if !ok {
				return "", errors.New("no such session")
			}
			return id, nil
		}
		app := &o.Apps[0]
		app.VerifyLogin = args.Verify == "logins"
		app.VerifyConversation = args.Verify == "conversations"
		app.VerifyBlacklist = args.Verify == "blacklists"
	})))
}

// know names a server and tells where it is.
func (b *bridge) know(s *testServer) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := fmt.Sprintf("server %d", len(b.servers))
	b.servers[name] = s
	return map[string]any{
		"name": name, "appId": s.AppID, "appKey": s.AppKey, "masterKey": s.MasterKey,
		"server": s.plain.URL, "socket": s.socket(), "tlsServer": s.secure.URL,
	}
}

// rest calls the administrative REST API as the owner of the app.
func (s *testServer) rest(ctx context.Context, method, path string, body any) (map[string]any, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+"/1.2/rtm"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-LC-Id", s.AppID)
	req.Header.Set("X-LC-Key", s.MasterKey+",master")
	res, err := s.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	var result map[string]any
	if err := json.Unmarshal(answer, &result); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return result, nil
}
