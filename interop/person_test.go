package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

// person is a Go client that the scripts tell what to do, and what it sent. What
// it hears goes to the script in the form of js/people/person.js.
type person struct {
	rt        *realtime.Realtime
	client    *realtime.IMClient
	listening sync.WaitGroup

	mu   sync.Mutex
	sent map[string]*realtime.Message
}

// redPacket is a message type of an app.
type redPacket struct {
	realtime.TypedMessage
	Amount int `json:"amount"`
}

func (*redPacket) Type() int { return 1 }

// opening is how a person logs in.
type opening struct {
	Name, Tag, At, SignWith string
	UserSession             string // of a user of the app
	Beside                  int    // shares the connection of this one
	Anonymous, NoBinary     bool
	TLS                     bool
	Heartbeat               int // milliseconds between heartbeats
}

// open logs a Go client in on a connection of its own, or beside another.
func (b *bridge) open(ctx context.Context, key int, o opening) (any, error) {
	s := b.server(o.At)
	p := &person{sent: make(map[string]*realtime.Message)}
	b.mu.Lock()
	beside := b.people[o.Beside]
	b.people[key] = p
	b.mu.Unlock()
	if beside != nil {
		p.rt = beside.rt
	} else {
		options := realtime.Options{
			AppID: s.AppID, AppKey: s.AppKey, Server: s.plain.URL, NoBinary: o.NoBinary,
			HeartbeatInterval: time.Duration(o.Heartbeat) * time.Millisecond,
			Plugins:           []realtime.Plugin{typedmessages.Plugin(), {Name: "red packets", MessageTypes: []realtime.Content{&redPacket{}}}},
		}
		if o.TLS {
			options.Server = s.secure.URL
			options.TLSConfig = s.secure.Client().Transport.(*http.Transport).TLSClientConfig
		}
		var err error
		if p.rt, err = realtime.New(options); err != nil {
			return nil, err
		}
	}
	var opts []realtime.ClientOption
	if o.Tag != "" {
		opts = append(opts, realtime.WithTag(o.Tag))
	}
	if o.SignWith != "" {
		opts = append(opts, realtime.WithSigner(realtime.MasterKeySigner(o.SignWith)))
	}
	if o.UserSession != "" {
		opts = append(opts, realtime.WithUserSession(o.UserSession))
	}
	if o.Anonymous {
		o.Name = ""
	}
	p.client = p.rt.NewIMClient(o.Name, opts...)
	stream := p.client.Events(context.WithoutCancel(ctx)) // ends with the client
	p.listening.Go(func() {
		for ev, err := range stream {
			if err != nil {
				return
			}
			if told := describeEvent(ev); told != nil {
				b.print(map[string]any{"person": key, "event": told})
			}
		}
	})
	if err := p.client.Open(ctx); err != nil {
		return nil, err
	}
	return map[string]any{"id": p.client.ID()}, nil
}

// tell lets a person do something.
func (b *bridge) tell(ctx context.Context, key int, method string, raw []json.RawMessage) (any, error) {
	args := &list{raw: raw}
	if method == "open" {
		var o opening
		if args.next(&o); args.err != nil {
			return nil, args.err
		}
		return b.open(ctx, key, o)
	}
	b.mu.Lock()
	p := b.people[key]
	b.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("the Go side has no person %d for %q", key, method)
	}
	result, err := p.do(ctx, method, args)
	if args.err != nil {
		return nil, fmt.Errorf("%s: %w", method, args.err)
	}
	return result, err
}

func (p *person) do(ctx context.Context, method string, args *list) (any, error) {
	switch method {
	case "close":
		return nil, p.client.Close(ctx)
	case "pause":
		p.rt.Pause()
		return nil, nil
	case "resume":
		p.rt.Resume()
		return nil, nil
	case "ping":
		online, err := p.client.OnlineClients(ctx, args.strings()...)
		return sorted(online), err
	case "create":
		return p.create(ctx, args)
	case "conversations":
		convs, err := p.client.GetConversations(ctx, args.strings(), realtime.WithoutCache())
		return describeConversations(convs), err
	case "query":
		convs, err := p.query(ctx, args)
		ids := []string{}
		for _, conv := range convs {
			ids = append(ids, conv.ID())
		}
		return ids, err
	case "find":
		convs, err := p.query(ctx, args)
		return describeConversations(convs), err
	case "download":
		return p.download(ctx, args.string())
	}
	id := args.string()
	if method == "conversation" {
		conv, err := p.client.GetConversation(ctx, id, realtime.WithoutCache())
		if errors.Is(err, realtime.ErrConversationNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return describeConversation(conv), nil
	}
	conv, err := p.client.GetConversation(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, group := range []func(context.Context, *realtime.Conversation, string, *list) (any, bool, error){
		p.withMembers, p.withMessages, p.withConversation,
	} {
		if result, done, err := group(ctx, conv, method, args); done {
			return result, err
		}
	}
	return nil, fmt.Errorf("the Go side has no method %q", method)
}

func (p *person) create(ctx context.Context, args *list) (any, error) {
	o := struct {
		Kind, Name string
		Members    []string
		Attributes map[string]any
		Unique     *bool
		TTL        int
	}{}
	args.next(&o)
	attributes, _ := dates(o.Attributes).(map[string]any)
	var conv *realtime.Conversation
	var err error
	switch o.Kind {
	case "room":
		conv, err = p.client.CreateChatRoom(ctx, realtime.ChatRoomOptions{Name: o.Name, Attributes: attributes})
	case "temporary":
		conv, err = p.client.CreateTemporaryConversation(ctx, realtime.TemporaryConversationOptions{
			Members: o.Members, TTL: time.Duration(o.TTL) * time.Second,
		})
	default:
		conv, err = p.client.CreateConversation(ctx, realtime.ConversationOptions{
			Members: o.Members, Name: o.Name, Attributes: attributes, NotUnique: o.Unique != nil && !*o.Unique,
		})
	}
	if err != nil {
		return nil, err
	}
	return conv.ID(), nil
}

func (p *person) withConversation(ctx context.Context, conv *realtime.Conversation, method string, args *list) (any, bool, error) {
	var err error
	switch method {
	case "save":
		changes := map[string]any{}
		args.next(&changes)
		changes, _ = dates(changes).(map[string]any)
		err = conv.Save(ctx, changes)
	case "mute":
		err = conv.Mute(ctx)
	case "unmute":
		err = conv.Unmute(ctx)
	case "chatters":
		n, err := conv.Count(ctx)
		return n, true, err
	case "read":
		err = conv.Read(ctx)
	case "receipts":
		err = conv.FetchReceiptTimestamps(ctx)
		return map[string]any{"delivered": ms(conv.LastDeliveredAt()), "read": ms(conv.LastReadAt())}, true, err
	case "memberReceipts":
		receipts, err := conv.FetchMemberReceipts(ctx)
		by := map[string]any{}
		for _, r := range receipts {
			by[r.MemberID] = map[string]any{"delivered": ms(r.DeliveredAt), "read": ms(r.ReadAt)}
		}
		return by, true, err
	default:
		return nil, false, nil
	}
	return nil, true, err
}

// partial is what came of an operation on several members.
func partial(ids []string, err error) (any, bool, error) {
	failed := []any{}
	var some *realtime.PartialError
	if errors.As(err, &some) {
		ids, err = some.Succeeded, nil
		for _, f := range some.Failures {
			failed = append(failed, map[string]any{"code": f.Err.Code, "members": sorted(f.ClientIDs)})
		}
	}
	return map[string]any{"done": sorted(ids), "failed": failed}, true, err
}

func (p *person) withMembers(ctx context.Context, conv *realtime.Conversation, method string, args *list) (any, bool, error) {
	several := func(do func(context.Context, ...string) error) (any, bool, error) {
		ids := args.strings()
		return partial(ids, do(ctx, ids...))
	}
	page := func(query func(context.Context, realtime.PageQuery) (realtime.MemberPage, error)) (any, bool, error) {
		var q realtime.PageQuery
		args.next(&q)
		page, err := query(ctx, q)
		return map[string]any{"members": sorted(page.Members), "next": page.Next}, true, err
	}
	switch method {
	case "add":
		return several(conv.Add)
	case "remove":
		return several(conv.Remove)
	case "silence":
		return several(conv.MuteMembers)
	case "unsilence":
		return several(conv.UnmuteMembers)
	case "block":
		return several(conv.BlockMembers)
	case "unblock":
		return several(conv.UnblockMembers)
	case "silenced":
		return page(conv.QueryMutedMembers)
	case "blocked":
		return page(conv.QueryBlockedMembers)
	case "join":
		return nil, true, conv.Join(ctx)
	case "quit":
		return nil, true, conv.Quit(ctx)
	case "subscribe":
		return nil, true, conv.Subscribe(ctx)
	case "unsubscribe":
		return nil, true, conv.Unsubscribe(ctx)
	case "setRole":
		return nil, true, conv.UpdateMemberRole(ctx, args.string(), realtime.Role(args.string()))
	case "roles":
		infos, err := conv.GetAllMemberInfo(ctx, realtime.WithoutCache())
		roles := map[string]any{}
		for _, info := range infos {
			roles[info.MemberID] = info.Role
		}
		return roles, true, err
	}
	return nil, false, nil
}

// list reads the arguments of a call, one after the other.
type list struct {
	raw []json.RawMessage
	err error // of the first that was not as wanted
}

// next reads one into what v points to; a missing one leaves it as it is.
func (l *list) next(v any) {
	if len(l.raw) == 0 {
		return
	}
	first := l.raw[0]
	l.raw = l.raw[1:]
	if err := json.Unmarshal(first, v); err != nil && l.err == nil {
		l.err = err
	}
}

func (l *list) string() (s string) {
	l.next(&s)
	return s
}

func (l *list) strings() (s []string) {
	l.next(&s)
	return s
}

// dates replaces {"$date": ms} by times.
func dates(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if at, ok := v["$date"].(float64); ok {
			return time.UnixMilli(int64(at))
		}
		for key, value := range v {
			v[key] = dates(value)
		}
	case []any:
		for i, value := range v {
			v[i] = dates(value)
		}
	}
	return v
}
