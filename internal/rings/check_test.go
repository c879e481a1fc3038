package rings

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A checker applies the rules to a module's source files.
type checker struct {
	module string
	table  map[string]ring
	fset   *token.FileSet
	found  []string // one line per violation
}

func newChecker(module string, table map[string]ring) *checker {
	return &checker{module: module, table: table, fset: token.NewFileSet()}
}

// tree checks every file below root but tests, testdata, hidden folders and
// nested modules, whatever its build constraints, and returns the folders it
// saw.
func (c *checker) tree(root string) (dirs []string, err error) {
	seen := map[string]bool{}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if name == root {
				return nil
			}
			if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if dir := path.Dir(rel); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
			c.folder(dir)
		}
		return c.file(rel, src)
	})
	return dirs, err
}

// folder reports a package that nobody classified.
func (c *checker) folder(dir string) {
	if c.table[dir] == unclassified {
		c.found = append(c.found, fmt.Sprintf(
			"%s: package is in no ring: add a line for it to internal/rings/table_test.go", dir))
	}
}

// file checks one source file, named relative to the module's root.
func (c *checker) file(name string, src []byte) error {
	f, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	from := c.table[path.Dir(name)]
	inner := from == wire || from == machine
	excepted := exceptions[path.Dir(name)]

	names := map[string]string{} // local name: import path
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if why := c.mayImport(from, imp); why != "" && excepted[imp] == nil {
			c.report(spec.Pos(), "%s package imports %s: %s", from, imp, why)
		}
		local := strings.TrimSuffix(imp, "/v2")
		local = path.Base(local)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "." && inner {
			c.report(spec.Pos(), "%s package imports %s with a dot, which hides where names come from", from, imp)
		}
		names[local] = imp
	}
	if inner {
		c.names(f, from, names, excepted)
	}
	return nil
}

// mayImport says why a package in ring from must not import imp, or "". A
// package in no ring is complained of where it is, not wherever it is used.
func (c *checker) mayImport(from ring, imp string) string {
	if dir, ok := strings.CutPrefix(imp, c.module+"/"); ok {
		to := c.table[dir]
		switch {
		case to == support && from != support:
			return "it is there for tests only"
		case (from == wire || from == machine) && to > from:
			return "it is a " + to.String() + " package"
		}
		return ""
	}
	if from != wire && from != machine {
		return ""
	}
	if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
		if from == machine && slices.ContainsFunc(thirdParty, func(p string) bool { return within(imp, p) }) {
			return ""
		}
		return "it is not on the list of modules for this ring"
	}
	if allowedStd[imp] {
		return ""
	}
	for p, why := range forbiddenStd {
		if within(imp, p) {
			return why
		}
	}
	if imp == "C" {
		return "no cgo"
	}
	return ""
}

// names reports goroutines and the forbidden names of imported packages,
// called or not. A local variable named like an import counts as the import:
// such a name is worth changing anyway.
func (c *checker) names(f *ast.File, from ring, imports map[string]string, excepted map[string][]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(n.Pos(), "%s package starts a goroutine: that is the daemon ring's affair", from)
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			imp := imports[id.Name]
			why := forbiddenName(imp, n.Sel.Name)
			if types, ok := excepted[imp]; ok && !slices.Contains(types, n.Sel.Name) {
				why = "it is not among the types excepted for this package"
			}
			if why != "" {
				c.report(n.Pos(), "%s package uses %s.%s: %s", from, imp, n.Sel.Name, why)
			}
		}
		return true
	})
}

func (c *checker) report(pos token.Pos, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%v: %s", c.fset.Position(pos), fmt.Sprintf(format, args...)))
}

// within reports whether import path imp is p or below it.
func within(imp, p string) bool { return imp == p || strings.HasPrefix(imp, p+"/") }
