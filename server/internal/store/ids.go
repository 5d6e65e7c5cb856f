package store

import (
	"cmp"
	"math"
	"strings"
)

// LogID names one log of messages.
type LogID struct {
	App  string
	Cid  string
	View string // ViewMain, ViewInbound, ViewAll, or ClientView of a client
}

// The logs of a conversation. Only service conversations have others than ViewMain.
// A view that belongs to one client is made by ClientView.
const (
	ViewMain    = ""     // the conversation's own log; of a service conversation: broadcasts to subscribers
	ViewInbound = "$in"  // messages of users to a service conversation
	ViewAll     = "$all" // broadcasts to every client of the app
)

const clientViewPrefix = "="

// ClientView is the view that holds the messages between a service conversation
// and one client. The prefix keeps a client whose id is "$in" or "$all" apart
// from the views of those names.
func ClientView(client string) string { return clientViewPrefix + client }

// ViewClient is the inverse of ClientView; ok is false for a view that belongs
// to no single client.
func ViewClient(view string) (client string, ok bool) {
	return strings.CutPrefix(view, clientViewPrefix)
}

// SeqNone is the Seq of an imported message that was found between two messages
// that already had numbers. It lies below every mark, so such a message never
// counts as unread.
const SeqNone int64 = math.MinInt64

// Pos is the place of a message in its log.
type Pos struct {
	TS  int64
	Mid string
}

// Compare orders positions by time, then by id as bytes.
func (p Pos) Compare(q Pos) int {
	if c := cmp.Compare(p.TS, q.TS); c != 0 {
		return c
	}
	return strings.Compare(p.Mid, q.Mid)
}

const (
	keyEscape     = 0x00
	keyEscapedNul = 0xff
	keyEnd        = 0x01
)

// Key joins parts into one record key such that different lists of parts never
// give the same key, keys sort like their lists of parts, and Key(a) is a prefix
// of Key(a, b) and of nothing that begins with another first part.
func Key(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 2 + strings.Count(p, "\x00")
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		for i := 0; i < len(p); i++ {
			b = append(b, p[i])
			if p[i] == keyEscape {
				b = append(b, keyEscapedNul)
			}
		}
		b = append(b, keyEscape, keyEnd)
	}
	return string(b)
}

// SplitKey is the inverse of Key; ok is false if key was not made by it.
func SplitKey(key string) (parts []string, ok bool) {
	var part []byte
	open := false
	for i := 0; i < len(key); i++ {
		open = true
		if key[i] != keyEscape {
			part = append(part, key[i])
			continue
		}
		i++
		switch {
		case i == len(key):
			return nil, false
		case key[i] == keyEscapedNul:
			part = append(part, keyEscape)
		case key[i] == keyEnd:
			parts = append(parts, string(part))
			part, open = part[:0], false
		default:
			return nil, false
		}
	}
	return parts, !open
}
