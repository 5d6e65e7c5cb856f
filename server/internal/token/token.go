// Package token makes and reads session tokens: a client that comes back shows
// one instead of signing again, and REST requests show one to act as a client.
//
// A token is stateless. It says who it was issued to and when, and carries a
// MAC, so that any process with the key can check it without asking anybody.
// It begins with the id of its key: a new key can sign while tokens of older
// ones are still good.
//
// A token is a secret. It never appears in an error.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// MinKey is the least number of bytes of a key.
const MinKey = 16

// ErrInvalid is returned for a token that this ring did not issue, or that was
// changed. How it differs is not told.
var ErrInvalid = errors.New("token: invalid")

// Claims is what a token says.
type Claims struct {
	App    string
	Client string
	Tag    string // empty: none
	Device string // hash of the device's identity; empty: unknown
	ID     string // the same in all tokens that replaced one another
	Issued time.Time
}

// Expired tells whether the token is older than ttl.
func (c *Claims) Expired(now time.Time, ttl time.Duration) bool {
	return now.Sub(c.Issued) >= ttl
}

const (
	version  = 1
	keyIDLen = 4
	macLen   = sha256.Size

	keyContext = "rtm session token key id"
	macContext = "rtm session token\x00"
)

type key struct {
	id     [keyIDLen]byte
	secret []byte
}

// Ring is a set of keys. Safe for concurrent use.
type Ring struct {
	keys []key
}

// NewRing returns a ring that signs with the first key and knows the others.
func NewRing(keys ...[]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("token: no key")
	}
	r := new(Ring)
	for i, secret := range keys {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("token: key %d has %d bytes, at least %d are needed", i, len(secret), MinKey)
		}
		k := key{secret: append([]byte(nil), secret...)}
		sum := sha256.Sum256(append([]byte(keyContext), secret...))
		copy(k.id[:], sum[:])
		if r.find(k.id) != nil {
			return nil, fmt.Errorf("token: key %d is given twice, or differs from another one too little", i)
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func (r *Ring) find(id [keyIDLen]byte) *key {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// Issue returns a token. The time is kept to the millisecond.
func (r *Ring) Issue(c Claims) string {
	k := &r.keys[0]
	b := make([]byte, 0, 96+len(c.App)+len(c.Client)+len(c.Tag))
	b = append(b, k.id[:]...)
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Issued.UnixMilli()))
	for _, s := range []string{c.App, c.Client, c.Tag, c.Device, c.ID} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = append(b, mac(k, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads a token of any age. The only error is ErrInvalid.
func (r *Ring) Parse(token string) (Claims, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < keyIDLen+1+8+macLen {
		return Claims{}, ErrInvalid
	}
	k := r.find([keyIDLen]byte(b))
	body, sum := b[:len(b)-macLen], b[len(b)-macLen:]
	if k == nil || !hmac.Equal(sum, mac(k, body)) || body[keyIDLen] != version {
		return Claims{}, ErrInvalid
	}
	body = body[keyIDLen+1:]
	c := Claims{Issued: time.UnixMilli(int64(binary.BigEndian.Uint64(body)))}
	body = body[8:]
	for _, field := range []*string{&c.App, &c.Client, &c.Tag, &c.Device, &c.ID} {
		n, used := binary.Uvarint(body)
		if used <= 0 || n > uint64(len(body)-used) {
			return Claims{}, ErrInvalid
		}
		*field = string(body[used : used+int(n)])
		body = body[used+int(n):]
	}
	if len(body) != 0 {
		return Claims{}, ErrInvalid
	}
	return c, nil
}

func mac(k *key, body []byte) []byte {
	h := hmac.New(sha256.New, k.secret)
	h.Write([]byte(macContext)) // a hash never fails to write
	h.Write(body)
	return h.Sum(nil)
}
