package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// TestQueryAgainstNaive: whatever the filter, the order and the page, the answer is
// that of looking at every conversation, decoding all of it and sorting all that
// match.
func TestQueryAgainstNaive(t *testing.T) {
	e, _ := start(t)
	r := rand.New(rand.NewPCG(3, 4))
	ctx := t.Context()
	clients := members(6)
	for i := range 150 {
		n := NewConv{Kind: store.KindNormal, Attrs: json.RawMessage(fmt.Sprintf(
			`{"name":"n%d","attr":{"k":%d,"s":"s%d"},"f":%v}`, i%7, r.IntN(5), r.IntN(4), r.IntN(2) == 0))}
		switch r.IntN(4) {
		case 0:
			n.Kind = store.KindRoom
		default:
			n.Members = []string{clients[r.IntN(6)], clients[r.IntN(6)]}
			n.Unique = r.IntN(5) == 0
		}
		made, err := e.Create(ctx, as(clients[r.IntN(3)]), n)
		require.NoError(t, err)
		if r.IntN(3) == 0 && n.Kind == store.KindNormal {
			c, err := e.lock(ctx, e.apps["app"], made.Cid)
			require.NoError(t, err)
			from := c.ids[0]
			c.mu.Unlock()
			_, err = e.Send(ctx, as(from), made.Cid, &Outgoing{Body: "hi"})
			require.NoError(t, err)
		}
	}
	filters := []string{
		``, `{}`, `{"name":"n3"}`, `{"name":{"$in":["n1","n2"]}}`, `{"attr.k":{"$gt":2}}`, `{"m":"client-0001"}`,
		`{"m":{"$in":["client-0001","client-0002","client-0003"]}}`, `{"m":{"$all":["client-0000","client-0001"],"$size":2}}`, `{"tr":true}`,
		`{"unique":true}`, `{"$or":[{"name":"n1"},{"attr.s":"s1"}]}`, `{"m":{"$size":1}}`, `{"name":{"$regex":"[12]$"},"tr":{"$ne":true}}`, `{"f":false,"attr":{"$exists":true}}`,
		`{"lm":{"$exists":true}}`, `{"name":{"$ne":"n1"}}`,
	}
	sorts := []string{"", "-createdAt", "createdAt", "-createdAt,name", "name", "-attr.k,objectId", "lm", "-updatedAt,-lm", "attr", "-m"}
	answers := 0
	for range 400 {
		by := as(clients[r.IntN(3)])
		by.Admin = r.IntN(4) == 0
		q := ConvQuery{Where: []byte(filters[r.IntN(len(filters))]), Sort: sorts[r.IntN(len(sorts))], Skip: max(0, r.IntN(8)-4) * 5, Limit: []int{1, 5, 20, 500}[r.IntN(4)]}
		text, err := e.Query(ctx, by, q)
		require.NoError(t, err)
		var found []struct{ ObjectID string }
		require.NoError(t, json.Unmarshal(text, &found))
		got := []string{}
		for _, f := range found {
			got = append(got, f.ObjectID)
		}
		answers += len(got)
		require.Equal(t, naive(t, e, by, q), got, "%s by %s, %d after %d", q.Where, q.Sort, q.Limit, q.Skip)
	}
	require.Greater(t, answers, 1000)
}

// plain is a conversation all of whose attributes are decoded.
type plain struct {
	document
	attrs where.Object
}

func (p plain) Field(key string) (any, bool) {
	if reserved(key) {
		return p.document.Field(key)
	}
	return p.attrs.Field(key)
}

func naive(t *testing.T, e *Engine, by Cause, q ConvQuery) []string {
	filter, err := where.Parse(q.Where, e.where)
	require.NoError(t, err)
	if q.Sort == "" {
		q.Sort = defaultSort
	}
	order, err := where.ParseSort(q.Sort, e.where)
	require.NoError(t, err)
	type found struct {
		cid string
		key where.SortKey
	}
	var all []found
	// Ties are in the order of the access path: by id within memberships, else
	// newest creation first.
	access := store.Access{Path: store.ByKind, Load: store.LoadMembers}
	plan := filter.Plan()
	clients := plan.AnyMember
	if filter.Empty() && !by.Admin {
		clients = []string{by.Client}
	} else if len(plan.Members) > 0 {
		clients = []string{pick(plan.Members, by.Client)}
	}
	seen := map[string]bool{}
	look := func(c *store.Conv) bool {
		attrs, err := where.ParseObject(c.Attrs)
		require.NoError(t, err)
		// Through a function, so that paths are followed in decoded values.
		d := where.DocFunc(plain{document{c: c, now: e.now()}, attrs}.Field)
		if !seen[c.Cid] && filter.Match(d) {
			seen[c.Cid] = true
			all = append(all, found{c.Cid, order.Key(d)})
		}
		return true
	}
	if len(clients) == 0 {
		require.NoError(t, e.store.Scan(t.Context(), by.App, access, look))
	}
	for _, client := range clients {
		access.Path, access.Client = store.ByMember, client
		access.Kinds = []store.ConvKind{store.KindNormal}
		require.NoError(t, e.store.Scan(t.Context(), by.App, access, look))
	}
	slices.SortStableFunc(all, func(x, y found) int { return order.Compare(x.key, y.key) })
	cids := []string{}
	for i := q.Skip; i < min(len(all), q.Skip+q.Limit); i++ {
		cids = append(cids, all[i].cid)
	}
	return cids
}

// TestQueryAllocatesLittle: what does not match costs a query no memory of its own.
func TestQueryAllocatesLittle(t *testing.T) {
	const n = 2000
	e, _ := start(t)
	for i := range n {
		_, err := e.Create(t.Context(), as("tom"), NewConv{
			Kind: store.KindNormal, Attrs: json.RawMessage(fmt.Sprintf(`{"name":"group %d","attr":{"level":%d}}`, i, i)),
		})
		require.NoError(t, err)
	}
	for _, filter := range []string{`{"name":"group 7"}`, `{"name":{"$in":["group 7","other"]},"tr":{"$ne":true}}`} {
		got := testing.AllocsPerRun(5, func() {
			text, err := e.Query(t.Context(), as("tom"), ConvQuery{Where: []byte(filter), Limit: 10})
			if err != nil || len(text) < 10 {
				t.Errorf("%s: %s, %v", filter, text, err)
			}
		})
		require.Less(t, got, float64(n)/4, filter)
	}
}

// TestLargeAttributesCost: a query that reads much of each conversation may look at
// fewer of them.
func TestLargeAttributesCost(t *testing.T) {
	e, _ := start(t)
	large := strings.Repeat("x", 60<<10)
	for range 200 {
		_, err := e.Create(t.Context(), as("tom"), NewConv{
			Kind: store.KindNormal, Attrs: json.RawMessage(`{"attr":{"text":"` + large + `"}}`),
		})
		require.NoError(t, err)
	}
	var missing strings.Builder
	for i := range 100 {
		fmt.Fprintf(&missing, `,"none%d":{"$ne":1}`, i)
	}
	ask := func(filter string) error {
		_, err := e.Query(t.Context(), as("tom"), ConvQuery{Where: []byte(filter), Limit: 10})
		return err
	}
	require.NoError(t, ask(`{"name":"none"}`))
	var refusal *fanout.Refusal
	require.ErrorAs(t, ask(`{"name":"none"`+missing.String()+`}`), &refusal)
	require.Equal(t, wire.CodeConversationQueryFailed, refusal.Code)
}
