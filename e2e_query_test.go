package realtime_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// zoo makes conversations named "0" to "5", a minute apart.
func zoo(t *testing.T, s *story) []*realtime.Conversation {
	t.Helper()
	var list []*realtime.Conversation
	for i := range 6 {
		time.Sleep(time.Minute)
		members := []string{"Jerry"}
		if i%2 == 0 {
			members = append(members, "Mary")
		}
		attributes := map[string]any{
			"level": i,
			"attr":  map[string]any{"species": []string{"cat", "mouse", "dog"}[i%3]},
			"tags":  []string{fmt.Sprint("tag", i), "all"},
			"born":  time.Date(2000+i, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		if i == 5 {
			attributes["last"] = true
		}
		conv, err := s.clients["Tom"].CreateConversation(t.Context(), realtime.ConversationOptions{
			Members: members, Name: fmt.Sprint(i), NotUnique: true, Attributes: attributes,
		})
		require.NoError(t, err)
		list = append(list, conv)
	}
	return list
}

func namesOf(convs []*realtime.Conversation) []string {
	list := make([]string, len(convs))
	for i, c := range convs {
		list[i] = c.Name()
	}
	return list
}

func TestE2EConversationQueries(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		convs := zoo(t, s)
		tom := s.clients["Tom"]
		type q = *realtime.ConversationQuery
		tests := []struct {
			name  string
			build func(q q) q
			want  []string
		}{
			{"mine", func(q q) q { return q }, numbers(0, 5)},
			{"equal", func(q q) q { return q.EqualTo("level", 3) }, numbers(3, 3)},
			{"equal, dotted", func(q q) q { return q.EqualTo("attr.species", "mouse") }, []string{"1", "4"}},
			{"equal, in a list", func(q q) q { return q.EqualTo("tags", "tag2") }, numbers(2, 2)},
			{"equal name", func(q q) q { return q.EqualTo("name", "4") }, numbers(4, 4)},
			{"not equal", func(q q) q { return q.NotEqualTo("level", 3).ContainsMembers("Tom") }, []string{"0", "1", "2", "4", "5"}},
			{"less", func(q q) q { return q.LessThan("level", 2) }, numbers(0, 1)},
			{"less or equal", func(q q) q { return q.LessThanOrEqualTo("level", 2) }, numbers(0, 2)},
			{"greater", func(q q) q { return q.GreaterThan("level", 3) }, numbers(4, 5)},
			{"greater or equal", func(q q) q { return q.GreaterThanOrEqualTo("level", 3) }, numbers(3, 5)},
			{"between", func(q q) q { return q.GreaterThan("level", 1).LessThan("level", 4) }, numbers(2, 3)},
			{"dates", func(q q) q { return q.GreaterThan("born", time.Date(2003, 6, 1, 0, 0, 0, 0, time.UTC)) }, numbers(4, 5)},
			{"created", func(q q) q { return q.LessThan("createdAt", convs[2].CreatedAt()).ContainsMembers("Tom") }, numbers(0, 1)},
			{"contains", func(q q) q { return q.Contains("attr.species", "ous") }, []string{"1", "4"}},
			{"contains is literal", func(q q) q { return q.Contains("attr.species", ".*") }, []string{}},
			{"starts with", func(q q) q { return q.StartsWith("attr.species", "do") }, []string{"2", "5"}},
			{"ends with", func(q q) q { return q.EndsWith("attr.species", "at") }, []string{"0", "3"}},
			{"matches", func(q q) q { return q.Matches("attr.species", "^[cm]") }, []string{"0", "1", "3", "4"}},
			{"contained in", func(q q) q { return q.ContainedIn("level", 1, 4, 17) }, []string{"1", "4"}},
			{"contained in a slice", func(q q) q { return q.ContainedIn("level", []int{1, 4}) }, []string{"1", "4"}},
			{"not contained in", func(q q) q { return q.NotContainedIn("level", 1, 2, 3, 4).ContainsMembers("Tom") }, []string{"0", "5"}},
			{"contains all", func(q q) q { return q.ContainsAll("tags", "all", "tag3") }, numbers(3, 3)},
			{"size", func(q q) q { return q.SizeEqualTo("m", 3) }, []string{"0", "2", "4"}},
			{"members", func(q q) q { return q.ContainsMembers("Mary") }, []string{"0", "2", "4"}},
			{"exactly the members", func(q q) q { return q.WithMembers("Tom", "Jerry") }, []string{"1", "3", "5"}},
			{"exists", func(q q) q { return q.Exists("last") }, numbers(5, 5)},
			{"does not exist", func(q q) q { return q.DoesNotExist("last").ContainsMembers("Tom") }, numbers(0, 4)},
			{"limit and skip", func(q q) q { return q.Limit(2).Skip(3) }, numbers(3, 4)},
			{"no limit left", func(q q) q { return q.Skip(6) }, []string{}},
			{"or", func(q q) q { return q.Or(tom.Query().EqualTo("level", 0), tom.Query().EqualTo("level", 5)) }, []string{"0", "5"}},
			{"and", func(q q) q {
				return q.And(tom.Query().EqualTo("tags", "all"), tom.Query().EqualTo("tags", "tag1"))
			}, numbers(1, 1)},
			{"or with more", func(q q) q {
				return q.ContainsMembers("Mary").Or(tom.Query().LessThan("level", 1), tom.Query().GreaterThan("level", 3))
			}, []string{"0", "4"}},
			{"descending", func(q q) q { return q.Descending("level") }, numbers(5, 0)},
			{"two keys", func(q q) q { return q.Ascending("attr.species").AddDescending("level") }, []string{"3", "0", "5", "2", "4", "1"}},
		}
		for _, test := range tests {
			query := tom.Query().Ascending("createdAt").Limit(100)
			found, err := test.build(query).Find(t.Context())
			require.NoError(t, err, test.name)
			require.Equal(t, test.want, namesOf(found), test.name)
		}

		first, err := tom.Query().Descending("level").First(t.Context())
		require.NoError(t, err)
		require.Same(t, convs[5], first, "one object per id")
		_, err = tom.Query().EqualTo("level", 99).First(t.Context())
		require.ErrorIs(t, err, realtime.ErrConversationNotFound)

		ada := s.login("Ada") // knows nothing yet
		found, err := ada.Query().EqualTo("level", 2).Compact().Find(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, "Tom", found[0].Creator())
		require.Empty(t, found[0].Members(), "compact")
		require.Nil(t, found[0].LastMessage())

		mustSend(t, convs[2], "the last word")
		found, err = ada.Query().EqualTo("level", 2).WithLastMessagesRefreshed().Find(t.Context())
		require.NoError(t, err)
		require.Equal(t, "the last word", found[0].LastMessage().Text())
		require.Equal(t, "Tom", found[0].LastMessage().From)
	})
}

func TestE2EConversationQueryAll(t *testing.T) {
	play(t, []string{"Tom", "Jerry"}, func(t *testing.T, s *story) {
		zoo(t, s)
		query := s.clients["Tom"].Query().Ascending("level").Limit(4)
		for range 2 { // each range asks again
			var list []*realtime.Conversation
			for c, err := range query.All(t.Context()) {
				require.NoError(t, err)
				list = append(list, c)
			}
			require.Equal(t, numbers(0, 5), namesOf(list))
		}
	})
}

func TestE2EQueriesOfKinds(t *testing.T) {
	play(t, []string{"Tom"}, func(t *testing.T, s *story) {
		normal := s.conversation("Tom", "Jerry")
		room, err := s.clients["Tom"].CreateChatRoom(t.Context(), realtime.ChatRoomOptions{Name: "room"})
		require.NoError(t, err)
		found, err := s.clients["Tom"].ChatRoomQuery().Find(t.Context())
		require.NoError(t, err)
		require.Equal(t, []*realtime.Conversation{room}, found)
		found, err = s.clients["Tom"].Query().Find(t.Context())
		require.NoError(t, err)
		require.Equal(t, []*realtime.Conversation{normal}, found)
		found, err = s.clients["Tom"].ServiceConversationQuery().Find(t.Context())
		require.NoError(t, err)
		require.Empty(t, found)
	})
}
