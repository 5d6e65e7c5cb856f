package session

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/token"
)

// login is one session/open while it is served.
type login struct {
	link   *link
	r      *request
	body   *pb.SessionCommand
	app    *limit.App
	client string
	claims *token.Claims // of the token that was shown; nil: none
	proof  string        // hash of the signature that was accepted; empty: none
	s      *Session
	fanout.Login
}

// open serves session/open, on the connection's reader.
func (l *link) open(r *request) {
	stats := &l.m.stats
	if !l.login(r) {
		stats.loginsFailed.Add(1)
		return
	}
	stats.opened.Add(1)
	if r.Cmd.GetSessionMessage().GetR() {
		stats.reopened.Add(1)
	}
}

// login opens a session, or answers why not.
func (l *link) login(r *request) bool {
	lg := &login{link: l, r: r, body: r.Cmd.GetSessionMessage()}
	if lg.body == nil {
		lg.body = new(pb.SessionCommand)
	}
	if !lg.identify() || !lg.authenticate() {
		return false
	}
	old := l.sessionOf(lg.app.ID, lg.client)
	if old == nil && l.full() {
		r.fail(wire.CodeAppQuotaExceeded, "too many sessions on this connection")
		return false
	}
	lg.describe()
	l.attach(lg.s, old)
	// Before the new one is known, or it would get the same pushes.
	if left := l.departing(lg.app.ID, lg.client); left != nil {
		l.m.cfg.Registry.end(left, fanout.EndLogout, 0, "")
	}
	if old != nil {
		l.m.cfg.Registry.end(old, fanout.EndSuperseded, 0, "")
	}
	l.m.cfg.Registry.add(lg.s)
	if failure := lg.admitOrRemove(); failure != nil {
		r.reply(failure)
		return false
	}
	return true
}

// admitOrRemove is admit, and takes the session out again unless it was let in,
// also when the engine panics.
func (lg *login) admitOrRemove() (failure *pb.GenericCommand) {
	admitted := false
	defer func() {
		if !admitted {
			lg.link.m.cfg.Registry.remove(lg.s, 0, "")
			lg.link.forget(lg.s)
		}
	}()
	failure = lg.admit()
	admitted = failure == nil
	return failure
}

// identify finds app and client, or refuses for good.
func (lg *login) identify() bool {
	r, m := lg.r, lg.link.m
	lg.client = r.Cmd.GetPeerId()
	lg.app = m.cfg.Apps[r.Cmd.GetAppId()]
	switch {
	case !lg.link.originOK:
		r.refuse(wire.CodeInvalidOrigin)
		return false
	case lg.app == nil:
		r.refuse(wire.CodeAppNotAvailable)
		return false
	case r.Cmd.PeerId == nil:
		lg.client = m.cfg.IDs.Client()
		r.peer = lg.client
		return true
	case !validClient(lg.client):
		r.refuse(wire.CodeInvalidLogin)
		return false
	}
	return true
}

func validClient(client string) bool {
	return client != "" && utf8.ValidString(client) && utf8.RuneCountInString(client) <= wire.MaxClientID
}

// authenticate checks the token or the signature.
func (lg *login) authenticate() bool {
	r, m := lg.r, lg.link.m
	now := time.Now()
	if st := lg.body.GetSt(); st != "" {
		claims, err := m.cfg.Tokens.Parse(st)
		if err != nil || claims.App != lg.app.ID || claims.Client != lg.client || claims.Expired(now, m.cfg.TokenTTL) {
			r.fail(wire.CodeSessionTokenExpired, "")
			return false
		}
		lg.claims = &claims
		return true
	}
	if !lg.app.VerifyLogin {
		return true
	}
	lg.proof = proofOf(lg.body)
	// Shipped clients send a login once more, as it is, when the answer does not
	// come in time. On the connection where it has succeeded that gives nobody
	// anything; anywhere else a signature is not accepted twice.
	if old := lg.link.sessionOf(lg.app.ID, lg.client); old != nil && old.openedBy(lg.proof) {
		return true
	}
	if err := m.cfg.VerifyLogin(lg.app, lg.client, lg.body.GetT(), lg.body.GetN(), lg.body.GetS()); err != nil {
		r.fail(wire.CodeSignatureFailed, err.Error())
		return false
	}
	return true
}

// proofOf is the hash of a signature and of what it was made of.
func proofOf(m *pb.SessionCommand) string {
	return hash(strconv.FormatInt(m.GetT(), 10) + ":" + strings.ToLower(m.GetS()) + ":" + m.GetN())
}

// describe makes the session, which nobody knows yet.
func (lg *login) describe() {
	l, m, b := lg.link, lg.link.m, lg.body
	lg.Reopen = b.GetR()
	lg.LastUnread, lg.HasLastUnread = b.GetLastUnreadNotifTime(), b.LastUnreadNotifTime != nil
	lg.LastPatch, lg.HasLastPatch = b.GetLastPatchTime(), b.LastPatchTime != nil
	tag, device := b.GetTag(), deviceOf(b)
	if lg.claims != nil {
		lg.Token = lg.claims.ID
		if tag == "" {
			tag, device = lg.claims.Tag, lg.claims.Device
		}
	} else {
		lg.Token = m.cfg.IDs.Client()
	}
	if tag == wire.DefaultTag {
		tag = ""
	}
	if device == "" {
		device = lg.Token // a device without identity is the same only as itself
	}
	ref := fanout.SessionRef(m.cfg.Registry.next.Add(1))
	lg.Actor = fanout.Actor{
		App:     lg.app.ID,
		Client:  lg.client,
		Session: ref,
		Caps:    b.GetConfigBitmap(),
		Offline: l.conn.Codec().Offline,
		Tag:     tag,
		Device:  device,
		IP:      l.conn.Remote(),
	}
	lg.s = &Session{
		ref:    ref,
		client: lg.client,
		conn:   l.conn,
		link:   l,
		index:  m.cfg.Registry.appOf(lg.app.ID),
		actor:  lg.Actor,
		caps:   lg.Actor.Caps,
		worker: l.worker,
		token:  lg.Token,
		proof:  lg.proof,
		peer:   wire.AppendPeer(nil, lg.client),
	}
	lg.s.gate.Store(&gate{conn: l.conn})
}

// deviceOf is the hash of what identifies a device; empty if nothing does.
func deviceOf(b *pb.SessionCommand) string {
	switch {
	case b.GetDeviceId() != "":
		return hash("id:" + b.GetDeviceId())
	case b.GetDeviceToken() != "":
		return hash("token:" + b.GetDeviceToken())
	}
	return ""
}

const hashLen = 12 // bytes: chance does not make two devices of one client the same

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:hashLen])
}

// admit lets the session in, or returns the reply that says why not.
func (lg *login) admit() *pb.GenericCommand {
	m, s := lg.link.m, lg.s
	if lg.Actor.Tag != "" {
		displaced, err := lg.takeTag()
		if err != nil {
			return m.broken("tag", err)
		}
		if displaced {
			return closedCommand(wire.CodeSessionConflict, wire.CodeSessionConflict.Name())
		}
	}
	snap, err := m.cfg.Snapshot(m.ctx, &lg.Login)
	if err != nil {
		var f *fanout.Refusal
		if errors.As(err, &f) {
			return refusalCommand(f)
		}
		return m.broken("snapshot", err)
	}
	opened := sessionCommand(pb.OpType_opened, m.issue(lg.Actor, lg.Token))
	opened.ServerTs = proto.Int64(snap.ServerTS)
	if !s.grant(func() { lg.reply(opened, snap) }) {
		return closedCommand(s.whyEnded())
	}
	lg.r.replied.Store(true)
	if lg.r.answers {
		lg.r.done()
	}
	s.enter(snap)
	m.cfg.Opened(m.ctx, &lg.Login)
	m.cfg.Registry.announced(s)
	return nil
}

// broken is the answer to a failure of ours. That the server is being closed is
// none worth a line in the log.
func (m *Manager) broken(part string, err error) *pb.GenericCommand {
	if m.ctx.Err() == nil {
		m.cfg.Logger.Error("login failed", "part", part, "error", err)
	}
	return errorCommand(wire.CodeInternalError, "")
}

// reply queues the answer, and what the login is told. All of it is part of the
// answer: the queue's bounds for pushes do not apply. s.mu is held.
func (lg *login) reply(opened *pb.GenericCommand, snap *fanout.Snapshot) {
	l, s := lg.link, lg.s
	l.conn.LoggedIn()
	hold := lg.r.Hold()
	hold.Session = s.ref
	lg.r.wait = l.conn.Expect(hold)
	lg.r.send(opened)
	// A client library knows its session only after it has settled the reply.
	l.conn.Barrier(lg.r.wait)
	for _, frame := range snap.Frames {
		l.conn.Push(s.peer, frame, fanout.ClassReply, fanout.Hold{})
	}
}

// issue makes the fields that carry a new token.
func (m *Manager) issue(a fanout.Actor, chain string) *pb.SessionCommand {
	return &pb.SessionCommand{
		St: proto.String(m.cfg.Tokens.Issue(token.Claims{
			App: a.App, Client: a.Client, Tag: a.Tag, Device: a.Device, ID: chain, Issued: time.Now(),
		})),
		StTtl: proto.Int32(int32(m.cfg.TokenTTL / time.Second)),
	}
}
