package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// The roles of members, over REST: given, changed, taken back; and refused for
// a wrong key, an unknown conversation, member or role, and a missing field.
func TestMemberInfosOfAdministrators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		master := http.Header{"X-Lc-Key": {masterKey + ",master"}}
		status, made := e.ask("POST", "/1.2/rtm/conversations", `{"name":"club","m":["Tom","Mary"],"c":"Tom"}`, master)
		require.Equal(t, http.StatusOK, status)
		base := "/1.2/rtm/conversations/" + made["objectId"].(string) + "/member-infos"
		roles := func() map[string]string {
			status, answer := e.ask("GET", base, "", master)
			require.Equal(t, http.StatusOK, status)
			found := make(map[string]string)
			for _, row := range answer["results"].([]any) {
				info := row.(map[string]any)
				found[info["clientId"].(string)] = info["role"].(string)
			}
			return found
		}
		require.Equal(t, map[string]string{"Tom": "Owner"}, roles())

		status, info := e.ask("POST", base, `{"clientId":"Mary","role":"Manager"}`, master)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, map[string]string{"Tom": "Owner", "Mary": "Manager"}, roles())
		one := base + "/" + info["objectId"].(string)
		status, _ = e.ask("PUT", one, `{"role":"Member"}`, master)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "Member", roles()["Mary"])
		status, _ = e.ask("DELETE", one, "", master)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, map[string]string{"Tom": "Owner"}, roles())

		unknown := "/1.2/rtm/conversations/555555555555555555555555/member-infos"
		for name, tc := range map[string]struct {
			method, path, body string
			header             http.Header
			status             int
		}{
			"POST with the app key":    {"POST", base, `{"clientId":"Mary","role":"Manager"}`, nil, 401},
			"PUT with the app key":     {"PUT", one, `{"role":"Manager"}`, nil, 401},
			"DELETE with the app key":  {"DELETE", one, "", nil, 401},
			"GET with the app key":     {"GET", base, "", nil, 401},
			"POST to nothing":          {"POST", unknown, `{"clientId":"Mary","role":"Manager"}`, master, 404},
			"PUT to nothing":           {"PUT", unknown + "/x", `{"role":"Manager"}`, master, 404},
			"DELETE of nothing":        {"DELETE", unknown + "/x", "", master, 404},
			"PUT to an unknown info":   {"PUT", base + "/x", `{"role":"Manager"}`, master, 404},
			"DELETE of an unknown one": {"DELETE", base + "/x", "", master, 404},
			"POST without a client":    {"POST", base, `{"role":"Manager"}`, master, 400},
			"POST of an unknown role":  {"POST", base, `{"clientId":"Mary","role":"King"}`, master, 400},
			"POST of no member":        {"POST", base, `{"clientId":"Bob","role":"Manager"}`, master, 403},
			"sign with a wrong key":    {"GET", "/1.2/rtm/clients/sign?session_token=x", "", http.Header{"X-Lc-Key": {"guess"}}, 401},
			"sign without a token":     {"GET", "/1.2/rtm/clients/sign", "", nil, 400},
		} {
			status, _ := e.ask(tc.method, tc.path, tc.body, tc.header)
			require.Equal(t, tc.status, status, name)
		}
	})
}
