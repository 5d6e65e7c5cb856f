package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/leanrtm/realtime/server"
)

// headerHookKey shows the app's endpoint who is calling.
const headerHookKey = "X-LC-Hook-Key"

// hookFlags say which endpoints of the app take part in what a server does.
type hookFlags struct {
	url      string
	only     []string
	services string
	key      string
	timeout  time.Duration
	refuse   bool
}

func (f *hookFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "hooks", "", "URL of the app's hooks: each is a POST to its name below it (default: none)")
	flags.StringSliceVar(&f.only, "hook", nil, "names of the hooks to call, such as _messageReceived (default: all)")
	flags.StringVar(&f.services, "service-hook", "", "URL that is posted what users write to service conversations (default: none)")
	flags.StringVar(&f.key, "hook-key", "", "secret that is sent to the hooks in the header "+headerHookKey)
	flags.DurationVar(&f.timeout, "hook-timeout", 5*time.Second, "how long a hook may take")
	flags.BoolVar(&f.refuse, "hooks-must-answer", false, "refuse what a hook that fails should have decided about (default: let it proceed)")
}

// apply adds the hooks to the options of a server.
func (f *hookFlags) apply(o *server.Options, log *slog.Logger) error {
	if f.url == "" && f.services == "" {
		if len(f.only) > 0 || f.key != "" || f.refuse {
			return usagef("--hook, --hook-key and --hooks-must-answer need --hooks or --service-hook")
		}
		return nil
	}
	if f.timeout <= 0 {
		return usagef("--hook-timeout %v: must be positive", f.timeout)
	}
	h := server.HTTPHooks{
		URL: f.url, Only: f.only, ServiceMessageURL: f.services, Timeout: f.timeout, Logger: log,
	}
	if f.key != "" {
		h.Header = http.Header{headerHookKey: {f.key}}
	}
	hooks, err := h.Hooks()
	if err != nil {
		return usageError{err}
	}
	o.Hooks, o.HookTimeout = hooks, f.timeout
	if f.refuse {
		o.HookFailure = server.HookFailureRefuses
	}
	return nil
}
