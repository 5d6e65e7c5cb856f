package interop_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

// content is what a person is told to say.
type content struct {
	Text                      string
	Raw                       *string
	JSON                      json.RawMessage
	Binary                    []byte
	RedPacket                 int
	Location                  *typedmessages.GeoPoint
	Image, Audio, Video, File *struct {
		Name, MIME string
		Data       []byte
	}
	Attributes map[string]any
	Mention    []string
	MentionAll bool
}

func (c *content) make() realtime.Content {
	typed := realtime.TypedMessage{Text: c.Text, Attributes: c.Attributes}
	for _, f := range []struct {
		file *struct {
			Name, MIME string
			Data       []byte
		}
		message func(f typedmessages.File) realtime.Content
	}{
		{c.Image, func(f typedmessages.File) realtime.Content {
			return &typedmessages.ImageMessage{TypedMessage: typed, File: f}
		}},
		{c.Audio, func(f typedmessages.File) realtime.Content {
			return &typedmessages.AudioMessage{TypedMessage: typed, File: f}
		}},
		{c.Video, func(f typedmessages.File) realtime.Content {
			return &typedmessages.VideoMessage{TypedMessage: typed, File: f}
		}},
		{c.File, func(f typedmessages.File) realtime.Content {
			return &typedmessages.FileMessage{TypedMessage: typed, File: f}
		}},
	} {
		if f.file != nil {
			return f.message(typedmessages.NewFile(f.file.Name, bytes.NewReader(f.file.Data), typedmessages.WithMIMEType(f.file.MIME)))
		}
	}
	switch {
	case c.Raw != nil:
		return realtime.NewRawMessage(*c.Raw)
	case c.JSON != nil:
		return realtime.NewRawMessage(string(c.JSON))
	case c.Binary != nil:
		return realtime.NewBinaryMessage(c.Binary)
	case c.RedPacket != 0:
		return &redPacket{TypedMessage: typed, Amount: c.RedPacket}
	case c.Location != nil:
		return &typedmessages.LocationMessage{TypedMessage: typed, Location: *c.Location}
	}
	return &realtime.TextMessage{TypedMessage: typed}
}

func (c *content) mentions() (opts []realtime.MentionOption) {
	if len(c.Mention) > 0 {
		opts = append(opts, realtime.WithMention(c.Mention...))
	}
	if c.MentionAll {
		opts = append(opts, realtime.WithMentionAll())
	}
	return opts
}

func (p *person) withMessages(ctx context.Context, conv *realtime.Conversation, method string, args *list) (any, bool, error) {
	var m *realtime.Message
	var err error
	switch method {
	case "send":
		m, err = p.send(ctx, conv, args)
	case "update":
		old := p.sentMessage(args.string())
		var c content
		args.next(&c)
		var opts []realtime.UpdateOption
		for _, o := range c.mentions() {
			opts = append(opts, o)
		}
		m, err = conv.Update(ctx, old, c.make(), opts...)
	case "recall":
		m, err = conv.Recall(ctx, p.sentMessage(args.string()))
	case "history":
		result, err := p.history(ctx, conv, args)
		return result, true, err
	case "iterate":
		var limit int
		args.next(&limit)
		pages := [][]string{}
		for it := conv.MessageIterator(realtime.MessageQuery{Limit: limit}); ; {
			page, done, err := it.Next(ctx)
			if err != nil {
				return nil, true, err
			}
			var texts []string
			for _, m := range page {
				texts = append(texts, m.Text())
			}
			if len(texts) > 0 {
				pages = append(pages, texts)
			}
			if done {
				return pages, true, nil
			}
		}
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	return describeMessage(m), true, nil
}

func (p *person) sentMessage(id string) *realtime.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[id]
}

func (p *person) send(ctx context.Context, conv *realtime.Conversation, args *list) (*realtime.Message, error) {
	var c content
	var o struct {
		Transient, Receipt, Will bool
		Priority                 realtime.MessagePriority
		Push                     any
	}
	args.next(&c)
	args.next(&o)
	var opts []realtime.SendOption
	for _, m := range c.mentions() {
		opts = append(opts, m)
	}
	if o.Transient {
		opts = append(opts, realtime.WithTransient())
	}
	if o.Receipt {
		opts = append(opts, realtime.WithReceipt())
	}
	if o.Will {
		opts = append(opts, realtime.WithWill())
	}
	if o.Priority != 0 {
		opts = append(opts, realtime.WithPriority(o.Priority))
	}
	if o.Push != nil {
		opts = append(opts, realtime.WithPushData(o.Push))
	}
	m, err := conv.Send(ctx, c.make(), opts...)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[m.ID] = m
	return m, nil
}

func (p *person) history(ctx context.Context, conv *realtime.Conversation, args *list) (any, error) {
	type point struct {
		Time   int64
		ID     string
		Closed bool
	}
	var o struct {
		Limit      *int
		Type       int
		Direction  string
		Start, End point
	}
	args.next(&o)
	at := func(ms int64) time.Time {
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms)
	}
	q := realtime.MessageQuery{
		Type:      o.Type,
		StartTime: at(o.Start.Time), StartMessageID: o.Start.ID, StartClosed: o.Start.Closed,
		EndTime: at(o.End.Time), EndMessageID: o.End.ID, EndClosed: o.End.Closed,
	}
	if o.Limit != nil {
		q.Limit = *o.Limit
	}
	switch o.Direction {
	case "new":
		q.Direction = realtime.OldToNew
	case "old":
		q.Direction = realtime.NewToOld
	}
	messages, err := conv.QueryMessages(ctx, q)
	described := []any{}
	for _, m := range messages {
		described = append(described, describeMessage(m))
	}
	return described, err
}

func (p *person) download(ctx context.Context, url string) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.rt.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	data, err := io.ReadAll(res.Body)
	return base64.StdEncoding.EncodeToString(data), err
}
