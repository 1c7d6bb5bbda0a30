package contract

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// source parses the Go files of a folder of the repository, tests left out.
func source(t *testing.T, folder string) []*ast.File {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "..", "..", folder)
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no Go file in %s: %v", dir, err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, parsed)
	}
	return files
}

// text returns the value of a string literal.
func text(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}

// The daemon's routes and the description's operations are the same.
func TestRoutesAgree(t *testing.T) {
	pattern := regexp.MustCompile(`^(GET|PUT|POST|PATCH|DELETE) /`)
	served := map[string]bool{}
	for _, file := range source(t, "api") {
		ast.Inspect(file, func(n ast.Node) bool {
			if entry, ok := n.(*ast.KeyValueExpr); ok {
				if route, ok := text(entry.Key); ok && pattern.MatchString(route) {
					served[strings.Replace(route, "...}", "}", 1)] = true
				}
			}
			return true
		})
	}
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if method != "HEAD" { // ServeMux takes it with GET
				described[method+" "+path] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("routes (-served +described):\n%s", diff)
	}
}

// The words of the wire types and the lists of the schemas are the same.
func TestWordsAgree(t *testing.T) {
	words := map[string][]string{}
	for _, file := range source(t, "api/v1") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if i >= len(spec.Values) {
					continue
				}
				value, ok := text(spec.Values[i])
				for _, prefix := range []string{"Status", "State", "Output"} {
					if ok && strings.HasPrefix(name.Name, prefix) {
						words[prefix] = append(words[prefix], value)
					}
				}
			}
			return true
		})
	}
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for prefix, at := range map[string][2]string{
		"Status": {"Execution", "status"}, "State": {"Session", "state"}, "Output": {"Output", "type"},
	} {
		var listed []string
		for _, value := range doc.Components.Schemas[at[0]].Value.Properties[at[1]].Value.Enum {
			listed = append(listed, value.(string))
		}
		slices.Sort(listed)
		slices.Sort(words[prefix])
		if diff := cmp.Diff(words[prefix], listed); diff != "" {
			t.Errorf("%s.%s (-code +schema):\n%s", at[0], at[1], diff)
		}
	}
}

// The error codes that the handlers can answer with and the table beside the
// schema Error are the same.
func TestErrorCodesAgree(t *testing.T) {
	used := map[string]bool{}
	take := func(e ast.Expr) {
		if code, ok := text(e); ok && code != "" {
			used[code] = true
		}
	}
	const entryLength = 4 // of the workspace's errors: error, status, type, code
	for _, file := range slices.Concat(source(t, "api"), source(t, "api/transport"), source(t, "api/tci"), source(t, "api/mcp"), source(t, "api/gate")) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch f := n.Fun.(type) {
				case *ast.Ident: // in package transport itself
					if f.Name == "BadRequest" {
						take(n.Args[0])
					}
				case *ast.SelectorExpr:
					if f.Sel.Name == "BadRequest" {
						take(n.Args[0])
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
					take(n.Value)
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if field, ok := left.(*ast.SelectorExpr); ok && field.Sel.Name == "Code" && len(n.Rhs) == len(n.Lhs) {
						take(n.Rhs[i])
					}
				}
			case *ast.CompositeLit:
				if len(n.Elts) == entryLength && n.Type == nil {
					take(n.Elts[entryLength-1])
				}
			}
			return true
		})
	}
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	table, ok := doc.Components.Schemas["Error"].Value.Extensions["x-error-codes"].(map[string]any)
	if !ok {
		t.Fatal("the schema Error has no table x-error-codes")
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(table))); diff != "" {
		t.Errorf("codes (-used +listed):\n%s", diff)
	}
}
