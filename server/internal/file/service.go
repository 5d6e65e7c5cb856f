package file

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime/server/internal/store"
)

// Options of a Service. Store and Blobs are required.
type Options struct {
	Store    store.Store
	Blobs    Blobs
	NewID    func() string // ids of files: letters and digits, unique, hard to guess. Required
	MaxSize  int64         // bytes of one file; 0: DefaultMaxSize, negative: no limit
	TokenTTL time.Duration // how long an upload may begin after its token was given; 0: DefaultTokenTTL
}

// Defaults of Options.
const (
	DefaultMaxSize  = 1 << 30
	DefaultTokenTTL = time.Hour
)

// maxGrants is how many uploads of one app may be waiting to begin.
const maxGrants = 10_000

// maxRecord bounds what a client says of its file.
const maxRecord = 16 << 10

// Service is the file storage of all apps. Safe for concurrent use.
type Service struct {
	o Options

	mu     sync.Mutex
	grants map[string]*grant // by token
	counts map[string]int    // grants by app
	swept  time.Time         // when the expired ones were last removed
}

// grant is an upload that may begin, or has.
type grant struct {
	app     string
	record  Record
	expires time.Time
	busy    bool // bytes are arriving
	stored  bool // they have arrived
}

// New returns a service.
func New(o Options) *Service {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.TokenTTL == 0 {
		o.TokenTTL = DefaultTokenTTL
	}
	return &Service{o: o, grants: make(map[string]*grant), counts: make(map[string]int)}
}

// Record is what is known of a file.
type Record struct {
	ID       string         `json:"objectId"`
	Name     string         `json:"name"`
	URL      string         `json:"url,omitempty"` // of an external file; that of others depends on how the server is reached
	MIMEType string         `json:"mime_type,omitempty"`
	Metadata map[string]any `json:"metaData,omitempty"`
	Size     int64          `json:"size"`
	Created  time.Time      `json:"created"`
	External bool           `json:"external,omitempty"`
}

// Errors of a Service.
var (
	ErrNotFound  = errors.New("no such file")
	ErrToken     = errors.New("the upload token is wrong, used or too old")
	ErrTooLarge  = errors.New("the file is too large")
	ErrTooMany   = errors.New("too many uploads are waiting to begin")
	ErrBadRecord = errors.New("the description of the file is malformed or too long")
)

// Grant reserves an id for a file and returns the token that lets its bytes be
// uploaded, once.
func (s *Service) Grant(app, name, mimeType string, metadata map[string]any) (Record, string, error) {
	record := Record{
		ID: s.o.NewID(), Name: name, MIMEType: mimeType, Metadata: maps.Clone(metadata), Created: time.Now().UTC(),
	}
	if err := check(record); err != nil {
		return Record{}, "", err
	}
	token := newToken()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.swept) >= sweepEvery {
		s.sweep(now)
	}
	if s.counts[app] >= maxGrants {
		return Record{}, "", ErrTooMany
	}
	s.counts[app]++
	s.grants[token] = &grant{app: app, record: record, expires: now.Add(s.o.TokenTTL)}
	return record, token, nil
}

// sweepEvery is how often expired grants are looked for, which takes time in
// proportion to their number.
const sweepEvery = time.Minute

// sweep forgets the grants whose time is over. s.mu is held.
func (s *Service) sweep(now time.Time) {
	s.swept = now
	for token, g := range s.grants {
		if now.After(g.expires) && !g.busy {
			s.forget(token, g)
		}
	}
}

// forget removes a grant. s.mu is held.
func (s *Service) forget(token string, g *grant) {
	delete(s.grants, token)
	if s.counts[g.app]--; s.counts[g.app] == 0 {
		delete(s.counts, g.app)
	}
}

// newToken also names the file in the callback, when the grant is gone: the
// record keeps no secret.
func newToken() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func check(r Record) error {
	data, err := json.Marshal(r)
	if err != nil || len(data) > maxRecord || r.Name == "" {
		return ErrBadRecord
	}
	return nil
}

// Upload stores the bytes of a granted file. A failed upload may begin again
// with the same token.
func (s *Service) Upload(ctx context.Context, id, token string, body io.Reader) error {
	g, err := s.begin(id, token)
	if err != nil {
		return err
	}
	err = s.receive(ctx, g, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.busy, g.stored = false, err == nil
	return err
}

// receive stores the bytes, then the record.
func (s *Service) receive(ctx context.Context, g *grant, body io.Reader) error {
	record := g.record
	size, err := s.put(ctx, record.ID, body)
	if err != nil {
		return err
	}
	record.Size = size
	if err := s.save(ctx, g.app, record); err != nil {
		return errors.Join(err, s.o.Blobs.Delete(context.WithoutCancel(ctx), record.ID))
	}
	return nil
}

func (s *Service) begin(id, token string) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[token]
	if g == nil || g.busy || g.stored || time.Now().After(g.expires) || subtle.ConstantTimeCompare([]byte(g.record.ID), []byte(id)) != 1 {
		return nil, ErrToken
	}
	g.busy = true
	return g, nil
}

func (s *Service) put(ctx context.Context, id string, body io.Reader) (int64, error) {
	if s.o.MaxSize < 0 {
		return s.o.Blobs.Put(ctx, id, body)
	}
	limited := &io.LimitedReader{R: body, N: s.o.MaxSize + 1}
	size, err := s.o.Blobs.Put(ctx, id, limited)
	if err == nil && size > s.o.MaxSize {
		err = ErrTooLarge
		if deleteErr := s.o.Blobs.Delete(context.WithoutCancel(ctx), id); deleteErr != nil {
			err = errors.Join(err, deleteErr)
		}
	}
	return size, err
}

// Finish is the client's word on an upload: false discards the file. The token
// is void afterwards.
func (s *Service) Finish(ctx context.Context, app, token string, stored bool) error {
	s.mu.Lock()
	g := s.grants[token]
	if g == nil || g.app != app || g.busy {
		s.mu.Unlock()
		return ErrToken
	}
	s.forget(token, g)
	s.mu.Unlock()
	if stored {
		return nil
	}
	return s.remove(ctx, app, g.record.ID)
}

// CreateExternal records a file that is stored elsewhere.
func (s *Service) CreateExternal(ctx context.Context, app, name, address, mimeType string, metadata map[string]any) (Record, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return Record{}, fmt.Errorf("%w: the URL must begin with http:// or https://", ErrBadRecord)
	}
	record := Record{
		ID: s.o.NewID(), Name: name, URL: address, MIMEType: mimeType, Metadata: maps.Clone(metadata),
		Created: time.Now().UTC(), External: true,
	}
	if err := check(record); err != nil {
		return Record{}, err
	}
	return record, s.save(ctx, app, record)
}

// Get returns what is known of a file.
func (s *Service) Get(ctx context.Context, app, id string) (Record, error) {
	found, err := s.o.Store.FindRecords(ctx, store.RecordFile, app, []string{id})
	if err != nil {
		return Record{}, fmt.Errorf("find file: %w", err)
	}
	if found[0] == nil {
		return Record{}, ErrNotFound
	}
	var record Record
	if err := json.Unmarshal(found[0].Body, &record); err != nil {
		return Record{}, fmt.Errorf("decode file record: %w", err)
	}
	return record, nil
}

// Delete removes a file.
func (s *Service) Delete(ctx context.Context, app, id string) error {
	if _, err := s.Get(ctx, app, id); err != nil {
		return err
	}
	return s.remove(ctx, app, id)
}

// remove drops the record first: what cannot be found is not read half gone.
func (s *Service) remove(ctx context.Context, app, id string) error {
	err := store.CommitOne(ctx, s.o.Store, store.Batch{
		App: app, Ops: []store.Op{&store.DropRecord{Kind: store.RecordFile, Key: id}},
	})
	if err != nil {
		return fmt.Errorf("remove file record: %w", err)
	}
	return s.o.Blobs.Delete(ctx, id)
}

func (s *Service) save(ctx context.Context, app string, r Record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode file record: %w", err)
	}
	err = store.CommitOne(ctx, s.o.Store, store.Batch{App: app, Ops: []store.Op{&store.PutRecord{
		Record: &store.Record{Kind: store.RecordFile, Key: r.ID, Version: 1, Body: body},
	}}})
	if err != nil {
		return fmt.Errorf("save file record: %w", err)
	}
	return nil
}

// safeID reports whether an id can be a key: what comes from a URL never
// reaches a store of bytes otherwise.
func safeID(id string) bool {
	return id != "" && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
