package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// The parameters and decisions of each hook, as they are over HTTP.

// messageDecision is the answer about a message.
type messageDecision struct {
	Drop    bool     `json:"drop"`
	Code    int32    `json:"code"`
	Detail  string   `json:"detail"`
	Content *string  `json:"content"`
	Bin     *bool    `json:"bin"`     // absent: as the message was
	ToPeers []string `json:"toPeers"` // absent: all
}

func (d *messageDecision) verdict(was Content) (MessageVerdict, error) {
	v := MessageVerdict{Drop: d.Drop, Code: d.Code, Detail: d.Detail, To: d.ToPeers}
	if d.Content == nil {
		return v, nil
	}
	v.Content = &Content{Data: *d.Content, Binary: was.Binary}
	if d.Bin != nil {
		v.Content.Binary = *d.Bin
	}
	if v.Content.Binary {
		data, err := base64.StdEncoding.DecodeString(*d.Content)
		if err != nil {
			return MessageVerdict{}, fmt.Errorf("content is not base64: %w", err)
		}
		v.Content.Data = string(data)
	}
	return v, nil
}

func (c *hookCaller) messageReceived(ctx context.Context, e *MessageReceived) (MessageVerdict, error) {
	params := struct {
		FromPeer  string   `json:"fromPeer"`
		ConvID    string   `json:"convId"`
		ToPeers   []string `json:"toPeers"`
		Transient bool     `json:"transient"`
		hookContent
		Receipt   bool   `json:"receipt"`
		Timestamp int64  `json:"timestamp"`
		System    bool   `json:"system"`
		SourceIP  string `json:"sourceIP"`
	}{e.From, e.ConvID, list(e.To), e.Transient, contentOf(e.Content), e.Receipt, e.Timestamp, e.System, e.SourceIP}
	var d messageDecision
	if err := c.ask(ctx, e.App, HookMessageReceived, params, &d); err != nil {
		return MessageVerdict{}, err
	}
	return d.verdict(e.Content)
}

func (c *hookCaller) messageUpdate(ctx context.Context, e *MessageUpdate) (MessageVerdict, error) {
	params := struct {
		FromPeer string   `json:"fromPeer"`
		ConvID   string   `json:"convId"`
		ToPeers  []string `json:"toPeers"`
		hookContent
		Timestamp int64  `json:"timestamp"`
		MsgID     string `json:"msgId"`
		SourceIP  string `json:"sourceIP"`
		Recall    bool   `json:"recall"`
		System    bool   `json:"system"`
	}{e.From, e.ConvID, list(e.To), contentOf(e.Content), e.Timestamp, e.MessageID, e.SourceIP, e.Recall, e.System}
	var d messageDecision
	if err := c.ask(ctx, e.App, HookMessageUpdate, params, &d); err != nil {
		return MessageVerdict{}, err
	}
	return d.verdict(e.Content)
}

func (c *hookCaller) receiversOffline(ctx context.Context, e *ReceiversOffline) (OfflineVerdict, error) {
	params := struct {
		FromPeer     string   `json:"fromPeer"`
		ConvID       string   `json:"convId"`
		OfflinePeers []string `json:"offlinePeers"`
		hookContent
		Timestamp           int64    `json:"timestamp"`
		MentionAll          bool     `json:"mentionAll"`
		MentionOfflinePeers []string `json:"mentionOfflinePeers"`
	}{e.From, e.ConvID, list(e.Offline), contentOf(e.Content), e.Timestamp, e.MentionAll, list(e.MentionsOffline)}
	var d struct {
		Skip         bool     `json:"skip"`
		OfflinePeers []string `json:"offlinePeers"`
		PushMessage  string   `json:"pushMessage"`
		Force        bool     `json:"force"`
	}
	if err := c.ask(ctx, e.App, HookReceiversOffline, params, &d); err != nil {
		return OfflineVerdict{}, err
	}
	return OfflineVerdict{Skip: d.Skip, Offline: d.OfflinePeers, PushMessage: d.PushMessage, Force: d.Force}, nil
}

func (c *hookCaller) messageSent(ctx context.Context, e *MessageSent) {
	c.tell(ctx, e.App, HookMessageSent, struct {
		FromPeer     string   `json:"fromPeer"`
		ConvID       string   `json:"convId"`
		MsgID        string   `json:"msgId"`
		OnlinePeers  []string `json:"onlinePeers"`
		OfflinePeers []string `json:"offlinePeers"`
		Transient    bool     `json:"transient"`
		System       bool     `json:"system"`
		hookContent
		Receipt   bool   `json:"receipt"`
		Timestamp int64  `json:"timestamp"`
		SourceIP  string `json:"sourceIP"`
	}{
		e.From, e.ConvID, e.MessageID, list(e.Online), list(e.Offline), e.Transient, e.System,
		contentOf(e.Content), e.Receipt, e.Timestamp, e.SourceIP,
	})
}

// decision is the answer about anything but a message.
type decision struct {
	Reject bool   `json:"reject"`
	Code   int32  `json:"code"`
	Detail string `json:"detail"`
}

func (d *decision) verdict() Verdict {
	return Verdict{Reject: d.Reject, Code: d.Code, Detail: d.Detail}
}

func (c *hookCaller) conversationStart(ctx context.Context, e *ConversationStart) (Verdict, error) {
	params := struct {
		InitBy  string          `json:"initBy"`
		Members []string        `json:"members"`
		Attr    json.RawMessage `json:"attr,omitempty"`
	}{e.InitBy, list(e.Members), e.Attr}
	var d decision
	err := c.ask(ctx, e.App, HookConversationStart, params, &d)
	return d.verdict(), err
}

func (c *hookCaller) conversationStarted(ctx context.Context, e *ConversationStarted) {
	c.tell(ctx, e.App, HookConversationStarted, struct {
		ConvID string `json:"convId"`
	}{e.ConvID})
}

// membersParams are what is told of members that join or leave.
type membersParams struct {
	InitBy  string   `json:"initBy"`
	Members []string `json:"members"`
	ConvID  string   `json:"convId"`
}

func (c *hookCaller) membersDecision(name string) func(context.Context, *MembersChange) (Verdict, error) {
	return func(ctx context.Context, e *MembersChange) (Verdict, error) {
		var d decision
		err := c.ask(ctx, e.App, name, membersParams{e.InitBy, list(e.Members), e.ConvID}, &d)
		return d.verdict(), err
	}
}

func (c *hookCaller) membersNotice(name string) func(context.Context, *MembersChange) {
	return func(ctx context.Context, e *MembersChange) {
		c.tell(ctx, e.App, name, membersParams{e.InitBy, list(e.Members), e.ConvID})
	}
}

func (c *hookCaller) conversationUpdate(ctx context.Context, e *ConversationUpdate) (UpdateVerdict, error) {
	params := struct {
		InitBy string          `json:"initBy"`
		ConvID string          `json:"convId"`
		Mute   *bool           `json:"mute,omitempty"`
		Attr   json.RawMessage `json:"attr,omitempty"`
	}{e.InitBy, e.ConvID, e.Mute, e.Attr}
	var d struct {
		decision
		Attr json.RawMessage `json:"attr"`
		Mute *bool           `json:"mute"`
	}
	if err := c.ask(ctx, e.App, HookConversationUpdate, params, &d); err != nil {
		return UpdateVerdict{}, err
	}
	v := UpdateVerdict{Verdict: d.verdict(), Mute: d.Mute}
	if len(d.Attr) > 0 && string(d.Attr) != "null" {
		v.Attr = d.Attr
	}
	return v, nil
}

func (c *hookCaller) clientOnline(ctx context.Context, e *ClientOnline) {
	params := struct {
		PeerID    string `json:"peerId"`
		SourceIP  string `json:"sourceIP"`
		Tag       string `json:"tag"`
		Reconnect int    `json:"reconnect"` // 1: it came back by itself
	}{PeerID: e.Client, SourceIP: e.SourceIP, Tag: e.Tag}
	if e.Reconnect {
		params.Reconnect = 1
	}
	c.tell(ctx, e.App, HookClientOnline, params)
}

func (c *hookCaller) clientOffline(ctx context.Context, e *ClientOffline) {
	c.tell(ctx, e.App, HookClientOffline, struct {
		PeerID    string `json:"peerId"`
		CloseCode int    `json:"closeCode"`
		CloseMsg  string `json:"closeMsg"`
		SourceIP  string `json:"sourceIP,omitempty"`
		Tag       string `json:"tag"`
		ErrorCode int    `json:"errorCode,omitempty"`
		ErrorMsg  string `json:"errorMsg,omitempty"`
	}{e.Client, int(e.Cause), e.Message, e.SourceIP, e.Tag, int(e.ErrorCode), e.ErrorMsg})
}

// hookDate is a time as the storage API writes it.
type hookDate struct {
	Type string `json:"__type"`
	ISO  string `json:"iso"`
}

// hookPointer names an object of the storage API.
type hookPointer struct {
	Type      string `json:"__type"`
	ClassName string `json:"className"`
	ObjectID  string `json:"objectId"`
}

func (c *hookCaller) serviceMessage(ctx context.Context, e *ServiceMessage) {
	content := contentOf(e.Content)
	at := hookDate{"Date", time.UnixMilli(e.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")}
	params := []any{struct {
		FromIP    string      `json:"fromIp"`
		Conv      hookPointer `json:"conv"`
		MsgID     string      `json:"msgId"`
		From      string      `json:"from"`
		Bin       bool        `json:"bin"`
		Data      string      `json:"data"`
		CreatedAt hookDate    `json:"createdAt"`
		UpdatedAt hookDate    `json:"updatedAt"`
	}{
		e.FromIP, hookPointer{"Pointer", "_Conversation", e.ConvID}, e.MessageID, e.From,
		content.Bin, content.Content, at, at,
	}}
	for try, delay := 1, serviceMessageDelay; ; try, delay = try+1, 2*delay {
		_, err := c.post(ctx, e.App, c.ServiceMessageURL, params)
		if err == nil {
			return
		}
		if try >= serviceMessageTries || !pause(ctx, delay) {
			c.Logger.LogAttrs(ctx, slog.LevelWarn, "message to a service conversation was not told",
				slog.String("conv_id", e.ConvID), slog.String("message_id", e.MessageID), slog.Any("error", err))
			return
		}
	}
}

// pause returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
