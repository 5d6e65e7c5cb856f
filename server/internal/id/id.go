// Package id makes the identifiers that the server hands out.
package id

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
)

// Source makes identifiers. It is safe for concurrent use.
type Source struct {
	process [5]byte
	counter atomic.Uint32
}

// New returns a source whose conversation ids differ from those of every other
// source.
func New() *Source {
	s := new(Source)
	random(s.process[:])
	var start [4]byte
	random(start[:])
	s.counter.Store(binary.BigEndian.Uint32(start[:]))
	return s
}

// Conv returns the id of a new conversation: 24 hex digits that sort by age,
// made of the time in seconds, the process and a counter.
func (s *Source) Conv() string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[:4], uint32(time.Now().Unix()))
	copy(b[4:9], s.process[:])
	n := s.counter.Add(1)
	b[9], b[10], b[11] = byte(n>>16), byte(n>>8), byte(n)
	return hex.EncodeToString(b[:])
}

// Temp returns the id of a new temporary conversation.
func (s *Source) Temp() string { return wire.TemporaryPrefix + text16() }

// Message returns the id of a new message: 22 characters that cannot be guessed.
func (s *Source) Message() string { return text16() }

// Client returns the id of a client that gave none.
func (s *Source) Client() string { return text16() }

func text16() string {
	var b [16]byte
	random(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// random fills b. The system's random source does not fail: the process ends
// if it does.
func random(b []byte) { _, _ = rand.Read(b) }
