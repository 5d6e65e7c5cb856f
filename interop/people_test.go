package interop_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
	"github.com/leanrtm/realtime/typedmessages"
)

// people are the Go clients that the scripts talk to.
type people struct {
	t    *testing.T
	srv  *realtimetest.Server
	url  string
	here map[string]*goClient
}

// goClient is one of them, with what it heard.
type goClient struct {
	rt     *realtime.Realtime
	client *realtime.IMClient
	events chan realtime.Event
	last   *realtime.Message // that it sent
}

// arguments of all calls of the scripts to Go clients.
type arguments struct {
	ID, Conv, Name, Text, Raw, Binary, Event, From, To, Data string
	Members, Mention                                         []string
	Attributes, Changes                                      map[string]any
	Receipt                                                  bool
}

func (p *people) close() {
	for id, c := range p.here {
		if err := c.rt.Close(context.Background()); err != nil {
			p.t.Errorf("close %s: %v", id, err)
		}
	}
}

// open logs a Go client in on a connection of its own, over the same socket
// and the same router as the scripts.
func (p *people) open(ctx context.Context, id string) (*goClient, error) {
	rt, err := realtime.New(realtime.Options{
		AppID: p.srv.AppID, AppKey: p.srv.AppKey, Server: p.url,
		Plugins: []realtime.Plugin{typedmessages.Plugin()},
	})
	if err != nil {
		return nil, err
	}
	const plenty = 1000
	c := &goClient{rt: rt, client: rt.NewIMClient(id), events: make(chan realtime.Event, plenty)}
	p.here[id] = c
	stream := c.client.Events(context.Background()) // ends with the client
	go func() {
		defer close(c.events)
		for ev, err := range stream {
			if err != nil {
				return
			}
			c.events <- ev
		}
	}()
	return c, c.client.Open(ctx)
}

// next waits for an event that match accepts; others are passed over.
func (c *goClient) next(ctx context.Context, what string, match func(ev realtime.Event) bool) (realtime.Event, error) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case ev, ok := <-c.events:
			if !ok {
				return nil, errors.New("the client has ended")
			}
			if match(ev) {
				return ev, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

func (p *people) do(ctx context.Context, method string, args arguments) (any, error) {
	switch method {
	case "open":
		_, err := p.open(ctx, args.ID)
		return nil, err
	case "sendImage":
		return p.sendImage(ctx, args)
	}
	c := p.here[args.ID]
	if c == nil {
		return nil, fmt.Errorf("the Go side has no client %q for %q", args.ID, method)
	}
	switch method {
	case "nextMessage":
		ev, err := c.next(ctx, "a message", func(ev realtime.Event) bool {
			_, ok := ev.(*realtime.MessageEvent)
			return ok
		})
		if err != nil {
			return nil, err
		}
		return p.describe(ctx, c, ev.(*realtime.MessageEvent).Message)
	case "nextEvent":
		ev, err := c.next(ctx, args.Event, func(ev realtime.Event) bool {
			return fmt.Sprintf("%T", ev) == "*realtime."+args.Event+"Event"
		})
		if err != nil {
			return nil, err
		}
		return describeEvent(ev)
	case "create":
		conv, err := c.client.CreateConversation(ctx, realtime.ConversationOptions{
			Members: args.Members, Name: args.Name, Attributes: args.Attributes,
		})
		if err != nil {
			return nil, err
		}
		return map[string]any{"id": conv.ID()}, nil
	}
	conv := (*realtime.Conversation)(nil)
	if args.Conv != "" {
		var err error
		if conv, err = c.client.GetConversation(ctx, args.Conv); err != nil {
			return nil, err
		}
	}
	return c.inConversation(ctx, method, conv, args)
}

func (c *goClient) inConversation(ctx context.Context, method string, conv *realtime.Conversation, args arguments) (any, error) {
	switch method {
	case "send":
		return c.send(ctx, conv, args)
	case "update", "recall":
		conv, err := c.client.GetConversation(ctx, c.last.ConversationID)
		if err != nil {
			return nil, err
		}
		if method == "recall" {
			_, err = conv.Recall(ctx, c.last)
		} else {
			c.last, err = conv.Update(ctx, c.last, realtime.NewTextMessage(args.Text))
		}
		return nil, err
	case "add":
		return nil, conv.Add(ctx, args.Members...)
	case "remove":
		return nil, conv.Remove(ctx, args.Members...)
	case "join":
		return nil, conv.Join(ctx)
	case "quit":
		return nil, conv.Quit(ctx)
	case "read":
		return nil, conv.Read(ctx)
	case "save":
		return nil, conv.Save(ctx, args.Changes)
	case "fetch":
		if err := conv.Fetch(ctx); err != nil {
			return nil, err
		}
		when, _ := conv.Get("attr.when").(time.Time)
		return map[string]any{"when": when.UnixMilli()}, nil
	case "history":
		var texts []string
		for m, err := range conv.Messages(ctx, realtime.MessageQuery{Direction: realtime.OldToNew}) {
			if err != nil {
				return nil, err
			}
			texts = append(texts, m.Text())
		}
		return texts, nil
	}
	return nil, fmt.Errorf("the Go side has no method %q", method)
}

func (c *goClient) send(ctx context.Context, conv *realtime.Conversation, args arguments) (any, error) {
	var content realtime.Content
	switch {
	case args.Raw != "":
		content = realtime.NewRawMessage(args.Raw)
	case args.Binary != "":
		data, err := base64.StdEncoding.DecodeString(args.Binary)
		if err != nil {
			return nil, err
		}
		content = realtime.NewBinaryMessage(data)
	default:
		text := realtime.NewTextMessage(args.Text)
		text.Attributes = args.Attributes
		content = text
	}
	var opts []realtime.SendOption
	if len(args.Mention) > 0 {
		opts = append(opts, realtime.WithMention(args.Mention...))
	}
	if args.Receipt {
		opts = append(opts, realtime.WithReceipt())
	}
	var err error
	if c.last, err = conv.Send(ctx, content, opts...); err != nil {
		return nil, err
	}
	return map[string]any{"id": c.last.ID}, nil
}

func (p *people) sendImage(ctx context.Context, args arguments) (any, error) {
	c, err := p.open(ctx, args.From)
	if err != nil {
		return nil, err
	}
	conv, err := c.client.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{args.To}})
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(args.Data)
	if err != nil {
		return nil, err
	}
	image := typedmessages.NewImageMessage(typedmessages.NewFile(args.Name, bytes.NewReader(data)))
	image.Text = args.Text
	m, err := conv.Send(ctx, image)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": m.ID}, nil
}

// describe is a message as the scripts compare it.
func (p *people) describe(ctx context.Context, c *goClient, m *realtime.Message) (any, error) {
	out := map[string]any{
		"id": m.ID, "from": m.From, "type": m.Type(), "text": m.Text(), "attributes": m.Attributes(),
		"timestamp": m.Timestamp.UnixMilli(), "mentioned": m.Mentioned,
	}
	switch content := m.Content.(type) {
	case *realtime.RawMessage:
		out["raw"] = content.Data
	case *realtime.BinaryMessage:
		out["binary"] = content.Data
	case *typedmessages.ImageMessage:
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, content.File.URL, nil)
		if err != nil {
			return nil, err
		}
		res, err := c.rt.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		out["file"] = map[string]any{"name": content.File.Name, "size": content.File.Size, "data": data}
	}
	return out, nil
}

// describeEvent is an event as the scripts compare it.
func describeEvent(ev realtime.Event) (any, error) {
	switch e := ev.(type) {
	case *realtime.InvitedEvent:
		return map[string]any{"by": e.InvitedBy, "conv": e.Conversation.ID()}, nil
	case *realtime.KickedEvent:
		return map[string]any{"by": e.KickedBy, "conv": e.Conversation.ID()}, nil
	case *realtime.InfoUpdatedEvent:
		return map[string]any{"by": e.UpdatedBy}, nil
	case *realtime.MessageUpdateEvent:
		return map[string]any{"message": e.Message.ID, "text": e.Message.Text()}, nil
	case *realtime.MessageRecallEvent:
		return map[string]any{"message": e.Message.ID}, nil
	case *realtime.LastDeliveredAtUpdateEvent:
		return map[string]any{"by": e.By}, nil
	case *realtime.LastReadAtUpdateEvent:
		return map[string]any{"by": e.By}, nil
	case *realtime.UnreadMessagesCountUpdateEvent:
		text := ""
		if e.LastMessage != nil {
			text = e.LastMessage.Text()
		}
		return map[string]any{"count": e.Count, "mentioned": e.Mentioned, "text": text}, nil
	}
	data, err := json.Marshal(ev)
	return json.RawMessage(data), err
}
