package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every test that security.md names exists where it says, and every threat has
// one. The figures of the page are held by a test of package server.
func TestSecurityPageNamesTests(t *testing.T) {
	text, err := os.ReadFile("security.md")
	require.NoError(t, err)
	quoted := regexp.MustCompile("`([^`]+)`")
	name := regexp.MustCompile(`^(Test|Fuzz)\w+$`)
	tables, _, ok := strings.Cut(string(text), "\n## The figures\n")
	require.True(t, ok)
	threats := 0
	for n, line := range strings.Split(tables, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Threat |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		require.Len(t, cells, 3, "security.md:%d: a threat, what stops it, and the tests", n+1)
		threats++
		for part := range strings.SplitSeq(cells[2], ";") {
			words := quoted.FindAllStringSubmatch(part, -1)
			require.GreaterOrEqual(t, len(words), 2, "security.md:%d: a folder and its tests are needed in %q", n+1, part)
			declared := declaredTests(t, words[0][1])
			for _, word := range words[1:] {
				require.Regexp(t, name, word[1], "security.md:%d", n+1)
				if !declared[word[1]] {
					t.Errorf("security.md:%d: there is no %s in %s", n+1, word[1], words[0][1])
				}
			}
		}
	}
	require.Greater(t, threats, 30, "security.md has hardly any threats: was the form of the tables changed?")
}

// declaredTests are the tests and fuzz targets of a folder.
func declaredTests(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "there are no tests in %s", folder)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	declared := make(map[string]bool)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range function.FindAllSubmatch(source, -1) {
			declared[string(m[1])] = true
		}
	}
	return declared
}
