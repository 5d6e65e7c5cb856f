package rest

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/limit"
)

func TestAuthenticate(t *testing.T) {
	a := &api{Config: Config{Apps: map[string]*limit.App{
		"app":   {ID: "app", Key: "thekey", MasterKey: "themaster"},
		"plain": {ID: "plain"},
	}}}
	for name, c := range map[string]struct {
		id, key, sign string
		ok, master    bool
	}{
		"app key":               {id: "app", key: "thekey", ok: true},
		"master key":            {id: "app", key: "themaster,master", ok: true, master: true},
		"wrong key":             {id: "app", key: "other"},
		"app key as master":     {id: "app", key: "thekey,master"},
		"master key as app":     {id: "app", key: "themaster"},
		"no key":                {id: "app"},
		"unknown app":           {id: "nobody", key: "thekey"},
		"no app":                {key: "thekey"},
		"app without keys":      {id: "plain", key: ""},
		"app without a master":  {id: "plain", key: ",master"},
		"signed":                {id: "app", sign: signKey("1453014943466", "thekey") + ",1453014943466", ok: true},
		"signed by the master":  {id: "app", sign: signKey("1453014943466", "themaster") + ",1453014943466,master", ok: true, master: true},
		"signed, other time":    {id: "app", sign: signKey("1453014943466", "thekey") + ",1453014943467"},
		"signed, no time":       {id: "app", sign: signKey("", "thekey")},
		"signed, app as master": {id: "app", sign: signKey("1453014943466", "thekey") + ",1453014943466,master"},
		"signed, no keys":       {id: "plain", sign: signKey("1", "") + ",1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			for header, value := range map[string]string{headerID: c.id, headerKey: c.key, headerSign: c.sign} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			who, err := a.authenticate(r)
			if !c.ok {
				require.Error(t, err)
				require.NotContains(t, err.Error(), "the")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.master, who.master)
		})
	}
}

// The check value of the documentation.
func TestSignKey(t *testing.T) {
	require.Equal(t, "d5bcbb897e19b2f6633c716dfdfaf9be", signKey("1453014943466", "UtOCzqb67d3sN12Kts4URwy8"))
}
