package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanrtm/realtime/cmd/rtm/internal/metrics"
	"github.com/leanrtm/realtime/server"
)

// serveFlags are those of rtm serve.
type serveFlags struct {
	listen    string
	metrics   string
	appID     string
	appKey    string
	masterKey string
	hooks     hookFlags
	options   optionFlags
	files     string
	grace     time.Duration
	verbose   bool
	json      bool
}

// Times that an HTTP server allows; a WebSocket has its own from the upgrade on.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute

	metricsWriteTimeout = 10 * time.Second
)

func newServeCommand(env environment) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `serve runs a realtime messaging server until it is interrupted: routers,
WebSocket and REST, all on one address. Messages are kept in memory and gone
when it ends.

Keys that are not given are made up and printed. The line that says ready, on
standard error, tells the address; clients take it as their server URL.

An interrupt or a termination signal ends the server in order: clients are told
to go, requests may finish within the grace period, and the exit code is 0.

With --hooks the app takes part: the server asks it about messages and
conversations before they happen, and tells it after. --hook chooses which hooks
are called, since everything that is asked about waits for the answer.

Whoever is on the open internet should limit what clients may do: --limit-send-rate
60, --limit-history-rate 120, --limit-request-rate 300, --limit-frame-rate 3000,
--limit-connections-ip 200 and --limit-connect-rate 500 leave an eager person
alone and stop a program.

With --metrics the server's counters can be read on an address of their own:
/metrics has them in the text format of Prometheus, /debug/vars as JSON. There is
no key to it, so keep the address away from strangers.`,
		Example: `  rtm serve
  rtm serve --listen :7788 --app-id demo --app-key demo-key --master-key demo-master
  RTM_APP_ID=demo RTM_APP_KEY=demo-key RTM_MASTER_KEY=demo-master rtm serve
  rtm serve --limit-send-rate 60 --limit-connections-ip 200 --frame-timeout 20s
  rtm serve --hooks http://127.0.0.1:3000/hooks --hook _messageReceived,_messageSent`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), f, env)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:7788", "address to listen on; port 0 takes a free one")
	flags.StringVar(&f.metrics, "metrics", "", "address for metrics, apart from that of clients (default: none)")
	flags.StringVar(&f.appID, "app-id", "", "id of the app (default: made up and printed)")
	flags.StringVar(&f.appKey, "app-key", "", "key of the app, for clients (default: made up and printed)")
	flags.StringVar(&f.masterKey, "master-key", "", "master key of the app, for back ends (default: made up and printed)")
	f.hooks.flags(flags)
	f.options.flags(flags)
	flags.StringVar(&f.files, "files", "", "directory of uploaded files, made when missing (default: they stay in memory)")
	flags.DurationVar(&f.grace, "grace", 10*time.Second, "how long requests may take to finish at the end")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	flags.BoolVar(&f.json, "json", false, "log JSON, and print what was made up as JSON")
	return cmd
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, f serveFlags, env environment) error {
	if f.grace < 0 {
		return usagef("--grace %v: must not be negative", f.grace)
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: level}))
	if f.json {
		log = slog.New(slog.NewJSONHandler(env.err, &slog.HandlerOptions{Level: level}))
	}

	made := f.makeKeys()
	options, err := f.options.build(server.App{ID: f.appID, Key: f.appKey, MasterKey: f.masterKey})
	if err != nil {
		return err
	}
	options.Logger, options.FilesDir = log, f.files
	if err := f.hooks.apply(&options, log); err != nil {
		return err
	}
	watch := metrics.New()
	if f.metrics != "" {
		options.Observer = watch.Observer()
	}
	rtm, err := server.New(options)
	if err != nil {
		return usageError{err} // it says which setting it does not accept
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", f.listen, err), rtm.Close())
	}
	web := webServer(rtm, log)
	if f.metrics != "" {
		stop, err := serveMetrics(ctx, f.metrics, watch.Handler(rtm.Stats), log)
		if err != nil {
			return errors.Join(err, listener.Close(), rtm.Close())
		}
		defer stop() // last, so that the end can be watched
	}

	url := "http://" + reachable(listener.Addr())
	if err := f.printKeys(env.out, made, url); err != nil {
		return errors.Join(err, listener.Close(), rtm.Close())
	}
	log.Info("ready", "url", url, "app_id", f.appID)

	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }() // until shutDown, or a failure
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("serve: %w", err), rtm.Close())
	case <-ctx.Done():
	}
	log.Info("shutting down", "grace", f.grace)
	err = shutDown(context.WithoutCancel(ctx), f.grace, rtm, web)
	if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		log.Warn("the grace period is over, what was left is cut off", "error", err)
	case err != nil:
		return fmt.Errorf("shut down: %w", err)
	}
	log.Info("stopped")
	return nil
}

// webServer serves h to whoever may come.
func webServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serveMetrics serves the metrics on an address of their own until stop is
// called, which waits.
func serveMetrics(ctx context.Context, addr string, h http.Handler, log *slog.Logger) (stop func(), err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	web := webServer(h, log)
	web.WriteTimeout = metricsWriteTimeout
	ended := make(chan struct{})
	go func() { // until stop
		defer close(ended)
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	log.Info("metrics", "url", "http://"+reachable(listener.Addr())+metrics.PathText)
	return func() {
		_ = web.Close() // what it could report is that the listener was closed before
		<-ended
	}, nil
}

// shutDown ends the server in order, and by force when the grace period is
// over: the error is then context.DeadlineExceeded.
func shutDown(ctx context.Context, grace time.Duration, rtm *server.Server, web *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err := rtm.Shutdown(ctx)
	if webErr := web.Shutdown(ctx); webErr != nil {
		err = errors.Join(err, webErr, web.Close())
	}
	return err
}

// keySetting is a key and the flag that sets it.
type keySetting struct {
	flag  string
	value *string
}

// makeKeys makes up what was not given and returns what it made.
func (f *serveFlags) makeKeys() []keySetting {
	var made []keySetting
	for _, key := range []keySetting{
		{"app-id", &f.appID}, {"app-key", &f.appKey}, {"master-key", &f.masterKey},
	} {
		if *key.value == "" {
			*key.value = rand.Text()
			made = append(made, key)
		}
	}
	return made
}

// printKeys shows what was made up, and how to use it. Keys that were given are
// known to whoever gave them.
func (f *serveFlags) printKeys(out io.Writer, made []keySetting, url string) error {
	if len(made) == 0 {
		return nil
	}
	if f.json {
		values := map[string]string{"server": url}
		for _, key := range made {
			values[key.flag] = *key.value
		}
		return (&printer{out: out, json: true}).result(values, "")
	}
	for _, key := range made {
		fmt.Fprintf(out, "%-11s %s\n", key.flag, *key.value)
	}
	fmt.Fprintf(out, "\nTo chat, in two other terminals:\n")
	for _, people := range [][2]string{{"Tom", "Jerry"}, {"Jerry", "Tom"}} {
		fmt.Fprintf(out, "  rtm chat --server %s --app-id %s --app-key %s --as %s --with %s\n",
			url, f.appID, f.appKey, people[0], people[1])
	}
	fmt.Fprintln(out)
	return nil
}

// reachable is the address to give to a client on this machine: one that
// listens on all addresses is reached at the loopback address.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
}
