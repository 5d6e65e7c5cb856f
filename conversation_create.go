package realtime

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// ConversationOptions describe a new normal conversation.
type ConversationOptions struct {
	// Members are the ids of the members; the client itself is added.
	Members []string
	Name    string
	// NotUnique makes a new conversation even if one with exactly these members
	// exists already, which is reused otherwise.
	NotUnique bool
	// Attributes are top-level keys. A time.Time becomes a Date; keys that the
	// protocol reserves are refused.
	Attributes map[string]any
}

// ChatRoomOptions describe a new chat room.
type ChatRoomOptions struct {
	Name       string
	Attributes map[string]any // as in [ConversationOptions]
}

// TemporaryConversationOptions describe a new temporary conversation.
type TemporaryConversationOptions struct {
	// Members are the ids of the members, ten at most; the client itself is
	// added.
	Members []string
	// TTL is how long it lives; it is rounded up to seconds. 0: one day.
	TTL time.Duration
}

// CreateConversation creates a conversation. Unless NotUnique is set, one that
// exists with exactly these members is returned in its place, which keeps its
// own name and attributes.
func (c *IMClient) CreateConversation(ctx context.Context, o ConversationOptions) (*Conversation, error) {
	members, err := c.withSelf(o.Members)
	if err != nil {
		return nil, err
	}
	return c.create(ctx, creation{
		data: convData{kind: KindNormal, name: o.Name, unique: !o.NotUnique, members: members, hasMembers: true},
		ask:  &pb.ConvCommand{M: members, Unique: proto.Bool(!o.NotUnique)},
		attr: o.Attributes,
		safe: !o.NotUnique,
	})
}

// CreateChatRoom creates a chat room and enters it, leaving the one that the
// client is in.
func (c *IMClient) CreateChatRoom(ctx context.Context, o ChatRoomOptions) (*Conversation, error) {
	return c.create(ctx, creation{
		data: convData{kind: KindChatRoom, name: o.Name},
		ask:  &pb.ConvCommand{M: []string{c.ID()}, Transient: proto.Bool(true), Unique: proto.Bool(false)},
		attr: o.Attributes,
	})
}

// CreateTemporaryConversation creates a conversation that ends by itself. One
// that exists with exactly these members may be returned in its place, with
// what is left of its time.
func (c *IMClient) CreateTemporaryConversation(ctx context.Context, o TemporaryConversationOptions) (*Conversation, error) {
	members, err := c.withSelf(o.Members)
	if err != nil {
		return nil, err
	}
	ask := &pb.ConvCommand{M: members, TempConv: proto.Bool(true), Unique: proto.Bool(true)}
	switch seconds := (o.TTL + time.Second - 1) / time.Second; {
	case o.TTL < 0 || seconds > 1<<31-1:
		return nil, invalidArgument("TTL %v", o.TTL)
	case seconds > 0:
		ask.TempConvTTL = proto.Int32(int32(seconds))
	}
	return c.create(ctx, creation{
		data: convData{kind: KindTemporary, members: members, hasMembers: true},
		ask:  ask,
		safe: true,
	})
}

// withSelf is the sorted list of the members of a new conversation.
func (c *IMClient) withSelf(members []string) ([]string, error) {
	if err := checkIDs(members); err != nil {
		return nil, err
	}
	all := append(slices.Clone(members), c.ID())
	slices.Sort(all)
	return slices.Compact(all), nil
}

// creation is a conversation to be made: what it will be, and how that is
// asked for.
type creation struct {
	data convData
	ask  *pb.ConvCommand
	attr map[string]any
	safe bool // asking again makes no second one
}

func (c *IMClient) create(ctx context.Context, n creation) (*Conversation, error) {
	if err := c.usable(ctx); err != nil {
		return nil, err
	}
	attrs, err := encodeChanges(n.attr, true)
	if err != nil {
		return nil, err
	}
	n.data.attrs = attributes(attrs)
	stored, err := n.storedAttributes()
	if err != nil {
		return nil, err
	}
	n.ask.Attr = &pb.JsonObjectMessage{Data: &stored}
	sig, err := c.sign(ctx, SignRequest{Action: SignCreate, Members: n.ask.M})
	if err != nil {
		return nil, err
	}
	if sig != nil {
		n.ask.S, n.ask.T, n.ask.N = &sig.Signature, &sig.Timestamp, &sig.Nonce
	}
	reply, err := c.call(ctx, &pb.GenericCommand{
		Cmd: pb.CommandType_conv.Enum(), Op: pb.OpType_start.Enum(), ConvMessage: n.ask,
	}, callOptions{safe: n.safe})
	if err != nil {
		return nil, err
	}
	return c.started(ctx, &n, reply.GetConvMessage())
}

// storedAttributes is what the new conversation will have, but for its
// members.
func (n *creation) storedAttributes() (string, error) {
	all := n.data.attrs
	if n.data.name != "" {
		name, err := marshalJSON(n.data.name)
		if err != nil {
			return "", err
		}
		all = all.with(nil)
		all[keyName] = name
	}
	return encodeObject(all)
}

// started keeps what the answer tells of a new conversation.
func (c *IMClient) started(ctx context.Context, n *creation, m *pb.ConvCommand) (*Conversation, error) {
	data := n.data
	data.id, data.uniqueID, data.creator = m.GetCid(), m.GetUniqueId(), c.ID()
	data.members = slices.Clone(data.members)
	data.hasAttrs = true
	if m.GetExisting() {
		// What was asked for is not what there is.
		if conv, err := c.GetConversation(ctx, data.id); err == nil {
			return conv, nil
		}
		return c.convs.bare(data.id, data.kind), nil
	}
	if at, err := parseISO(m.GetCdate()); err == nil {
		data.createdAt, data.updatedAt = at, at
	}
	if at := changeTime(m); !at.IsZero() {
		data.updatedAt = at
	}
	if data.kind == KindChatRoom {
		c.sync.enterRoom(data.id, data.updatedAt)
	}
	if ttl := m.GetTempConvTTL(); ttl > 0 {
		data.expiredAt = expiry(int64(ttl))
	}
	if data.kind == KindNormal && data.unique || data.kind == KindTemporary {
		// An older server does not tell that it returns one that exists: what
		// is known of that is right, whatever was asked for.
		return c.convs.learnMissing(&data), nil
	}
	return c.convs.learn(&data), nil
}

// expiry is when what lives for so many seconds more ends.
func expiry(seconds int64) time.Time {
	return time.Now().Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Millisecond)
}

// checkIDs refuses what cannot be client ids.
func checkIDs(ids []string) error {
	for _, id := range ids {
		if id == "" {
			return invalidArgument("a client id is empty")
		}
		if err := checkID(id); err != nil {
			return invalidArgument("%w", err)
		}
	}
	return nil
}

// checkID refuses what the server would not let log in.
func checkID(id string) error {
	switch {
	case !utf8.ValidString(id):
		return newError(ErrInvalidLogin, fmt.Sprintf("client id %q is not UTF-8", id))
	case len(id) > wire.MaxClientID && utf8.RuneCountInString(id) > wire.MaxClientID:
		return newError(ErrInvalidLogin, fmt.Sprintf("a client id has at most %d characters", wire.MaxClientID))
	}
	return nil
}
