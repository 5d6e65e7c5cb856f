// Package docs checks what the project's pages say: every block of Go code
// compiles against the module as it is, every command line is one that works,
// and every relative link leads somewhere.
package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// pages are checked, relative to this folder.
var pages = []string{"../README.md", "../README.zh-CN.md", "guide.zh-CN.md"}

// block is a fenced piece of a page.
type block struct {
	page string
	line int // of its first line, from 1
	lang string
	note string // what follows the language: alternative, for what replaces an earlier block
	text string
}

func (b block) String() string {
	return fmt.Sprintf("%s:%d", strings.TrimPrefix(b.page, "../"), b.line)
}

// blocks cuts the fenced blocks out of a page.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	var (
		found []block
		open  *block
	)
	for i, line := range strings.Split(string(data), "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			lang, note, _ := strings.Cut(strings.TrimSpace(lang), " ")
			open = &block{page: page, line: i + 2, lang: lang, note: note}
		case fence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	require.Nil(t, open, "%s has a block without an end", page)
	return found
}

// imports are what a block may use without saying so; a whole program imports
// for itself.
var imports = map[string]string{
	"context":       "context",
	"errors":        "errors",
	"fmt":           "fmt",
	"http":          "net/http",
	"httptest":      "net/http/httptest",
	"log":           "log",
	"os":            "os",
	"signal":        "os/signal",
	"realtime":      "github.com/leanrtm/realtime",
	"realtimetest":  "github.com/leanrtm/realtime/realtimetest",
	"require":       "github.com/stretchr/testify/require",
	"server":        "github.com/leanrtm/realtime/server",
	"slices":        "slices",
	"slog":          "log/slog",
	"strings":       "strings",
	"testing":       "testing",
	"time":          "time",
	"typedmessages": "github.com/leanrtm/realtime/typedmessages",
}

// around is what the pages take as given: a context, the people of the story
// and their conversation. The inner block lets the code declare them itself.
const around = `func _(ctx context.Context, rt *realtime.Realtime, tom, jerry, mary, william *realtime.IMClient, conv *realtime.Conversation, err error) error {
{
%s
}
return nil
}
`

var (
	qualifier   = regexp.MustCompile(`\b([a-z]+)\.[A-Z]`)
	declaration = regexp.MustCompile(`(?m)\A(?:\s*//.*\n)*\s*(func|type|const|var|import)\b`)
)

// isProgram reports whether the block is a whole program.
func (b block) isProgram() bool { return strings.HasPrefix(b.text, "package main") }

// isTest reports whether the block is a test, to be run.
func (b block) isTest() bool { return strings.HasPrefix(b.text, "func Test") }

// source makes a Go file of a block: programs are files already, declarations
// need imports, and statements need a function as well. Errors of the compiler
// point to the page.
func (b block) source() string {
	body := fmt.Sprintf("//line %s:1\n%s", b, b.text)
	if b.isProgram() {
		return body
	}
	if !declaration.MatchString(b.text) {
		body = fmt.Sprintf(around, body)
	}
	return "package block\n" + needed(body) + body
}

// needed are the imports that code needs and does not have.
func needed(code string) (lines string) {
	for _, m := range qualifier.FindAllStringSubmatch(code, -1) {
		line := fmt.Sprintf("%q\n", imports[m[1]])
		if _, known := imports[m[1]]; known && !strings.Contains(code, line) && !strings.Contains(lines, line) {
			lines += "import " + line
		}
	}
	return lines
}

// overlay lays the blocks over the module, each a file of a package that exists
// in no folder. It returns the file that tells the go command of it.
func overlay(t *testing.T, pkg string, code []block) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	replace := map[string]string{}
	for i, b := range code {
		name := fmt.Sprintf("block%d.go", i)
		if b.isTest() {
			name = fmt.Sprintf("block%d_test.go", i)
			// Two pages may have a test of one name.
			b.text = strings.Replace(b.text, "func Test", fmt.Sprintf("func Test%d", i), 1)
		}
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(b.source()), 0o600))
		replace[filepath.Join(root, "docs", pkg, name)] = path
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// command runs a command in the root of the module.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
}

// Every piece of Go code compiles.
func TestCode(t *testing.T) {
	t.Parallel()
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			var code []block
			for _, b := range blocks(t, page) {
				if b.lang == "go" && !b.isProgram() && !b.isTest() { // those are run
					code = append(code, b)
				}
			}
			require.NotEmpty(t, code)
			command(t, "go", "build", "-overlay", overlay(t, "pieces", code), "./docs/pieces")
		})
	}
}

// The tests that the pages show pass.
func TestTests(t *testing.T) {
	t.Parallel()
	var tests []block
	for _, page := range pages {
		for _, b := range blocks(t, page) {
			if b.lang == "go" && b.isTest() {
				tests = append(tests, b)
			}
		}
	}
	require.NotEmpty(t, tests)
	// In two steps and without vet, because a package that exists in no folder
	// has none to be vetted and tested in.
	binary := filepath.Join(t.TempDir(), "tests")
	command(t, "go", "test", "-c", "-vet=off", "-o", binary, "-overlay", overlay(t, "tests", tests), "./docs/tests")
	command(t, binary)
}
