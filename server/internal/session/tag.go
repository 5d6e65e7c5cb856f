package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// holder is the body of a tag's record.
type holder struct {
	Device string `json:"device"`         // hash of the device
	Push   string `json:"push,omitempty"` // hash of its push token, another mark of the same device
	Since  int64  `json:"since"`          // ms
}

// tagTries bounds how often a login competes for a tag: each round is lost only
// to another login that won it.
const tagTries = 16

var errTagBusy = errors.New("session: too many logins at once with one tag")

// takeTag makes this device the holder of the tag and ends the sessions that
// had it. displaced says that instead another device holds it by right.
func (lg *login) takeTag() (displaced bool, err error) {
	for range tagTries {
		displaced, done, err := lg.tryTag()
		if err != nil || done {
			return displaced, err
		}
	}
	return false, errTagBusy
}

func (lg *login) tryTag() (displaced, done bool, err error) {
	m, s := lg.link.m, lg.s
	key := store.Key(lg.client, lg.Actor.Tag)
	found, err := m.cfg.Store.FindRecords(m.ctx, store.RecordTag, lg.app.ID, []string{key})
	if err != nil {
		return false, true, fmt.Errorf("read the holder of a tag: %w", err)
	}
	var version int64
	var held holder
	if found[0] != nil {
		version = found[0].Version
		if err := json.Unmarshal(found[0].Body, &held); err != nil {
			return false, true, fmt.Errorf("decode the holder of a tag: %w", err)
		}
	}
	push := pushOf(lg.body)
	if push != "" && push == held.Push {
		// Known by its push token: it stays the device that it was.
		lg.Actor.Device, s.actor.Device = held.Device, held.Device
	}
	same := version != 0 && held.Device == lg.Actor.Device
	if !same && version != 0 && lg.Reopen {
		return true, true, nil
	}
	if same && (push == "" || push == held.Push) {
		s.tagOrder.Store(version)
		return lg.settleTag(version), true, nil
	}
	body, err := json.Marshal(holder{Device: lg.Actor.Device, Push: push, Since: time.Now().UnixMilli()})
	if err != nil {
		return false, true, fmt.Errorf("encode the holder of a tag: %w", err)
	}
	err = store.CommitOne(m.ctx, m.cfg.Store, store.Batch{
		App:    lg.app.ID,
		Guards: []store.Guard{&store.RecordVersion{Kind: store.RecordTag, Key: key, N: version}},
		Ops:    []store.Op{&store.PutRecord{Record: &store.Record{Kind: store.RecordTag, Key: key, Version: version + 1, Body: body}}},
	})
	if _, lost := store.AsGuard(err, store.GuardRecord); lost {
		return false, false, nil
	}
	if err != nil {
		return false, true, fmt.Errorf("write the holder of a tag: %w", err)
	}
	s.tagOrder.Store(version + 1)
	return lg.settleTag(version + 1), true, nil
}

// settleTag ends the sessions that had the tag before. It returns true if
// another device took it meanwhile. Two logins at once both come here after they
// have stored their order, so at least one sees the other.
func (lg *login) settleTag(order int64) (displaced bool) {
	m, s := lg.link.m, lg.s
	for _, other := range s.index.sessions(s.client) {
		if other == s || other.actor.Tag != s.actor.Tag || other.link == s.link {
			continue
		}
		before := other.tagOrder.Load()
		if before == 0 {
			continue // has not taken the tag yet
		}
		switch same := other.actor.Device == s.actor.Device; {
		case same && other.ref < s.ref:
			m.cfg.Registry.end(other, fanout.EndSuperseded, 0, "")
		case !same && before < order:
			m.cfg.Registry.end(other, fanout.EndConflict, wire.CodeSessionConflict, wire.CodeSessionConflict.Name())
		case !same && before > order:
			displaced = true
		}
	}
	return displaced
}

func pushOf(b *pb.SessionCommand) string {
	if b.GetDeviceToken() == "" {
		return ""
	}
	return hash("token:" + b.GetDeviceToken())
}
