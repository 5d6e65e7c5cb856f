package interop_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

// ms is a time as the scripts compare it; 0: none.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// sorted is a copy that is never null.
func sorted(ids []string) []string {
	out := append([]string{}, ids...)
	slices.Sort(out)
	return out
}

// stamped replaces times by {"$date": ms}.
func stamped(v any) any {
	switch v := v.(type) {
	case time.Time:
		return map[string]any{"$date": v.UnixMilli()}
	case map[string]any:
		if v == nil {
			return nil
		}
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = stamped(value)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, value := range v {
			out = append(out, stamped(value))
		}
		return out
	}
	return v
}

func describeMessage(m *realtime.Message) map[string]any {
	out := map[string]any{
		"id": m.ID, "from": m.From, "type": m.Type(), "timestamp": ms(m.Timestamp), "edited": m.UpdatedAt.After(m.Timestamp),
		"mentioned": m.Mentioned, "mentionList": sorted(m.MentionList), "mentionedAll": m.MentionedAll,
		"delivered": m.Status == realtime.StatusDelivered,
	}
	var file *typedmessages.File
	switch c := m.Content.(type) {
	case *realtime.BinaryMessage:
		out["binary"] = c.Data
		return out
	case *realtime.RawMessage:
		out["raw"] = c.Data
		return out
	case *redPacket:
		out["amount"] = c.Amount
	case *typedmessages.LocationMessage:
		out["location"] = c.Location
	case *typedmessages.ImageMessage:
		file = &c.File
	case *typedmessages.AudioMessage:
		file = &c.File
	case *typedmessages.VideoMessage:
		file = &c.File
	case *typedmessages.FileMessage:
		file = &c.File
	}
	if file != nil {
		out["file"] = map[string]any{"name": file.Name, "url": file.URL, "size": file.Size}
	}
	out["text"], out["attributes"] = m.Text(), stamped(m.Attributes())
	return out
}

func describeConversations(convs []*realtime.Conversation) []any {
	described := []any{}
	for _, conv := range convs {
		described = append(described, describeConversation(conv))
	}
	return described
}

func describeConversation(conv *realtime.Conversation) any {
	info := conv.Info()
	kinds := map[realtime.Kind]string{
		realtime.KindNormal: "normal", realtime.KindChatRoom: "room",
		realtime.KindService: "service", realtime.KindTemporary: "temporary",
	}
	var last any
	if info.LastMessage != nil {
		last = describeMessage(info.LastMessage)
	}
	return map[string]any{
		"last": last,
		"id":   info.ID, "kind": kinds[info.Kind], "name": info.Name, "creator": info.Creator,
		"members": sorted(info.Members), "mutedBy": sorted(info.NotificationsMutedBy), "attr": stamped(conv.Get("attr")),
		"createdAt": ms(info.CreatedAt), "updatedAt": ms(info.UpdatedAt), "lastMessageAt": ms(info.LastMessageAt),
		"expires": !info.ExpiredAt.IsZero(), "unread": info.UnreadMessagesCount,
	}
}

// describeEvent is an event as js/people/js.js tells it; nil: one that the
// official SDK does not have.
func describeEvent(ev realtime.Event) map[string]any {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", ev), "*realtime."), "Event"))
	told := func(conv *realtime.Conversation, fields map[string]any) map[string]any {
		out := map[string]any{"event": name}
		if conv != nil {
			out["conv"] = conv.ID()
		}
		maps.Copy(out, fields)
		return out
	}
	by := func(conv *realtime.Conversation, who string) map[string]any {
		return told(conv, map[string]any{"by": who})
	}
	members := func(conv *realtime.Conversation, who string, ids []string) map[string]any {
		return told(conv, map[string]any{"by": who, "members": sorted(ids)})
	}
	switch e := ev.(type) {
	case *realtime.MessageEvent:
		return told(e.Conversation, describeMessage(e.Message))
	case *realtime.MessageUpdateEvent:
		return told(e.Conversation, describeMessage(e.Message))
	case *realtime.MessageRecallEvent:
		return told(e.Conversation, describeMessage(e.Message))
	case *realtime.InvitedEvent:
		return by(e.Conversation, e.InvitedBy)
	case *realtime.KickedEvent:
		return by(e.Conversation, e.KickedBy)
	case *realtime.BlockedEvent:
		return by(e.Conversation, e.BlockedBy)
	case *realtime.UnblockedEvent:
		return by(e.Conversation, e.UnblockedBy)
	case *realtime.MutedEvent:
		return by(e.Conversation, e.MutedBy)
	case *realtime.UnmutedEvent:
		return by(e.Conversation, e.UnmutedBy)
	case *realtime.MembersJoinedEvent:
		return members(e.Conversation, e.InvitedBy, e.Members)
	case *realtime.MembersLeftEvent:
		return members(e.Conversation, e.KickedBy, e.Members)
	case *realtime.MembersBlockedEvent:
		return members(e.Conversation, e.BlockedBy, e.Members)
	case *realtime.MembersUnblockedEvent:
		return members(e.Conversation, e.UnblockedBy, e.Members)
	case *realtime.MembersMutedEvent:
		return members(e.Conversation, e.MutedBy, e.Members)
	case *realtime.MembersUnmutedEvent:
		return members(e.Conversation, e.UnmutedBy, e.Members)
	case *realtime.MemberInfoUpdatedEvent:
		return told(e.Conversation, map[string]any{"member": e.MemberInfo.MemberID, "role": e.MemberInfo.Role, "by": e.UpdatedBy})
	case *realtime.InfoUpdatedEvent:
		return told(e.Conversation, map[string]any{"attributes": stamped(e.Attributes), "by": e.UpdatedBy})
	case *realtime.LastDeliveredAtUpdateEvent:
		return told(e.Conversation, nil)
	case *realtime.LastReadAtUpdateEvent:
		return told(e.Conversation, nil)
	case *realtime.UnreadMessagesCountUpdateEvent:
		last := ""
		if e.LastMessage != nil {
			last = e.LastMessage.Text()
		}
		return told(e.Conversation, map[string]any{"count": e.Count, "mentioned": e.Mentioned, "last": last})
	case *realtime.ScheduleEvent:
		return told(nil, map[string]any{"attempt": e.Attempt, "delay": e.Delay.Milliseconds()})
	case *realtime.RetryEvent:
		return told(nil, map[string]any{"attempt": e.Attempt})
	case *realtime.ConflictEvent:
		return told(nil, map[string]any{"reason": e.Reason})
	case *realtime.CloseEvent:
		return told(nil, map[string]any{"code": e.Code, "reason": e.Reason})
	case *realtime.DisconnectEvent, *realtime.OfflineEvent, *realtime.OnlineEvent, *realtime.ReconnectEvent, *realtime.ReconnectErrorEvent:
		return told(nil, nil)
	}
	return nil
}
