package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/leanrtm/realtime/realtimetest"
)

// bridge is what the scripts can ask of the Go side: faults of the server,
// the REST API with the master key, and the Go SDK.
type bridge struct {
	srv    *realtimetest.Server
	url    string
	people *people
}

func newBridge(t *testing.T, srv *realtimetest.Server, url string) *bridge {
	return &bridge{srv: srv, url: url, people: &people{t: t, srv: srv, url: url, here: make(map[string]*goClient)}}
}

func (b *bridge) close() { b.people.close() }

func (b *bridge) do(ctx context.Context, method string, raw json.RawMessage) (any, error) {
	var args struct {
		arguments
		Client, Reason string
	}
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", method, err)
	}
	typed := func(text string) string {
		content, _ := json.Marshal(map[string]any{"_lctype": -1, "_lctext": text})
		return string(content)
	}
	switch method {
	case "cut":
		b.srv.Cut(args.Client)
		return nil, nil
	case "goAway":
		b.srv.GoAway(args.Client)
		return nil, nil
	case "expireTokens":
		b.srv.ExpireTokens(args.Client)
		return nil, nil
	case "kick":
		_, err := b.rest(ctx, http.MethodPost, "/1.2/rtm/clients/"+args.Client+"/kick", map[string]any{"reason": args.Reason})
		return nil, err
	case "createService":
		created, err := b.rest(ctx, http.MethodPost, "/1.2/rtm/service-conversations", map[string]any{"name": args.Name})
		if err != nil {
			return nil, err
		}
		return map[string]any{"id": created["objectId"]}, nil
	case "broadcastToSubscribers":
		return b.rest(ctx, http.MethodPost, "/1.2/rtm/service-conversations/"+args.ID+"/broadcasts",
			map[string]any{"from_client": args.From, "message": typed(args.Text)})
	case "sendByREST":
		return b.rest(ctx, http.MethodPost, "/1.2/rtm/conversations/"+args.Conv+"/messages",
			map[string]any{"from_client": args.From, "message": typed(args.Text)})
	case "broadcastToAll":
		return b.rest(ctx, http.MethodPost, "/1.2/rtm/broadcasts",
			map[string]any{"from_client": args.From, "conv_id": args.ID, "message": typed(args.Text)})
	}
	return b.people.do(ctx, method, args.arguments)
}

// rest calls the REST API as the owner of the app.
func (b *bridge) rest(ctx context.Context, method, path string, body any) (map[string]any, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-LC-Id", b.srv.AppID)
	req.Header.Set("X-LC-Key", b.srv.MasterKey+",master")
	res, err := http.DefaultClient.Do(req)
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
