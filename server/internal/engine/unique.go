package engine

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/leanrtm/realtime/server/internal/store"
)

// Prefixes of unique keys: the same people may share one unique conversation and
// one temporary one.
const (
	keyNormal    = "n:"
	keyTemporary = "t:"
)

// uniqueKey is the key under which a conversation of exactly these members is
// found again; ids are sorted. Lengths are hashed with the ids: any character
// may occur in an id, so joining them would let strangers share a key.
func uniqueKey(prefix string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	h := sha256.New()
	var n [8]byte
	for _, id := range ids {
		binary.BigEndian.PutUint64(n[:], uint64(len(id)))
		h.Write(n[:])
		h.Write([]byte(id))
	}
	return prefix + hex.EncodeToString(h.Sum(nil)[:16])
}

// uniqueID is the id of a member group as clients see it.
func uniqueID(ids []string) string {
	sum := md5.Sum([]byte(strings.Join(ids, ":")))
	return hex.EncodeToString(sum[:])
}

// rekey gives a conversation whose members change the key of the new ones. It
// may turn out that another conversation holds that key: then this one holds
// none until its members change again.
func rekey(meta *store.Conv, members []store.Member) {
	if !meta.Unique {
		return
	}
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].Client
	}
	slices.Sort(ids)
	meta.UniqueKey, meta.UniqueID = uniqueKey(keyNormal, ids), uniqueID(ids)
}

// holder returns the conversation that holds a unique key, nil if none does.
func (e *Engine) holder(ctx context.Context, a *app, key string) (*store.Conv, error) {
	var found *store.Conv
	err := e.store.Scan(ctx, a.ID, store.Access{Path: store.ByKey, Key: key}, func(c *store.Conv) bool {
		own := *c
		found = &own
		return false
	})
	return found, err
}
