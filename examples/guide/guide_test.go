package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// told is the printed story, cut at what begins its parts.
type told struct {
	t     *testing.T
	lines []string
}

func tellStory(t *testing.T) told {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, play(t.Context(), &out), "the story so far:\n%s", &out)
	t.Logf("the story:\n%s", &out)
	return told{t, strings.Split(strings.TrimSpace(out.String()), "\n")}
}

// part returns the lines between the one that begins with from and the next
// that begins with to; to "" means the end.
func (s told) part(from, to string) told {
	s.t.Helper()
	for i, line := range s.lines {
		if !strings.HasPrefix(line, from) {
			continue
		}
		for j, end := range s.lines[i+1:] {
			if to != "" && strings.HasPrefix(end, to) {
				return told{s.t, s.lines[i+1 : i+1+j]}
			}
		}
		require.Empty(s.t, to, "no line begins with it")
		return told{s.t, s.lines[i+1:]}
	}
	require.FailNow(s.t, "no line begins with "+from)
	return told{}
}

// heard returns what somebody heard, as "EVENT detail", in order.
func (s told) heard(who string) []string {
	var events []string
	for _, line := range s.lines {
		if f := strings.Fields(line); len(f) > 2 && f[0] == who && f[1] == "hears" {
			events = append(events, strings.Join(f[2:], " "))
		}
	}
	return events
}

// match returns the groups of each line that matches.
func (s told) match(pattern string) [][]string {
	var groups [][]string
	for _, line := range s.lines {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
			groups = append(groups, m[1:])
		}
	}
	return groups
}

func TestGuide(t *testing.T) {
	story := tellStory(t)

	t.Run("Jerry is invited, then gets the first message", func(t *testing.T) {
		events := story.part("Act 1", "Act 2").heard("Jerry")
		invited := slices.Index(events, `INVITED into "Tom & Jerry" by Tom`)
		message := slices.Index(events, "MESSAGE Tom: "+wakeUp)
		require.GreaterOrEqual(t, invited, 0, "%q", events)
		require.Contains(t, story.part("Act 1", "Act 2").heard("Tom"), `INVITED into "Tom & Jerry" by Tom`)
		require.Greater(t, message, invited, "%q", events)
	})

	t.Run("who got which event", func(t *testing.T) {
		table := story.part("Who got which event", "Act 3")
		got := map[string][]string{}
		var people []string
		for _, line := range table.lines {
			cells := strings.Split(line, "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			switch {
			case len(cells) < 2:
			case people == nil:
				people = cells[1:]
			default:
				got[cells[0]] = cells[1:]
			}
		}
		require.Equal(t, []string{"Tom", "Jerry", "Mary", "William"}, people)
		require.Equal(t, map[string][]string{
			"Tom adds Mary":    {"MEMBERS_JOINED", "MEMBERS_JOINED", "INVITED+MEMBERS_JOINED", "/"},
			"Tom removes Mary": {"MEMBERS_LEFT", "MEMBERS_LEFT", "KICKED", "/"},
			"William joins":    {"MEMBERS_JOINED", "MEMBERS_JOINED", "/", "INVITED+MEMBERS_JOINED"},
			"Jerry quits":      {"MEMBERS_LEFT", "KICKED", "/", "MEMBERS_LEFT"},
		}, got)
	})

	t.Run("the group talks, and who is out hears nothing", func(t *testing.T) {
		talk := story.part("The group talks", "Tom removes Mary")
		assert.Contains(t, talk.heard("Jerry"), "MESSAGE Tom: "+welcome)
		assert.Contains(t, talk.heard("Mary"), "MESSAGE Tom: "+welcome)
		assert.Contains(t, talk.heard("Tom"), "MESSAGE Mary: "+hello)
		assert.Contains(t, talk.heard("Jerry"), "MESSAGE Mary: "+hello)
		for _, event := range story.heard("Mary") {
			assert.NotContains(t, event, alone)
		}
		left := story.part("Jerry quits", "Who got").match(`The members now: (.*)\.`)
		require.Len(t, left, 1)
		assert.ElementsMatch(t, []string{"Tom", "William"}, strings.Split(left[0][0], ", "))
	})

	t.Run("recent conversations and a search", func(t *testing.T) {
		var names, times []string
		for _, line := range story.part("Tom's recent conversations", "He looks for NBA").match(`^ +([\d:.]+)  (.*?)  `) {
			times, names = append(times, line[0]), append(names, line[1])
		}
		// The last messages of two may be of the same millisecond.
		assert.ElementsMatch(t, []string{"Cat food", "Weekend hike", "NBA finals", "Tom & Jerry"}, names)
		assert.True(t, slices.IsSortedFunc(times, func(a, b string) int { return strings.Compare(b, a) }), "%q", times)
		found := story.part("He looks for NBA and finds 1", "Act 4").match(`^ +(.*) \([0-9a-f]{24}\)`)
		assert.Equal(t, [][]string{{"NBA finals"}}, found)
	})

	t.Run("history", func(t *testing.T) {
		last := story.part("The last 10 messages", "The whole history").match(`^ +[\d:.]+  (\w+) +(.*)`)
		require.Len(t, last, 10)
		assert.Equal(t, []string{"Tom", "Tom's point 6"}, last[0], "the oldest of the page comes first")
		assert.Equal(t, []string{"William", "William's point 10"}, last[9])

		pages := story.part("The whole history", "Act 5").match(`page (\d+): +(\d+) messages, from "(.*)" to "(.*)"`)
		require.Equal(t, [][]string{
			{"1", "10", "Tom's point 6", "William's point 10"},
			{"2", "10", "Tom's point 1", "William's point 5"},
			{"3", "4", wakeUp, alone},
		}, pages)
	})

	t.Run("the six connection events in order", func(t *testing.T) {
		var order []string
		for _, event := range story.part("Act 5", "Act 6").heard("Tom") {
			if name := strings.Fields(event)[0]; slices.Index(connectionEvents(), name) >= 0 {
				// However many retries the tunnel took, they alternate.
				if name == eventRetry && len(order) > 2 && order[len(order)-2] == eventRetry {
					order = order[:len(order)-1]
					continue
				}
				order = append(order, name)
			}
		}
		assert.Equal(t, []string{
			eventDisconnect, eventSchedule, eventRetry, eventReconnect, // cut and restored
			eventDisconnect, eventOffline, // paused
			eventOnline, eventSchedule, eventRetry, eventReconnect, // resumed
		}, order)
		network := story.part("Act 5", "Act 6")
		assert.Contains(t, network.heard("Tom"), "MESSAGE William: "+tunnel+" (missed while away)")
		assert.Contains(t, network.heard("William"), "MESSAGE Tom: "+back)
	})

	t.Run("a room, a temporary conversation and a service", func(t *testing.T) {
		part := story.part("Act 6", "Act 7")
		assert.Len(t, part.match(`^    3 are in the room\.$`), 1)
		assert.Contains(t, part.heard("William"), "MESSAGE Tom: "+bulletScreen)
		assert.Contains(t, part.heard("Mary"), "MESSAGE Tom: "+bulletScreen)
		assert.NotContains(t, part.heard("Jerry"), "MESSAGE Tom: "+bulletScreen)
		assert.Contains(t, part.heard("Jerry"), "MESSAGE Tom: "+secret)
		assert.Contains(t, part.heard("Jerry"), "MESSAGE GM: "+maintenance)
	})

	t.Run("after sending", func(t *testing.T) {
		part := story.part("Tom writes to William", "Tom sends Jerry a picture")
		assert.Contains(t, part.heard("William"), "MESSAGE Tom: "+oops)
		assert.Len(t, part.match(`^    William has \d+ unread, mentioned: true\.$`), 1)
		assert.Contains(t, part.heard("Tom"), eventRead+" William has read")
		assert.Len(t, part.match(`^    William has 0 unread\.$`), 1)
		assert.Contains(t, part.heard("William"), eventEdit+" Tom: "+corrected)
		assert.Contains(t, part.heard("William"), eventGone+" Tom has taken a message back")
		assert.Contains(t, part.heard("William"), eventCount+` 1 unread in "Tom & Jerry", the last one: (taken back)`)
		for _, event := range part.heard("William") {
			assert.NotContains(t, event, regretted)
		}
	})

	t.Run("a picture arrives as it was sent", func(t *testing.T) {
		part := story.part("Tom sends Jerry a picture", "Summary")
		assert.Len(t, part.match(`^    Jerry fetches it: \d+ bytes of image/png, the same as Tom's\.$`), 1)
	})

	t.Run("the last line sums up", func(t *testing.T) {
		last := told{t, story.lines[len(story.lines)-1:]}
		numbers := last.match(`^Summary: (\d+) people, (\d+) conversations, (\d+) messages on record in (\d+) pages, (\d+) connection events, (\d+) ms\.$`)
		require.Len(t, numbers, 1)
		assert.Equal(t, []string{"4", "4", strconv.Itoa(4 + chatter), "3", "6"}, numbers[0][:5])
	})
}

// A story that cannot go on says so: nothing hangs and nothing is left behind,
// which TestMain checks.
func TestGuideInterrupted(t *testing.T) {
	reason := errors.New("curtain")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	require.Error(t, play(ctx, new(bytes.Buffer)))
}

func TestDiaryNamesWhatIsMissing(t *testing.T) {
	d := newDiary()
	d.write(entry{"Tom", eventOnline, ""})
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, d.wait(ctx, entry{"Tom", eventOnline, ""}))
	cancel()
	err := d.wait(ctx, entry{"Tom", eventOnline, ""}, entry{"Jerry", eventInvited, "Jerry"})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "Jerry/INVITED/Jerry")
	require.NotContains(t, err.Error(), "ONLINE")
}
