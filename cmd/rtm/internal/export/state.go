package export

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/leanrtm/realtime"
)

// formatVersion is that of the files.
const formatVersion = 1

// The stages of an export.
const (
	stageConversations = "conversations"
	stageDetails       = "details"
	stageSubscribers   = "subscribers"
	stageMessages      = "messages"
	stageUnlisted      = "unlisted"
	stageBroadcasts    = "broadcasts"
	stageDone          = "done"
)

// checkpoint is everything that an export knows of itself. It never has a key.
type checkpoint struct {
	Format  int       `json:"format"`
	AppID   string    `json:"app_id"`
	Server  string    `json:"server"`
	Started time.Time `json:"started"`
	Since   int64     `json:"since,omitempty"` // ms; 0: from the beginning
	Until   int64     `json:"until"`           // ms

	Stage  string               `json:"stage"`
	Cursor cursor               `json:"cursor"`
	Files  map[string]FileState `json:"files"`
	Kinds  map[string]int64     `json:"kinds"` // conversations by collection
	First  int64                `json:"first,omitempty"`
	Last   int64                `json:"last,omitempty"`
	Gaps   []Gap                `json:"gaps,omitempty"`
}

// cursor is how far a stage has got; each uses what it needs.
type cursor struct {
	Offset int64  `json:"offset,omitempty"` // in the file that the stage goes through
	Time   int64  `json:"time,omitempty"`
	Last   string `json:"last,omitempty"` // id of the last item
	Skip   int    `json:"skip,omitempty"`
	// Unsorted: the server does not list conversations in the order of their ids.
	Unsorted bool `json:"unsorted,omitempty"`
}

// Gap is something that the server did not tell.
type Gap struct {
	What   string `json:"what"` // the list that is missing
	Reason string `json:"reason"`
	Count  int    `json:"count"` // of conversations
	// Conversations are some of those it is missing of.
	Conversations []string `json:"conversations,omitempty"`
}

// gapExamples is how many conversations a gap names.
const gapExamples = 20

// missing is a list that was refused.
type missing struct{ what, reason, conversation string }

// addGap counts what is missing.
func (c *checkpoint) addGap(m missing) {
	for i := range c.Gaps {
		g := &c.Gaps[i]
		if g.What != m.what || g.Reason != m.reason {
			continue
		}
		g.Count++
		if len(g.Conversations) < gapExamples && m.conversation != "" {
			g.Conversations = append(g.Conversations, m.conversation)
		}
		return
	}
	g := Gap{What: m.what, Reason: m.reason, Count: 1}
	if m.conversation != "" {
		g.Conversations = []string{m.conversation}
	}
	c.Gaps = append(c.Gaps, g)
}

// tolerable tells why something of a single conversation is missing; "" if err
// must end the export.
func tolerable(err error) string {
	var refused *realtime.Error
	if !errors.As(err, &refused) {
		return ""
	}
	switch status := refused.HTTPStatus; {
	case status == http.StatusUnauthorized, status == http.StatusTooManyRequests, status/100 != 4:
		return ""
	case refused.Code == 0 || int(refused.Code) == status:
		return fmt.Sprintf("HTTP status %d", status)
	default:
		return fmt.Sprintf("HTTP status %d, %s", status, refused.Reason)
	}
}

// Manifest describes a complete export.
type Manifest struct {
	Format   int       `json:"format"`
	AppID    string    `json:"app_id"`
	Server   string    `json:"server"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// Since and Until bound the messages, both included.
	Since *time.Time `json:"since,omitempty"`
	Until time.Time  `json:"until"`

	Counts Counts `json:"counts"`
	// FirstMessage and LastMessage are the times of the oldest and the newest.
	FirstMessage *time.Time           `json:"first_message,omitempty"`
	LastMessage  *time.Time           `json:"last_message,omitempty"`
	Files        map[string]FileState `json:"files"`
	Gaps         []Gap                `json:"gaps,omitempty"`
}

// Counts is how much there is.
type Counts struct {
	Conversations        int64 `json:"conversations"`
	ChatRooms            int64 `json:"chat_rooms"`
	ServiceConversations int64 `json:"service_conversations"`
	Unlisted             int64 `json:"unlisted_conversations"`
	Subscriptions        int64 `json:"subscriptions"`
	Messages             int64 `json:"messages"`
	Broadcasts           int64 `json:"broadcasts"`
}

func (c *checkpoint) manifest(finished time.Time) *Manifest {
	return &Manifest{
		Format: c.Format, AppID: c.AppID, Server: c.Server, Started: c.Started, Finished: finished,
		Since: optionalTime(c.Since), Until: time.UnixMilli(c.Until).UTC(),
		Counts: Counts{
			Conversations: c.Kinds[normal], ChatRooms: c.Kinds[rooms], ServiceConversations: c.Kinds[services],
			Unlisted: c.Files[unlistedFile].Lines, Subscriptions: c.Files[subscribersFile].Lines,
			Messages: c.Files[messagesFile].Lines, Broadcasts: c.Files[broadcastsFile].Lines,
		},
		FirstMessage: optionalTime(c.First), LastMessage: optionalTime(c.Last),
		Files: c.Files, Gaps: c.Gaps,
	}
}

func optionalTime(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
