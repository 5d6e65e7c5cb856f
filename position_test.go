package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
)

// A program is killed in the middle of its work, and another one goes on where
// it stood: what was not handled is delivered again, in order.
func TestPosition(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		for _, id := range []string{"a", "b", "c", "d"} {
			s.has(id, map[string]any{"m": []string{"Tom", "Jerry"}})
		}
		s.said("c", "Jerry", "early", "before login")
		s.said("d", "Jerry", "early", "before login")
		time.Sleep(time.Second)

		first := s.rt.NewIMClient("Tom")
		l := listen(first)
		hang := make(chan struct{})
		first.OnMessage(func(ctx context.Context, e *realtime.MessageEvent) {
			if e.Message.Text() == "b2" {
				<-hang
			}
		})
		require.Equal(t, realtime.Position{}, first.Position())
		require.NoError(t, first.Open(t.Context()))
		say := func(cid, text string) {
			time.Sleep(time.Minute)
			item := s.said(cid, "Jerry", "id-"+text, text)
			s.push("Tom", cid, item)
			synctest.Wait()
		}
		say("a", "a1")
		say("b", "b1")
		say("b", "b2") // hangs
		say("a", "a2")
		say("b", "b3")
		say("d", "d1")
		require.Contains(t, l.take(), "b: Jerry: b2")
		text, err := first.Position().MarshalText()
		require.NoError(t, err)
		close(hang)
		synctest.Wait()
		all, err := first.Position().MarshalText()
		require.NoError(t, err)
		require.NoError(t, first.Close(t.Context()))

		time.Sleep(time.Minute)
		s.said("c", "Jerry", "id-c1", "c1")

		var p realtime.Position
		require.NoError(t, p.UnmarshalText(text))
		second := s.rt.NewIMClient("Tom", realtime.WithPosition(p))
		l = listen(second)
		require.NoError(t, second.Open(t.Context()))
		var got []string
		for _, line := range l.take() {
			if line != "" && !containsUnread(line) {
				got = append(got, line)
			}
		}
		require.ElementsMatch(t, []string{
			"b: Jerry: b2 (recovered)", "b: Jerry: b3 (recovered)", "a: Jerry: a2 (recovered)", "c: Jerry: c1 (recovered)",
			"d: Jerry: d1 (recovered)", got[len(got)-1],
		}, got)
		require.Less(t, index(got, "b: Jerry: b2 (recovered)"), index(got, "b: Jerry: b3 (recovered)"))
		require.Contains(t, got[len(got)-1], "recovered 5 of ")
		require.NoError(t, second.Close(t.Context()))

		require.NoError(t, p.UnmarshalText(all))
		third := s.rt.NewIMClient("Tom", realtime.WithPosition(p))
		l = listen(third)
		require.NoError(t, third.Open(t.Context()))
		require.Equal(t, []string{"c: 1 unread, mentioned false", "c: Jerry: c1 (recovered)", "recovered 1 of [c], failed 0"}, l.take())
		require.EqualValues(t, 1, len(s.commands(pb.CommandType_session, pb.OpType_open))-2)
	})
}

func containsUnread(line string) bool {
	var cid string
	var n int
	_, err := fmt.Sscanf(line, "%1s: %d unread,", &cid, &n)
	return err == nil
}

func index(list []string, s string) int {
	for i, one := range list {
		if one == s {
			return i
		}
	}
	return -1
}

// A stream has handled a message when it asks for the next one.
func TestPositionOfStream(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Tom", "Jerry"}})
		tom := s.rt.NewIMClient("Tom")
		events := tom.Events(t.Context())
		require.NoError(t, tom.Open(t.Context()))
		for i := range 3 {
			time.Sleep(time.Minute)
			s.push("Tom", "a", s.said("a", "Jerry", fmt.Sprint("m", i), fmt.Sprint(i)))
		}
		synctest.Wait()
		for ev, err := range events {
			require.NoError(t, err)
			if m, ok := ev.(*realtime.MessageEvent); ok && m.Message.Text() == "1" {
				break // not handled
			}
		}
		p := tom.Position()
		require.NoError(t, tom.Close(t.Context()))
		again := s.rt.NewIMClient("Tom", realtime.WithPosition(p))
		l := listen(again)
		require.NoError(t, again.Open(t.Context()))
		got := l.take()
		require.Equal(t, "a: Jerry: 1 (recovered)", got[1])
		require.Equal(t, "a: Jerry: 2 (recovered)", got[3])
		require.Len(t, got, 5)
	})
}

// A client that only sends does not read through all it has sent when it comes
// back.
func TestPositionOfSender(t *testing.T) {
	withConversation(t, realtime.Options{}, func(t *testing.T, s *stage, tom *realtime.IMClient, conv *realtime.Conversation) {
		since := func() time.Time {
			asked := s.last(pb.CommandType_conv, pb.OpType_query).GetConvMessage().GetWhere().GetData()
			var where struct {
				LM struct {
					GT struct{ ISO time.Time } `json:"$gt"`
				} `json:"lm"`
			}
			require.NoError(t, json.Unmarshal([]byte(asked), &where))
			return where.LM.GT.ISO
		}
		time.Sleep(time.Hour)
		_, err := conv.Send(t.Context(), realtime.NewTextMessage("hi"))
		require.NoError(t, err)
		sent := time.Now()
		p := tom.Position()
		s.Socket().Drop()
		time.Sleep(time.Minute)
		require.Equal(t, 30*time.Second, sent.Sub(since()))

		require.NoError(t, tom.Close(t.Context()))
		s.open("Tom", realtime.WithPosition(p))
		synctest.Wait()
		require.Equal(t, 30*time.Second, sent.Sub(since()))
	})
}

// A conversation that the position speaks of has no news, or is gone: what is
// said there later is delivered all the same.
func TestPositionInQuietConversation(t *testing.T) {
	onStage(t, realtime.Options{}, func(t *testing.T, s *stage) {
		s.has("a", map[string]any{"m": []string{"Jerry"}})
		first := s.rt.NewIMClient("Tom")
		hang := make(chan struct{})
		first.OnMessage(func(context.Context, *realtime.MessageEvent) { <-hang })
		require.NoError(t, first.Open(t.Context()))
		time.Sleep(time.Second)
		s.push("Tom", "a", s.said("a", "Jerry", "m1", "one"))
		time.Sleep(time.Hour)
		s.has("b", map[string]any{"m": []string{"Tom"}})
		s.push("Tom", "b", s.said("b", "Jerry", "m2", "two"))
		synctest.Wait()
		p := first.Position()
		close(hang)
		require.NoError(t, first.Close(t.Context()))
		second := s.rt.NewIMClient("Tom", realtime.WithPosition(p))
		l := listen(second)
		require.NoError(t, second.Open(t.Context()))
		require.Equal(t, []string{"b: 1 unread, mentioned false", "b: Jerry: two (recovered)", "recovered 1 of [b], failed 0"}, l.take())
		time.Sleep(time.Second)
		s.push("Tom", "a", s.said("a", "Jerry", "m3", "three"))
		require.Equal(t, []string{"a: 1 unread, mentioned false", "a: Jerry: three"}, l.take())
	})
}

func TestPositionText(t *testing.T) {
	var zero, p realtime.Position
	text, err := zero.MarshalText()
	require.NoError(t, err)
	require.Empty(t, text)
	require.NoError(t, p.UnmarshalText(nil))
	require.Equal(t, zero, p)
	for _, bad := range []string{"x", "!!", "AQ", "Ag", "AgIA", "AAAAAAAAAA", "AQICAgIA", "AgICAgEFYQ", "AgICAgIA", "AgICAgIAAQFh"} {
		require.Error(t, p.UnmarshalText([]byte(bad)), bad)
		require.Equal(t, zero, p, "untouched")
	}
}

func FuzzPosition(f *testing.F) {
	f.Add([]byte("AgICAgIAAA"))
	f.Add([]byte("AgICAgIBAWEEAWIBBgEECAEBYQIE"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p realtime.Position
		if p.UnmarshalText(text) != nil {
			return
		}
		out, err := p.MarshalText()
		require.NoError(t, err)
		var back realtime.Position
		require.NoError(t, back.UnmarshalText(out))
		require.Equal(t, p, back)
	})
}
