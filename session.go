package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/link"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// userAgent names this client to the server.
const userAgent = "go/0.1.0"

// configBits tell the server what a client understands. Frames always carry
// the client id, so the bit for leaving it out is not among them.
const configBits = wire.BitPatch | wire.BitTemporary | wire.BitTransientAck | wire.BitNotifications | wire.BitPartialResult

// session is a client being logged in on one connection.
type session struct {
	link *link.Link
	gen  uint64 // of the connection
}

// live reports whether the connection of s still stands; a nil session does
// not live.
func (s *session) live() bool { return s != nil && s.link.Gen() == s.gen }

// heardSince reports whether something has come from the server since t.
func (s *session) heardSince(t time.Time) bool { return s != nil && s.link.Heard().After(t) }

// job is something for the processing goroutine of a client: a push, an event
// of the link, or a call.
type job struct {
	push  *pb.GenericCommand
	block *wire.Block // that the push lies in; nil: in none
	gen   uint64      // of the connection that the push came over
	link  *link.Event // nil: none
	call  func(ctx context.Context)
}

// size is how large the messages in a push are.
func (j job) size() int {
	switch j.push.GetCmd() {
	case pb.CommandType_direct:
		m := j.push.GetDirectMessage()
		return len(m.GetMsg()) + len(m.GetBinaryMsg())
	case pb.CommandType_unread:
		n := 0
		for _, tuple := range j.push.GetUnreadMessage().GetConvs() {
			n += len(tuple.GetData()) + len(tuple.GetBinaryMsg())
		}
		return n
	case pb.CommandType_patch:
		n := 0
		for _, item := range j.push.GetPatchMessage().GetPatches() {
			n += len(item.GetData()) + len(item.GetBinaryMsg())
		}
		return n
	}
	return 0
}

// enqueue gives j to the processing goroutine. It never blocks.
func (c *IMClient) enqueue(j job) {
	if !c.work.Push(j) {
		c.overflow() // does nothing if the queue refuses because the client has ended
	}
}

// process does one job after the other.
func (c *IMClient) process(ctx context.Context, j job) {
	s := c.session.Load()
	switch {
	case j.call != nil:
		j.call(ctx)
	case s == nil:
		// Neither open nor to be opened again: it is none of its business.
	case j.push != nil && s.gen != j.gen:
		// Of a session that the server opened and the client does not know to be
		// open. What it says is told again, and recovered, with the next one; taken
		// now, it would overtake what was missed before.
	case j.push != nil:
		c.pushed(ctx, j.push)
		c.rt.blocks.Put(j.block)
	default:
		c.linkChanged(ctx, s, *j.link)
	}
}

func (c *IMClient) pushed(ctx context.Context, cmd *pb.GenericCommand) {
	if cmd.GetCmd() != pb.CommandType_session {
		c.handlePush(ctx, cmd)
		return
	}
	if cmd.GetOp() == pb.OpType_closed {
		c.closedByServer(sessionError(cmd))
	}
}

// closedByServer ends the client, as the server wants.
func (c *IMClient) closedByServer(err *Error) {
	if err.Code == ErrSessionConflict {
		c.finish(err, &ConflictEvent{Reason: err.Reason}, false)
		return
	}
	c.finish(err, &CloseEvent{Code: err.Code, Reason: err.Reason}, false)
}

// sessionError is what the body of a session command says of a failure.
func sessionError(cmd *pb.GenericCommand) *Error {
	m := cmd.GetSessionMessage()
	e := &Error{Code: ErrorCode(m.GetCode()), Reason: m.GetReason(), Detail: m.GetDetail()}
	if e.Reason == "" {
		e.Reason = e.Code.String()
	}
	return e
}

// Open connects if need be and logs the client in. It returns nil when the
// session is open, also when it was already; after an error it may be called
// again. While another client of the same Realtime has the id it fails with
// ErrAlreadyOpen. Concurrent calls wait for each other.
//
// ctx bounds this call only. Without a deadline it gives up after
// Options.CommandTimeout, unless Options.RetryOpen is set.
func (c *IMClient) Open(ctx context.Context) error {
	if c.bad != nil {
		return c.bad
	}
	if !c.rt.opts.RetryOpen {
		var cancel context.CancelFunc
		ctx, cancel = c.rt.withTimeout(ctx)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.closing, func() { cancel(context.Cause(c.closing)) })()

	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return c.openFailed(contextError(ctx))
	}
	c.mu.Lock()
	phase := c.phase
	c.mu.Unlock()
	switch {
	case phase == phaseOpen:
		return nil
	case phase != phaseNew:
		return c.endError()
	}
	l, err := c.rt.attach(c)
	if err != nil {
		return err
	}
	// On the processing goroutine, so that pushes wait until it is done. Close
	// may discard the job before it begins.
	var begun atomic.Bool
	result := make(chan error, 1)
	c.enqueue(job{call: func(work context.Context) {
		if begun.Swap(true) {
			return
		}
		opened, err := c.firstOpen(ctx, l)
		result <- err
		if err == nil {
			c.catchUp(work, opened)
		}
	}})
	select {
	case err = <-result:
	case <-c.closing.Done():
		if begun.Swap(true) {
			err = <-result // soon: ctx is over
		} else {
			err = c.endError()
		}
	}
	if err == nil {
		return nil
	}
	if drop := c.rt.detach(c); drop != nil {
		c.rt.dropLater(drop)
	}
	return c.openFailed(err)
}

// openFailed is the error of an Open, which is the end of the client if that
// came first.
func (c *IMClient) openFailed(err error) error {
	if c.closing.Err() != nil {
		return c.endError()
	}
	return err
}

// endError is why the client is closing or has ended.
func (c *IMClient) endError() error { return context.Cause(c.closing) }

// firstOpen connects and logs in; with Options.RetryOpen until it succeeds.
func (c *IMClient) firstOpen(ctx context.Context, l *link.Link) (*pb.GenericCommand, error) {
	retry := c.rt.opts.RetryOpen
	for attempt := 0; ; attempt++ {
		opened, err := c.connectAndOpen(ctx, l, retry)
		if err == nil || !retry || isFinal(err) || ctx.Err() != nil {
			return opened, err
		}
		c.log.LogAttrs(ctx, slog.LevelInfo, "login failed and will be tried again", slog.Any("error", err))
		delay := time.NewTimer(c.rt.backoff(attempt))
		select {
		case <-delay.C:
		case <-ctx.Done():
			delay.Stop()
			return nil, err
		}
	}
}

func (c *IMClient) connectAndOpen(ctx context.Context, l *link.Link, retry bool) (*pb.GenericCommand, error) {
	if err := l.Open(ctx, retry); err != nil {
		return nil, c.callFailed(ctx, "connect", err, true)
	}
	return c.openSession(ctx, &session{l, l.Gen()}, false)
}

// isFinal reports whether trying to log in again is of no use.
func isFinal(err error) bool {
	for _, code := range []ErrorCode{
		ErrAppNotAvailable, ErrSignatureFailed, ErrInvalidLogin, ErrBlacklisted,
		ErrInvalidOrigin, ErrSessionConflict, ErrKickedByApp,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return errors.Is(err, ErrInvalidArgument) || errors.Is(err, ErrAlreadyOpen) || errors.Is(err, ErrClosed)
}

// openSession logs in on the connection of s and makes s the session of the
// client. again is for a client that has been open before.
func (c *IMClient) openSession(ctx context.Context, s *session, again bool) (*pb.GenericCommand, error) {
	token := ""
	if t, valid := c.currentToken(); again && valid {
		token = t.value
	}
	for {
		cmd, err := c.openCommand(ctx, again, token)
		if err != nil {
			return nil, err
		}
		c.asked.Store(s)
		reply, err := c.callOn(ctx, s, cmd, callOptions{safe: true})
		if err == nil || errors.As(err, new(*Error)) {
			c.asked.Store(nil)
		}
		if token != "" && errors.Is(err, ErrSessionTokenExpired) {
			// The token is worth nothing any more: log in without.
			c.forgetToken(token)
			token = ""
			continue
		}
		if err != nil {
			return nil, err
		}
		if reply.GetCmd() != pb.CommandType_session || reply.GetOp() != pb.OpType_opened {
			return nil, fmt.Errorf("realtime: unexpected answer %s to session/open", commandName(reply))
		}
		if err := c.opened(ctx, s, reply, !again); err != nil {
			return reply, err
		}
		if again {
			c.counters.reopens.Add(1)
		}
		c.counters.opens.Add(1)
		return reply, nil
	}
}

// openCommand builds the request for a session. With a token the server knows
// everything else; without one it is told as at the first time.
func (c *IMClient) openCommand(ctx context.Context, again bool, token string) (*pb.GenericCommand, error) {
	m := &pb.SessionCommand{
		Ua:           proto.String(userAgent),
		R:            proto.Bool(again || c.opts.reconnect),
		ConfigBitmap: proto.Int64(configBits),
	}
	if again {
		c.settleUnread(ctx)
	}
	m.LastUnreadNotifTime, m.LastPatchTime = c.sync.openFields(!again)
	if token != "" {
		m.St = proto.String(token)
	} else {
		if err := c.signSession(ctx, m); err != nil {
			return nil, err
		}
		m.DeviceId = proto.String(c.rt.opts.DeviceID)
		if c.opts.tag != "" {
			m.Tag = proto.String(c.opts.tag)
		}
	}
	cmd := &pb.GenericCommand{
		Cmd:            pb.CommandType_session.Enum(),
		Op:             pb.OpType_open.Enum(),
		AppId:          proto.String(c.rt.opts.AppID),
		SessionMessage: m,
	}
	if id := c.ID(); id != "" { // absent: the server chooses one
		cmd.PeerId = &id
	}
	return cmd, nil
}

// opened takes over what the server says of the session. first: the client has
// not been open before.
func (c *IMClient) opened(ctx context.Context, s *session, reply *pb.GenericCommand, first bool) error {
	if c.ID() == "" {
		id := reply.GetPeerId()
		if id == "" {
			return errors.New("realtime: the server chose no client id")
		}
		if !c.rt.named(c, id) {
			if c.closing.Err() != nil {
				return c.endError()
			}
			return fmt.Errorf("realtime: the server chose %q, the id of another client", id)
		}
	}
	c.keepToken(reply.GetSessionMessage())
	// Before anybody can send on it: what is answered then is from after what is
	// to be caught up with.
	c.behind = c.sync.sessionOpened(first, reply.GetServerTs())
	c.mu.Lock()
	if c.phase > phaseOpen { // and has not seen this session: nobody else says goodbye to it
		c.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(goodbyeGrace, c.rt.opts.CommandTimeout))
		defer cancel()
		c.goodbye(ctx, s)
		return c.endError()
	}
	defer c.mu.Unlock()
	c.session.Store(s)
	s.link.Settle(s.gen)
	c.phase = phaseOpen
	if c.reopened != nil {
		close(c.reopened)
		c.reopened = nil
	}
	return nil
}

// waitOpen blocks until the session is open on a live connection, for sends
// that survive reconnects.
func (c *IMClient) waitOpen(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.reopened == nil {
			c.reopened = make(chan struct{})
		}
		phase, reopened := c.phase, c.reopened
		c.mu.Unlock()
		switch {
		case phase == phaseNew:
			return ErrNotOpen
		case phase != phaseOpen:
			return c.endError()
		case c.session.Load().live():
			return nil
		}
		select {
		case <-reopened:
		case <-c.closing.Done():
			return c.endError()
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
}
