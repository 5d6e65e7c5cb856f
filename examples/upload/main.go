// Command upload sends a file to somebody and fetches it back, with the server
// in this process: what an image costs to send, and what arrives.
//
//	go run ./examples/upload              a picture drawn on the spot
//	go run ./examples/upload photo.jpg    a file of yours
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/server"
	"github.com/leanrtm/realtime/typedmessages"
)

const (
	appID  = "upload-app"
	appKey = "upload-key"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "upload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	url, closeServer, err := serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeServer()) }()
	rt, err := realtime.New(realtime.Options{
		AppID: appID, AppKey: appKey, Server: url,
		Plugins: []realtime.Plugin{typedmessages.Plugin()},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()

	jerry := rt.NewIMClient("Jerry")
	events := jerry.Events(ctx)
	if err := jerry.Open(ctx); err != nil {
		return err
	}
	if err := send(ctx, out, rt, args); err != nil {
		return err
	}
	for ev, err := range events {
		if err != nil {
			return err
		}
		if e, ok := ev.(*realtime.MessageEvent); ok {
			return receive(ctx, out, rt, e.Message)
		}
	}
	return nil
}

// send uploads the file and sends it as an image, or as a file if it is none.
func send(ctx context.Context, out io.Writer, rt *realtime.Realtime, args []string) error {
	tom, err := rt.CreateIMClient(ctx, "Tom")
	if err != nil {
		return err
	}
	conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Jerry"}})
	if err != nil {
		return err
	}
	progress := typedmessages.WithProgress(func(sent, total int64) {
		fmt.Fprintf(out, "Tom has uploaded %d of %d bytes.\n", sent, total)
	})
	var content realtime.Content
	if len(args) == 0 {
		content = typedmessages.NewImageMessage(typedmessages.NewFile("square.png", bytes.NewReader(draw()), progress))
	} else if file := typedmessages.OpenFile(args[0], progress); isImage(args[0]) {
		content = typedmessages.NewImageMessage(file)
	} else {
		content = typedmessages.NewFileMessage(file)
	}
	start := time.Now()
	message, err := conv.Send(ctx, content)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Sent as %s after %v.\n", message.ID, time.Since(start).Round(time.Millisecond))
	return nil
}

// isImage looks at the beginning of a file. One that cannot be read is none; that
// it cannot is told by the upload.
func isImage(path string) bool {
	file, err := os.Open(path) //nolint:gosec // opening the named file is what is asked for
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // it was only read
	beginning := make([]byte, 512)
	n, _ := io.ReadFull(file, beginning)
	return strings.HasPrefix(http.DetectContentType(beginning[:n]), "image/")
}

// receive tells what a message says of its file and fetches it.
func receive(ctx context.Context, out io.Writer, rt *realtime.Realtime, m *realtime.Message) error {
	var f typedmessages.File
	switch content := m.Content.(type) {
	case *typedmessages.ImageMessage:
		f = content.File
		fmt.Fprintf(out, "Jerry got a picture of %d × %d pixels.\n", f.Width, f.Height)
	case *typedmessages.FileMessage:
		f = content.File
	default:
		return fmt.Errorf("expected a file, got %T", m.Content)
	}
	fmt.Fprintf(out, "Jerry got %s from %s: %s, %d bytes\n", f.Name, m.From, f.MIMEType, f.Size)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return err
	}
	res, err := rt.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it was read
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return err
	}
	if n != f.Size || res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetched %d bytes (%s), the message says %d", n, res.Status, f.Size)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(f.URL, "http://"), "/")
	fmt.Fprintf(out, "Jerry fetched all %d bytes from %s.\n", n, path)
	return nil
}

// draw makes a small picture.
func draw() []byte {
	const side = 240
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			m.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x ^ y), A: 0xff})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, m) // a buffer takes everything
	return b.Bytes()
}

// serve starts a server on a port of this machine.
func serve(ctx context.Context) (url string, closeServer func() error, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	rtm, err := server.New(server.Options{Apps: []server.App{{ID: appID, Key: appKey}}})
	if err != nil {
		return "", nil, errors.Join(err, listener.Close())
	}
	const headerTime = 5 * time.Second
	web := &http.Server{Handler: rtm, ReadHeaderTimeout: headerTime}
	done := make(chan error, 1)
	go func() { done <- web.Serve(listener) }() // ends with web.Close
	return "http://" + listener.Addr().String(), func() error {
		err := errors.Join(rtm.Close(), web.Close())
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
