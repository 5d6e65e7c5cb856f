package docs_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The last column of the tables for people who come from other SDKs names
// things of ours: each of them must exist.
func TestNamesExist(t *testing.T) {
	known := exported(t, "..", "")
	for name := range exported(t, "../typedmessages", "typedmessages.") {
		known[name] = true
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, file := range []string{"coming-from-js.md", "coming-from-mobile.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		names := 0
		for n, line := range strings.Split(string(text), "\n") {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if !strings.HasPrefix(line, "| ") || len(cells) < 2 {
				continue
			}
			for _, match := range quoted.FindAllStringSubmatch(cells[len(cells)-1], -1) {
				names++
				if !known[match[1]] {
					t.Errorf("%s:%d: there is no %s", file, n+1, match[1])
				}
			}
		}
		require.Greater(t, names, 100, "%s has hardly any names: was the form of the tables changed?", file)
	}
}

// exported lists what a package exports: Name, Type.Method and Type.Field.
func exported(t *testing.T, dir, prefix string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	set := token.NewFileSet()
	var files []*ast.File
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(set, files, "example")
	require.NoError(t, err)
	add := func(parts ...string) { names[prefix+strings.Join(parts, ".")] = true }
	values := func(list []*doc.Value) {
		for _, v := range list {
			for _, name := range v.Names {
				add(name)
			}
		}
	}
	values(p.Consts)
	values(p.Vars)
	for _, f := range p.Funcs {
		add(f.Name)
	}
	for _, typ := range p.Types {
		add(typ.Name)
		values(typ.Consts)
		values(typ.Vars)
		for _, f := range typ.Funcs {
			add(f.Name)
		}
		for _, m := range typ.Methods {
			add(typ.Name, m.Name)
		}
		for _, spec := range typ.Decl.Specs {
			structure, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					add(typ.Name, name.Name)
				}
			}
		}
	}
	return names
}
