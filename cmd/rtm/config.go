package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The configuration file.
const (
	flagConfig = "config"
	configDir  = "rtm"
	configName = "config.json"
	othersRead = 0o044
)

// configHelp explains the configuration file.
const configHelp = `A configuration file can say the same, for what neither a flag nor a variable
says. It is a JSON object of flag names without dashes; an object with the name
of a command is for that command alone:

  {
    "server": "https://rtm.example.com",
    "app-id": "demo",
    "app-key": "…",
    "chat": {"history": 50}
  }

It is config.json in the directory rtm of the user's configuration directory
(~/.config/rtm/config.json on most systems), or what --config names.`

// readSettings fills in the flags that were not given: from variables, then from
// the configuration file.
func readSettings(cmd *cobra.Command, env environment) error {
	if err := readVariables(cmd.Flags(), env); err != nil {
		return err
	}
	name, explicit := configPath(cmd, env)
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return nil
	}
	if err != nil {
		return usagef("read the configuration: %w", err)
	}
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(text, &settings); err != nil {
		return usagef("%s: %w", name, err)
	}
	warnOfReaders(name, settings, env)
	err = checkSettings(cmd.Root(), settings)
	if err == nil {
		err = applySettings(cmd, commandPath(cmd), cmd.Root(), settings)
	}
	if err != nil {
		return usagef("%s: %w", name, err)
	}
	return nil
}

// configPath is the configuration file, and whether somebody has named it; "" if
// there is no place for one.
func configPath(cmd *cobra.Command, env environment) (name string, explicit bool) {
	if f := cmd.Flag(flagConfig); f != nil && f.Value.String() != "" {
		return f.Value.String(), true
	}
	if env.configDir == nil {
		return "", false
	}
	dir, err := env.configDir()
	if err != nil {
		return "", false // a user without such a directory has no such file
	}
	return filepath.Join(dir, configDir, configName), false
}

// warnOfReaders tells of a key that other users can read.
func warnOfReaders(name string, settings map[string]json.RawMessage, env environment) {
	if runtime.GOOS == "windows" { // permissions are something else there
		return
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&othersRead == 0 {
		return
	}
	for key := range settings {
		if secret(key) {
			fmt.Fprintf(env.err, "rtm: warning: %s has keys, and other users can read it\n", name)
			return
		}
	}
}

// commandPath are the names of the commands below the root that lead to cmd.
func commandPath(cmd *cobra.Command) []string {
	var path []string
	for ; cmd.HasParent(); cmd = cmd.Parent() {
		path = append(path, cmd.Name())
	}
	slices.Reverse(path)
	return path
}

// checkSettings reports what stands under scope and is neither a flag nor a
// command there.
func checkSettings(scope *cobra.Command, settings map[string]json.RawMessage) error {
	for _, key := range sortedKeys(settings) {
		sub := subcommand(scope, key)
		if sub == nil {
			if !anyFlag(scope, key) {
				return fmt.Errorf("there is no setting %q", key)
			}
			continue
		}
		below, err := section(settings, key)
		if err == nil {
			err = checkSettings(sub, below)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// section is what stands under the name of a command.
func section(settings map[string]json.RawMessage, name string) (map[string]json.RawMessage, error) {
	raw, ok := settings[name]
	if !ok {
		return nil, nil //nolint:nilnil // nothing stands there
	}
	var below map[string]json.RawMessage
	if err := json.Unmarshal(raw, &below); err != nil {
		return nil, fmt.Errorf("%q is a command: it needs an object", name)
	}
	return below, nil
}

// applySettings sets the flags of cmd, to which path leads from scope. What is
// said closest to cmd wins.
func applySettings(cmd *cobra.Command, path []string, scope *cobra.Command, settings map[string]json.RawMessage) error {
	if len(path) > 0 {
		below, err := section(settings, path[0])
		if err == nil {
			err = applySettings(cmd, path[1:], subcommand(scope, path[0]), below)
		}
		if err != nil {
			return err
		}
	}
	for _, key := range sortedKeys(settings) {
		flag := cmd.Flags().Lookup(key)
		if flag == nil || flag.Changed || subcommand(scope, key) != nil || key == flagConfig {
			continue
		}
		value, ok := settingText(settings[key])
		if !ok {
			return fmt.Errorf("%q must be a text, a number, true, false, or a list of texts", key)
		}
		if value == "" {
			continue
		}
		if err := cmd.Flags().Set(key, value); err != nil {
			return fmt.Errorf("%q: %w", key, hideValue(flag, err))
		}
		if flag.Annotations == nil {
			flag.Annotations = make(map[string][]string)
		}
		flag.Annotations[fromFile] = nil
	}
	return nil
}

// fromFile marks a flag that has its value from the configuration file.
const fromFile = "rtm_from_file"

// byHabit tells whether a flag has its value from the configuration file: where
// that does not fit it is no mistake of the command line.
func byHabit(flag *pflag.Flag) bool {
	_, ok := flag.Annotations[fromFile]
	return ok
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// anyFlag tells whether a command, or one below it, has a flag.
func anyFlag(cmd *cobra.Command, name string) bool {
	if cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil {
		return true
	}
	return slices.ContainsFunc(cmd.Commands(), func(sub *cobra.Command) bool { return anyFlag(sub, name) })
}

// settingText is a value as it would stand on a command line.
func settingText(raw json.RawMessage) (string, bool) {
	var list []string
	var text string
	switch {
	case string(raw) == "null":
		return "", true
	case json.Unmarshal(raw, &text) == nil:
		return text, true
	case json.Unmarshal(raw, &list) == nil:
		return strings.Join(list, ","), true
	}
	var other any
	if json.Unmarshal(raw, &other) != nil {
		return "", false
	}
	switch other.(type) {
	case bool, float64:
		return string(raw), true
	}
	return "", false
}

// secret tells whether a flag holds a key.
func secret(flag string) bool { return strings.HasSuffix(flag, "key") }

// account is how to reach an app.
type account struct {
	server    string
	appID     string
	appKey    string
	masterKey string
	verbose   bool
}

const defaultServer = "http://127.0.0.1:7788"

// flags adds the flags of an account. keys are those of "app-key" and
// "master-key" that the command uses.
func (a *account) flags(flags *pflag.FlagSet, keys ...string) {
	flags.StringVar(&a.server, "server", defaultServer, "URL of the server")
	flags.StringVar(&a.appID, "app-id", "", "id of the app (required)")
	if slices.Contains(keys, flagAppKey) {
		flags.StringVar(&a.appKey, flagAppKey, "", "key of the app, to log in as a client")
	}
	if slices.Contains(keys, flagMasterKey) {
		flags.StringVar(&a.masterKey, flagMasterKey, "", "master key of the app")
	}
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log to standard error")
}

const (
	flagAppKey    = "app-key"
	flagMasterKey = "master-key"
)

// setting is a flag and what it was given.
type setting struct{ flag, value string }

// needed reports the first setting that is missing.
func needed(settings ...setting) error {
	for _, s := range settings {
		if s.value == "" {
			return usagef("--%s (or %s) is required", s.flag, variable(s.flag))
		}
	}
	return nil
}
