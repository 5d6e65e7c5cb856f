package export

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Reading backwards gives the lines of reading forwards.
func TestLinesBackwards(t *testing.T) {
	dir := t.TempDir()
	for _, longest := range []int{1, 20, 1000, buffer, 3 * buffer} {
		most := 20
		if longest >= buffer {
			most = 6 // as many blocks as many short lines have
		}
		for range 20 {
			var want []string
			for range rand.IntN(most) {
				want = append(want, strings.Repeat("x", 1+rand.IntN(longest)))
			}
			if rand.IntN(2) == 0 { // a line that ends with a block
				want = append(want, strings.Repeat("y", buffer-1))
			}
			text := strings.Join(want, "\n")
			if len(want) > 0 {
				text += "\n"
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte(text), fileMode))
			forwards, backwards := []string{}, []string{}
			for e, err := range lines(dir, "f", 0) {
				require.NoError(t, err)
				forwards = append(forwards, string(e.text))
			}
			for line, err := range linesBackwards(dir, "f") {
				require.NoError(t, err)
				backwards = append(backwards, string(line))
			}
			slices.Reverse(backwards)
			require.Equal(t, len(want), len(forwards))
			assert.Equal(t, forwards, backwards)
		}
	}
}
