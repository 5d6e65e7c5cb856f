package realtime_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// Moderation of a chat room: who is silenced cannot speak there, who is blocked
// is out.
func TestSurfaceModeratedChatRoom(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry, spike := s.Client("Tom"), s.Client("Jerry"), s.Client("Spike")
		room := mustRoom(t, tom)
		theirs := s.as(jerry, room)
		require.NoError(t, theirs.Join(ctx))
		require.NoError(t, s.as(spike, room).Join(ctx))
		heard := watch(jerry)
		require.ErrorIs(t, theirs.MuteMembers(ctx, "Spike"), realtime.ErrConversationOperationUnauthorized)
		require.NoError(t, room.MuteMembers(ctx, "Jerry"))
		_, err := theirs.Send(ctx, realtime.NewTextMessage("let me speak"))
		require.ErrorIs(t, err, realtime.ErrSilenced)
		s.say(room, "be quiet")
		require.Equal(t, []string{"message Tom: be quiet"}, heard.heard("message", "muted"), "rooms tell nobody")
		muted, err := theirs.CheckMutedMembers(ctx, "Jerry", "Spike")
		require.NoError(t, err)
		require.Equal(t, []string{"Jerry"}, muted)
		require.NoError(t, room.UnmuteMembers(ctx, "Jerry"))
		s.say(theirs, "thank you")

		require.NoError(t, room.BlockMembers(ctx, "Jerry"))
		requireInside(t, room, "Spike", "Tom")
		s.say(room, "he is out")
		require.Empty(t, heard.heard("message", "blocked", "kicked"))
		require.ErrorIs(t, theirs.Join(ctx), realtime.ErrBlockedByConv)
		_, err = theirs.Send(ctx, realtime.NewTextMessage("from outside"))
		require.ErrorIs(t, err, realtime.ErrBlockedByConv)
		require.NoError(t, room.UnblockMembers(ctx, "Jerry"))
		require.NoError(t, theirs.Join(ctx))
	})
}

// Each device of a client is in a room by itself, and hears what its others
// say.
func TestSurfaceChatRoomOnSeveralDevices(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		phone, desk := s.Client("Tom"), s.Client("Tom")
		room := mustRoom(t, phone)
		onPhone, onDesk := watch(phone), watch(desk)
		s.say(room, "am I alone?")
		require.Empty(t, onDesk.heard("message"))
		there := s.as(desk, room)
		require.NoError(t, there.Join(t.Context()))
		requireInside(t, room, "Tom")
		s.say(room, "from the phone")
		require.Equal(t, []string{"message Tom: from the phone"}, onDesk.heard("message"))
		s.say(there, "from the desk")
		require.Equal(t, []string{"message Tom: from the desk"}, onPhone.heard("message"))
		require.NoError(t, there.Quit(t.Context()))
		requireInside(t, room, "Tom")
		s.say(room, "only the phone again")
		require.Empty(t, onDesk.heard("message"))
	})
}

// Clients that share a connection do not get in each other's way.
func TestSurfaceClientsOfOneConnection(t *testing.T) {
	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprint("text ", text), func(t *testing.T) {
			onSurface(t, func(t *testing.T, s *surface) {
				ctx := t.Context()
				rt := s.realtime(func(o *realtime.Options) { o.NoBinary = text })
				tom, jerry, spike := s.client(rt, "Tom"), s.client(rt, "Jerry"), s.client(rt, "Spike")
				byTom, byJerry, bySpike := watch(tom), watch(jerry), watch(spike)
				conv := s.group(tom, "Jerry")
				require.Equal(t, []string{"invited by Tom", "joined Jerry,Tom by Tom"}, byTom.heard())
				require.Equal(t, []string{"invited by Tom", "joined Jerry,Tom by Tom"}, byJerry.heard())
				require.Empty(t, bySpike.heard())
				theirs := s.as(jerry, conv)
				m := s.say(conv, "hi", realtime.WithReceipt())
				require.Equal(t, []string{"unread 1", "message Tom: hi"}, byJerry.heard())
				require.Equal(t, []string{"status hi: sending", "status hi: sent", "delivered to Jerry", "status hi: delivered"}, byTom.heard())
				// What one client changes is news to the other only after the call.
				require.NoError(t, conv.Save(ctx, map[string]any{"name": "new"}))
				require.Empty(t, theirs.Name())
				require.Equal(t, []string{`info {"name":"new"} by Tom`}, byJerry.heard())
				require.Equal(t, "new", theirs.Name())
				_, err := conv.Update(ctx, m, realtime.NewTextMessage("hello"))
				require.NoError(t, err)
				require.Equal(t, []string{"update Tom: hello"}, byJerry.heard())

				// They are rooms apart, too.
				room := mustRoom(t, tom)
				require.NoError(t, s.as(spike, room).Join(ctx))
				requireInside(t, room, "Spike", "Tom")

				// One leaves, the others stay.
				require.NoError(t, tom.Close(ctx))
				s.say(theirs, "anybody?")
				require.NoError(t, jerry.Err())
				s.Cut("Jerry")
				calm()
				require.Contains(t, byJerry.heard(), "Reconnect")
				require.Contains(t, bySpike.heard(), "Reconnect")
				online, err := spike.OnlineClients(ctx, "Tom", "Jerry", "Spike")
				require.NoError(t, err)
				require.ElementsMatch(t, []string{"Jerry", "Spike"}, online)
			})
		})
	}
}

// Every device hears of a membership, also of one that was away, each once.
func TestSurfaceMembershipOnSeveralDevices(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, phone, desk := s.Client("Tom"), s.Client("Jerry"), s.Client("Jerry")
		onPhone, onDesk := watch(phone), watch(desk)
		s.group(tom, "Jerry")
		require.Equal(t, []string{"invited by Tom", "joined Jerry,Tom by Tom"}, onPhone.heard())
		require.Equal(t, []string{"invited by Tom", "joined Jerry,Tom by Tom"}, onDesk.heard())
		s.Cut("Jerry") // both
		moment()
		conv := s.group(tom, "Jerry", "Spike")
		s.say(conv, "hi")
		for _, w := range []*witness{onPhone, onDesk} {
			require.Equal(t, []string{"invited by Tom (missed)", "message Tom: hi (missed)"}, w.heard("invited", "message"))
		}
	})
}

// Who is out hears nothing more, has nothing unread, and is not told later what
// was said without him.
func TestSurfaceRemovedMemberIsOut(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv := s.group(tom, "Jerry", "Spike")
		theirs := s.as(jerry, conv)
		heard := watch(jerry)
		s.say(conv, "one")
		require.NoError(t, conv.Remove(ctx, "Jerry"))
		moment()
		s.say(conv, "behind his back")
		require.Equal(t, []string{"message Tom: one"}, heard.heard("message"))
		_, err := theirs.QueryMessages(ctx, realtime.MessageQuery{})
		require.ErrorIs(t, err, realtime.ErrConversationLogRejected)
		s.Cut("Jerry")
		require.Empty(t, heard.heard("message", "unread"))
		require.Empty(t, watch(s.Client("Jerry")).heard("message", "unread"))
		found, err := jerry.Query().Find(ctx)
		require.NoError(t, err)
		require.Empty(t, found)

		// Removed and added again while away: what was said in between counts as
		// the past.
		require.NoError(t, conv.Add(ctx, "Jerry"))
		moment()
		accept := s.Refuse()
		s.Cut("Jerry")
		moment()
		s.say(conv, "two")
		require.NoError(t, conv.Remove(ctx, "Jerry"))
		moment()
		s.say(conv, "between")
		require.NoError(t, conv.Add(ctx, "Jerry"))
		moment()
		s.say(conv, "three")
		accept()
		time.Sleep(time.Minute)
		got := heard.heard("message")
		require.Contains(t, got, "message Tom: three (missed)")
		require.Equal(t, []string{"unread 1"}, watch(s.Client("Jerry")).heard("unread"))
	})
}
