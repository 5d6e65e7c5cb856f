package realtime_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

const testMasterKey = "UtOCzqb67d3sN12Kts4URwy8"

func hmacSHA1(text string) string {
	mac := hmac.New(sha1.New, []byte(testMasterKey))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestStringToSign(t *testing.T) {
	conv := func(action realtime.SignAction, members ...string) realtime.SignRequest {
		return realtime.SignRequest{Action: action, AppID: "app1", ClientID: "Tom", ConversationID: "5f0b", Members: members}
	}
	for _, tt := range []struct {
		name       string
		r          realtime.SignRequest
		timestamp  int64
		text, hmac string // hmac: computed elsewhere
	}{
		{
			"login", realtime.SignRequest{Action: realtime.SignLogin, AppID: "app1", ClientID: "Tom"}, 1453014943466,
			"app1:Tom::1453014943466:nonce1", "d55d530807d3079854315caaabaa1f3af0ac9111",
		},
		{
			"create, in byte order",
			realtime.SignRequest{Action: realtime.SignCreate, AppID: "app1", ClientID: "Tom", Members: []string{"alice", "Tom", "Bob"}},
			1453014943466, "app1:Tom:Bob:Tom:alice:1453014943466:nonce1", "b06dcfb3ad6faf16d03f7160adead79eb4b9301b",
		},
		{
			"invite", conv(realtime.SignInvite, "b", "a"), 1453014943,
			"app1:Tom:5f0b:a:b:1453014943:nonce1:invite", "4620d6b34c439dad3970a7511aee8488ecb2e718",
		},
		{
			"kick", conv(realtime.SignKick, "Tom"), 1453014943,
			"app1:Tom:5f0b:Tom:1453014943:nonce1:kick", "c9c6abbfe7dfdf7e480ddc64bd5f4ffa3ac4346e",
		},
		{
			"block", conv(realtime.SignBlock, "x"), 1453014943,
			"app1:Tom:5f0b:x:1453014943:nonce1:conversation-block-clients", "2395a4f7c0f4c7b2fe92e973ab068f584913cd94",
		},
		{
			"unblock", conv(realtime.SignUnblock, "x"), 1453014943,
			"app1:Tom:5f0b:x:1453014943:nonce1:conversation-unblock-clients", "51dd04ed801a96f1c37f0a46c34fee87b82f5a64",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := append([]string(nil), tt.r.Members...)
			text := tt.r.StringToSign(tt.timestamp, "nonce1")
			require.Equal(t, tt.text, text)
			require.Equal(t, tt.hmac, hmacSHA1(text))
			require.Equal(t, before, append([]string(nil), tt.r.Members...), "the caller's members were sorted")
		})
	}
}

func TestMasterKeySigner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := realtime.MasterKeySigner(testMasterKey)
		r := realtime.SignRequest{Action: realtime.SignInvite, AppID: "app1", ClientID: "Tom", ConversationID: "5f0b", Members: []string{"b", "a"}}
		first, err := signer.Sign(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, time.Now().UnixMilli(), first.Timestamp)
		require.Equal(t, hmacSHA1(r.StringToSign(first.Timestamp, first.Nonce)), first.Signature)
		second, err := signer.Sign(t.Context(), r)
		require.NoError(t, err)
		require.NotEqual(t, first.Nonce, second.Nonce)

		require.NotContains(t, fmt.Sprintf("%v %+v %#v", signer, signer, signer), testMasterKey)
		_, err = realtime.MasterKeySigner("").Sign(t.Context(), r)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	})
}

func TestSignRequestJSON(t *testing.T) {
	text, err := json.Marshal(realtime.SignRequest{
		Action: realtime.SignKick, AppID: "app1", ClientID: "Tom", ConversationID: "5f0b", Members: []string{"a"},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"action":"kick","app_id":"app1","client_id":"Tom","conv_id":"5f0b","members":["a"]}`, string(text))

	var sig realtime.Signature
	require.NoError(t, json.Unmarshal([]byte(`{"signature":"abc","timestamp":1453014943466,"nonce":"n"}`), &sig))
	require.Equal(t, realtime.Signature{Signature: "abc", Timestamp: 1453014943466, Nonce: "n"}, sig)
}

func TestSignerFunc(t *testing.T) {
	var got realtime.SignRequest
	f := realtime.SignerFunc(func(_ context.Context, r realtime.SignRequest) (realtime.Signature, error) {
		got = r
		return realtime.Signature{Signature: "s"}, nil
	})
	sig, err := f.Sign(t.Context(), realtime.SignRequest{Action: realtime.SignLogin})
	require.NoError(t, err)
	require.Equal(t, "s", sig.Signature)
	require.Equal(t, realtime.SignLogin, got.Action)
}
