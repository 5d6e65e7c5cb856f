package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/leanrtm/realtime"

var (
	assignment = regexp.MustCompile(`^[A-Z_]+=`)
	link       = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
)

// Every command line of the pages is one of those that tests run, names a
// program of this module, or is one of rtm, whose own tests read the pages.
func TestCommandLinesAreChecked(t *testing.T) {
	t.Parallel()
	for _, page := range append([]string{"performance.md"}, pages...) {
		for _, b := range blocks(t, page) {
			switch b.lang {
			case "go": // compiled by another test
			case "sh":
				for line := range strings.Lines(b.text) {
					line, _, _ = strings.Cut(line, "#")
					if words := strings.Fields(line); len(words) > 0 {
						checkCommand(t, b, words)
					}
				}
			default:
				assert.Fail(t, "a block of a language that nothing checks", "%s: %q", b, b.lang)
			}
		}
	}
}

func checkCommand(t *testing.T, b block, words []string) {
	t.Helper()
	for assignment.MatchString(words[0]) {
		words = words[1:]
	}
	line := strings.Join(words, " ")
	switch {
	case line == "go test ./...", line == "go get "+module:
	case line == "bash .ci/run":
		assert.FileExists(t, "../.ci/run")
	case words[0] == "rtm":
	case strings.HasPrefix(line, "go test ./") && len(words) > 4 && words[3] == "-run":
		assertTest(t, b, filepath.Join("..", words[2]), strings.Trim(words[4], "'^$"))
	case line == "go run ./echo", line == "go run ./hello": // the program of the page, which a test runs
	case strings.HasPrefix(line, "go run ./"), strings.HasPrefix(line, "go install "+module+"/"):
		target, _, _ := strings.Cut(strings.Replace(words[2], module, ".", 1), "@")
		assert.FileExists(t, filepath.Join("..", target, "main.go"), "%s: %s", b, line)
	default:
		assert.Fail(t, "a command line that nothing checks", "%s: %s", b, line)
	}
}

// The pages of the examples tell of all of them, and of no other.
func TestExamplesAreListed(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../examples")
	require.NoError(t, err)
	var want []string
	for _, e := range entries {
		if e.IsDir() {
			want = append(want, e.Name())
		}
	}
	command := regexp.MustCompile("(?m)^\\| \\[(\\w+)\\]\\(\\w+\\) \\| `go (run|test) ./examples/(\\w+)` ")
	for _, page := range []string{"../examples/README.md", "../examples/README.zh-CN.md"} {
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		var told []string
		for _, m := range command.FindAllStringSubmatch(string(data), -1) {
			assert.Equal(t, m[1], m[3], page)
			told = append(told, m[1])
			if m[2] == "run" {
				assert.FileExists(t, filepath.Join("../examples", m[1], "main.go"), page)
			}
		}
		assert.ElementsMatch(t, want, told, page)
	}
}

// assertTest asserts that a package has a test.
func assertTest(t *testing.T, b block, dir, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return
		}
	}
	assert.Fail(t, "there is no such test", "%s: %s in %s", b, name, dir)
}

// Relative links lead to files of the repository.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	var all []string
	for _, pattern := range []string{"*.md", "../*.md", "../examples/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		all = append(all, found...)
	}
	for _, page := range all {
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.FromSlash(path.Join(path.Dir(page), m[1])))
			assert.NoError(t, err, "%s links to %s", page, m[1])
		}
	}
}
