package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

const eventImage = "IMAGE"

// picture is the eighth chapter: Tom sends an image, which is uploaded on the
// way, and Jerry fetches it.
func (s *story) picture(ctx context.Context) error {
	original, err := drawCheese()
	if err != nil {
		return err
	}
	received := make(chan *typedmessages.ImageMessage, 1)
	stop := s.jerry.client.OnMessage(func(_ context.Context, e *realtime.MessageEvent) {
		m, ok := e.Message.Content.(*typedmessages.ImageMessage)
		if !ok {
			return
		}
		s.hear(s.jerry, eventImage, m.File.Name, "%s, %d × %d, %d bytes: %s", m.File.Name, m.File.Width, m.File.Height, m.File.Size, m.Text)
		select {
		case received <- m:
		default:
		}
	})
	defer stop()

	s.tell("Tom sends Jerry a picture; the file is uploaded first.")
	conv, err := s.tom.client.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}, Name: "Pictures"})
	if err != nil {
		return err
	}
	if err := s.begun(ctx, conv); err != nil {
		return err
	}
	message := typedmessages.NewImageMessage(typedmessages.NewFile("cheese.png", bytes.NewReader(original)))
	message.Text = "发自我的小米"
	message.Attributes = map[string]any{"location": "旧金山"}
	if _, err := conv.Send(ctx, message); err != nil {
		return fmt.Errorf("send the picture: %w", err)
	}
	select {
	case m := <-received:
		return s.compare(ctx, m, original)
	case <-ctx.Done():
		return fmt.Errorf("waiting for the picture: %w", context.Cause(ctx))
	}
}

// compare fetches the picture of a message and compares it byte for byte.
func (s *story) compare(ctx context.Context, m *typedmessages.ImageMessage, original []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.File.URL, nil)
	if err != nil {
		return err
	}
	res, err := s.jerry.rt.Do(req)
	if err != nil {
		return fmt.Errorf("fetch the picture: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	fetched, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("fetch the picture: %w", err)
	}
	if !bytes.Equal(fetched, original) {
		return fmt.Errorf("the picture has %d bytes, not the %d that were sent", len(fetched), len(original))
	}
	s.tell("    Jerry fetches it: %d bytes of %s, the same as Tom's.", len(fetched), res.Header.Get("Content-Type"))
	return nil
}

// drawCheese draws a picture.
func drawCheese() ([]byte, error) {
	const width, height, hole = 64, 48, 9
	cheese := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{
		color.RGBA{R: 0xff, G: 0xd7, A: 0xff}, color.RGBA{R: 0xc8, G: 0x96, A: 0xff},
	})
	for y := range height {
		for x := range width {
			if (x*x+y*y)%(hole*hole) < hole {
				cheese.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, cheese); err != nil {
		return nil, fmt.Errorf("draw the picture: %w", err)
	}
	return b.Bytes(), nil
}
