// Package sign makes and checks the signatures by which an app's own back end
// allows a login, a change of members or a look into the history.
//
// A signature is the hex HMAC-SHA1 of a text, keyed with the app's master key.
// The text names who may do what and when: its fields are joined by colons,
// and a list of ids is sorted by bytes first. A [Text] is checked without any
// state; [Used] remembers what was accepted, so that each signature works once,
// and [Revoked] which clients were kicked, which makes their older ones void.
// Neither key nor signature appears in an error.
package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lifetime is how far the time of a signature may lie from the server's clock,
// before or after: a signature is valid that long, and the clock of the machine
// that signed may be wrong by as much.
const Lifetime = 6 * time.Hour

// The ways in which a signature is no good.
var (
	ErrMissing = errors.New("sign: no signature")
	ErrExpired = errors.New("sign: signature outside its time")
	ErrWrong   = errors.New("sign: signature does not match")
)

// Signature is what a request carries beside its fields. Timestamp is in
// milliseconds, or in seconds where the number is too small for milliseconds.
type Signature struct {
	Timestamp int64
	Nonce     string
	Value     string
}

// Action is the last field of the text for operations on a conversation.
type Action string

// The actions. Joining oneself is signed as an invitation, leaving as a kick.
const (
	Invite         Action = "invite"
	Kick           Action = "kick"
	BlockClients   Action = "conversation-block-clients"
	UnblockClients Action = "conversation-unblock-clients"
	BlockConvs     Action = "client-block-conversations"
	UnblockConvs   Action = "client-unblock-conversations"
)

// Text is what is signed, without its time and nonce.
type Text struct {
	head    string // up to and with the colon before the time
	tail    string // after the nonce, with its colon
	history bool   // the two orders of time and nonce are both in use
}

// Login is the text for opening and refreshing a session.
func Login(app, client string) Text {
	return Text{head: app + ":" + client + "::"}
}

// Create is the text for creating a conversation; members includes whom the
// client named, itself too if it did.
func Create(app, client string, members []string) Text {
	return Text{head: app + ":" + client + ":" + joinSorted(members) + ":"}
}

// Members is the text for Invite, Kick, BlockClients and UnblockClients.
func Members(app, client, conv string, members []string, action Action) Text {
	return Text{
		head: app + ":" + client + ":" + conv + ":" + joinSorted(members) + ":",
		tail: ":" + string(action),
	}
}

// Convs is the text for BlockConvs and UnblockConvs: a client and one
// conversation of its own list.
func Convs(app, client, conv string, action Action) Text {
	return Text{head: app + ":" + client + ":" + conv + "::", tail: ":" + string(action)}
}

// History is the text for reading a conversation's history by REST.
func History(app, client, conv string) Text {
	return Text{head: app + ":" + client + ":" + conv + ":", history: true}
}

// Sign returns the signature of the text at a time in milliseconds, in lower
// case hex.
func (t Text) Sign(masterKey string, timestamp int64, nonce string) Signature {
	first, second := t.order(timestamp, nonce)
	sum := mac(masterKey, t.head+first+":"+second+t.tail)
	return Signature{Timestamp: timestamp, Nonce: nonce, Value: hex.EncodeToString(sum)}
}

// order is how time and nonce stand in the text. That of history has them the
// other way round.
func (t Text) order(timestamp int64, nonce string) (first, second string) {
	first, second = strconv.FormatInt(timestamp, 10), nonce
	if t.history {
		first, second = second, first
	}
	return first, second
}

// Verify checks s at the time now. The case of the hex digits does not matter.
func (t Text) Verify(masterKey string, s Signature, now time.Time) error {
	if s.Value == "" {
		return ErrMissing
	}
	if !fresh(s.Timestamp, now) {
		return ErrExpired
	}
	got, err := hex.DecodeString(s.Value)
	if err != nil {
		return ErrWrong
	}
	first, second := t.order(s.Timestamp, s.Nonce)
	if subtle.ConstantTimeCompare(got, mac(masterKey, t.head+first+":"+second+t.tail)) == 1 {
		return nil
	}
	// Documentation and demos disagree on the order, and only for history. A nonce
	// that could be a time is taken in the documented order alone, or whoever has
	// a signature could exchange the two and have another one.
	if t.history && !timeLike(s.Nonce) &&
		subtle.ConstantTimeCompare(got, mac(masterKey, t.head+second+":"+first+t.tail)) == 1 {
		return nil
	}
	return ErrWrong
}

// secondsBelow is 1973 in milliseconds and the year 5138 in seconds: what is
// smaller counts seconds.
const secondsBelow = 100_000_000_000

func fresh(timestamp int64, now time.Time) bool {
	if timestamp <= 0 {
		return false
	}
	at := time.UnixMilli(millis(timestamp))
	// Compared as instants: the difference of far apart times would overflow.
	return !at.Before(now.Add(-Lifetime)) && !at.After(now.Add(Lifetime))
}

// millis is a timestamp in milliseconds.
func millis(timestamp int64) int64 {
	if timestamp < secondsBelow {
		return timestamp * 1000
	}
	return timestamp
}

// timeLike tells whether a nonce can be read as a time after 1973, in whatever
// unit.
func timeLike(nonce string) bool {
	n, err := strconv.ParseInt(nonce, 10, 64)
	return err == nil && n >= secondsBelow/1000
}

func mac(key, text string) []byte {
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(text)) // a hash never fails to write
	return h.Sum(nil)
}

func joinSorted(ids []string) string {
	if len(ids) < 2 || slices.IsSorted(ids) {
		return strings.Join(ids, ":")
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return strings.Join(ids, ":")
}
