package realtime

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signer signs what a client wants to do, for apps that demand signatures. It
// is asked for logins and, see [SignAction], for changes of conversations. It
// runs on the goroutine of the call it signs and may block; ctx is that
// call's. It must be safe for concurrent use.
type Signer interface {
	// Sign returns the signature of r, a new one each time: servers accept a
	// signature once. A zero Signature leaves this call unsigned; an error fails
	// the call with it.
	Sign(ctx context.Context, r SignRequest) (Signature, error)
}

// SignerFunc is a function as a [Signer].
type SignerFunc func(ctx context.Context, r SignRequest) (Signature, error)

// Sign calls f.
func (f SignerFunc) Sign(ctx context.Context, r SignRequest) (Signature, error) { return f(ctx, r) }

// SignAction is what a client wants to do. More may come; refuse those you do
// not know.
type SignAction string

// The actions that are signed.
const (
	SignLogin   SignAction = "login"
	SignCreate  SignAction = "create"                       // create a conversation
	SignInvite  SignAction = "invite"                       // add members, also join
	SignKick    SignAction = "kick"                         // remove members, also quit
	SignBlock   SignAction = "conversation-block-clients"   // put clients on the block list of a conversation
	SignUnblock SignAction = "conversation-unblock-clients" // take them off it
)

// SignRequest describes an action to be signed.
type SignRequest struct {
	Action         SignAction `json:"action"`
	AppID          string     `json:"app_id"`
	ClientID       string     `json:"client_id"`
	ConversationID string     `json:"conv_id,omitempty"` // "" for a login and a creation
	Members        []string   `json:"members,omitempty"` // who is to be added, removed, blocked; of a creation all members, the client included
}

// StringToSign returns the text whose HMAC-SHA1 under the master key, in
// lower-case hex, is the signature. It is for services that keep the key
// elsewhere; with the key at hand use [MasterKeySigner].
func (r SignRequest) StringToSign(timestamp int64, nonce string) string {
	parts := make([]string, 0, 6+len(r.Members))
	parts = append(parts, r.AppID, r.ClientID)
	members := slices.Sorted(slices.Values(r.Members))
	if len(members) == 0 {
		members = []string{""} // the field is there even when it is empty
	}
	stamp := strconv.FormatInt(timestamp, 10)
	switch r.Action {
	case SignLogin:
		parts = append(parts, "", stamp, nonce)
	case SignCreate:
		parts = append(parts, members...)
		parts = append(parts, stamp, nonce)
	default:
		parts = append(parts, r.ConversationID)
		parts = append(parts, members...)
		parts = append(parts, stamp, nonce, string(r.Action))
	}
	return strings.Join(parts, ":")
}

// Signature is a signed action, as the server wants it.
type Signature struct {
	Signature string `json:"signature"` // lower-case hex
	Timestamp int64  `json:"timestamp"` // the number that was signed, never converted
	Nonce     string `json:"nonce"`
}

// MasterKeySigner signs everything with the master key. It is for trusted back
// ends, and for the signing service itself: a program that users get hold of
// must never contain the key.
func MasterKeySigner(masterKey string) Signer { return &masterKeySigner{masterKey} }

type masterKeySigner struct{ key string }

func (s *masterKeySigner) Sign(_ context.Context, r SignRequest) (Signature, error) {
	if s.key == "" {
		return Signature{}, invalidArgument("MasterKeySigner: the master key is empty")
	}
	timestamp, nonce := time.Now().UnixMilli(), rand.Text()
	mac := hmac.New(sha1.New, []byte(s.key))
	mac.Write([]byte(r.StringToSign(timestamp, nonce)))
	return Signature{
		Signature: hex.EncodeToString(mac.Sum(nil)),
		Timestamp: timestamp,
		Nonce:     nonce,
	}, nil
}

// String and GoString hide the key.
func (s *masterKeySigner) String() string   { return "realtime.MasterKeySigner(" + mask(s.key) + ")" }
func (s *masterKeySigner) GoString() string { return s.String() }

// mask stands for a secret in text: it tells whether there is one, and no more.
func mask(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}
