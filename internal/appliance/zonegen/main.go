// Command zonegen prints the table of time zones that package appliance has:
// of each zone in Go's own copy of the tz database its name and the rule for
// times to come, as POSIX writes it (RFC 9636 Section 3.3).
package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: zonegen GOROOT >zones.txt")
		os.Exit(2)
	}
	if err := run(filepath.Join(os.Args[1], "lib/time/zoneinfo.zip")); err != nil {
		fmt.Fprintln(os.Stderr, "zonegen:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	var lines []string
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") || f.Name == "Factory" {
			continue
		}
		rule, err := footer(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		lines = append(lines, f.Name+" "+rule+"\n")
	}
	slices.Sort(lines)
	w := bufio.NewWriter(os.Stdout)
	for _, l := range lines {
		if _, err := w.WriteString(l); err != nil {
			return err
		}
	}
	return w.Flush()
}

// footer is what a file ends with, between newlines.
func footer(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	b, ok := bytes.CutSuffix(b, []byte("\n"))
	i := bytes.LastIndexByte(b, '\n')
	if !ok || i < 0 || i == len(b)-1 || !bytes.HasPrefix(b, []byte("TZif")) {
		return "", fmt.Errorf("has no rule for times to come")
	}
	return string(b[i+1:]), nil
}
