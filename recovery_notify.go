package realtime

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// notification is one entry of the list that the server keeps for who is away:
// the body of a push and what stood around it, flat.
type notification struct {
	Cmd      string   `json:"cmd"`
	Op       string   `json:"op"`
	ServerTs int64    `json:"serverTs"`
	CID      string   `json:"cid"`
	InitBy   string   `json:"initBy"`
	UDate    string   `json:"udate"`
	Members  []string `json:"m"`
}

// notifyTimeout is how long the notifications may take to come: messages wait
// for them.
const notifyTimeout = 10 * time.Second

// syncNotifications fetches the reliable notifications that were missed, and
// handles them as if they were pushed.
func (c *IMClient) syncNotifications(ctx context.Context) error {
	for {
		since := c.sync.lastNotification()
		var answer struct {
			HasMore       bool           `json:"hasMore"`
			Notifications []notification `json:"notifications"`
		}
		limited, cancel := context.WithTimeout(ctx, notifyTimeout)
		err := c.rest(limited, restCall{
			method: http.MethodGet,
			path:   "/1.1/rtm/notifications",
			query: url.Values{
				"client_id":         {c.ID()},
				"start_ts":          {strconv.FormatInt(since, 10)},
				"notification_type": {"permanent"},
			},
			answer: &answer,
		})
		cancel()
		if err != nil {
			return err
		}
		for _, n := range answer.Notifications {
			c.missedNotification(ctx, &n)
		}
		if !answer.HasMore || c.sync.lastNotification() <= since {
			return nil
		}
	}
}

func (c *IMClient) missedNotification(ctx context.Context, n *notification) {
	op, known := pb.OpType_value[strings.ReplaceAll(n.Op, "-", "_")]
	if n.Cmd != "conv" || !known {
		return
	}
	c.pushedChange(ctx, change{
		op: pb.OpType(op),
		m: &pb.ConvCommand{
			Cid: &n.CID, InitBy: &n.InitBy, M: n.Members, Udate: optionalString(n.UDate),
		},
		at:        n.ServerTs,
		permanent: true,
		fetched:   true,
	})
}

func optionalString(s string) *string {
	if s == "" {
		return nil
	}
	return proto.String(s)
}

// lastNotification is the server time of the newest reliable notification.
func (s *clientSync) lastNotification() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastNotif
}

// recoverTold fetches the history of a conversation whose unread count tells of
// a message that recovery did not find: it may be one that no query shows.
func (c *IMClient) recoverTold(ctx context.Context, conv *Conversation, last *Message) {
	if c.opts.withoutRecovery {
		return
	}
	from, untold := c.sync.untold(last)
	if !untold {
		return
	}
	report := new(RecoveredEvent)
	if !c.recoverHistories(ctx, []missed{{conv, from}}, false, report) {
		c.sync.openGap(conv.id, from)
		return
	}
	if report.Messages > 0 || len(report.Failed) > 0 {
		c.emit(report)
	}
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
}
