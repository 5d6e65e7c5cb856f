package engine

import (
	"context"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/store"
)

// askMessage asks the hook about a message. It returns the message to send, a
// copy if the hook changed it, and whom to deliver it to, nil meaning everybody.
// system: the conversation is a service.
func (e *Engine) askMessage(ctx context.Context, a *app, by Cause, cid string, o *Outgoing, to []string, system bool) (*Outgoing, []string, error) {
	h := e.hooks.MessageReceived
	if h == nil {
		return o, nil, nil
	}
	ev := &hook.MessageReceived{
		App: a.ID, From: by.Client, ConvID: cid, To: without(to, []string{by.Client}), Transient: o.Transient, Content: o.content(),
		Receipt: o.Receipt, Timestamp: e.now(), System: system, Admin: by.Admin, SourceIP: by.IP,
	}
	v, ok := decide(ctx, e, "message received", func(ctx context.Context) (hook.MessageVerdict, error) { return h(ctx, ev) })
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case !ok:
		return o, nil, nil
	case v.Drop:
		return nil, nil, &Error{Code: wire.CodeMessageRejectedByApp, AppCode: v.Code, AppMsg: v.Detail}
	case v.Content != nil:
		changed := *o
		changed.Body, changed.Binary = v.Content.Data, v.Content.Binary
		if err := e.check(&changed); err != nil {
			return nil, nil, err
		}
		o = &changed
	}
	return o, v.To, nil
}

// wasSent counts a message and tells the listening hooks. system: the
// conversation is a service.
func (e *Engine) wasSent(a *app, by Cause, cid string, m *store.Message, o *Outgoing, to []string, system bool) {
	e.counters.messages.Add(1)
	sent := e.hooks.MessageSent
	push := (e.hooks.ReceiversOffline != nil || e.hooks.OfflinePush != nil) && !o.Transient && len(to) > 0
	if sent == nil && !push {
		return
	}
	var here, away []string
	if len(to) > 0 {
		here = e.sessions.Online(a.ID, to)
		away = without(to, here)
		here, away = without(here, []string{by.Client}), without(away, []string{by.Client})
	}
	if sent != nil {
		ev := &hook.MessageSent{
			App: a.ID, From: by.Client, ConvID: cid, MessageID: m.Mid, Online: here, Offline: away,
			Transient: o.Transient, System: system, Admin: by.Admin, Content: content(m), Receipt: o.Receipt,
			Timestamp: m.TS, SourceIP: by.IP,
		}
		e.after.do(func(ctx context.Context) { sent(ctx, ev) })
	}
	if !push || len(away) == 0 {
		return
	}
	ev := &hook.ReceiversOffline{
		App: a.ID, From: by.Client, ConvID: cid, Offline: away, Content: content(m), Timestamp: m.TS,
		MentionAll: m.Flags.Has(store.FlagMentionAll),
	}
	for _, id := range m.Mentions {
		if slices.Contains(away, id) {
			ev.MentionsOffline = append(ev.MentionsOffline, id)
		}
	}
	mid, data := m.Mid, o.PushData
	e.after.do(func(ctx context.Context) { e.offline(ctx, a, ev, mid, data, system) })
}

// offline asks whom an offline push is for, and hands it to the app's push
// service, if it has one. data is what the sender wants it to say.
func (e *Engine) offline(ctx context.Context, a *app, ev *hook.ReceiversOffline, mid, data string, system bool) {
	var v hook.OfflineVerdict
	if h := e.hooks.ReceiversOffline; h != nil {
		// One that fails decides nothing: the push goes out as without it.
		v, _ = decide(ctx, e, "receivers offline", func(ctx context.Context) (hook.OfflineVerdict, error) { return h(ctx, ev) })
	}
	push := e.hooks.OfflinePush
	if push == nil || v.Skip {
		return
	}
	to := narrowed(ev.Offline, "", v.Offline)
	if !v.Force {
		muted, err := e.mutedAmong(ctx, a, ev.ConvID, to, system)
		if err != nil {
			e.log.Warn("offline push is not sent", "conv_id", ev.ConvID, "message_id", mid, "error", err)
			return
		}
		to = without(to, muted)
	}
	if len(to) == 0 {
		return
	}
	if v.PushMessage != "" {
		data = v.PushMessage
	}
	push(ctx, &hook.OfflinePush{
		App: ev.App, From: ev.From, ConvID: ev.ConvID, MessageID: mid, To: to, Message: data, Content: ev.Content,
		Timestamp: ev.Timestamp, MentionAll: ev.MentionAll, Mentions: narrowed(ev.MentionsOffline, "", to),
	})
}

// mutedAmong returns those of some clients who turned the offline pushes of a
// conversation off.
func (e *Engine) mutedAmong(ctx context.Context, a *app, cid string, clients []string, system bool) ([]string, error) {
	if !system {
		return e.Muted(ctx, Cause{Actor: fanout.Actor{App: a.ID, Admin: true}}, cid)
	}
	keys := make([]store.MemberKey, len(clients))
	for i, client := range clients {
		keys[i] = store.MemberKey{Cid: cid, Client: client}
	}
	members, err := e.store.FindMembers(ctx, a.ID, keys)
	if err != nil {
		return nil, e.broken(wire.CodeConversationInternalError, "read subscribers", err)
	}
	var ids []string
	for _, m := range members {
		if m != nil && m.Muted {
			ids = append(ids, m.Client)
		}
	}
	return ids, nil
}

// narrowed are the receivers that a hook left, and self in any case, whose other
// devices are no matter of the hook; only nil: all of them.
func narrowed(to []string, self string, only []string) []string {
	if only == nil {
		return to
	}
	return slices.DeleteFunc(slices.Clone(to), func(id string) bool { return id != self && !slices.Contains(only, id) })
}

// without returns the ids that are not in drop, in a new list.
func without(ids, drop []string) []string {
	set := make(map[string]struct{}, len(drop))
	for _, id := range drop {
		set[id] = struct{}{}
	}
	var kept []string
	for _, id := range ids {
		if _, ok := set[id]; !ok {
			kept = append(kept, id)
		}
	}
	return kept
}
