package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/server/internal/wstest"
)

// refusedUpgrade wants an upgrade to be refused, with the advice to come again.
func (e *env) refusedUpgrade(why string) {
	e.t.Helper()
	c, res := wstest.Try(e.t, e.net.Dial, addr, wstest.Request{})
	require.Nil(e.t, c, "admitted")
	require.Equal(e.t, http.StatusServiceUnavailable, res.StatusCode)
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	require.NoError(e.t, err)
	require.Positive(e.t, seconds)
	body, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	require.Contains(e.t, string(body), why)
}

func TestConnectionsAreLimited(t *testing.T) {
	for name, limits := range map[string]server.Limits{"in all": {Connections: 3}, "from one address": {ConnectionsIP: 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Limits = limits
				e := newEnv(t, o)
				var open []*wstest.Conn
				for i := range 3 {
					open = append(open, e.login(fmt.Sprint("client-", i)))
				}
				for range 5 {
					e.refusedUpgrade("too many connections")
				}
				require.Equal(t, uint64(5), e.srv.Stats().ConnectionsRefused)
				open[0].Net.Close()
				synctest.Wait()
				open[0] = e.login("client-0") // there is a place again
				e.refusedUpgrade("too many connections")
				_, res := wstest.Try(t, e.net.Dial, addr, wstest.Request{Subprotocols: []string{"unknown"}})
				require.Equal(t, http.StatusBadRequest, res.StatusCode)
				for _, c := range open {
					c.Net.Close()
				}
				synctest.Wait()
				for range 3 { // no place was lost
					e.connect()
				}
			})
		})
	}
}

func TestConnectRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Limits.ConnectRate = 10
		e := newEnv(t, o)
		for range 3 {
			for range 10 {
				e.connect()
			}
			e.refusedUpgrade("too many new connections")
			time.Sleep(100 * ms)
			e.connect() // one comes back every tenth of a second
			e.refusedUpgrade("too many new connections")
			time.Sleep(time.Hour) // and no more than a second's are saved
		}
	})
}

// A compressed frame could be a bomb: compression is never agreed on.
func TestCompressionIsNotAgreedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		c, res := wstest.Try(t, e.net.Dial, addr, wstest.Request{
			Header: http.Header{"Sec-Websocket-Extensions": {"permessage-deflate; client_max_window_bits"}},
		})
		require.NotNil(t, c)
		require.Empty(t, res.Header.Get("Sec-WebSocket-Extensions"))
		frame := c.Encode(openCommand("tom"))
		frame[0] |= 0x40 // the bit that says: compressed
		c.Write(frame)
		_, _, err := c.ReadFrame()
		for err == nil { // a close frame, and then the end
			_, _, err = c.ReadFrame()
		}
		require.Zero(t, e.srv.Stats().Logins)
	})
}

// Frames and timeouts of the options reach the connections.
func TestSlowAndHurriedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.FrameTimeout, o.ReadTimeout = 10*time.Second, -1
		o.Limits.FrameRate = 20
		e := newEnv(t, o)
		slow := e.login("tom")
		frame := slow.Encode(direct("cid", strings.Repeat("x", 3000), 1))
		slow.Write(frame[:2000])
		for i := range 15 {
			time.Sleep(time.Second)
			if _, err := slow.Net.Write(frame[2000+i : 2001+i]); err != nil {
				break
			}
		}
		slow.WantClosed(wire.CodeReadTimeout)

		hurried := e.login("jerry") // with one frame
		for i := range int32(20) {
			hurried.Send(&pb.GenericCommand{Cmd: pb.CommandType_echo.Enum(), I: proto.Int32(100 + i)})
		}
		for i := range int32(19) {
			require.Equal(t, 100+i, hurried.Read().GetI())
		}
		hurried.WantClosed(1008)
		synctest.Wait()
		require.Equal(t, uint64(1), e.srv.Stats().Disconnects[1008])
		require.Equal(t, uint64(1), e.srv.Stats().Disconnects[int(wire.CodeReadTimeout)])
	})
}

// nested is a JSON object that is n levels deep.
func nested(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }

func TestDeeplyNestedJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, jerry := e.login("tom"), e.login("jerry")
		cid := start(t, tom, "tom", "jerry")
		object := func(text string) *pb.JsonObjectMessage { return &pb.JsonObjectMessage{Data: proto.String(text)} }
		i := int32(100)
		call := func(op pb.OpType, m *pb.ConvCommand) *pb.GenericCommand {
			i++
			tom.Send(convCommand(op, i, m))
			return until(t, tom, i)
		}
		deep := nested(9000)
		require.Less(t, len(deep), 64<<10)
		for name, got := range map[string]*pb.GenericCommand{
			"create": call(pb.OpType_start, &pb.ConvCommand{M: []string{"x"}, Attr: object(deep)}),
			"update": call(pb.OpType_update, &pb.ConvCommand{Cid: proto.String(cid), Attr: object(deep)}),
			"dotted": call(pb.OpType_update, &pb.ConvCommand{Cid: proto.String(cid), Attr: object(`{"` + strings.Repeat("a.", 5000) + `a":1}`)}),
			"query":  call(pb.OpType_query, &pb.ConvCommand{Where: object(deep)}),
			"or":     call(pb.OpType_query, &pb.ConvCommand{Where: object(strings.Repeat(`{"$or":[`, 1000) + `{"a":1}` + strings.Repeat("]}", 1000))}),
		} {
			require.Equal(t, pb.CommandType_error, got.GetCmd(), name)
		}
		// A message is not looked into any deeper than for its type.
		text := nested(800)
		tom.Send(direct(cid, text, 50))
		require.Nil(t, until(t, tom, 50).GetAckMessage().Code)
		require.Equal(t, text, message(t, jerry).GetDirectMessage().GetMsg())

		for _, n := range []int{9000, 100_000} { // the latter deeper than the decoder goes
			res := e.post("/1.2/rtm/conversations", nested(n), masterKey+",master")
			require.GreaterOrEqual(t, res.StatusCode, 400, "%d levels", n)
			require.Less(t, res.StatusCode, 500)
		}
		time.Sleep(time.Second) // the HTTP server waits before it cuts a peer off
	})
}

// post is a REST request.
func (e *env) post(path, body, key string) *http.Response {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	require.NoError(e.t, err)
	req.Header.Set("X-LC-Id", appID)
	req.Header.Set("X-LC-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := e.http.Do(req)
	require.NoError(e.t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(e.t, err)
	res.Body.Close()
	return res
}

// Ids are texts, whatever is in them: they reach nobody else's data.
func TestIDsAreOnlyTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, jerry := e.login("tom"), e.login("jerry")
		secret := start(t, tom, "tom", "jerry")
		for n, id := range []string{
			"tom\x00", "\x00tom", "tom/../jerry", "tom:jerry", `tom","jerry`, "tom\r\nX-Admin: 1", "$in", "m.tom", "*", "%", "tom ", "TOM", "ｔｏｍ",
			app2ish, "\u202etom", "\x1b[2J",
		} {
			c := e.login(id)
			for i, cmd := range []*pb.GenericCommand{
				direct(secret, "hello", 1),
				{Cmd: pb.CommandType_logs.Enum(), LogsMessage: &pb.LogsCommand{Cid: proto.String(secret)}},
				convCommand(pb.OpType_members, 1, &pb.ConvCommand{Cid: proto.String(secret)}),
				convCommand(pb.OpType_update, 1, &pb.ConvCommand{Cid: proto.String(secret), Attr: &pb.JsonObjectMessage{Data: proto.String(`{"name":"mine"}`)}}),
			} {
				cmd.I = proto.Int32(int32(10 + i))
				c.Send(cmd)
				got := until(t, c, int32(10+i))
				refused := got.GetCmd() == pb.CommandType_error || got.GetAckMessage().GetCode() != 0
				require.True(t, refused, "%q: %v", id, got)
			}
			own := start(t, c, id, "jerry")
			require.NotEqual(t, secret, own)
			c.Send(direct(own, fmt.Sprint("from ", n), 20))
			require.Nil(t, until(t, c, 20).GetAckMessage().Code)
			got := message(t, jerry)
			require.Equal(t, id, got.GetDirectMessage().GetFromPeerId(), "as it was")
			require.Equal(t, own, got.GetDirectMessage().GetCid())
		}
		for _, id := range []string{"", "\xff\xfe", strings.Repeat("x", 65)} {
			c := e.connect()
			c.Send(openCommand(id))
			require.NotEqual(t, pb.OpType_opened, c.Read().GetOp(), "%q", id)
		}
	})
}

// app2ish looks like the server's own keys.
const app2ish = appID + "\x00tom"

// What a client says about who it is, besides its login, is not looked at.
func TestNobodySpeaksForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Apps = append(o.Apps, server.App{ID: "app-two", Key: "k", MasterKey: "m"})
		e := newEnv(t, o)
		tom, jerry, mallory := e.login("tom"), e.login("jerry"), e.login("mallory")
		cid := start(t, tom, "tom", "jerry")

		asTom := direct(cid, "I am tom", 5)
		asTom.PeerId = proto.String("tom") // who is logged in, on another connection
		mallory.Send(asTom)
		wantError(t, until(t, mallory, 5), wire.CodeSessionRequired)
		elsewhere := direct(cid, "of another app", 6)
		elsewhere.AppId = proto.String("app-two")
		tom.Send(elsewhere)
		wantError(t, until(t, tom, 6), wire.CodeSessionRequired)

		other := openCommand("tom")
		other.AppId = proto.String("app-two")
		stranger := e.connect()
		stranger.Send(other)
		require.Equal(t, pb.OpType_opened, stranger.Read().GetOp())
		stranger.Send(direct(cid, "the same name", 7))
		require.NotZero(t, until(t, stranger, 7).GetAckMessage().GetCode())

		forged := direct(cid, "hello", 8)
		forged.DirectMessage.FromPeerId = proto.String("jerry")
		forged.DirectMessage.Id, forged.DirectMessage.Timestamp = proto.String("mine"), proto.Int64(1)
		tom.Send(forged)
		ack := until(t, tom, 8).GetAckMessage()
		got := message(t, jerry).GetDirectMessage()
		require.Equal(t, "tom", got.GetFromPeerId())
		require.Equal(t, ack.GetUid(), got.GetId())
		require.NotEqual(t, "mine", got.GetId())
		require.Greater(t, got.GetTimestamp(), int64(1))
	})
}

// What the server keeps of a conversation cannot be written as an attribute.
func TestAttributesCannotBeTheServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		tom, mallory := e.login("tom"), e.login("mallory")
		cid := start(t, tom, "tom")
		ask := func(c *wstest.Conn, i int32) map[string]any {
			c.Send(convCommand(pb.OpType_query, i, &pb.ConvCommand{Where: &pb.JsonObjectMessage{Data: proto.String(`{"objectId":"` + cid + `"}`)}}))
			var found []map[string]any
			require.NoError(t, json.Unmarshal([]byte(until(t, c, i).GetConvMessage().GetResults().GetData()), &found))
			require.Len(t, found, 1)
			return found[0]
		}
		before := ask(tom, 50)
		i := int32(100)
		for key := range map[string]any{
			"objectId": 1, "c": 1, "m": 1, "mu": 1, "tr": 1, "sys": 1, "temp": 1, "conv_type": 1, "unique": 1, "uniqueId": 1,
			"createdAt": 1, "updatedAt": 1, "lm": 1, "msg": 1, "msg_from": 1, "msg_mid": 1, "msg_timestamp": 1,
		} {
			for _, text := range []string{
				`{"` + key + `":["mallory"]}`, `{"` + key + `.x":"mallory"}`, `{"` + key + `":{"__op":"Delete"}}`,
				`{"` + key + `":{"__op":"AddUnique","objects":["mallory"]}}`, `{"\u00` + fmt.Sprintf("%02x", key[0]) + key[1:] + `":"mallory"}`,
			} {
				i++
				tom.Send(convCommand(pb.OpType_update, i, &pb.ConvCommand{Cid: proto.String(cid), Attr: &pb.JsonObjectMessage{Data: proto.String(text)}}))
				until(t, tom, i)
			}
		}
		after := ask(tom, 51)
		for _, v := range []map[string]any{before, after} {
			delete(v, "updatedAt")
		}
		require.Equal(t, before, after)
		mallory.Send(direct(cid, "let me in", 5))
		require.NotZero(t, until(t, mallory, 5).GetAckMessage().GetCode())
	})
}

// A request whose body comes a byte at a time is ended; one that comes slowly is
// not.
func TestSlowRequestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.RequestTimeout = 10 * time.Second
		e := newEnv(t, o)
		send := func(size int, pause time.Duration, part int) (status string, took time.Duration) {
			nc, err := e.net.Dial(t.Context(), "tcp", addr)
			require.NoError(t, err)
			defer nc.Close()
			body := `{"m":["tom"],"name":"` + strings.Repeat("x", size) + `"}`
			begin := time.Now()
			fmt.Fprintf(nc, "POST /1.2/rtm/conversations HTTP/1.1\r\nHost: %s\r\nX-LC-Id: %s\r\nX-LC-Key: %s,master\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", addr, appID, masterKey, len(body))
			go func() {
				for len(body) > 0 {
					n := min(part, len(body))
					if _, err := io.WriteString(nc, body[:n]); err != nil {
						return
					}
					body = body[n:]
					time.Sleep(pause)
				}
			}()
			res, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				return err.Error(), time.Since(begin)
			}
			answer, _ := io.ReadAll(res.Body) // of a connection that may have been cut
			res.Body.Close()
			return res.Status + " " + string(answer), time.Since(begin)
		}
		status, took := send(1000, time.Second, 1)
		require.NotContains(t, status, "200 OK")
		require.InDelta(t, 10, took.Seconds(), 1.5)
		status, took = send(40_000, time.Second, 2<<10) // 2 KiB a second
		require.Contains(t, status, "200 OK")
		require.Greater(t, took, 15*time.Second)
		time.Sleep(time.Minute) // whoever still sends is told
	})
}

func TestLargeRequestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, options())
		body := `{"m":["tom"],"x":"` + strings.Repeat("x", 2<<20) + `"}`
		require.Equal(t, http.StatusRequestEntityTooLarge, e.post("/1.2/rtm/conversations", body, masterKey+",master").StatusCode)
		time.Sleep(time.Second) // the HTTP server waits before it cuts a peer off
	})
}

// A client that a full server refuses comes back when the server wants it to,
// however hasty its own backoff is.
func TestARefusedClientObeysRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, func(o *server.Options) { o.Limits.Connections = 1 })
		first, _ := p.client("first")
		o := realtime.Options{AppID: appID, AppKey: "the-app-key", Server: "http://" + pairRouter, HTTPClient: p.http, RetryOpen: true}
		o.Backoff = func(int) time.Duration { return ms }
		var mu sync.Mutex
		var delays []time.Duration
		opened := make(chan error)
		rt, err := realtime.New(o)
		require.NoError(t, err)
		rt.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, e.Delay)
		})
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := rt.NewIMClient("second").Open(ctx)
			opened <- errors.Join(err, rt.Close(context.Background()))
		}()
		time.Sleep(20 * time.Second)
		require.NoError(t, first.Realtime().Close(t.Context()))
		require.NoError(t, <-opened)
		mu.Lock()
		defer mu.Unlock()
		require.NotEmpty(t, delays)
		for _, d := range delays {
			require.GreaterOrEqual(t, d, time.Second)
			require.LessOrEqual(t, d, 5*time.Second)
		}
	})
}
