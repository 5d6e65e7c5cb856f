package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	_ "image/gif"  // pictures that the bot can read
	_ "image/jpeg" // pictures that the bot can read
	"image/png"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

// botID is the client id of the bot.
const botID = "Robot"

// maxPicture is how much of a picture the bot reads to learn its size.
const maxPicture = 10 << 20

// bot is somebody in the room who answers: text with text, "draw …" with a
// picture, and a picture with what can be said of it.
type bot struct {
	rt     *realtime.Realtime
	client *realtime.IMClient
	conv   *realtime.Conversation
	files  string // URL prefix of the files of our own server
}

// newBot logs the bot in and opens the room. public is the address under which
// browsers reach the server.
func newBot(ctx context.Context, o realtime.Options, public string) (*bot, error) {
	o.Plugins = []realtime.Plugin{typedmessages.Plugin()}
	rt, err := realtime.New(o)
	if err != nil {
		return nil, err
	}
	b := &bot{rt: rt, client: rt.NewIMClient(botID), files: public + "/"}
	b.client.OnMembersJoined(b.greet)
	b.client.OnMessage(b.answer)
	if err = b.client.Open(ctx); err == nil {
		b.conv, err = b.client.CreateConversation(ctx, realtime.ConversationOptions{Name: "Web chat"})
	}
	if err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

func (b *bot) room() roomInfo {
	return roomInfo{AppID: appID, AppKey: appKey, Conversation: b.conv.ID(), Name: "Web chat", Bot: botID}
}

func (b *bot) close(ctx context.Context) error {
	over, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return b.rt.Close(over)
}

// greet says hello to whoever is new.
func (b *bot) greet(ctx context.Context, e *realtime.MembersJoinedEvent) {
	for _, name := range e.Members {
		if name == botID {
			continue
		}
		// An error means that the bot was told to go.
		_, _ = e.Conversation.Send(ctx, realtime.NewTextMessage(
			"Welcome, "+name+"! Write something, send a picture, or ask me to draw one."), realtime.WithRetry())
	}
}

// answer runs in the handler, so that answers are in the order of what they
// answer. The token makes it one answer even if a message came again.
func (b *bot) answer(ctx context.Context, e *realtime.MessageEvent) {
	m := e.Message
	if m.From == botID || m.Transient {
		return
	}
	var content realtime.Content
	switch c := m.Content.(type) {
	case *realtime.TextMessage:
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(c.Text)), "draw") {
			content = b.draw(m)
		} else {
			content = realtime.NewTextMessage(m.From + " said: " + c.Text)
		}
	case *typedmessages.ImageMessage:
		content = realtime.NewTextMessage(b.describe(ctx, m.From, c.File))
	default:
		return
	}
	// An error means that the bot was told to go, or that the server refused.
	_, _ = e.Conversation.Send(ctx, content, realtime.WithRetry(), realtime.WithDedupToken(m.ID))
}

// describe says what the bot sees. A message can name any address: only files
// of our own server are fetched.
func (b *bot) describe(ctx context.Context, from string, f typedmessages.File) string {
	if !strings.HasPrefix(f.URL, b.files) {
		return fmt.Sprintf("%s, I do not open pictures from elsewhere.", from)
	}
	width, height, format, size, err := b.look(ctx, f.URL)
	if err != nil {
		return fmt.Sprintf("%s, I cannot read %s.", from, f.Name)
	}
	return fmt.Sprintf("Nice picture, %s: %s is a %s of %d × %d pixels in %d bytes.", from, f.Name, format, width, height, size)
}

// look fetches a picture and measures it.
func (b *bot) look(ctx context.Context, url string) (width, height int, format string, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, "", 0, err
	}
	res, err := b.rt.Do(req)
	if err != nil {
		return 0, 0, "", 0, err
	}
	defer func() { _ = res.Body.Close() }() // what was wanted has been read
	data, err := io.ReadAll(io.LimitReader(res.Body, maxPicture+1))
	if err != nil {
		return 0, 0, "", 0, err
	}
	if res.StatusCode != http.StatusOK || len(data) > maxPicture {
		return 0, 0, "", 0, fmt.Errorf("%s, %d bytes", res.Status, len(data))
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data)) // reads the size, not the pixels
	return config.Width, config.Height, format, int64(len(data)), err
}

// draw makes a picture of waves. Which ones depends on the message that asked.
func (b *bot) draw(m *realtime.Message) realtime.Content {
	const width, height = 320, 200
	hash := fnv.New32a()
	_, _ = io.WriteString(hash, m.ID) // a hash takes anything
	seed := float64(hash.Sum32()%1000) / 100
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v := float64(x)/60, float64(y)/60
			wave := math.Sin(u+seed) + math.Sin(v*1.7-seed) + math.Sin(math.Hypot(u-2.6, v-1.6)*2+seed)
			part := func(shift float64) uint8 { return uint8(150 + 100*math.Sin(wave+seed+shift)) }
			picture.Set(x, y, color.RGBA{R: part(0), G: part(1), B: part(2), A: 255})
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		return realtime.NewTextMessage("I ran out of paint.")
	}
	content := typedmessages.NewImageMessage(typedmessages.NewFile("waves.png", bytes.NewReader(data.Bytes())))
	content.Text = "For " + m.From + "."
	return content
}
