package update

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImage(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadImage(dir); err == nil || !strings.Contains(err.Error(), "this is not the appliance") {
		t.Errorf("elsewhere: %v", err)
	}
	private, _ := key("", 1)
	public, err := PublicPEM(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "board"), []byte("raspberrypi\n"))
	write(t, filepath.Join(dir, "version"), []byte("1.1\n"))
	write(t, filepath.Join(dir, "keys", "release.pem"), public)
	i, err := LoadImage(dir)
	if err != nil || i.Board != "raspberrypi" || i.Version != "1.1" || len(i.Keys) != 1 {
		t.Fatalf("%+v, %v", i, err)
	}

	for _, tt := range []struct {
		name, board, version, minimum string
		any                           bool
		want                          string // error
	}{
		{"newer", "raspberrypi", "1.2", "", false, ""},
		{"newer, follows ours", "raspberrypi", "1.2", "1.1", false, ""},
		{"another board", "qemu", "1.2", "", true, `for the board "qemu", and this is "raspberrypi"`},
		{"older", "raspberrypi", "1.0", "", false, "1.0 is older than 1.1"},
		{"older, asked for", "raspberrypi", "1.0", "", true, ""},
		{"the same", "raspberrypi", "1.1", "", false, "1.1 runs already"},
		{"the same, asked for", "raspberrypi", "1.1", "", true, ""},
		{"ours is too old", "raspberrypi", "3.0", "2.0", true, "wants to follow 2.0 or later, and 1.1 runs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := i.Check(&Manifest{Board: tt.board, Version: tt.version, Minimum: tt.minimum}, tt.any)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
