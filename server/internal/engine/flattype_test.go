package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFlatType holds the short way against the long one.
func FuzzFlatType(f *testing.F) {
	for _, body := range []string{
		`{"_lctype":-1,"_lctext":"x"}`, ` { "a" : true , "_lctype" : 7 , "b":null,"c":-0,"d":"\t" } `, `{"_lctype":1,"_lctype":2}`,
		`{"_lctype":01}`, `{"_lctype":1.5}`, `{"_lctype":1,}`, `{"_lctype":1}x`, `{"a":tru,"_lctype":1}`, `{"a":"\u0041","_lctype":1}`,
		`{"_lctype":2147483648}`, `{"a":"_lctype"}`, "{\"a\":\"\x01\",\"_lctype\":1}", "{\"a\":\"\xff\",\"_lctype\":1}", `{}`, `{"":0}`, `{"a":-}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		n, typed, ok := flatType(body)
		if !ok {
			return
		}
		require.True(t, json.Valid([]byte(body)), "%q", body)
		want, wantTyped := anyType([]byte(body))
		require.Equal(t, wantTyped, typed, "%q", body)
		if typed {
			require.Equal(t, want, n, "%q", body)
		}
	})
}

func TestMostContentsAreFlat(t *testing.T) {
	n, typed, ok := flatType(`{"_lctype":-1,"_lctext":"The quick brown fox jumps over the lazy dog."}`)
	require.True(t, ok && typed)
	require.EqualValues(t, -1, n)
	require.Zero(t, testing.AllocsPerRun(10, func() { flatType(`{"_lctype":-1,"_lctext":"x"}`) }))
}
