package link

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/rpc"
	"github.com/leanrtm/realtime/internal/wire"
)

// CallOptions change how Do sends.
type CallOptions struct {
	Merge bool   // share the reply of an identical command in flight, if there is one
	Era   uint64 // of the same era only
	Gen   uint64 // only on that connection; 0: on any
}

// Do sends cmd with a serial of its own and waits for the reply, which is
// returned as it is, also when it is an error command. It does not change cmd
// and does not keep it; cmd.I should not be set. The reply may be shared: read
// only.
//
// Errors match ErrDisconnected (at once when there is no connection),
// ErrClosed, ErrTimeout or the ctx's error; they also match ErrOutcomeUnknown
// unless the command was certainly not sent.
func (l *Link) Do(ctx context.Context, cmd *pb.GenericCommand, o CallOptions) (*pb.GenericCommand, error) {
	if o.Merge {
		return l.doMerged(ctx, cmd, o)
	}
	reply, err := l.DoAlone(ctx, cmd, o)
	return reply.GenericCommand, err
}

// DoAlone is Do without Merge. The reply is the caller's alone, who may put its
// block back when done with it.
func (l *Link) DoAlone(ctx context.Context, cmd *pb.GenericCommand, o CallOptions) (rpc.Reply, error) {
	if ctx.Err() != nil {
		return rpc.Reply{}, rpc.ContextError(ctx)
	}
	lv, err := l.connection(o.Gen)
	if err != nil {
		return rpc.Reply{}, err
	}
	serial := l.nextSerial()
	frame, err := lv.conn.Encode(cmd, serial)
	if err != nil {
		return rpc.Reply{}, err
	}
	timeout := l.timeout(ctx)
	call, err := lv.calls.Register(serial, timeout)
	if err != nil {
		return rpc.Reply{}, err
	}
	if _, err := l.enqueue(ctx, lv, frame, call, call.Others(), timeout); err != nil {
		call.Abandon()
		return rpc.Reply{}, err
	}
	return call.Wait(ctx)
}

// doMerged is Do for commands that may share a reply.
func (l *Link) doMerged(ctx context.Context, cmd *pb.GenericCommand, o CallOptions) (*pb.GenericCommand, error) {
	content, err := wire.Append(nil, cmd)
	if err != nil {
		return nil, err
	}
	content = binary.LittleEndian.AppendUint64(content, o.Era)
	left := l.timeout(ctx)
	for {
		if ctx.Err() != nil {
			return nil, rpc.ContextError(ctx)
		}
		lv, err := l.connection(o.Gen)
		if err != nil {
			return nil, err
		}
		group, leader, err := lv.calls.Join(string(content), l.nextSerial)
		if err != nil {
			return nil, err
		}
		if leader {
			frame, err := lv.conn.Encode(cmd, group.Serial())
			if err == nil {
				left, err = l.enqueue(ctx, lv, frame, group, someOthers, left)
			}
			if err != nil {
				group.Abort()
				return nil, err
			}
		}
		reply, err := group.Wait(ctx, left)
		if errors.Is(err, rpc.ErrNotSent) {
			continue // whoever was to send it gave up
		}
		return reply, err
	}
}

// PostOptions change how Post sends.
type PostOptions struct {
	Gen    uint64  // only on that connection; 0: on any
	Posted *Posted // is to tell whether it arrives; nil: nobody asks
}

// Post sends cmd, without a serial, and waits for no reply. nil means that it
// is in the queue of a live connection, not that it was written. It blocks
// only while that queue is full. Errors are those of Do, and the command was
// certainly not sent.
func (l *Link) Post(ctx context.Context, cmd *pb.GenericCommand, o PostOptions) error {
	if ctx.Err() != nil {
		return rpc.ContextError(ctx)
	}
	lv, err := l.connection(o.Gen)
	if err != nil {
		return err
	}
	frame, err := lv.conn.Encode(cmd, 0)
	if err != nil {
		return err
	}
	if o.Posted == nil {
		_, err = l.enqueue(ctx, lv, frame, nil, someOthers, l.timeout(ctx))
		return err
	}
	o.Posted.follow(l, lv)
	if _, err = l.enqueue(ctx, lv, frame, o.Posted, someOthers, l.timeout(ctx)); err != nil {
		o.Posted.queued.Add(-1)
	}
	return err
}

// someOthers is for frames that the writer is to write, since nobody waits for
// the answer in particular.
const someOthers = 1

// connection returns the live one if it is of that generation; 0: any.
func (l *Link) connection(gen uint64) (*live, error) {
	v := l.view.Load()
	switch {
	case v.live == nil:
		return nil, v.err
	case gen != 0 && gen != v.live.gen:
		return nil, lost(errOtherGeneration)
	}
	return v.live, nil
}

var errOtherGeneration = errors.New("that connection is gone")

// enqueue sends a frame or hands it to the writer, and returns what is left of
// the timeout (0: there is none). others is how many wait for replies besides. A
// context for the timeout is made only when the queue is full.
func (l *Link) enqueue(ctx context.Context, lv *live, frame *conn.Frame, s conn.Starter, others int, timeout time.Duration) (left time.Duration, err error) {
	accepted, err := lv.conn.TrySend(frame, s, others)
	if err == nil && !accepted {
		start := time.Now()
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
			defer func() { left = max(timeout-time.Since(start), 1) }()
		}
		if err = lv.conn.Send(ctx, frame, s, others); err != nil && ctx.Err() != nil && lv.conn.Err() == nil {
			return 0, rpc.ContextError(ctx)
		}
	}
	switch {
	case err == nil:
		return timeout, nil
	case errors.Is(err, conn.ErrClosed):
		return 0, rpc.ErrClosed
	}
	return 0, lost(err)
}
