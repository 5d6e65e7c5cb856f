package docs

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is where the guide's program takes the code of its sections.
const place = "\t// 后面各节的代码，依次写在这里。\n"

// Who follows the guide step by step gets a program that runs and prints what
// the guide says.
func TestGuideRuns(t *testing.T) {
	t.Parallel()
	const page = "guide.zh-CN.md"
	var program block
	steps := ""
	for _, b := range blocks(t, page) {
		switch {
		case b.lang != "go" || b.note == "alternative":
		case b.isProgram():
			program = b
		default:
			steps += b.text
		}
	}
	url, restart := newServer(t)
	for _, change := range [][2]string{{place, steps}, {"http://127.0.0.1:7788", url}} {
		require.Equal(t, 1, strings.Count(program.text, change[0]), change[0])
		program.text = strings.Replace(program.text, change[0], change[1], 1)
	}
	program.text = strings.Replace(program.text, "package main\n", "package main\n"+needed(program.text), 1)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, build(t, program))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var failure strings.Builder
	cmd.Stderr = &failure
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	left := missing(lines,
		"Tom 登录成功", "Tom 邀请我加入了对话 ", "对话 id： ", "发送成功 ", "Tom 说： Jerry，起床了！",
		"Tom 邀请了 [Mary]", "现在的成员： [Jerry Tom Mary]", "Tom 说： 大家好，欢迎来到我们的群聊对话",
		"Mary 被 Tom 移出了对话", "名字里有 NBA 的对话： 0", "又取到 2 条", "2 条文本消息")
	if len(left) == 0 { // as the guide invites to
		restart()
		left = missing(lines, "服务器连接已断开：", "正在进行第 1 次重连", "与服务端连接恢复", "Tom 已重新登录")
	}
	interrupts := runtime.GOOS != "windows"
	if interrupts {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
	} else {
		require.NoError(t, cmd.Process.Kill())
	}
	for lines.Scan() { // to its end, as Wait demands
	}
	err = cmd.Wait()
	require.Empty(t, left, "not printed; standard error: %s", failure.String())
	if interrupts {
		require.NoError(t, err, failure.String())
	}
}

// missing reads until there is a line with each of the beginnings, in any order,
// and returns those that did not come.
func missing(lines *bufio.Scanner, beginnings ...string) []string {
	for len(beginnings) > 0 && lines.Scan() {
		for i, beginning := range beginnings {
			if strings.HasPrefix(lines.Text(), beginning) {
				beginnings = append(beginnings[:i], beginnings[i+1:]...)
				break
			}
		}
	}
	return beginnings
}

// build builds the program of a page.
func build(t *testing.T, program block) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	command(t, "go", "build", "-overlay", overlay(t, "program", []block{program}), "-o", binary, "./docs/program")
	return binary
}
