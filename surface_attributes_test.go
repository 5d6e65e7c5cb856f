package realtime_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestSurfaceAttributes(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		day := time.Date(2016, 2, 27, 10, 0, 0, 123_000_000, time.UTC)
		conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
			Members: []string{"Jerry"}, Name: "Tom & Jerry", NotUnique: true,
			Attributes: map[string]any{
				"attr":  map[string]any{"color": "grey", "since": day, "deep": map[string]any{"list": []any{1, day, "x"}}},
				"score": 1.5, "tags": []string{"cat", "mouse"}, "none": nil, "key with space": true,
			},
		})
		require.NoError(t, err)
		theirs := s.as(jerry, conv)
		for _, c := range []*realtime.Conversation{conv, theirs} {
			require.Equal(t, "Tom & Jerry", c.Name())
			require.Equal(t, "Tom & Jerry", c.Get("name"))
			require.Equal(t, "grey", c.Get("attr.color"))
			require.Equal(t, day, c.Get("attr.since"))
			require.Equal(t, day, c.Get("attr.deep.list.1"))
			require.Equal(t, []any{1.0, day, "x"}, c.Get("attr.deep.list"))
			require.Equal(t, 1.5, c.Get("score"))
			require.Equal(t, []any{"cat", "mouse"}, c.Get("tags"))
			require.Equal(t, true, c.Get("key with space"))
			require.Nil(t, c.Get("attr.absent"))
			require.Nil(t, c.Get("score.x"))
			require.Equal(t, "Tom", c.Creator())
		}
		heardByTom, heardByJerry := watch(tom), watch(jerry)

		// All changes are one request.
		mark := len(s.Commands())
		require.NoError(t, conv.Save(ctx, map[string]any{
			"name": "Mouse & Cat", "attr.color": "brown", "attr.deep.more": map[string]any{"day": day},
			"fresh.path.made": 1, "score": map[string]any{"__op": "Increment", "amount": 2},
			"tags": map[string]any{"__op": "AddUnique", "objects": []string{"dog", "cat"}},
			"none": map[string]any{"__op": "Delete"},
		}))
		require.Equal(t, []string{"conv/update"}, s.sent(mark))
		require.Len(t, heardByJerry.heard("info"), 1)
		require.Empty(t, heardByTom.heard("info"), "the device that did it")
		require.NoError(t, s.as(s.Client("Spike"), conv).Fetch(ctx))
		for _, c := range []*realtime.Conversation{conv, theirs, s.as(s.Client("Butch"), conv)} {
			info := c.Info()
			require.Equal(t, "Mouse & Cat", info.Name)
			require.Equal(t, map[string]any{
				"attr": map[string]any{
					"color": "brown", "since": day,
					"deep": map[string]any{"list": []any{1.0, day, "x"}, "more": map[string]any{"day": day}},
				},
				"score": 3.5, "tags": []any{"cat", "mouse", "dog"}, "key with space": true,
				"fresh": map[string]any{"path": map[string]any{"made": 1.0}},
			}, info.Attributes)
		}

		// A plain key replaces the whole value.
		require.NoError(t, theirs.Save(ctx, map[string]any{"attr": map[string]any{"only": "this"}}))
		require.Equal(t, []string{`info {"attr":{"only":"this"}} by Jerry`}, heardByTom.heard("info"))
		require.Equal(t, map[string]any{"only": "this"}, conv.Get("attr"))

		// What is not allowed sends nothing.
		mark = len(s.Commands())
		for _, key := range []string{"objectId", "m", "mu", "c", "lm", "tr", "sys", "unique", "uniqueId", "createdAt", "updatedAt", "$x", "a..b", ""} {
			require.ErrorIs(t, conv.Save(ctx, map[string]any{key: 1}), realtime.ErrInvalidArgument, key)
		}
		require.ErrorIs(t, conv.Save(ctx, map[string]any{"a": 1, "a.b": 2}), realtime.ErrInvalidArgument)
		require.NoError(t, conv.Save(ctx, nil))
		require.Empty(t, s.sent(mark))
	})
}

// The devices of the client that made a change hear of it, but for the one
// that made it.
func TestSurfaceAttributesOnSeveralDevices(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		phone, desk := s.Client("Tom"), s.Client("Tom")
		conv := s.group(phone, "Jerry")
		other := s.as(desk, conv)
		onPhone, onDesk := watch(phone), watch(desk)
		require.NoError(t, conv.Save(t.Context(), map[string]any{"attr.x": 1}))
		require.Equal(t, []string{`info {"attr.x":1} by Tom`}, onDesk.heard("info"))
		require.Empty(t, onPhone.heard("info"))
		require.Equal(t, 1.0, other.Get("attr.x"))
		require.Equal(t, conv.UpdatedAt(), other.UpdatedAt())
	})
}

// Numbers that Go's float64 cannot hold keep their text in attributes that
// nobody touches, on both sides.
func TestSurfaceNumbersKeepTheirText(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		const exact = "12345678901234567890.10"
		conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
			Members: []string{"Jerry"},
			Attributes: map[string]any{
				"big": json.RawMessage(exact), "attr": map[string]any{"id": json.RawMessage("9007199254740993"), "n": 1},
			},
		})
		require.NoError(t, err)
		theirs := s.as(jerry, conv)
		require.NoError(t, theirs.Save(ctx, map[string]any{"attr.n": 2}))
		calm()
		require.NoError(t, conv.Fetch(ctx))
		for _, c := range []*realtime.Conversation{conv, theirs, s.as(s.Client("Spike"), conv)} {
			data, err := json.Marshal(c)
			require.NoError(t, err)
			require.Contains(t, string(data), `"big":`+exact)
			require.Contains(t, string(data), `"id":9007199254740993`)
			require.Contains(t, string(data), `"n":2`)
		}
		// They compare exactly.
		for id, want := range map[string]int{"9007199254740993": 1, "9007199254740992": 0} {
			found, err := jerry.Query().EqualTo("attr.id", json.RawMessage(id)).Find(ctx)
			require.NoError(t, err)
			require.Len(t, found, want, id)
		}
	})
}

// A chat room can be changed as well; nobody is told.
func TestSurfaceAttributesOfAChatRoom(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		room := mustRoom(t, tom)
		theirs := s.as(jerry, room)
		require.NoError(t, theirs.Join(t.Context()))
		require.NoError(t, room.Save(t.Context(), map[string]any{"name": "Garden", "seats": 12}))
		calm()
		require.Empty(t, theirs.Name())
		require.NoError(t, theirs.Fetch(t.Context()))
		require.Equal(t, "Garden", theirs.Name())
		require.Equal(t, 12.0, theirs.Get("seats"))
	})
}

// The server names what there is after a change, so that it does not name what
// is gone.
func TestSurfaceDeletedAttributeIsGoneEverywhere(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		tom, jerry := s.Client("Tom"), s.Client("Jerry")
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: []string{"Jerry"}, Name: "name", Attributes: map[string]any{"a": 1, "b": 2, "x": map[string]any{"d": 3, "e": 4}},
		})
		require.NoError(t, err)
		theirs := s.as(jerry, conv)
		gone := map[string]any{"__op": "Delete"}
		require.NoError(t, conv.Save(t.Context(), map[string]any{"a": gone, "b": 5, "x.d": gone, "name": gone}))
		calm()
		for _, c := range []*realtime.Conversation{conv, theirs} {
			require.Equal(t, map[string]any{"b": 5.0, "x": map[string]any{"e": 4.0}}, c.Info().Attributes)
			require.Empty(t, c.Name())
		}
		require.NoError(t, theirs.Save(t.Context(), map[string]any{"b": gone}))
		calm()
		for _, c := range []*realtime.Conversation{conv, theirs, s.as(s.Client("Spike"), conv)} {
			require.Equal(t, map[string]any{"x": map[string]any{"e": 4.0}}, c.Info().Attributes)
		}
	})
}
