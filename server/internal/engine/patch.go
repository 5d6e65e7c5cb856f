package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/store"
)

// EditedByApp is the code that clients are told for an edit by an administrator
// who gave none. Codes of the app are positive, those of the server negative.
const EditedByApp int32 = 1

// Edit changes a message or takes it back.
type Edit struct {
	Cid        string
	Mid        string
	TS         int64 // the message's time
	Recall     bool  // take it back; the content is ignored
	Body       string
	Binary     bool
	Mentions   []string
	MentionAll bool

	// The rest is for administrators.
	From   string   // the message's sender, if it must be that one
	To     []string // of service conversations: whose copies; none: the broadcast
	Code   int32    // why; 0: EditedByApp
	Reason string
}

// Edit changes a stored message and tells everybody who can see it. It returns
// the time of the edit. Clients edit their own messages; their acting session is
// not told.
func (e *Engine) Edit(ctx context.Context, by Cause, ed *Edit) (int64, error) {
	a, err := e.app(by.App)
	if err != nil {
		return 0, err
	}
	switch {
	case by.Admin:
	case ed.Recall && a.DisableRecall:
		return 0, refuse(wire.CodeMessageRecallDisabled, "")
	case !ed.Recall && a.DisableEdit:
		return 0, refuse(wire.CodeMessageEditDisabled, "")
	}
	if err := e.checkEdit(ed); err != nil {
		return 0, err
	}
	asked := false
	var only []string
	for range staleTries {
		found, err := e.editable(ctx, a, by, ed)
		if err != nil {
			return 0, err
		}
		if !asked {
			if ed, only, err = e.askEdit(ctx, a, by, ed, found); err != nil {
				return 0, err
			}
			asked = true
		}
		at, err := e.edit(ctx, a, by, ed, found, only)
		if err != errStale {
			return at, err
		}
	}
	return 0, refuse(wire.CodeInternalError, "the message keeps changing")
}

func (e *Engine) checkEdit(ed *Edit) error {
	if !ed.Recall && limit.Exceeds(len(ed.Body), e.limits.MessageSize) {
		return refuse(wire.CodeFrameTooLong, "")
	}
	return nil
}

// editable is a message that may be edited.
type editable struct {
	message *store.Message
	views   []string // the logs that have it
	patched uint64   // conv.patched when it was found
	to      []string // who sees it, as far as they can be named
	system  bool     // in a service conversation
}

func (e *Engine) editable(ctx context.Context, a *app, by Cause, ed *Edit) (editable, error) {
	c, err := e.lock(ctx, a, ed.Cid)
	if err != nil {
		return editable{}, err
	}
	found := editable{patched: c.patched, to: c.ids, system: c.kind() == store.KindService}
	switch {
	case !found.system:
	case by.Admin:
		found.to = ed.To
	default:
		found.to = []string{by.Client}
	}
	member := !listed(c.kind()) || by.Admin || c.has(by.Client)
	c.mu.Unlock()
	if !member {
		return found, refuse(wire.CodeConversationMembershipRequired, "")
	}
	for _, view := range viewsOf(c.kind(), by, ed.To) {
		m, err := e.store.FindMessage(ctx, c.log(view), store.Pos{TS: ed.TS, Mid: ed.Mid})
		if err != nil {
			return found, e.broken(wire.CodeInternalError, "look for message", err)
		}
		if m != nil {
			found.message = m
			found.views = append(found.views, view)
		}
	}
	m := found.message
	switch {
	case m == nil:
		return found, refuse(wire.CodeMessageNotFound, "")
	case !by.Admin && m.From != by.Client, by.Admin && ed.From != "" && m.From != ed.From:
		return found, refuse(wire.CodeMessageOwnershipRequired, "")
	case m.Flags.Has(store.FlagRecalled) && !ed.Recall:
		return found, refuse(wire.CodeMessageNotFound, "the message was recalled")
	}
	return found, nil
}

// viewsOf are the logs that can have a message that the caller means.
func viewsOf(kind store.ConvKind, by Cause, to []string) []string {
	switch {
	case kind != store.KindService:
		return []string{store.ViewMain}
	case !by.Admin:
		return []string{store.ClientView(by.Client), store.ViewInbound}
	case len(to) == 0:
		return []string{store.ViewMain, store.ViewAll}
	}
	views := make([]string, len(to))
	for i, client := range to {
		views[i] = store.ClientView(client)
	}
	return views
}

// askEdit asks the hook about an edit. It returns the edit to make, a copy if the
// hook changed it, and whom to tell of it, nil meaning everybody.
func (e *Engine) askEdit(ctx context.Context, a *app, by Cause, ed *Edit, found editable) (*Edit, []string, error) {
	h := e.hooks.MessageUpdate
	if h == nil {
		return ed, nil, nil
	}
	ev := &hook.MessageUpdate{
		App: a.ID, From: found.message.From, ConvID: ed.Cid, To: without(found.to, []string{found.message.From}), MessageID: ed.Mid,
		Content: hook.Content{Data: ed.Body, Binary: ed.Binary}, Timestamp: ed.TS, Recall: ed.Recall,
		System: found.system, Admin: by.Admin, SourceIP: by.IP,
	}
	v, ok := decide(ctx, e, "message update", func(ctx context.Context) (hook.MessageVerdict, error) { return h(ctx, ev) })
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case !ok:
		return ed, nil, nil
	case v.Drop:
		return nil, nil, &Error{Code: wire.CodeMessageUpdateRejectedByApp, AppCode: v.Code, AppMsg: v.Detail}
	case v.Content != nil && !ed.Recall:
		changed := *ed
		changed.Body, changed.Binary = v.Content.Data, v.Content.Binary
		return &changed, v.To, e.checkEdit(&changed)
	}
	return ed, v.To, nil
}

// edit writes the edit of a message that was found, and pushes it, to those in
// only if that is not nil. It answers errStale if the message may have changed
// since.
func (e *Engine) edit(ctx context.Context, a *app, by Cause, ed *Edit, found editable, only []string) (int64, error) {
	c, err := e.lock(ctx, a, ed.Cid)
	if err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	switch {
	case c.patched != found.patched:
		return 0, errStale
	case listed(c.kind()) && !by.Admin && !c.has(by.Client):
		return 0, refuse(wire.CodeConversationMembershipRequired, "")
	}
	m := edited(by, ed, found.message)
	st := e.begin(c.hash)
	defer st.end()
	a.lane.mu.Lock()
	defer a.lane.mu.Unlock()
	m.PatchTS = max(a.lane.next(e.now()), found.message.PatchTS+1)
	a.lane.last = m.PatchTS
	var b store.Batch
	for _, view := range found.views {
		b.Ops = append(b.Ops, &store.Patch{
			Cid: c.cid, View: view, At: m.Pos(), TS: m.PatchTS,
			Body: m.Body, Flags: m.Flags, Type: m.Type, Mentions: m.Mentions, Code: m.PatchCode, Reason: m.PatchReason,
		})
	}
	if err := e.commitEdit(ctx, c, b); err != nil {
		return 0, err
	}
	c.patched++
	c.gen++
	if c.last != nil && c.last.Pos() == m.Pos() && found.views[0] == store.ViewMain {
		c.last = m
	}
	e.pushEdit(c, by, ed, found.views, only, patchFrame(patchItem(c.cid, m)))
	return m.PatchTS, nil
}

func (e *Engine) commitEdit(ctx context.Context, c *conv, b store.Batch) error {
	b.App = c.app.ID
	err := store.CommitOne(ctx, e.store, b)
	switch {
	case err == nil:
		return nil
	case stale(err):
		c.retire()
		return errStale
	}
	if _, gone := store.AsGuard(err, store.GuardMessage); gone {
		return refuse(wire.CodeMessageNotFound, "")
	}
	c.retire()
	return e.broken(wire.CodeInternalError, "edit message", err)
}

// edited is the message after the edit.
func edited(by Cause, ed *Edit, old *store.Message) *store.Message {
	m := *old
	const content = store.FlagBinary | store.FlagMentionAll | store.FlagRecalled | store.FlagTyped
	m.Flags &^= content
	m.Type, m.Mentions, m.PatchCode, m.PatchReason = 0, nil, 0, ""
	if by.Admin {
		m.PatchCode, m.PatchReason = ed.Code, ed.Reason
		if m.PatchCode == 0 {
			m.PatchCode = EditedByApp
		}
	}
	if ed.Recall {
		m.Body = wire.RecalledContent
		m.Flags |= store.FlagRecalled | store.FlagTyped
		m.Type = wire.TypeRecalled
		return &m
	}
	m.Body, m.Mentions = ed.Body, ed.Mentions
	if ed.Binary {
		m.Flags |= store.FlagBinary
	}
	if ed.MentionAll {
		m.Flags |= store.FlagMentionAll
	}
	if t, ok := typeOf(ed.Body, ed.Binary); ok {
		m.Flags |= store.FlagTyped
		m.Type = t
	}
	return &m
}

// pushEdit tells everybody who can see the message, of those who can be named
// only some if a hook says so. The acting session knows.
func (e *Engine) pushEdit(c *conv, by Cause, ed *Edit, views, only []string, body []byte) {
	ev := fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Conv: c.cid, Clients: c.ids, Except: by.Session,
		Class: fanout.ClassStored, Body: body, NeedCaps: wire.BitPatch | c.needCaps(), Hold: by.Hold,
	}
	switch c.kind() {
	case store.KindRoom:
		ev.Kind, ev.Clients = fanout.TargetRoom, nil
	case store.KindService:
		switch {
		case !by.Admin:
			ev.Clients = []string{by.Client}
		case len(ed.To) > 0:
			ev.Clients = ed.To
		case views[0] == store.ViewAll:
			ev.Kind, ev.Clients = fanout.TargetEveryone, nil
		default:
			ev.Kind, ev.Clients = fanout.TargetSubscribers, nil
		}
	}
	ev.Clients = narrowed(ev.Clients, by.Client, only)
	e.sessions.Publish(&ev)
}

// DeleteMessage removes a message from the history, without telling anybody. A
// client other than "" names whose copy in a service conversation is meant, from
// other than "" the sender it must have. It answers 4404 if there is no such
// message.
func (e *Engine) DeleteMessage(ctx context.Context, by Cause, cid, client, from string, at store.Pos) error {
	a, err := e.app(by.App)
	if err != nil {
		return err
	}
	c, err := e.lock(ctx, a, cid)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	view := store.ViewMain
	if client != "" {
		if c.kind() != store.KindService {
			return refuse(wire.CodeSystemConversationRequired, "")
		}
		view = store.ClientView(client)
	}
	m, err := e.store.FindMessage(ctx, c.log(view), at)
	switch {
	case err != nil:
		return e.broken(wire.CodeInternalError, "look for message", err)
	case m == nil:
		return refuse(wire.CodeMessageNotFound, "")
	case from != "" && m.From != from:
		return refuse(wire.CodeMessageOwnershipRequired, "")
	}
	if err := e.commitEdit(ctx, c, store.Batch{Ops: []store.Op{&store.Erase{Cid: cid, View: view, At: at}}}); err != nil {
		return unavailable(err)
	}
	c.patched++
	c.gen++
	if view == store.ViewMain && c.last != nil && c.last.Pos() == at {
		c.last = nil
	}
	return nil
}
