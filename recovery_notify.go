package realtime

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/mutant"
	"github.com/leanrtm/realtime/internal/pb"
)

// notification is one entry of the lists that the server keeps for who is away:
// the body of a push and what stood around it, flat.
type notification struct {
	Cmd      string   `json:"cmd"`
	Op       string   `json:"op"`
	ServerTs int64    `json:"serverTs"`
	CID      string   `json:"cid"`
	InitBy   string   `json:"initBy"`
	UDate    string   `json:"udate"`
	Members  []string `json:"m"`

	Attr         json.RawMessage `json:"attr"`
	AttrModified json.RawMessage `json:"attrModified"`
	Info         struct {
		PID  string `json:"pid"`
		Role string `json:"role"`
	} `json:"info"`

	// Of a receipt.
	ID   string `json:"id"`
	From string `json:"from"`
	T    int64  `json:"t"`
	Read bool   `json:"read"`

	permanent bool
}

// notificationPage is an answer of the notifications interface. When it is asked
// for permanent ones alone it has them on top.
type notificationPage struct {
	notificationList
	Permanent notificationList `json:"permanent"`
	Droppable struct {
		notificationList
		// Invalid: the server has not kept all of them.
		Invalid bool `json:"invalidLocalConvCache"`
	} `json:"droppable"`
}

type notificationList struct {
	HasMore       bool           `json:"hasMore"`
	Notifications []notification `json:"notifications"`
}

// notifyTimeout is how long a page of notifications may take to come: messages
// wait for them.
const notifyTimeout = 10 * time.Second

// syncNotifications fetches what happened to conversations and their members
// while the client was away, and handles it as if it were pushed. Where the
// server has not kept everything, it asks how things stand now.
func (c *IMClient) syncNotifications(ctx context.Context) error {
	all, complete, err := c.fetchNotifications(ctx)
	if err != nil && c.sessionLost(ctx) {
		return err
	}
	c.prefetchRejoined(ctx, all)
	for i := range all {
		c.missedNotification(ctx, &all[i])
	}
	if !complete {
		if failed := c.refreshConversations(ctx); err == nil {
			err = failed
		}
	}
	return err
}

// prefetchRejoined fetches the state of those conversations that the client has
// returned to.
func (c *IMClient) prefetchRejoined(ctx context.Context, all []notification) {
	var ids []string
	for i := range all {
		if all[i].Op == "joined" {
			c.returned(all[i].CID, true)
			ids = append(ids, all[i].CID)
		}
	}
	c.prefetch(ctx, ids)
}

// fetchNotifications returns what the server has kept, in its order. complete
// is false if that is not everything.
func (c *IMClient) fetchNotifications(ctx context.Context) (all []notification, complete bool, err error) {
	permanent, droppable := c.sync.notificationCursors()
	page, err := c.notifications(ctx, min(permanent, droppable), "")
	if err != nil {
		return nil, false, err
	}
	complete = !page.Droppable.Invalid
	for _, n := range page.Droppable.Notifications {
		if n.ServerTs > droppable && !mutant.On(mutant.SkipsMembers) {
			all = append(all, n)
		}
	}
	list := page.Permanent
	if len(list.Notifications) == 0 {
		list = page.notificationList
	}
	for cursor, first := permanent, true; ; first = false {
		before := cursor
		for _, n := range list.Notifications {
			if n.ServerTs > permanent {
				n.permanent = true
				all = append(all, n)
			}
			cursor = max(cursor, n.ServerTs)
		}
		// The first page may hold only what is known already.
		if !list.HasMore || cursor == before && !first {
			break
		}
		page, err := c.notifications(ctx, cursor, "permanent")
		if err != nil {
			return nil, false, err // the next session begins again
		}
		if list = page.notificationList; len(list.Notifications) == 0 {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b notification) int { return cmp.Compare(a.ServerTs, b.ServerTs) })
	return all, complete, nil
}

// notifications asks for one page.
func (c *IMClient) notifications(ctx context.Context, since int64, kind string) (page notificationPage, err error) {
	query := url.Values{"client_id": {c.ID()}, "start_ts": {strconv.FormatInt(since, 10)}}
	if kind != "" {
		query.Set("notification_type", kind)
	}
	err = c.persist(ctx, func() error {
		page = notificationPage{}
		ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
		defer cancel()
		return c.rest(ctx, restCall{
			method: http.MethodGet, path: "/1.1/rtm/notifications", query: query, answer: &page,
		})
	})
	return page, err
}

func (c *IMClient) missedNotification(ctx context.Context, n *notification) {
	if n.Cmd == "rcp" {
		c.sync.notified(n.CID, n.ID, n.ServerTs, false)
		c.pushedReceipt(ctx, &pb.RcpCommand{Cid: &n.CID, Id: &n.ID, From: &n.From, T: &n.T, Read: &n.Read})
		c.sync.notifHandled(n.ServerTs, false)
		return
	}
	op, known := pb.OpType_value[strings.ReplaceAll(n.Op, "-", "_")]
	if n.Cmd != "conv" || !known {
		return
	}
	m := &pb.ConvCommand{
		Cid: &n.CID, InitBy: &n.InitBy, M: n.Members, Udate: optionalString(n.UDate),
		Attr: jsonObject(n.Attr), AttrModified: jsonObject(n.AttrModified),
	}
	if n.Info.PID != "" {
		m.Info = &pb.ConvMemberInfo{Pid: &n.Info.PID, Role: &n.Info.Role}
	}
	c.pushedChange(ctx, change{op: pb.OpType(op), m: m, at: n.ServerTs, permanent: n.permanent, fetched: true})
}

func jsonObject(raw json.RawMessage) *pb.JsonObjectMessage {
	if len(raw) == 0 {
		return nil
	}
	return &pb.JsonObjectMessage{Data: proto.String(string(raw))}
}

func optionalString(s string) *string {
	if s == "" {
		return nil
	}
	return proto.String(s)
}

// refreshConversations asks how the conversations stand that anybody holds.
func (c *IMClient) refreshConversations(ctx context.Context) error {
	ids := c.convs.held()
	if len(ids) == 0 {
		return nil
	}
	_, err := c.fetchConversations(ctx, ids, true)
	return err
}

// held are the conversations that are known and still in memory.
func (cc *convCache) held() []string {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	var ids []string
	for id, e := range cc.entries {
		if e.ptr.Value() != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// notificationCursors are the server times of the newest reliable notification
// and of the newest other one.
func (s *clientSync) notificationCursors() (permanent, droppable int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastNotif, s.lastEvent
}

// recoverTold fetches the history of a conversation whose unread count tells of
// a message that recovery did not find: it may be one that no query shows. It
// reports false if the session was lost meanwhile.
func (c *IMClient) recoverTold(ctx context.Context, conv *Conversation, last *Message) bool {
	if c.opts.withoutRecovery {
		return true
	}
	from, untold := c.sync.untold(last)
	if !untold {
		return true
	}
	report := new(RecoveredEvent)
	if err := c.sync.patience.lost(); err != nil { // or each of many counts would take as long again
		report.Failed = []RecoveryFailure{{ConversationID: conv.id, Err: err}}
	} else if !c.recoverHistories(ctx, []missed{{conv, from}}, false, report) {
		c.gapped(ctx, conv, from)
		return false
	}
	if report.Messages > 0 || len(report.Failed) > 0 {
		c.emit(report)
	}
	return true
}

// gapped notes that what was missed of a conversation could not be fetched: the
// next session begins there, or this one if it goes on.
func (c *IMClient) gapped(ctx context.Context, conv *Conversation, from point) {
	c.sync.openGap(conv.id, from)
	if !c.sessionLost(ctx) {
		c.recoverAgain(c.sync.sessionTime(), recoverAgainDelay)
	}
}

// sessionTime is the server's time when the session was opened.
func (s *clientSync) sessionTime() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// sessionEnding sends what has been put off, before the client says goodbye.
func (c *IMClient) sessionEnding(context.Context) {
	c.sync.stop()
	c.sync.flushAcks()
	c.sync.flushReads()
}

// stop ends what runs for the client here, and waits for it.
func (s *clientSync) stop() {
	s.acks.stop()
	s.reads.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopSettling()
}
