// Command webchat is a chat in the browser: this program serves a page that uses
// the official JavaScript SDK, the server that the page talks to, and a bot, made
// with the Go SDK, that answers in the room.
//
//	go run ./examples/webchat
//	go run ./examples/webchat -listen :8080    # for other devices as well
//
// Open the address that it prints, in two tabs, under two names. Go offline in
// one of them (in Chromium: F12, Network, Offline), say something in the other,
// and come back: what was missed is fetched, and what was written meanwhile is
// sent, each message once.
//
// The JavaScript SDK is not part of this repository. npm, which comes with
// Node.js, fetches it the first time. Messages are kept in memory and gone when
// the program ends.
//
// bot.go has the bot, site.go what is served, and page/ the page, in which room.js
// talks to the SDK.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/npm"
	"github.com/leanrtm/realtime/server"
)

// goodbye is how long connections may take to end.
const goodbye = 5 * time.Second

// settings are what the flags say, and what a test wants to know and change.
type settings struct {
	listen string // address to listen on
	url    string // address of the page; empty: made from listen
	ready  func(url string)
	wrap   func(http.Handler) http.Handler
}

func main() {
	os.Exit(run())
}

func run() int {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:7789", "address to listen on; with :8080, other devices reach it")
	flag.StringVar(&s.url, "url", "", "address under which browsers reach it (default: made from -listen)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := serve(ctx, os.Stdout, s)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return 0
	case errors.Is(err, npm.ErrMissing):
		fmt.Fprintln(os.Stderr, "webchat: the page uses the official JavaScript SDK, which npm fetches, and there is no npm here.")
		fmt.Fprintln(os.Stderr, "Install Node.js (https://nodejs.org), which has it, and run this again.")
	default:
		fmt.Fprintln(os.Stderr, "webchat:", err)
	}
	return 1
}

// serve runs everything until ctx ends.
func serve(ctx context.Context, out io.Writer, s settings) (err error) {
	sdk, err := fetchSDK(ctx, out)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("%w (another address can be given with -listen)", err)
	}
	here, elsewhere := reachable(ctx, listener.Addr())
	url := strings.TrimSuffix(cmp.Or(s.url, "http://"+elsewhere), "/")
	rtm, err := server.New(server.Options{
		Apps:      []server.App{{ID: appID, Key: appKey}},
		PublicURL: url, // links to pictures work for everybody, whoever uploaded them
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	site := &site{rtm: rtm, sdk: sdk}
	handler := site.handler()
	if s.wrap != nil {
		handler = s.wrap(handler)
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { ended <- web.Serve(listener) }) // until Shutdown
	defer func() {
		over, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		err = errors.Join(err, rtm.Shutdown(over), web.Shutdown(over))
		serving.Wait()
	}()

	bot, err := newBot(ctx, realtime.Options{AppID: appID, AppKey: appKey, Server: "http://" + here}, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bot.close(ctx)) }()
	site.open(bot.room())
	fmt.Fprintf(out, "The chat is at %s/\nOpen it in two tabs, under two names; %s is in the room. Ctrl-C ends it.\n", url, botID)
	if s.ready != nil {
		s.ready(url)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	case <-bot.client.Done():
		return fmt.Errorf("the bot left: %w", bot.client.Err())
	}
}

// fetchSDK returns the directory of the JavaScript packages.
func fetchSDK(ctx context.Context, out io.Writer) (string, error) {
	dir, installed, err := npm.Directory(npm.SDK())
	if err != nil || installed {
		return dir, err
	}
	fmt.Fprintf(out, "npm fetches the official JavaScript SDK: about 130 MB, once, to %s\n", dir)
	return npm.Install(ctx, npm.SDK())
}

// reachable are the addresses of a listener, for this machine and for browsers
// elsewhere. One on all addresses is reached at the loopback address, and at the
// address that this machine has on its network.
func reachable(ctx context.Context, addr net.Addr) (here, elsewhere string) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String(), addr.String()
	}
	port := strconv.Itoa(tcp.Port)
	here = net.JoinHostPort("127.0.0.1", port)
	// A UDP socket sends nothing by connecting; its own address is on the network
	// that leads to others. The address is one that nobody has (RFC 5737).
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp4", "192.0.2.1:9")
	if err != nil {
		return here, here
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	own, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return here, here
	}
	return here, net.JoinHostPort(own.IP.String(), port)
}
