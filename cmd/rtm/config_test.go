package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settingsOf reads the settings of a command line and returns the value of a
// flag, what was warned of, and the mistake.
func settingsOf(t *testing.T, dir string, variables map[string]string, flag string, args ...string) (value, warned string, err error) {
	t.Helper()
	out := newTerminal()
	env := environment{
		out: out, err: out, configDir: func() (string, error) { return dir, nil },
		lookup: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
	}
	root := newRootCommand(env)
	root.SetArgs(args)
	replace(root, func(cmd *cobra.Command, _ []string) error {
		value = cmd.Flag(flag).Value.String()
		return nil
	})
	err = root.ExecuteContext(context.Background())
	return value, out.String(), err
}

// replace lets all commands do something else.
func replace(cmd *cobra.Command, run func(cmd *cobra.Command, args []string) error) {
	cmd.RunE = run
	for _, sub := range cmd.Commands() {
		replace(sub, run)
	}
}

func writeConfig(t *testing.T, text string, mode os.FileMode) (dir string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "rtm"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rtm", "config.json"), []byte(text), mode))
	return dir
}

// A flag wins over its variable, that over the section of the command, and that
// over the top of the file.
func TestSettingsAgree(t *testing.T) {
	dir := writeConfig(t, `{
		"server": "from-the-file", "app-id": "file-app", "verbose": true, "json": null,
		"chat": {"history": 7, "with": ["Jerry", "Mary"]},
		"conv": {"server": "from-conv", "list": {"server": "from-list", "limit": 3}}
	}`, 0o600)
	other := filepath.Join(writeConfig(t, `{"server": "from-another"}`, 0o600), "rtm", "config.json")
	server := map[string]string{"RTM_SERVER": "from-the-variable"}
	for _, test := range []struct {
		args      string
		variables map[string]string
		flag      string
		want      string
	}{
		{"online", nil, "server", "from-the-file"},
		{"online", server, "server", "from-the-variable"},
		{"online --server from-the-flag", server, "server", "from-the-flag"},
		{"online", nil, "app-id", "file-app"},
		{"online", nil, "verbose", "true"},
		{"online", nil, "json", "false"},
		{"serve", nil, "app-id", "file-app"},
		{"chat", nil, "history", "7"},
		{"chat", nil, "with", "[Jerry,Mary]"},
		{"chat", map[string]string{"RTM_HISTORY": "8"}, "history", "8"},
		{"conv show x", nil, "server", "from-conv"},
		{"conv list", nil, "server", "from-list"},
		{"conv list", nil, "limit", "3"},
		{"online --config " + other, nil, "server", "from-another"},
		{"online", map[string]string{"RTM_CONFIG": other}, "server", "from-another"},
		{"online --config " + other, nil, "app-id", ""},
	} {
		t.Run(test.args+" "+test.want, func(t *testing.T) {
			got, warned, err := settingsOf(t, dir, test.variables, test.flag, strings.Fields(test.args)...)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
			assert.Empty(t, warned)
		})
	}
	got, _, err := settingsOf(t, t.TempDir(), nil, "server", "online")
	require.NoError(t, err)
	assert.Equal(t, defaultServer, got, "no file is no mistake")
}

func TestMistakesInTheConfiguration(t *testing.T) {
	for text, says := range map[string]string{
		`{`:                             "config.json",
		`[]`:                            "config.json",
		`{"sever": "x"}`:                `there is no setting "sever"`,
		`{"chat": {"limit": 3}}`:        `there is no setting "limit"`,
		`{"chat": 3}`:                   "needs an object",
		`{"server": {"a": 1}}`:          "must be a text",
		`{"verbose": "perhaps"}`:        `"verbose"`,
		`{"online": {"verbose": "no"}}`: `"verbose"`,
	} {
		_, _, err := settingsOf(t, writeConfig(t, text, 0o600), nil, "server", "online")
		var usage usageError
		require.ErrorAs(t, err, &usage, text)
		assert.ErrorContains(t, err, says)
	}
}

func TestReadableKeysAreWarnedOf(t *testing.T) {
	for text, warns := range map[string]bool{
		`{"master-key": "secret-of-mine"}`: true,
		`{"app-key": "secret-of-mine"}`:    true,
		`{"app-id": "x"}`:                  false,
	} {
		_, warned, err := settingsOf(t, writeConfig(t, text, 0o644), nil, "server", "online")
		require.NoError(t, err)
		assert.Equal(t, warns, strings.Contains(warned, "other users can read it"), text)
		assert.NotContains(t, warned, "secret-of-mine")
	}
	_, warned, err := settingsOf(t, writeConfig(t, `{"master-key": "x"}`, 0o600), nil, "server", "online")
	require.NoError(t, err)
	assert.Empty(t, warned)
}

// Every command has help with examples, and says JSON unless people talk there.
func TestEveryCommandHasHelp(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		assert.NotEmpty(t, cmd.Short, cmd.CommandPath())
		assert.NotEmpty(t, cmd.Long, cmd.CommandPath())
		assert.NotEmpty(t, cmd.Example, cmd.CommandPath())
		for _, text := range strings.Split(cmd.Long, "\n") {
			assert.LessOrEqual(t, len([]rune(text)), 86, text)
		}
		if !cmd.HasSubCommands() && cmd.Name() != "chat" {
			assert.NotNil(t, cmd.Flag("json"), cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(newRootCommand(environment{}))
}
