package export_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever the API tells of an app is in its export, as it was told.
func TestEverythingIsExported(t *testing.T) { bubble(t, everything) }

func everything(w *world) {
	t := w.T
	talk := w.create("conversations", object{
		"name": "talk", "m": []string{"Tom", "Jerry", "Mary"}, "big": json.Number("9007199254740993"),
		"attr": object{"nested": []any{1, "two", nil, object{"<": "&>"}}}, "at": object{"__type": "Date", "iso": "2020-01-02T03:04:05.678Z"},
	})
	room := w.create("chatrooms", object{"name": "room"})
	gm := w.create("service-conversations", object{"name": "GM", "title": "大师"})
	w.create("conversations", object{"name": "silent", "m": []string{"Tom"}})

	ids := func(ids ...string) object { return object{"client_ids": ids} }
	w.call("POST", "conversations/"+talk+"/mutes", ids("Jerry"), nil)
	w.call("POST", "conversations/"+talk+"/permanent-silenceds", ids("Mary", "Jerry"), nil)
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("troll %03d", i))
	}
	w.call("POST", "conversations/"+talk+"/blacklists", object{"client_ids": many}, nil)
	w.call("POST", "conversations/"+talk+"/member-infos", object{"clientId": "Jerry", "role": "Manager"}, nil)
	w.call("POST", "chatrooms/"+room+"/blacklists", ids("Spike"), nil)
	w.call("POST", "service-conversations/"+gm+"/blacklists", ids("Spike"), nil)
	for i := range 120 {
		w.call("POST", "service-conversations/"+gm+"/subscribers", object{"client_id": fmt.Sprintf("sub %03d", i)}, nil)
	}

	w.send("conversations", talk, object{"from_client": "Tom", "message": "plain <text> & 文字\n\u2028", "mention_client_ids": []string{"Jerry"}})
	w.send("conversations", talk, object{"from_client": "Tom", "message": "hello all", "mention_all": true})
	later(time.Second)
	edited := w.send("conversations", talk, object{"from_client": "Tom", "message": "befour"})
	recalled := w.send("conversations", talk, object{"from_client": "Tom", "message": "oops"})
	deleted := w.send("conversations", talk, object{"from_client": "Tom", "message": "never said"})
	w.send("conversations", talk, object{"from_client": "Tom", "message": "AAEC/w==", "bin": true})
	later(time.Second)
	w.call("PUT", "conversations/"+talk+"/messages/"+edited.ID,
		object{"from_client": "Tom", "message": "before", "timestamp": edited.Timestamp}, nil)
	w.call("PUT", "conversations/"+talk+"/messages/"+recalled.ID+"/recall", object{"from_client": "Tom", "timestamp": recalled.Timestamp}, nil)
	w.call("DELETE", fmt.Sprintf("conversations/%s/messages/%s?from_client=Tom&timestamp=%d", talk, deleted.ID, deleted.Timestamp), nil, nil)
	w.send("chatrooms", room, object{"from_client": "Jerry", "message": "in the room"})
	two := w.send("service-conversations", gm, object{"from_client": "GM", "message": "for two", "to_clients": []string{"sub 001", "stranger"}})
	w.call("PUT", "service-conversations/"+gm+"/messages/"+two.ID,
		object{"from_client": "GM", "message": "for one", "timestamp": two.Timestamp, "to_clients": []string{"sub 001"}}, nil)
	w.call("POST", "service-conversations/"+gm+"/broadcasts", object{"from_client": "GM", "message": "to subscribers"}, nil)
	till := time.Now().Add(time.Hour).UnixMilli()
	w.call("POST", "broadcasts", object{"from_client": "GM", "conv_id": gm, "message": "to all", "valid_till": till}, nil)
	later(time.Minute)

	o := w.options(filepath.Join(t.TempDir(), "a", "new", "directory"))
	o.PageSize, o.Since = 3, time.Unix(1, 0)
	m := run(t, o)

	// What is in the files is what the API tells, key by key.
	var conversations struct{ Results []object }
	w.callNumbers("all-conversations?order=objectId", &conversations)
	require.Len(t, conversations.Results, 4)
	assert.Equal(t, conversations.Results, objects(t, o.Dir, "conversations.jsonl"))
	text := contents(t, o.Dir)["conversations.jsonl"]
	assert.Contains(t, text, `"big":9007199254740993`)
	var messages, broadcasts []object
	w.callNumbers("messages?reversed=true&limit=1000", &messages)
	require.Len(t, messages, 9)
	assert.Equal(t, messages, objects(t, o.Dir, "messages.jsonl"))
	w.callNumbers("broadcasts", &broadcasts)
	require.Len(t, broadcasts, 1)
	assert.Equal(t, broadcasts, objects(t, o.Dir, "broadcasts.jsonl"))
	said := contents(t, o.Dir)["messages.jsonl"]
	for _, s := range []string{`"mention-all":true`, `"mention-pids":["Jerry"]`, `"before"`, `"recalled":true`, `"bin":true`, "AAEC/w==", "patch-timestamp",
		`"audience":"clients","to-clients":["stranger","sub 001"],"copies":[{"to-clients":["sub 001"],"data":"for one"`,
		`"audience":"subscribers"`, `"audience":"everyone"`,
	} {
		assert.Contains(t, said, s)
	}
	for _, s := range []string{"befour", "oops", "never said"} {
		assert.NotContains(t, said, s)
	}

	details := map[string]object{}
	for _, d := range objects(t, o.Dir, "details.jsonl") {
		details[d["conv_id"].(string)] = d
	}
	require.Len(t, details, 4)
	assert.ElementsMatch(t, []any{"Tom", "Jerry", "Mary"}, details[talk]["members"])
	assert.Equal(t, []any{"Jerry"}, details[talk]["notifications_muted"])
	assert.ElementsMatch(t, []any{"Mary", "Jerry"}, details[talk]["silenced"])
	assert.Len(t, details[talk]["blocked"], 250)
	assert.Equal(t, "Manager", details[talk]["roles"].([]any)[0].(object)["role"])
	assert.Equal(t, []any{"Spike"}, details[room]["blocked"])
	assert.Equal(t, "chatrooms", details[room]["kind"])
	assert.NotContains(t, details[room], "members", "who is there now is told by nobody")
	assert.Equal(t, []any{"Spike"}, details[gm]["blocked"])

	subscribers := objects(t, o.Dir, "subscribers.jsonl")
	require.Len(t, subscribers, 120)
	for i, s := range subscribers {
		assert.Equal(t, fmt.Sprintf("sub %03d", i), s["subscriber"])
		assert.Equal(t, gm, s["conv_id"])
	}

	// And the manifest says so.
	assert.EqualValues(t, 2, m.Counts.Conversations)
	assert.EqualValues(t, 1, m.Counts.ChatRooms)
	assert.EqualValues(t, 1, m.Counts.ServiceConversations)
	assert.EqualValues(t, 120, m.Counts.Subscriptions)
	assert.EqualValues(t, 9, m.Counts.Messages)
	assert.EqualValues(t, 1, m.Counts.Broadcasts)
	assert.Zero(t, m.Counts.Unlisted)
	assert.Empty(t, m.Gaps)
	first, err := messages[0]["timestamp"].(json.Number).Int64()
	require.NoError(t, err)
	assert.Equal(t, first, m.FirstMessage.UnixMilli())
	stored, err := os.ReadFile(filepath.Join(o.Dir, "manifest.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(stored), masterKey)
	for _, name := range dataFiles() {
		assert.EqualValues(t, strings.Count(contents(t, o.Dir)[name], "\n"), m.Files[name].Lines, name)
		assert.Len(t, m.Files[name].SHA256, 64, name)
	}
	assert.True(t, verify(t, o, 100).OK)

	// A complete export is left as it is.
	again := run(t, o)
	assert.Equal(t, m.Finished, again.Finished)
}

// callNumbers is a request whose numbers keep all their digits.
func (w *world) callNumbers(path string, answer any) {
	w.Helper()
	var raw json.RawMessage
	w.call("GET", path, nil, &raw)
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	require.NoError(w, d.Decode(answer))
}

func TestAnAppWithNothingInIt(t *testing.T) {
	bubble(t, func(w *world) {
		o := w.options(t.TempDir())
		m := run(t, o)
		assert.Zero(t, m.Counts)
		assert.Nil(t, m.FirstMessage)
		assert.True(t, verify(t, o, 10).OK)
	})
}

// Both ends of the range belong to it.
func TestTimeRange(t *testing.T) {
	bubble(t, func(w *world) {
		talk := w.create("conversations", object{"m": []string{"Tom"}})
		var all []sent
		for i := range 10 {
			all = append(all, w.send("conversations", talk, object{"from_client": "Tom", "message": fmt.Sprint(i)}))
			later(time.Minute)
		}
		o := w.options(t.TempDir())
		o.Since, o.Until = time.UnixMilli(all[3].Timestamp), time.UnixMilli(all[6].Timestamp)
		m := run(t, o)
		assert.EqualValues(t, 4, m.Counts.Messages)
		assert.Equal(t, o.Since.UTC(), *m.FirstMessage)
		assert.Equal(t, o.Until.UTC(), *m.LastMessage)
		assert.True(t, verify(t, o, 10).OK)

		// What comes later is no difference.
		whole := w.options(t.TempDir())
		run(t, whole)
		later(time.Minute)
		w.create("conversations", object{"m": []string{"Jerry"}})
		w.send("conversations", talk, object{"from_client": "Tom", "message": "later"})
		r := verify(t, whole, 10)
		assert.True(t, r.OK, "%+v", r)
		assert.EqualValues(t, 10, r.Source.Messages)
		assert.Equal(t, 10, r.Sampled)
	})
}

// What conversations are not listed is known from their messages.
func TestUnlistedConversations(t *testing.T) {
	bubble(t, func(w *world) {
		w.fill(3, 30)
		o := w.options(t.TempDir())
		hidden := objects(t, func() string { run(t, o); return o.Dir }(), "conversations.jsonl")[0]["objectId"].(string)
		w.meddle = hide(w, hidden)
		o.Dir = t.TempDir()
		m := run(t, o)
		assert.EqualValues(t, 1, m.Counts.Unlisted)
		unlisted := objects(t, o.Dir, "unlisted.jsonl")
		require.Len(t, unlisted, 1)
		assert.Equal(t, hidden, unlisted[0]["conv_id"])
		assert.Len(t, unlisted[0]["members"], 2)

		// One that is gone is there all the same, with its messages.
		w.meddle = nil
		w.call("DELETE", "conversations/"+hidden, nil, nil)
		r := verify(t, o, 0)
		assert.False(t, r.OK)
	})
}
