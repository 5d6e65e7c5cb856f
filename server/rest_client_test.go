package server_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/sign"
)

// ask makes a request as the app, with other headers if there are any.
func (e *env) ask(method, path, body string, header http.Header) (int, map[string]any) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, "http://"+addr+path, strings.NewReader(body))
	require.NoError(e.t, err)
	req.Header.Set("X-LC-Id", appID)
	req.Header.Set("X-LC-Key", "the-app-key")
	for key, values := range header {
		req.Header[http.CanonicalHeaderKey(key)] = values
	}
	res, err := e.http.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	require.Equal(e.t, "application/json; charset=utf-8", res.Header.Get("Content-Type"))
	var answer map[string]any
	require.NoError(e.t, json.Unmarshal(raw, &answer))
	if res.StatusCode >= 300 {
		require.NotZero(e.t, answer["code"])
		require.NotEmpty(e.t, answer["error"])
	}
	require.NotContains(e.t, string(raw), masterKey)
	return res.StatusCode, answer
}

// session logs a client in and returns its session token as a header.
func (e *env) session(client string) http.Header {
	e.t.Helper()
	c := e.connect()
	c.Send(openCommand(client))
	return http.Header{"X-Lc-Im-Session-Token": {c.Read().GetSessionMessage().GetSt()}}
}

func TestRESTKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		signed := func(key, suffix string) string {
			ts := fmt.Sprint(time.Now().UnixMilli())
			sum := md5.Sum([]byte(ts + key))
			return hex.EncodeToString(sum[:]) + "," + ts + suffix
		}
		for name, tc := range map[string]struct {
			path   string
			header http.Header
			status int
		}{
			"the app key":             {"/1.2/rtm/clients/x/unread-count", nil, 200},
			"signed by the app":       {"/1.2/rtm/clients/x/unread-count", http.Header{"X-Lc-Key": nil, "X-Lc-Sign": {signed("the-app-key", "")}}, 200},
			"the master key":          {"/1.2/rtm/stats", http.Header{"X-Lc-Key": {masterKey + ",master"}}, 200},
			"signed by the master":    {"/1.2/rtm/stats", http.Header{"X-Lc-Key": nil, "X-Lc-Sign": {signed(masterKey, ",master")}}, 200},
			"capital hex":             {"/1.2/rtm/stats", http.Header{"X-Lc-Key": nil, "X-Lc-Sign": {strings.ToUpper(signed(masterKey, "")) + ",master"}}, 200},
			"the app key is not it":   {"/1.2/rtm/stats", nil, 401},
			"no suffix":               {"/1.2/rtm/stats", http.Header{"X-Lc-Key": {masterKey}}, 401},
			"another key":             {"/1.2/rtm/clients/x/unread-count", http.Header{"X-Lc-Key": {"guess"}}, 401},
			"no key":                  {"/1.2/rtm/clients/x/unread-count", http.Header{"X-Lc-Key": nil}, 401},
			"no app":                  {"/1.2/rtm/clients/x/unread-count", http.Header{"X-Lc-Id": nil}, 401},
			"app key as the master's": {"/1.2/rtm/stats", http.Header{"X-Lc-Key": {"the-app-key,master"}}, 401},
			"sign of another":         {"/1.2/rtm/stats", http.Header{"X-Lc-Key": nil, "X-Lc-Sign": {signed("guess", ",master")}}, 401},
		} {
			status, _ := e.ask("GET", tc.path, "", tc.header)
			require.Equal(t, tc.status, status, name)
		}
	})
}

func TestSignLoginOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Users = func(_ context.Context, app, token string) (string, error) {
			require.Equal(t, appID, app)
			if token == "hunter2" {
				return "user-tom", nil
			}
			return "", errors.New("secret reason")
		}
		e := newEnv(t, o)
		check := func(answer map[string]any) {
			t.Helper()
			s := sign.Signature{
				Value: answer["signature"].(string), Nonce: answer["nonce"].(string), Timestamp: int64(answer["timestamp"].(float64)),
			}
			require.NoError(t, sign.Login(appID, "user-tom").Verify(masterKey, s, time.Now()))
		}
		status, answer := e.ask("POST", "/1.1/rtm/sign", `{"session_token":"hunter2"}`, nil)
		require.Equal(t, http.StatusOK, status)
		check(answer)
		require.NotContains(t, answer, "client_id")
		status, answer = e.ask("GET", "/1.2/rtm/clients/sign?session_token=hunter2", "", nil)
		require.Equal(t, http.StatusOK, status)
		check(answer)
		require.Equal(t, "user-tom", answer["client_id"])

		for body, want := range map[string]int{
			`{"session_token":"other"}`: 401, `{}`: 400, `{"session_token":1}`: 400, "": 400,
			`{"session_token":"` + strings.Repeat("x", 1<<20) + `"}`: 413,
		} {
			status, answer = e.ask("POST", "/1.1/rtm/sign", body, nil)
			require.Equal(t, want, status, answer)
			require.NotContains(t, answer["error"], "secret reason")
		}
		status, _ = e.ask("GET", "/1.2/rtm/clients/sign?session_token=hunter2", "", http.Header{"X-Lc-Key": {"guess"}})
		require.Equal(t, http.StatusUnauthorized, status)
		time.Sleep(time.Second) // net/http lingers over a request that it did not read

		e = newEnv(t, options())
		status, _ = e.ask("GET", "/1.2/rtm/clients/sign?session_token=hunter2", "", nil)
		require.Equal(t, http.StatusNotFound, status, "there are no users here")
	})
}

func TestNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		jerry := e.session("jerry")
		begin := time.Now().UnixMilli()
		time.Sleep(time.Second)
		tom := e.login("tom")
		cid := start(t, tom, "tom", "jerry")
		tom.Send(convCommand(pb.OpType_update, 3, &pb.ConvCommand{
			Cid: &cid, Attr: &pb.JsonObjectMessage{Data: proto.String(`{"name":"x"}`)},
		}))
		until(t, tom, 3)
		tom.Send(convCommand(pb.OpType_remove, 4, &pb.ConvCommand{Cid: &cid, M: []string{"jerry"}}))
		until(t, tom, 4)

		path := fmt.Sprintf("/1.1/rtm/notifications?client_id=jerry&start_ts=%d", begin)
		status, answer := e.ask("GET", path+"&notification_type=permanent", "{}", jerry) // with a body, as old SDKs send it
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, false, answer["hasMore"])
		list := answer["notifications"].([]any)
		var ops []any
		for _, n := range list {
			n := n.(map[string]any)
			require.Equal(t, []any{"conv", cid, "tom", 1.0}, []any{n["cmd"], n["cid"], n["initBy"], n["notificationType"]})
			require.Greater(t, n["serverTs"], float64(begin))
			ops = append(ops, n["op"])
		}
		require.Equal(t, []any{"joined", "left"}, ops)

		first := list[0].(map[string]any)["serverTs"].(float64)
		_, answer = e.ask("GET", fmt.Sprintf("/1.1/rtm/notifications?client_id=jerry&notification_type=permanent&start_ts=%.0f", first), "", jerry)
		require.Len(t, answer["notifications"], 1, "the start is not among them")

		_, answer = e.ask("GET", path, "", jerry)
		require.Len(t, answer["permanent"].(map[string]any)["notifications"], 2)
		require.Contains(t, answer["droppable"], "invalidLocalConvCache")

		for name, tc := range map[string]struct {
			path   string
			header http.Header
			status int
		}{
			"no token":        {path, nil, 401},
			"another's token": {strings.Replace(path, "jerry", "tom", 1), jerry, 401},
			"forged":          {path, http.Header{"X-Lc-Im-Session-Token": {jerry.Get("X-Lc-Im-Session-Token") + "x"}}, 401},
			"no client":       {"/1.1/rtm/notifications?start_ts=1", jerry, 400},
			"no time":         {"/1.1/rtm/notifications?client_id=jerry&start_ts=x", jerry, 400},
			"another kind":    {path + "&notification_type=strange", jerry, 400},
			"the master":      {path, http.Header{"X-Lc-Key": {masterKey + ",master"}}, 200},
		} {
			status, answer := e.ask("GET", tc.path, "", tc.header)
			require.Equal(t, tc.status, status, "%s: %v", name, answer)
		}
		time.Sleep(49 * time.Hour)
		status, _ = e.ask("GET", path, "", jerry)
		require.Equal(t, http.StatusUnauthorized, status, "the token is too old")
	})
}

func TestMemberInfosOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		jerry, stranger := e.session("jerry"), e.session("stranger")
		cid := start(t, e.login("tom"), "tom", "jerry")
		where := "&where=" + url.QueryEscape(`{"cid":"`+cid+`"}`)
		const infos = "/1.1/classes/_ConversationMemberInfo?client_id="
		for _, which := range []string{where, "&cid=" + cid, where + "&limit=500&skip=0"} {
			status, answer := e.ask("GET", infos+"jerry"+which, "", jerry)
			require.Equal(t, http.StatusOK, status, answer)
			rows := answer["results"].([]any)
			require.Len(t, rows, 1)
			row := rows[0].(map[string]any)
			require.NotEmpty(t, row["objectId"])
			delete(row, "objectId")
			require.Equal(t, map[string]any{"clientId": "tom", "cid": cid, "role": wire.RoleOwner}, row)
		}
		_, answer := e.ask("GET", infos+"jerry"+where+"&skip=1", "", jerry)
		require.Empty(t, answer["results"])
		for name, tc := range map[string]struct {
			path   string
			header http.Header
			status int
		}{
			"not a member": {infos + "stranger" + where, stranger, 403},
			"no token":     {infos + "jerry" + where, nil, 401},
			"which":        {infos + "jerry", jerry, 400},
			"no JSON":      {infos + "jerry&where={", jerry, 400},
			"unknown":      {infos + "jerry&cid=5f0000000000000000000000", jerry, 404},
			"skip":         {infos + "jerry&skip=x" + where, jerry, 400},
		} {
			status, answer := e.ask("GET", tc.path, "", tc.header)
			require.Equal(t, tc.status, status, "%s: %v", name, answer)
		}
	})
}

// History over REST wants a signature where the app says so; the master needs
// none, but one that is shown has to be right.
func TestSignedHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Apps[0].VerifyHistory = true
		e := newEnv(t, o)
		cid := start(t, e.login("tom"), "tom", "jerry")
		asMaster := http.Header{"X-Lc-Key": {masterKey + ",master"}}
		get := func(s sign.Signature) int {
			q := url.Values{
				"client_id": {"tom"}, "nonce": {s.Nonce}, "signature_ts": {fmt.Sprint(s.Timestamp)}, "signature": {s.Value},
			}
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+"/1.2/rtm/conversations/"+cid+"/messages?"+q.Encode(), nil)
			require.NoError(t, err)
			req.Header.Set("X-LC-Id", appID)
			req.Header["X-Lc-Key"] = asMaster["X-Lc-Key"]
			res, err := e.http.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			return res.StatusCode
		}
		good := sign.History(appID, "tom", cid).Sign(masterKey, time.Now().UnixMilli(), "once")
		require.Equal(t, http.StatusOK, get(sign.Signature{}))
		require.Equal(t, http.StatusOK, get(good))
		bad := good
		bad.Value = strings.Repeat("0", len(good.Value))
		require.Equal(t, http.StatusUnauthorized, get(bad))
	})
}

// Storage SDKs of several ages record a file that lies elsewhere.
func TestExternalFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		for _, path := range []string{"/1.1/files", "/1.1/files/favicon.ico", "/1.1/files/%E5%9B%BE%2F1.png"} {
			status, made := e.ask("POST", path, `{"name":"favicon.ico","url":"http://pic.example/favicon.ico","metaData":{"__source":"external","size":0}}`, nil)
			require.Equal(t, http.StatusCreated, status, path)
			status, got := e.ask("GET", "/1.1/files/"+made["objectId"].(string), "", nil)
			require.Equal(t, http.StatusOK, status, path)
			require.Equal(t, "favicon.ico", got["name"])
			require.Equal(t, "http://pic.example/favicon.ico", got["url"])
		}
		status, _ := e.ask("POST", "/1.1/files/favicon.ico", `{"name":"favicon.ico"}`, nil)
		require.Equal(t, http.StatusBadRequest, status, "no address")
	})
}
